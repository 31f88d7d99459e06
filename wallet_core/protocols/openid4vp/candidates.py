"""Credentials a wallet holds, as candidates for a query."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cryptography import x509

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.formats.mdoc.verifier import claims_to_json
from wallet_core.formats.sd_jwt.holder import HeldSdJwt
from wallet_core.protocols.openid4vp.matching import Candidate
from wallet_core.trust.x509 import parse_x5c
from wallet_core.types import Json

HeldCredential: TypeAlias = HeldSdJwt | HeldMdoc
"""A credential that the wallet holds, indexed."""


def candidate_of(credential_id: str, held: HeldCredential) -> Candidate:
    """Return a held credential as matching sees it. Raises ``MalformedError`` for an mdoc that JSON cannot say."""
    return mdoc_candidate(credential_id, held) if isinstance(held, HeldMdoc) else sd_jwt_candidate(credential_id, held)


def mdoc_candidate(credential_id: str, held: HeldMdoc) -> Candidate:
    """Return a held mdoc as matching sees it: values converted to JSON (OpenID4VP B.2.1, RFC 8949 6.1).

    Raises:
        MalformedError: a value has no form in JSON.
    """
    return Candidate(
        id=credential_id,
        format=spec.FORMAT_MDOC,
        type=held.doc_type,
        claims={**claims_to_json(held.claims)},
        hideable=frozenset(held.items),
        holder_bound=True,
        authorities=frozenset(("aki", identifier) for identifier in _key_identifiers(held.x5chain)),
    )


def sd_jwt_candidate(credential_id: str, held: HeldSdJwt) -> Candidate:
    """Return a held SD-JWT VC as matching sees it."""
    return Candidate(
        id=credential_id,
        format=spec.FORMAT_SD_JWT_VC,
        type=str(held.claims.get("vct", "")),
        claims=held.claims,
        hideable=frozenset(held.paths),
        holder_bound="cnf" in held.claims,
        authorities=frozenset(("aki", identifier) for identifier in _key_identifiers(_x5c(held.header))),
    )


def _x5c(header: Mapping[str, Json]) -> Sequence[bytes]:
    try:
        return parse_x5c(header.get("x5c"))
    except MalformedError:
        return ()


def _key_identifiers(chain: Sequence[bytes]) -> Iterator[str]:
    # OpenID4VP 6.1.1.1: of any certificate of the chain in the credential, as base64url of the raw key identifier.
    for der in chain:
        try:
            extensions = x509.load_der_x509_certificate(der).extensions
            identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            continue
        if identifier is not None:
            yield base64url.encode(identifier)
