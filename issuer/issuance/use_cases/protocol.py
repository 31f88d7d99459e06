"""The endpoints a wallet calls: token, nonce, credential, notification (OpenID4VCI 6, 7, 8, 11).

Reading, checking and signing happen outside the transaction that writes; the write is compare-and-set, and a request
that lost a race begins again with what the winner left. So two simultaneous posts of one secret have one winner.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from issuer.agencies.ports import Agency, document_signer_key
from issuer.issuance.ports import IssuancePorts, IssuedCredential, IssuedType, Offer, Storage
from issuer.issuance.use_cases.dataset import issued_type, offered_record
from issuer.issuance.use_cases.reissuance import replace_old_copies
from issuer.status.use_cases.places import StatusPlace, draw_places, take_places
from wallet_core import spec_versions as spec
from wallet_core.catalogue.credential_type import seoul_day
from wallet_core.errors import (
    CredentialRequestDenied,
    Expired,
    InvalidGrant,
    InvalidToken,
    StateConflict,
    StorageError,
)
from wallet_core.protocols.oauth2.token import create_token_response, parse_bearer_token, parse_token_request
from wallet_core.protocols.openid4vci.credential import create_credential, create_mdoc, mdoc_end
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    Offered,
    create_access_token,
    digest,
    digest_tx_code,
    issue,
    notify,
    redeem_code,
    validate_configuration,
    validate_token,
)
from wallet_core.protocols.openid4vci.messages import (
    create_credential_response,
    create_nonce_response,
    parse_credential_request,
    parse_notification_request,
)
from wallet_core.protocols.openid4vci.nonce import LIFETIME, create_c_nonce, spent_digest, verify_c_nonce
from wallet_core.protocols.openid4vci.proof import AcceptedKey, verify_key_proofs
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.types import CredentialConfigurationId, JsonObject

T = TypeVar("T")

MAX_RACES = 10
"""Times a request that lost a race begins again; each loss means that another request of the same person won."""

_ID_BYTES = 16


def redeem(ports: IssuancePorts, agency: Agency, media_type: str, body: bytes) -> JsonObject:
    """Answer a token request (OpenID4VCI 6).

    Raises:
        InvalidRequest, UnsupportedGrantType: as ``oauth2.token.parse_token_request``; or a transaction code too many.
        InvalidGrant: the code or the transaction code is wrong, used, expired or dead.
    """
    request = parse_token_request(media_type, body)
    token = create_access_token(ports.random)

    def attempt() -> JsonObject:
        now = ports.clock.now()
        offer = _read(
            ports, lambda storage: storage.offers.find_by_code(agency.id, digest(request.pre_authorized_code))
        )
        # OpenID4VCI 6.3: an unknown code and one of another issuer are the same: invalid_grant.
        # vci-6.3-unknown-code
        if offer is None:
            raise InvalidGrant("the pre-authorized code is unknown", clause="OpenID4VCI 6.3")
        typed = request.tx_code
        sent = None if typed is None else digest_tx_code(ports.secrets.tx_code, offer.id, typed)
        state = redeem_code(offer.state, tx_code_digest=sent, token_digest=digest(token), now=now)
        storage = ports.storage()
        with storage.unit:
            storage.offers.advance(offer, state)
        # The counted try is committed before the refusal leaves.
        if not isinstance(state, Authorized):
            left = state.tries_left if isinstance(state, Offered) else 0
            text = f"the transaction code is wrong; {left} {'try' if left == 1 else 'tries'} left"
            raise InvalidGrant(text, clause="OpenID4VCI 6.3")
        return create_token_response(token)

    return _until_no_race(attempt)


def create_nonce(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Answer a nonce request (OpenID4VCI 7). Nothing is written."""
    nonce = create_c_nonce(ports.secrets.nonce, agency.credential_issuer, now=ports.clock.now(), random=ports.random)
    return create_nonce_response(nonce)


def answer_credential_request(
    ports: IssuancePorts, agency: Agency, authorization: Sequence[str], media_type: str, body: bytes
) -> JsonObject:
    """Answer a Credential Request (OpenID4VCI 8).

    Steps:
        1. The access token is one of this issuer and not expired.
        2. The request has the right shape and names a configuration of the offer.
        3. Every proof is valid, for this issuer, with one fresh nonce.
        4. The claims are prepared and signed, one credential for each proven key, each with a status place of its own.
        5. In one transaction: the nonce is spent for each key, the state moves on, copies that are to be replaced are
           revoked, the issue is recorded, the places are taken.

    Raises:
        InvalidToken: step 1 failed.
        InvalidCredentialRequest, UnknownCredentialConfiguration, UnknownCredentialIdentifier,
            InvalidEncryptionParameters: step 2 failed.
        InvalidProof, InvalidNonce: step 3 failed, or a proof was used before.
        CredentialRequestDenied: the data are gone or no longer valid, or the token has asked too often.
    """
    return _until_no_race(lambda: _answer(ports, agency, authorization, media_type, body))


def record_notification(
    ports: IssuancePorts, agency: Agency, authorization: Sequence[str], media_type: str, body: bytes
) -> None:
    """Note what a wallet says became of its credentials (OpenID4VCI 11).

    Raises:
        InvalidToken: the access token is not one of this issuer, or has expired.
        InvalidNotificationRequest, InvalidNotificationId: as OpenID4VCI 11.3 says.
    """

    def attempt() -> None:
        now = ports.clock.now()
        offer = _offer_of_token(ports, agency, authorization)
        validate_token(offer.state, now=now)
        request = parse_notification_request(media_type, body)
        state = notify(offer.state, notification_id=request.notification_id, event=request.event, now=now)
        # OpenID4VCI 11.1: a repeated notification is answered like the first one and changes nothing.
        if state != offer.state:
            storage = ports.storage()
            with storage.unit:
                storage.offers.advance(offer, state)

    _until_no_race(attempt)


