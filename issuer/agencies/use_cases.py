"""What is done with agencies: register one, find one, give it an API key."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from issuer.agencies.ports import SCOPES, Agencies, Agency, ApiKeys, SigningKeys
from wallet_core.catalogue.catalogue import Catalogue
from wallet_core.catalogue.metadata import SIGNING_ALGORITHMS
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.ports import UnitOfWork
from wallet_core.trust.x509 import certificate_uris
from wallet_core.types import AgencyId, CredentialIssuerId


@dataclass(frozen=True, slots=True)
class RegisteredAgency:
    """An agency just registered, with its API key, which is shown this once."""

    agency: Agency
    api_key_id: str
    api_key: str


def credential_issuer_id(public_url: str, agency_id: AgencyId) -> CredentialIssuerId:
    """Return the Credential Issuer Identifier of an agency. No other code builds one."""
    return CredentialIssuerId(f"{public_url}/agencies/{agency_id}")


def register_agency(
    unit: UnitOfWork,
    agencies: Agencies,
    api_keys: ApiKeys,
    signing_keys: SigningKeys,
    catalogue: Catalogue,
    agency_id: AgencyId,
    *,
    public_url: str,
    now: datetime,
    haip: bool = False,
) -> RegisteredAgency:
    """Register an agency of the catalogue and return it with a new API key. Doing it again gives a further key.

    With ``haip`` it serves only wallets of the high-assurance profile; servers that run learn it when restarted.

    Raises:
        NotFound: the catalogue has no such agency.
        KeyUnavailable: the key store has no signing key with certificate under its id.
        InvalidRequest: the certificate is not for this agency's Credential Issuer Identifier, or its key signs with an
            algorithm that the metadata do not say.
    """
    entry = catalogue.agencies.get(agency_id)
    if entry is None:
        raise NotFound(
            "the catalogue has no such agency",
            detail=f"no agency {agency_id}; there are: {', '.join(catalogue.agencies)}",
        )
    issuer = credential_issuer_id(public_url, agency_id)
    algorithm = signing_keys.signer(agency_id).public_key.algorithm
    # OpenID4VCI 12.2.4: credential_signing_alg_values_supported are what the issuer signs with.
    if algorithm not in SIGNING_ALGORITHMS:
        raise InvalidRequest(
            "the signing key is of another algorithm than the metadata say",
            detail=f"the key of {agency_id} signs with {algorithm}; the metadata say {', '.join(SIGNING_ALGORITHMS)}",
        )
    # M22: verifiers of older editions want iss among the URI names of the leaf.
    # sdjwtvc-3.5-certificate-uri
    if issuer not in certificate_uris(signing_keys.chain(agency_id)[0]):
        raise InvalidRequest("the certificate is for another issuer", detail=f"no URI name {issuer} in the leaf")
    with unit:
        agencies.add(agency_id, entry.name, haip=haip, now=now)
        key_id, text = api_keys.create(agency_id, label="first", scopes=SCOPES, now=now)
    return RegisteredAgency(Agency(agency_id, issuer, entry.name, haip), key_id, text)


def demand_encryption(unit: UnitOfWork, agencies: Agencies, agency: Agency, *, encrypted: bool) -> Agency:
    """Let an agency answer only wallets that encrypt their messages, or all again.

    Raises:
        NotFound: it is not registered.
    """
    with unit:
        agencies.set_encrypted(agency.id, encrypted=encrypted)
    return replace(agency, encrypted=encrypted)


def find_agency(unit: UnitOfWork, agencies: Agencies, agency_id: str) -> Agency:
    """Return a registered agency.

    Raises:
        NotFound: it is not registered.
    """
    with unit:
        agency = agencies.find(AgencyId(agency_id))
    if agency is None:
        raise NotFound("no such agency")
    return agency


def list_agencies(unit: UnitOfWork, agencies: Agencies) -> list[Agency]:
    """Return every registered agency, by id."""
    with unit:
        return list(agencies.all())


def create_api_key(
    unit: UnitOfWork, api_keys: ApiKeys, agency: Agency, *, label: str, scopes: Collection[str], now: datetime
) -> tuple[str, str]:
    """Return the id and the text of a new API key of ``agency``; the text is shown this once.

    Raises:
        InvalidRequest: a scope that does not exist.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(f"scopes are among {' '.join(SCOPES)}")
    with unit:
        return api_keys.create(agency.id, label=label, scopes=scopes, now=now)


def revoke_api_key(unit: UnitOfWork, api_keys: ApiKeys, key_id: str, *, now: datetime) -> None:
    """Make an API key useless from now on. Raises ``NotFound`` if there is none, or it was revoked before."""
    with unit:
        api_keys.revoke(key_id, now=now)


def sign_in(unit: UnitOfWork, agencies: Agencies, api_keys: ApiKeys, api_key: str, *, now: datetime) -> Agency:
    """Return the agency whose ``api_key`` this is: how staff sign in to the console.

    Raises:
        InvalidToken: the key is unknown, expired or revoked.
        InsufficientScope: the key is not for the console.
        NotFound: its agency is not registered.
    """
    with unit:
        agency = agencies.find(api_keys.owner(api_key, scope="console", now=now))
    if agency is None:
        raise NotFound("no such agency")
    return agency
