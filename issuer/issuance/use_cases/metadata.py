"""Documents that describe an agency to wallets and verifiers, all derived from the catalogue."""

from collections.abc import Mapping

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedType, Terms
from issuer.issuance.use_cases.dataset import is_issued
from issuer.issuance.use_cases.encryption import encryption_metadata
from issuer.status.use_cases.publishing import aggregation_uri
from wallet_core import spec_versions as spec
from wallet_core.catalogue.catalogue import Catalogue
from wallet_core.catalogue.credential_type import CredentialType, FormatEntry
from wallet_core.encoding import strict_json
from wallet_core.errors import DPOP_ALGORITHM, NotFound
from wallet_core.http import HttpResponse
from wallet_core.keys.algorithms import public_key
from wallet_core.protocols.oauth2.client_attestation import ALGORITHMS
from wallet_core.protocols.oauth2.metadata import create_authorization_server_metadata
from wallet_core.protocols.openid4vci.metadata import (
    create_credential_issuer_metadata,
    create_jwt_vc_issuer_metadata,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.proof import parse_proof_types
from wallet_core.protocols.openid4vci.signed_metadata import (
    create_signed_metadata,
    in_languages,
    preferred_languages,
    wants_signed,
)
from wallet_core.trust.x509 import load_certificate
from wallet_core.types import AgencyId, CredentialConfigurationId, CredentialIssuerId, JsonObject

LANGUAGES = ("ko", "en")
"""What metadata are written in."""

KEPT_SECONDS = 60
"""How long anybody may keep metadata: what an agency switches is in force everywhere after that."""

_ANY_ISSUER = CredentialIssuerId("https://issuer.example/agencies/any")


def issued_types(catalogue: Catalogue) -> dict[AgencyId, dict[CredentialConfigurationId, IssuedType]]:
    """Return what each agency of the catalogue issues, prepared for issuing.

    Raises:
        MalformedError: a configuration of the catalogue is not one that wallets would accept.
    """
    return {
        agency_id: {
            entry.configuration_id: _issued_type(each, entry)
            for each in catalogue.issued_by(agency_id)
            for entry in each.formats
        }
        for agency_id in catalogue.agencies
    }


def credential_issuer_metadata(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Return the Credential Issuer metadata (OpenID4VCI 12.2)."""
    return create_credential_issuer_metadata(
        agency.credential_issuer,
        configurations={id_: issued.terms(agency).configuration for id_, issued in issued_by(ports, agency).items()},
        display=[{"name": agency.name.get(language), "locale": language} for language in LANGUAGES],
        encryption=encryption_metadata(ports, agency),
    )


def negotiated_metadata(ports: IssuancePorts, agency: Agency, *, accept: str, accept_language: str) -> HttpResponse:
    """Return the Credential Issuer metadata as a wallet would rather have them: signed, its language first.

    Raises:
        KeyUnavailable: the agency's key cannot sign now.
    """
    languages = preferred_languages(accept_language, LANGUAGES)
    document = credential_issuer_metadata(ports, agency)
    if languages != LANGUAGES:
        document = _in_order(document, languages)
    headers = {
        "content-type": spec.JSON,
        # OpenID4VCI 12.2.2: both languages are in it, the one that was asked for first.
        # vci-12.2.2-language
        "content-language": ", ".join(languages),
        "vary": "Accept, Accept-Language",
        "cache-control": f"public, max-age={KEPT_SECONDS}",
    }
    if not wants_signed(accept):
        return HttpResponse(200, headers, strict_json.dumps(document))
    signed = create_signed_metadata(document, ports.keys.signing_key(agency.id), now=ports.clock.now())
    return HttpResponse(200, {**headers, "content-type": spec.JWT_MEDIA_TYPE}, signed.encode())


def _in_order(document: JsonObject, languages: tuple[str, ...]) -> JsonObject:
    ordered = in_languages(document, languages)
    return ordered if isinstance(ordered, dict) else document


def authorization_server_metadata(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Return the Authorization Server metadata (RFC 8414)."""
    attested = ports.wallet_providers().any
    methods = ([] if agency.haip else ["none"]) + ([spec.AUTH_METHOD_CLIENT_ATTESTATION] if attested else [])
    return create_authorization_server_metadata(
        agency.credential_issuer,
        scopes=[issued.entry.scope for issued in issued_by(ports, agency).values()],
        require_pushed=agency.haip,
        anonymous_pre_authorized=not agency.haip,
        # Never empty (RFC 8414 2): an agency that keeps to HAIP and trusts no provider yet serves nobody.
        auth_methods=methods or [spec.AUTH_METHOD_CLIENT_ATTESTATION],
        challenge_endpoint=f"{agency.credential_issuer}/oauth/challenge" if attested or agency.haip else None,
        attestation_algorithms=ALGORITHMS if attested or agency.haip else (),
        dpop_algorithms=(DPOP_ALGORITHM,),
        status_list_aggregation_endpoint=aggregation_uri(agency),
    )


def jwt_vc_issuer_metadata(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Return the JWT VC Issuer metadata (SD-JWT VC 4.1): every key whose certificate has not expired.

    So credentials that were signed before a rotation verify after it, and caches know the next key before it signs.
    """
    now = ports.clock.now()
    published = [load_certificate(leaf) for leaf in ports.keys.published(agency.id)]
    keys = [public_key(leaf.public_key()) for leaf in published if now <= leaf.not_valid_after_utc]
    return create_jwt_vc_issuer_metadata(agency.credential_issuer, keys)


def type_metadata(ports: IssuancePorts, agency: Agency, type_id: str) -> JsonObject:
    """Return the SD-JWT VC type metadata of a type the agency issues (SD-JWT VC 4.2).

    Raises:
        NotFound: it issues no such type.
    """
    for issued in issued_by(ports, agency).values():
        if issued.type.id == type_id:
            return issued.type.type_metadata()
    raise NotFound("no such credential type")


def issued_by(ports: IssuancePorts, agency: Agency) -> Mapping[CredentialConfigurationId, IssuedType]:
    """Return what the agency issues now, by configuration."""
    every = ports.types.get(agency.id, {})
    return {id_: issued for id_, issued in every.items() if is_issued(ports, agency.id, issued)}


def _issued_type(credential_type: CredentialType, entry: FormatEntry) -> IssuedType:
    open_terms, haip_terms = (_terms(credential_type, entry, haip=haip) for haip in (False, True))
    return IssuedType(credential_type, entry, open_terms, haip_terms, credential_type.selectively_disclosable)


def _terms(credential_type: CredentialType, entry: FormatEntry, *, haip: bool) -> Terms:
    configuration = credential_type.credential_configuration(entry, haip=haip)
    # Read back as a wallet would: a catalogue that makes bad metadata stops the start, not the first wallet.
    document = create_credential_issuer_metadata(
        _ANY_ISSUER, configurations={entry.configuration_id: configuration}, display=[]
    )
    parse_credential_issuer_metadata(document, credential_issuer=_ANY_ISSUER)
    return Terms(configuration, parse_proof_types(configuration))
