"""Where the claims of an offer come from: the offer itself, or the agency's record of the person."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NoReturn

from issuer.agencies.ports import document_signer_key
from issuer.issuance.ports import IssuancePorts, IssuedType, Offer, Storage
from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    CredentialRequestDenied,
    InvalidRequest,
    KeyUnavailable,
    NotFound,
    UnknownCredentialConfiguration,
)
from wallet_core.protocols.openid4vci.credential import end_of_certificate, lint_elements
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import AgencyId, CredentialConfigurationId, JsonObject

_ID_BYTES = 16

MAX_PROBLEMS = 5
"""Faults of a record that one error names."""


def issued_type(ports: IssuancePorts, agency_id: AgencyId, configuration_id: CredentialConfigurationId) -> IssuedType:
    """Return what an agency issues under a configuration id.

    Raises:
        UnknownCredentialConfiguration: it issues no such thing.
    """
    found = ports.types.get(agency_id, {}).get(configuration_id)
    if found is None or not is_issued(ports, agency_id, found):
        raise UnknownCredentialConfiguration("this agency has no such credential configuration")
    return found


def is_issued(ports: IssuancePorts, agency_id: AgencyId, issued: IssuedType) -> bool:
    """Return whether the agency has the key it takes: mdocs need a document signer, whose certificate has not ended."""
    if issued.entry.format != FORMAT_MDOC:
        return True
    try:
        certificates = ports.keys.published(document_signer_key(agency_id))
    except KeyUnavailable:
        return False
    return any(end_of_certificate(each) > ports.clock.now() for each in certificates)


def new_id(ports: IssuancePorts, now: datetime) -> str:
    """Return a new id, 44 hexadecimal digits, in order of time."""
    return f"{int(now.timestamp() * 1000):012x}{ports.random(_ID_BYTES).hex()}"


def check_claims(issued: IssuedType, record: JsonObject, *, today: date) -> datetime:
    """Check that a record can be signed today and return when the credential would end.

    Raises:
        InvalidRequest: the record has faults; the text names their places, not their values.
        Expired: what it states has ended.
    """
    problems = issued.type.validate_record(record, today=today)
    if problems:
        _refuse(issued, [f"{problem.path}: {problem.reason.en}" for problem in problems])
    claims = issued.type.prepare_claims(record, today=today)
    # ISO/IEC 18013-5 7.2.1: what the catalogue allows, a reader of licences may not.
    if faults := lint_elements(issued.type, issued.entry, claims):
        _refuse(issued, faults)
    return issued.type.expires_at(claims, today=today)


def _refuse(issued: IssuedType, faults: Sequence[str]) -> NoReturn:
    raise InvalidRequest(f"the data for {issued.type.id} cannot be signed; " + "; ".join(faults[:MAX_PROBLEMS]))


def subject_record(
    storage: Storage, agency_id: AgencyId, credential_type: CredentialType, subject_id: str
) -> JsonObject:
    """Return the agency's record of a person for a type.

    Raises:
        NotFound: there is none.
    """
    record = storage.records.find(agency_id, credential_type.id, subject_id)
    if record is None:
        raise NotFound(f"the agency has no record for {credential_type.id} under this subject_id")
    return record


def seal_dataset(
    ports: IssuancePorts,
    agency_id: AgencyId,
    offer_id: str,
    *,
    claims: Mapping[str, JsonObject],
    tx_code: str | None,
    deferred: bool = False,
) -> bytes:
    """Return what is kept with an offer until it ends. ``deferred``: somebody decides before anything is signed."""
    data = strict_json.dumps({"claims": dict(claims), "tx_code": tx_code, "deferred": deferred})
    return ports.seal.seal(data, _context(agency_id, offer_id))


def open_dataset(ports: IssuancePorts, offer: Offer) -> JsonObject:
    """Return what was kept with an offer: ``claims`` by configuration and ``tx_code``; empty once it has ended."""
    if offer.sealed is None:
        return {}
    return strict_json.loads_own(ports.seal.open(offer.sealed, _context(offer.agency_id, offer.id)))


def offered_record(ports: IssuancePorts, offer: Offer, dataset: JsonObject, issued: IssuedType) -> JsonObject:
    """Return the record to sign for one configuration of an offer: what came with it, or the agency's own of today.

    ``dataset`` is what :func:`open_dataset` returned for the offer.

    Raises:
        CredentialRequestDenied: it is gone.
    """
    claims = dataset.get("claims")
    if isinstance(claims, dict) and isinstance(record := claims.get(issued.entry.configuration_id), dict):
        return record
    storage = ports.reading()
    with storage.unit:
        found = offer.subject_id and storage.records.find(offer.agency_id, issued.type.id, offer.subject_id)
    if not found:
        raise CredentialRequestDenied("the data for this credential is no longer there")
    return found


def _context(agency_id: AgencyId, offer_id: str) -> str:
    return f"issuer_offer/{agency_id}/{offer_id}"
