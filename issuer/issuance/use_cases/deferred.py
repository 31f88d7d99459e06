"""The Deferred Credential Endpoint (OpenID4VCI 9): the wallet asks again, and gets its credentials once."""

from datetime import datetime

from issuer.agencies.ports import Agency
from issuer.issuance.ports import DeferredIssuance, IssuancePorts, Offer
from issuer.issuance.use_cases.clients import authorized_offer
from issuer.issuance.use_cases.copies import record_copies, sign_copies
from issuer.issuance.use_cases.dataset import issued_type
from issuer.issuance.use_cases.deferring import held_record
from issuer.issuance.use_cases.encryption import decryption_of
from issuer.issuance.use_cases.races import look, read, until_no_race
from wallet_core.errors import CredentialRequestDenied, InvalidTransactionId, NotFound
from wallet_core.http import HttpResponse, ReceivedRequest
from wallet_core.protocols.openid4vci.deferral import Denied, Ready, Waiting, approve, ask, deliver, denial
from wallet_core.protocols.openid4vci.encryption import EncryptionParameters
from wallet_core.protocols.openid4vci.issuance import Authorized, Issued, digest, issue, validate_token
from wallet_core.protocols.openid4vci.messages import (
    DeferredRequest,
    create_answer,
    create_credential_response,
    create_deferral,
    parse_deferred_request,
)

_ID_BYTES = 16
_BY_TEST = "conformance test"


def answer_deferred_request(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> HttpResponse:
    """Answer a Deferred Credential Request (OpenID4VCI 9).

    Steps:
        1. The access token is one of this issuer and not expired.
        2. The request has the right shape and names a transaction under this token that is not over.
        3. Undecided: 202 with the same transaction. Refused: that is noted, and the wallet is told.
        4. Approved: signed now, each copy with a status place of its own.
        5. In one transaction: both states move on, the issue is recorded, the places are taken. Of two simultaneous
           requests one wins, and the other finds the transaction over.

    Raises:
        InvalidToken: step 1 failed.
        InvalidCredentialRequest, InvalidEncryptionParameters, InvalidTransactionId: step 2 failed.
        CredentialRequestDenied: step 3, or the data are gone or no longer valid.
    """
    return until_no_race(lambda: _answer(ports, agency, received))


def _answer(ports: IssuancePorts, agency: Agency, received: ReceivedRequest) -> HttpResponse:
    now = ports.clock.now()
    # 1.
    offer = authorized_offer(ports, agency, received)
    live = validate_token(offer.state, now=now)
    # 2.
    request = parse_deferred_request(received.media_type, received.body, decryption_of(ports, agency))
    deferred = _find(ports, agency, offer, request)
    state = ask(deferred.state, now=now)
    # 3.
    if isinstance(state, Denied):
        _note_told(ports, offer, deferred, state)
        raise denial()
    if isinstance(state, Waiting):
        # M19: a conformance test asks once and at once.
        if not ports.deferral.approve_at_once:
            _keep(ports, offer)
            body = create_deferral(request.transaction_id, interval=ports.deferral.interval)
            return create_answer(body, request.response_encryption, status=202)
        state = approve(state, decided_by=_BY_TEST, now=now)
    return _deliver(ports, agency, offer, live, deferred, state, request.response_encryption, now)


def _deliver(
    ports: IssuancePorts,
    agency: Agency,
    offer: Offer,
    live: Authorized | Issued,
    deferred: DeferredIssuance,
    state: Ready,
    encryption: EncryptionParameters | None,
    now: datetime,
) -> HttpResponse:
    configuration_id, keys = state.request.configuration_id, state.request.keys
    issued = issued_type(ports, agency.id, configuration_id)
    # 4.
    try:
        record = read(ports, lambda storage: held_record(ports, storage, deferred, issued))
    except NotFound as exc:
        raise CredentialRequestDenied("the data for this credential is no longer there") from exc
    copies = sign_copies(ports, agency, issued, record, keys, now)
    # M19: some wallets refuse a notification_id in a deferred answer.
    notification_id = ports.random(_ID_BYTES).hex()
    shown = notification_id if ports.deferral.notifications else None
    # vci-9.1-new-encryption
    answer = create_answer(create_credential_response(copies.credentials, notification_id=shown), encryption)
    # 5.
    after = issue(live, configuration_id=configuration_id, copies=len(keys), notification_id=notification_id, now=now)
    storage = ports.storage()
    with storage.unit:
        storage.deferrals.forget(deferred, deliver(state, now=now))
        storage.offers.advance(offer, after)
        record_copies(ports, storage, offer, configuration_id, copies, notification_id, now)
    return answer


def _find(ports: IssuancePorts, agency: Agency, offer: Offer, request: DeferredRequest) -> DeferredIssuance:
    found = look(
        ports, lambda storage: storage.deferrals.find_by_transaction(agency.id, digest(request.transaction_id))
    )
    # OpenID4VCI 9.3: an unknown transaction, and one that was begun with another access token, are the same.
    # vci-9.3-unknown
    if found is None or found.offer_id != offer.id:
        raise InvalidTransactionId("the transaction is unknown", clause="OpenID4VCI 9.3")
    return found


def _keep(ports: IssuancePorts, offer: Offer) -> None:
    # Only a DPoP proof has something to be remembered of it: a question of a Bearer token writes nothing.
    if offer.proof is None:
        return
    storage = ports.storage()
    with storage.unit:
        storage.offers.keep(offer)


def _note_told(ports: IssuancePorts, offer: Offer, deferred: DeferredIssuance, state: Denied) -> None:
    storage = ports.storage()
    with storage.unit:
        storage.offers.keep(offer)
        # The decision can no longer be taken back, so the data have no purpose any more.
        storage.deferrals.forget(deferred, state)