def _answer(
    ports: IssuancePorts, agency: Agency, authorization: Sequence[str], media_type: str, body: bytes
) -> JsonObject:
    now = ports.clock.now()
    # 1.
    offer = _offer_of_token(ports, agency, authorization)
    live = validate_token(offer.state, now=now)
    # 2.
    request = parse_credential_request(media_type, body)
    validate_configuration(live, request.configuration_id)
    issued = issued_type(ports, agency.id, request.configuration_id)
    # 3.
    keys = verify_key_proofs(
        request.proofs,
        audience=agency.credential_issuer,
        algorithms=issued.proof_algorithms,
        verify_nonce=lambda nonce: verify_c_nonce(nonce, ports.secrets.nonce, agency.credential_issuer, now=now),
        now=now,
    )
    # 4.
    record = offered_record(ports, offer, request.configuration_id)
    entry = issued.entry
    places = draw_places(ports.status, agency, credential_format=entry.format, bits=entry.status_bits, count=len(keys))
    credentials, expires_at = _sign(ports, agency, issued, record, keys, places, now)
    # 5.
    notification_id = ports.random(_ID_BYTES).hex()
    state = issue(
        live,
        configuration_id=request.configuration_id,
        copies=len(keys),
        notification_id=notification_id,
        now=now,
    )
    storage = ports.storage()
    with storage.unit:
        for key in keys:
            # vci-8.3.1.2-nonce-spent
            storage.nonces.spend(spent_digest(key.nonce, key.thumbprint), expires_at=now + LIFETIME)
        storage.offers.advance(offer, state)
        replace_old_copies(ports, storage, offer, request.configuration_id)
        records = _records(ports, offer, request.configuration_id, keys, now, expires_at)
        storage.credentials.add(records)
        take_places(storage.statuses, agency.id, dict(zip([each.id for each in records], places, strict=True)))
    return create_credential_response(credentials, notification_id=notification_id)


def _sign(
    ports: IssuancePorts,
    agency: Agency,
    issued: IssuedType,
    record: JsonObject,
    keys: Sequence[AcceptedKey],
    places: Sequence[StatusPlace],
    now: datetime,
) -> tuple[list[str], datetime]:
    today = seoul_day(now)
    claims = issued.type.prepare_claims(record, today=today)
    try:
        expires_at = issued.type.expires_at(claims, today=today)
    except Expired as exc:
        raise CredentialRequestDenied(exc.description, detail=exc.detail) from exc
    create, end = _creator(ports, agency, issued, claims, expires_at, now)
    return [create(key, place.reference) for key, place in zip(keys, places, strict=True)], end


def _creator(
    ports: IssuancePorts, agency: Agency, issued: IssuedType, claims: JsonObject, expires_at: datetime, now: datetime
) -> tuple[Callable[[AcceptedKey, StatusReference | None], str], datetime]:
    """Return how to sign a copy for a key, and when it ends; all copies of one request are signed with one key."""
    if issued.entry.format == spec.FORMAT_MDOC:
        document_signer = ports.keys.signing_key(document_signer_key(agency.id))
        end = mdoc_end(expires_at, document_signer.chain[0], now=now)
        return lambda key, status: create_mdoc(
            issued.type,
            issued.entry,
            claims=claims,
            key=key,
            expires_at=end,
            status=status,
            signer=document_signer.signer,
            x5chain=document_signer.chain,
            now=now,
            random=ports.random,
        ), end
    key_of_agency = ports.keys.signing_key(agency.id)
    return lambda key, status: create_credential(
        issued.type,
        issuer=agency.credential_issuer,
        claims=claims,
        selectively_disclosable=issued.selectively_disclosable,
        key=key,
        expires_at=expires_at,
        status=status,
        signer=key_of_agency.signer,
        x5c=key_of_agency.chain,
        now=now,
        random=ports.random,
    ), expires_at


def _records(
    ports: IssuancePorts,
    offer: Offer,
    configuration_id: CredentialConfigurationId,
    keys: Sequence[AcceptedKey],
    now: datetime,
    expires_at: datetime,
) -> list[IssuedCredential]:
    stamp = f"{int(now.timestamp() * 1000):012x}"
    return [
        IssuedCredential(
            f"{stamp}{ports.random(_ID_BYTES).hex()}",
            offer.agency_id,
            offer.id,
            configuration_id,
            offer.subject_id,
            key.thumbprint,
            "valid",
            now,
            expires_at,
        )
        for key in keys
    ]


def _offer_of_token(ports: IssuancePorts, agency: Agency, authorization: Sequence[str]) -> Offer:
    token = parse_bearer_token(authorization)
    offer = _read(ports, lambda storage: storage.offers.find_by_token(agency.id, digest(token)))
    # RFC 6750 3.1: a token of another issuer is as unknown as any other.
    # oauth-6750.3.1-unknown
    if offer is None:
        raise InvalidToken("the access token is unknown", clause="RFC 6750 3.1")
    return offer


def _read(ports: IssuancePorts, find: Callable[[Storage], T]) -> T:
    storage = ports.reading()
    with storage.unit:
        return find(storage)


def _until_no_race(attempt: Callable[[], T]) -> T:
    for _ in range(MAX_RACES):
        try:
            return attempt()
        except StateConflict:
            continue
    raise StorageError("too many requests for one offer at once")
