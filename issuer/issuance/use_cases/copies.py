"""The copies of one card: signed, each with a status place of its own, and put on record (OpenID4VCI 8, 9)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from issuer.agencies.ports import Agency, document_signer_key
from issuer.issuance.ports import IssuancePorts, IssuedCredential, IssuedType, Offer, Storage
from issuer.issuance.use_cases.dataset import new_id
from issuer.issuance.use_cases.reissuance import replace_old_copies
from issuer.status.use_cases.places import StatusPlace, draw_places, take_places
from wallet_core import spec_versions as spec
from wallet_core.catalogue.credential_type import seoul_day
from wallet_core.errors import CredentialRequestDenied, Expired
from wallet_core.protocols.openid4vci.credential import create_credential, create_mdoc, lint_elements, mdoc_end
from wallet_core.protocols.openid4vci.issuance import Issued
from wallet_core.protocols.openid4vci.proof import AcceptedKey
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.types import CredentialConfigurationId, JsonObject
from wallet_core.values import statically_frozen


@statically_frozen
class SignedCopies:
    """What one answer carries: a credential for each key, in one order, and when all of them end."""

    credentials: tuple[str, ...]
    keys: tuple[AcceptedKey, ...]
    places: tuple[StatusPlace, ...]
    expires_at: datetime


def sign_copies(
    ports: IssuancePorts,
    agency: Agency,
    issued: IssuedType,
    record: JsonObject,
    keys: Sequence[AcceptedKey],
    now: datetime,
) -> SignedCopies:
    """Return a credential for each key. Nothing is stored: :func:`record_copies` does that.

    Raises:
        CredentialRequestDenied: what the record states has ended, or is no licence that readers take.
    """
    today = seoul_day(now)
    claims = issued.type.prepare_claims(record, today=today)
    try:
        expires_at = issued.type.expires_at(claims, today=today)
    except Expired as exc:
        raise CredentialRequestDenied(exc.description, detail=exc.detail) from exc
    entry = issued.entry
    # Once for all copies. A record may have changed since the offer, and a login without an offer has none before.
    if faults := lint_elements(issued.type, entry, claims):
        raise CredentialRequestDenied("the data for this credential cannot be signed", detail="; ".join(faults))
    places = draw_places(ports.status, agency, credential_format=entry.format, bits=entry.status_bits, count=len(keys))
    create, end = _creator(ports, agency, issued, claims, expires_at, now)
    credentials = tuple(create(key, place.reference) for key, place in zip(keys, places, strict=True))
    return SignedCopies(credentials, tuple(keys), tuple(places), end)


def record_copies(
    ports: IssuancePorts,
    storage: Storage,
    offer: Offer,
    configuration_id: CredentialConfigurationId,
    copies: SignedCopies,
    notification_id: str,
    now: datetime,
) -> None:
    """Record in the unit of ``storage`` that copies were issued: those that they replace are revoked, places taken."""
    # What is the first to be issued under an offer replaces nothing.
    if isinstance(offer.state, Issued):
        replace_old_copies(ports, storage, offer, configuration_id)
    records = [
        IssuedCredential(
            new_id(ports, now),
            offer.agency_id,
            offer.id,
            configuration_id,
            offer.subject_id,
            key.thumbprint,
            "valid",
            now,
            copies.expires_at,
            notification_id,
        )
        for key in copies.keys
    ]
    storage.credentials.add(records)
    places = {each.id: place for each, place in zip(records, copies.places, strict=True)}
    take_places(storage.statuses, offer.agency_id, places)


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
