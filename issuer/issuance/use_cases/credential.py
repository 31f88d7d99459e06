"""The Credential Endpoint (OpenID4VCI 8): reading, checking and signing happen outside the transaction that writes."""

from collections.abc import Callable, Sequence
from datetime import datetime

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedType, Offer, Storage
from issuer.issuance.use_cases.clients import authorized_offer
from issuer.issuance.use_cases.copies import record_copies, sign_copies
from issuer.issuance.use_cases.dataset import issued_type, offered_record, open_dataset
from issuer.issuance.use_cases.deferring import hold, must_wait, new_deferral
from issuer.issuance.use_cases.encryption import decryption_of
from issuer.issuance.use_cases.races import until_no_race
from wallet_core.http import HttpResponse, ReceivedRequest
from wallet_core.protocols.openid4vci.issuance import Authorized, Issued, issue, validate_configuration, validate_token
from wallet_core.protocols.openid4vci.messages import (
    CredentialRequest,
    create_answer,
    create_credential_response,
    parse_credential_request,
)
from wallet_core.protocols.openid4vci.metadata import BATCH_SIZE
from wallet_core.protocols.openid4vci.nonce import LIFETIME, spent_digest, verify_c_nonce
from wallet_core.protocols.openid4vci.proof import AcceptedKey, verify_key_proofs
from wallet_core.types import JsonObject
from wallet_core.values import statically_frozen

_ID_BYTES = 16


@statically_frozen
class CheckedRequest:
    """A Credential Request that may be answered: under which offer, for what, and for which keys.

    Attributes:
        agency: that is asked.
        offer: as it was read.
        live: its state, which can be moved on.
        request: as it was parsed.
        issued: what the request names.
        dataset: what came with the offer.
        keys: that were proved.
        at: when it was checked.
    """

    agency: Agency
    offer: Offer
    live: Authorized | Issued
    request: CredentialRequest
    issued: IssuedType
    dataset: JsonObject
    keys: tuple[AcceptedKey, ...]
    at: datetime


def answer_credential_request(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> HttpResponse:
    """Answer a Credential Request (OpenID4VCI 8) in one go.

    Steps:
        1. The access token is one of this issuer and not expired.
        2. The request has the right shape and names a configuration of the offer.
        3. Every proof is valid, for this issuer, with one fresh nonce.
        4. The claims are prepared and signed, one credential for each proven key, each with a status place of its own.
        5. In one transaction: the nonce is spent for each key, the state moves on, copies that are to be replaced are
           revoked, the issue is recorded, the places are taken.

    Where somebody must decide first, steps 4 and 5 are put off (OpenID4VCI 9): the nonce is spent, the keys are kept,
    and the wallet is asked to come back.

    Raises:
        InvalidToken: step 1 failed.
        InvalidCredentialRequest, UnknownCredentialConfiguration, UnknownCredentialIdentifier,
            InvalidEncryptionParameters: step 2 failed.
        InvalidProof, InvalidNonce: step 3 failed, or a proof was used before.
        CredentialRequestDenied: the data are gone or no longer valid, or the token has asked too often.
        StorageError: other requests under the same offer were faster every time.
    """

    def attempt() -> HttpResponse:
        store = prepare_answer(ports, check_credential_request(ports, agency, received))
        storage = ports.storage()
        with storage.unit:
            return store(storage)

    return until_no_race(attempt)


def check_credential_request(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> CheckedRequest:
    """Return a Credential Request that may be answered (steps 1 to 3). Raises as :func:`answer_credential_request`."""
    now = ports.clock.now()
    # 1.
    offer = authorized_offer(ports, agency, received)
    live = validate_token(offer.state, now=now)
    # 2.
    request = parse_credential_request(received.media_type, received.body, decryption_of(ports, agency))
    validate_configuration(live, request.configuration_id, by_identifier=request.by_identifier)
    issued = issued_type(ports, agency.id, request.configuration_id)
    # 3.
    keys = verify_key_proofs(
        request.proofs,
        proof_type=request.proof_type,
        audience=agency.credential_issuer,
        policy=issued.terms(agency).proofs,
        trust=ports.wallet_providers(),
        limit=BATCH_SIZE,
        verify_nonce=lambda nonce: verify_c_nonce(nonce, ports.secrets.nonce, agency.credential_issuer, now=now),
        now=now,
        client_id=live.holder.client_id,
    )
    return CheckedRequest(agency, offer, live, request, issued, open_dataset(ports, offer), tuple(keys), now)


def prepare_answer(ports: IssuancePorts, checked: CheckedRequest) -> Callable[[Storage], HttpResponse]:
    """Sign (step 4) and return what stores the issue and gives the answer (step 5), in its caller's transaction.

    Raises:
        CredentialRequestDenied: the data are gone or no longer valid, or the token has asked too often.

    What is returned raises ``StateConflict`` if another request was faster or was given a place of these,
    ``InvalidNonce`` or ``InvalidDpopProof`` if a proof was used before, and ``CredentialRequestDenied`` if too many
    requests wait for a decision.
    """
    if must_wait(checked.offer, checked.issued, checked.dataset):
        return _defer(ports, checked)
    return _issue(ports, checked)


def _issue(ports: IssuancePorts, checked: CheckedRequest) -> Callable[[Storage], HttpResponse]:
    offer, request, now = checked.offer, checked.request, checked.at
    # 4.
    record = offered_record(ports, offer, checked.dataset, checked.issued)
    copies = sign_copies(ports, checked.agency, checked.issued, record, checked.keys, now)
    notification_id = ports.random(_ID_BYTES).hex()
    body = create_credential_response(copies.credentials, notification_id=notification_id)
    answer = create_answer(body, request.response_encryption)
    state = issue(
        checked.live,
        configuration_id=request.configuration_id,
        copies=len(checked.keys),
        notification_id=notification_id,
        now=now,
        by_identifier=request.by_identifier,
    )

    def store(storage: Storage) -> HttpResponse:
        # 5. The DPoP proof goes first: who repeats a whole request learns that, and not that the nonce is used up.
        storage.offers.advance(offer, state)
        _spend_nonces(storage, checked.keys, now)
        record_copies(ports, storage, offer, request.configuration_id, copies, notification_id, now)
        return answer

    return store


def _defer(ports: IssuancePorts, checked: CheckedRequest) -> Callable[[Storage], HttpResponse]:
    offer, request, now = checked.offer, checked.request, checked.at
    deferred, body = new_deferral(ports, offer, request.configuration_id, checked.keys, checked.dataset, now)
    answer = create_answer(body, request.response_encryption, status=202)

    def store(storage: Storage) -> HttpResponse:
        storage.offers.keep(offer)
        # M10: spent now, because the proofs are not looked at again.
        _spend_nonces(storage, checked.keys, now)
        hold(storage, deferred)
        return answer

    return store


def _spend_nonces(storage: Storage, keys: Sequence[AcceptedKey], now: datetime) -> None:
    # vci-8.3.1.2-nonce-spent
    storage.nonces.spend([spent_digest(key.nonce, key.thumbprint) for key in keys], expires_at=now + LIFETIME)
