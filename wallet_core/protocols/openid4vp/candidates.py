"""Credentials a wallet holds, as candidates for a query."""

from collections.abc import Iterator, Mapping

from cryptography import x509

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.formats.sd_jwt.holder import HeldSdJwt
from wallet_core.protocols.openid4vp.matching import Candidate
from wallet_core.trust.x509 import parse_x5c
from wallet_core.types import Json


def sd_jwt_candidate(credential_id: str, held: HeldSdJwt) -> Candidate:
    """Return a held SD-JWT VC as matching sees it."""
    return Candidate(
        id=credential_id,
        format=spec.FORMAT_SD_JWT_VC,
        type=str(held.claims.get("vct", "")),
        claims=held.claims,
        hideable=frozenset(held.paths),
        holder_bound="cnf" in held.claims,
        authorities=frozenset(("aki", identifier) for identifier in _authority_key_identifiers(held.header)),
    )


def _authority_key_identifiers(header: Mapping[str, Json]) -> Iterator[str]:
    # OpenID4VP 6.1.1.1: of any certificate of the chain in the credential, as base64url of the raw key identifier.
    try:
        chain = parse_x5c(header.get("x5c"))
    except MalformedError:
        return
    for der in chain:
        try:
            extensions = x509.load_der_x509_certificate(der).extensions
            identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            continue
        if identifier is not None:
            yield base64url.encode(identifier)
