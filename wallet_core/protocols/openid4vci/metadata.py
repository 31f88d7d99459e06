"""Credential Issuer metadata (OpenID4VCI 12.2): derived from the catalogue by the issuer, read by the wallet."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.encoding.claims_path import parse_claims_path
from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.protocols.oauth2.identifiers import (
    appended_location,
    parse_identifier,
    parse_url,
    well_known_location,
)
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.encryption import (
    RequestEncryption,
    ResponseEncryption,
    parse_request_encryption,
    parse_response_encryption,
)
from wallet_core.types import ClaimsPath, CredentialConfigurationId, CredentialIssuerId, Json, JsonObject

BATCH_SIZE: Final = 10
"""Most key proofs in one request: as many copies as the catalogue gives out at once."""

_CLAUSE = "OpenID4VCI 12.2.4"


@dataclass(frozen=True, slots=True)
class CredentialConfiguration:
    """What can be issued (OpenID4VCI 12.2.4).

    ``document`` is the whole object, for display and for :mod:`.proof_way`, which reads the proof types where a proof
    is to be made: if they are broken, this configuration cannot be had, and the others of its offer can.
    """

    id: CredentialConfigurationId
    format: str
    document: JsonObject

    @property
    def needs_proof(self) -> bool:
        """Whether a credential of this configuration is bound to a holder's key."""
        return "proof_types_supported" in self.document


@dataclass(frozen=True, slots=True)
class CredentialIssuerMetadata:
    """What a wallet reads in the metadata. ``batch_size`` is 1 if the issuer publishes none."""

    credential_issuer: CredentialIssuerId
    authorization_servers: tuple[str, ...]
    credential_endpoint: str
    nonce_endpoint: str | None
    notification_endpoint: str | None
    deferred_endpoint: str | None
    batch_size: int
    request_encryption: RequestEncryption | None
    response_encryption: ResponseEncryption | None
    configurations: Mapping[CredentialConfigurationId, CredentialConfiguration]
    document: JsonObject

    def to_json(self, only: Iterable[CredentialConfigurationId]) -> JsonObject:
        """Return the metadata with no other configurations than ``only``, as they are stored with an offer."""
        kept: JsonObject = {id_: self.configurations[id_].document for id_ in only}
        return {**self.document, "credential_configurations_supported": kept}


def create_credential_issuer_metadata(
    credential_issuer: CredentialIssuerId,
    *,
    configurations: Mapping[CredentialConfigurationId, JsonObject],
    display: Iterable[JsonObject],
    encryption: JsonObject | None = None,
) -> JsonObject:
    """Return the metadata document of an agency (OpenID4VCI 12.2.4).

    Args:
        credential_issuer: its identifier; it is its own Authorization Server, so ``authorization_servers`` is left out.
        configurations: the entries of ``credential_configurations_supported``, from the catalogue.
        display: ``name`` and ``locale``, one object per locale.
        encryption: ``credential_request_encryption`` and ``credential_response_encryption``: both or none (M20).
    """
    return {
        "credential_issuer": credential_issuer,
        "credential_endpoint": f"{credential_issuer}/credential",
        # haip-4.1-nonce-endpoint
        "nonce_endpoint": f"{credential_issuer}/nonce",
        "deferred_credential_endpoint": f"{credential_issuer}/deferred",
        "notification_endpoint": f"{credential_issuer}/notification",
        **(encryption or {}),
        "batch_credential_issuance": {"batch_size": BATCH_SIZE},
        "display": list(display),
        "credential_configurations_supported": {str(id_): document for id_, document in configurations.items()},
    }


def create_jwt_vc_issuer_metadata(credential_issuer: CredentialIssuerId, keys: Iterable[PublicKey]) -> JsonObject:
    """Return the JWT VC Issuer metadata (SD-JWT VC 4.1) with every key the agency signs with, by thumbprint."""
    jwks: list[Json] = [
        {**public_jwk(key), "kid": base64url.encode(thumbprint(key)), "use": "sig", "alg": key.algorithm.value}
        for key in keys
    ]
    return {"issuer": credential_issuer, "jwks": {"keys": jwks}}


def metadata_locations(credential_issuer: CredentialIssuerId) -> tuple[str, str]:
    """Return where to look for metadata: by insertion (OpenID4VCI 12.2.2) first, appended only after 404."""
    name = spec.WELL_KNOWN_CREDENTIAL_ISSUER
    return (
        well_known_location(credential_issuer, name, keep_final_slash=True),
        appended_location(credential_issuer, name),
    )


