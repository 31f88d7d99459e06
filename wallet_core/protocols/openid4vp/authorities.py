"""Who certifies an issuer, as Trusted Authorities Queries ask for it (OpenID4VP 1.0 section 6.1.1).

The invariant: nothing is fetched. A trust list counts only if it was loaded beforehand (OpenID4VP 15.10).
"""

from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509

from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.dcql import AUTHORITY_KEY, TRUST_LIST, CredentialQuery
from wallet_core.trust.profiles import extension_of
from wallet_core.trust.x509 import load_certificate


def authorities_of(chain: Sequence[bytes], trust_lists: Iterable[str] = ()) -> frozenset[tuple[str, str]]:
    """Return what certifies an issuer, as (type, value) of a Trusted Authorities Query.

    Args:
        chain: the certificates in the credential, as DER; what does not parse certifies nothing.
        trust_lists: the lists on which the chain stands, by their identifiers.
    """
    identifiers = {(AUTHORITY_KEY, identifier) for der in chain for identifier in _key_identifier(der)}
    return frozenset(identifiers | {(TRUST_LIST, name) for name in trust_lists})


def is_certified_as_asked(query: CredentialQuery, chain: Sequence[bytes], trust_lists: Iterable[str]) -> bool:
    """Return whether one of the query's authorities certifies the issuer, if it names any.

    One type and one value of those that are named suffice (6.1.1); a type that is unknown here matches nothing.
    """
    if not query.trusted_authorities:
        return True
    asked = {(authority.type, value) for authority in query.trusted_authorities for value in authority.matched}
    return not asked.isdisjoint(authorities_of(chain, trust_lists))


def _key_identifier(der: bytes) -> Iterator[str]:
    # 6.1.1.1: of any certificate of the chain in the credential, as base64url of the raw key identifier.
    try:
        found = extension_of(load_certificate(der), x509.AuthorityKeyIdentifier)
    except MalformedError:
        return
    if found is not None and found.key_identifier is not None:
        yield base64url.encode(found.key_identifier)
