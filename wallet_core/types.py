"""Names for the strings that must not be mixed up, and the shapes of JSON and of hash functions."""

from collections.abc import Callable
from typing import NewType, Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, "Json"]

ClaimsPath: TypeAlias = tuple[str | int | None, ...]
"""Claims Path Pointer (OpenID4VP 7): a string is a member, an integer an array element, None every element."""

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Gives that many bytes from a cryptographic source; ``os.urandom`` outside tests."""


class Hash(Protocol):
    """A hash that has been given its data, as ``hashlib`` makes it."""

    def digest(self) -> bytes:
        """Return the digest."""
        ...


HashFunction: TypeAlias = Callable[[bytes], Hash]
"""One of ``hashlib``'s functions."""

CredentialIssuerId = NewType("CredentialIssuerId", str)
"""Credential Issuer Identifier (OpenID4VCI 12.2.1): compared as a string, never normalised."""

CredentialConfigurationId = NewType("CredentialConfigurationId", str)
"""Key of ``credential_configurations_supported`` (OpenID4VCI 12.2.4)."""

ClientId = NewType("ClientId", str)
"""Full Client Identifier with its prefix (OpenID4VP 5.9)."""

Nonce = NewType("Nonce", str)
"""Nonce of an Authorization Request (OpenID4VP 5.2) or ``c_nonce`` (OpenID4VCI 7)."""

Vct = NewType("Vct", str)
"""Verifiable credential type (SD-JWT VC 3.2.2.1)."""

DocType = NewType("DocType", str)
"""Document type of an mdoc (ISO/IEC 18013-5 7.1)."""

SessionTranscript = NewType("SessionTranscript", bytes)
"""The encoded SessionTranscript, an array, that device authentication is over (ISO/IEC 18013-5 9.1.5.1)."""

QueryId = NewType("QueryId", str)
"""``id`` of a Credential Query (OpenID4VP 6.1)."""

AgencyId = NewType("AgencyId", str)
"""Last part of an agency's Credential Issuer Identifier."""