def parse_credential_issuer_metadata(
    document: JsonObject,
    *,
    credential_issuer: CredentialIssuerId,
    only: Collection[CredentialConfigurationId] | None = None,
) -> CredentialIssuerMetadata:
    """Return what the metadata of ``credential_issuer`` say. Unknown members are ignored.

    Args:
        document: the metadata.
        credential_issuer: the identifier under which they were fetched.
        only: the configurations that matter; others are not looked at, so that one of an older draft among many does
            not stop the rest. None for all.

    Raises:
        MalformedError: a member is missing or of the wrong type, or the document speaks of another issuer.
    """
    # OpenID4VCI 12.2.2: credential_issuer MUST be identical to the identifier used; otherwise nothing of it is used.
    # vci-12.2.2-issuer
    if parse_identifier(document.get("credential_issuer"), what="credential_issuer") != credential_issuer:
        raise MalformedError("the metadata name another Credential Issuer", clause="OpenID4VCI 12.2.2")
    members.objects(document, "display", clause=_CLAUSE)
    batch = members.optional_object(document, "batch_credential_issuance", clause=_CLAUSE)
    return CredentialIssuerMetadata(
        credential_issuer=credential_issuer,
        authorization_servers=_authorization_servers(document),
        # vci-12.2.4-credential-endpoint
        credential_endpoint=parse_url(document.get("credential_endpoint"), what="credential_endpoint"),
        nonce_endpoint=_optional_url(document, "nonce_endpoint"),
        notification_endpoint=_optional_url(document, "notification_endpoint"),
        deferred_endpoint=_optional_url(document, "deferred_credential_endpoint"),
        # OpenID4VCI 12.2.4: batch_size is REQUIRED in its object and an integer of 2 or more.
        # vci-12.2.4-batch-size
        batch_size=members.integer(batch, "batch_size", at_least=2, clause=_CLAUSE) if batch is not None else 1,
        request_encryption=parse_request_encryption(document),
        response_encryption=parse_response_encryption(document),
        configurations=_configurations(document, only),
        document=document,
    )


def _authorization_servers(document: JsonObject) -> tuple[str, ...]:
    # OpenID4VCI 12.2.4: a non-empty array; without it the issuer is its own Authorization Server.
    if "authorization_servers" not in document:
        return (str(document["credential_issuer"]),)
    # vci-12.2.4-servers
    servers = members.strings(document, "authorization_servers", clause=_CLAUSE)
    return tuple(parse_identifier(server, what="authorization_servers") for server in servers)


def _optional_url(document: JsonObject, name: str) -> str | None:
    return parse_url(document[name], what=name) if name in document else None


def _configurations(
    document: JsonObject, only: Collection[CredentialConfigurationId] | None
) -> dict[CredentialConfigurationId, CredentialConfiguration]:
    supported = members.optional_object(document, "credential_configurations_supported", clause=_CLAUSE)
    if supported is None:
        raise MalformedError("credential_configurations_supported is missing", clause=_CLAUSE)
    found = {}
    for name, value in supported.items():
        id_ = CredentialConfigurationId(name)
        if only is not None and id_ not in only:
            continue
        if not isinstance(value, dict):
            raise MalformedError("a credential configuration is not an object", clause=_CLAUSE)
        found[id_] = _configuration(id_, value)
    return found


def _configuration(id_: CredentialConfigurationId, document: JsonObject) -> CredentialConfiguration:
    # vci-12.2.4-format
    format_ = members.string(document, "format", clause=_CLAUSE)
    members.optional_string(document, "scope", clause=_CLAUSE)
    if format_ == spec.FORMAT_SD_JWT_VC:
        # OpenID4VCI A.3.2: vct is REQUIRED for dc+sd-jwt.
        # vci-A.3.2-vct
        members.string(document, "vct", clause="OpenID4VCI A.3.2")
    if format_ == spec.FORMAT_MDOC:
        # OpenID4VCI A.2.2: doctype is REQUIRED for mso_mdoc.
        # vci-A.2.2-doctype
        members.string(document, "doctype", clause="OpenID4VCI A.2.2")
    # OpenID4VCI 12.2.4: proof_types_supported is there if and only if a binding method is.
    # vci-12.2.4-binding
    if ("cryptographic_binding_methods_supported" in document) != ("proof_types_supported" in document):
        raise MalformedError("binding methods and proof types go together", clause=_CLAUSE)
    metadata = members.optional_object(document, "credential_metadata", clause=_CLAUSE) or {}
    members.objects(metadata, "display", clause=_CLAUSE)
    _check_claims(members.objects(metadata, "claims", clause=_CLAUSE))
    return CredentialConfiguration(id_, format_, document)


def _check_claims(descriptions: Iterable[JsonObject]) -> None:
    """Refuse repeated or contradictory claims descriptions (OpenID4VCI B.3)."""
    kinds: dict[ClaimsPath, type] = {}
    paths = [parse_claims_path(description.get("path")) for description in descriptions]
    # B.3: the processing MUST be aborted "if the same claim is addressed by two or more claims description objects".
    # vci-B.3-repeated
    if len(set(paths)) != len(paths):
        raise MalformedError("two claims descriptions have the same path", clause="OpenID4VCI B.3")
    for path in paths:
        for position, component in enumerate(path):
            # B.3: nor may one take for an object, or for a list of equals, what another takes for something else.
            # vci-B.3-contradictory
            if kinds.setdefault(path[:position], type(component)) is not type(component):
                raise MalformedError("claims descriptions contradict one another", clause="OpenID4VCI B.3")
