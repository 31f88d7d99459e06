"""Client Identifiers and their prefixes: who a Verifier says it is, and how that is proven (OpenID4VP 1.0 section 5.9).

The invariant: the full identifier, prefix included, is what is compared and signed over; the prefix is never dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, UntrustedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.oauth2.identifiers import parse_url
from wallet_core.protocols.openid4vp.verifier_attestation import VerifierAttestation, verify_verifier_attestation
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import TrustedCertificate, validate_dns_name, verify_chain, x509_hash
from wallet_core.types import ClientId, Json

MAX_CLIENT_ID: Final = 2048
"""Characters of a Client Identifier; with ``redirect_uri:`` it holds a whole URL."""


class ClientIdPrefix(StrEnum):
    """The prefixes that are supported (5.9.3)."""

    X509_HASH = spec.PREFIX_X509_HASH
    X509_SAN_DNS = spec.PREFIX_X509_SAN_DNS
    REDIRECT_URI = spec.PREFIX_REDIRECT_URI
    VERIFIER_ATTESTATION = spec.PREFIX_VERIFIER_ATTESTATION


@dataclass(frozen=True, slots=True)
class ClientIdentifier:
    """A Client Identifier taken apart at its first colon (5.9.1)."""

    prefix: ClientIdPrefix
    rest: str

    @property
    def full(self) -> ClientId:
        """The identifier as it stands in messages, prefix included (14.8)."""
        return ClientId(f"{self.prefix}:{self.rest}")

    @property
    def signs(self) -> bool:
        """Whether requests under this prefix are signed Request Objects; ``redirect_uri`` ones cannot be."""
        return self.prefix is not ClientIdPrefix.REDIRECT_URI


def parse_client_id(value: Json) -> ClientIdentifier:
    """Return the parts of a Client Identifier.

    Raises:
        InvalidRequest: missing, too long, without prefix (no client is pre-registered here), or with a prefix that is
            not supported; ``origin`` among them, which no request may carry.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CLIENT_ID:
        raise InvalidRequest("client_id is missing", clause="OpenID4VP 5.2")
    # 5.9.1: "The Client Identifier Prefix is defined as the string before the (first) : character."
    name, colon, rest = value.partition(":")
    # 5.9.2, 8.5: without a supported prefix the client would have to be pre-registered; it is not.
    # vp-5.9.2-prefix
    if not colon or not rest or name not in set(ClientIdPrefix):
        raise InvalidRequest("the client_id has no prefix that is supported here", clause="OpenID4VP 5.9.2")
    return ClientIdentifier(ClientIdPrefix(name), rest)


@dataclass(frozen=True, slots=True)
class VerifiedClient:
    """A Verifier whom somebody trusted vouches for.

    Attributes:
        name: the organisation in its certificate, or the name that its attester gave it.
        public_key: what its requests are signed with.
        sha256: SHA-256 of its certificate, 32 bytes; None where there is an attestation instead.
        registered_as: the registered number by which registrations are bound to it; None where it has none.
        redirect_uris: where answers may go, compared as they are; None where that is not restricted.
    """

    name: str
    public_key: PublicKey
    sha256: bytes | None
    registered_as: str | None
    redirect_uris: tuple[str, ...] | None = None

    @property
    def registered_numbers(self) -> tuple[str, ...]:
        """``registered_as`` as ``verifier_info.judge_verifier`` takes it; empty where it has none."""
        return () if self.registered_as is None else (self.registered_as,)


def create_client_id(prefix: ClientIdPrefix, *, leaf: bytes, response_uri: str, attested: str = "") -> ClientIdentifier:
    """Return the Client Identifier of a Verifier with the access certificate ``leaf`` (DER) and this ``response_uri``.

    ``attested`` is the ``sub`` of its attestation.

    Raises:
        ValueError: ``response_uri`` has no host, or an attestation is needed and there is none.
    """
    if prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        if not attested:
            raise ValueError("the verifier has no attestation")
        return ClientIdentifier(prefix, attested)
    if prefix is ClientIdPrefix.X509_HASH:
        return ClientIdentifier(prefix, x509_hash(leaf))
    if prefix is ClientIdPrefix.REDIRECT_URI:
        return ClientIdentifier(prefix, response_uri)
    host = urlsplit(response_uri).hostname
    if not host:
        raise ValueError("the response_uri has no host")
    return ClientIdentifier(prefix, host)


def verify_client(
    client_id: ClientIdentifier, chain: Sequence[bytes], anchors: TrustAnchors, *, at: datetime
) -> TrustedCertificate:
    """Return the access certificate of the Verifier that ``client_id`` names.

    Steps:
        1. The prefix is one whose requests are signed (5.9.3).
        2. The chain leads to an anchor for verifiers' access certificates at the time ``at`` (5.9.3).
        3. ``x509_hash``: the identifier is the hash of the leaf. ``x509_san_dns``: it is a dNSName of the leaf (5.9.3).

    Not done here: the signature; the host of ``response_uri`` (:func:`validate_response_uri`).

    Raises:
        InvalidRequest: step 1.
        UntrustedError, Expired, NotYetValid, MalformedError: step 2 or 3.
    """
    # 1. "Requests using the redirect_uri Client Identifier Prefix cannot be signed".
    # vp-5.9.3-cannot-sign
    if not client_id.signs:
        raise InvalidRequest("a request under redirect_uri cannot be signed", clause="OpenID4VP 5.9.3")
    # 2. "The Wallet MUST validate the signature and the trust chain of the X.509 certificate."
    # vp-5.9.3-chain
    certificate = verify_chain(chain, anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=at)
    # 3. "MUST be a hash and match the hash of the leaf certificate"; "match a dNSName […] entry in the leaf".
    if client_id.prefix is ClientIdPrefix.X509_SAN_DNS:
        validate_dns_name(certificate, client_id.rest)
    # vp-5.9.3-x509-hash
    elif client_id.rest != x509_hash(chain[0]):
        raise UntrustedError("the client_id is not the hash of the certificate", clause="OpenID4VP 5.9.3")
    return certificate


def verify_attested_client(
    client_id: ClientIdentifier, attestation: Json, anchors: TrustAnchors, *, at: datetime
) -> VerifierAttestation:
    """Return the attestation of the Verifier that ``client_id`` names: the ``jwt`` header of its request (5.9.3).

    Raises:
        MalformedError, VerificationError: as :func:`verify_verifier_attestation`.
        UntrustedError: it is about another Verifier.
    """
    verified = verify_verifier_attestation(attestation, anchors, at=at)
    # 5.9.3: the identifier without its prefix "MUST equal the sub claim value in the Verifier attestation JWT".
    # vp-5.9.3-attested-sub
    if verified.subject != client_id.rest:
        raise UntrustedError("the verifier attestation is about another verifier", clause="OpenID4VP 5.9.3")
    return verified


def validate_redirect_uris(client: VerifiedClient, response_uri: str) -> None:
    """Check that whoever vouches for this Verifier lets answers go to ``response_uri`` (5.9.3, 8.2).

    Raises:
        InvalidRequest: the attestation names where answers may go, and this is not among it.
    """
    # "the Wallet MUST ensure the redirect_uri request parameter value exactly matches one of the redirect_uris claim
    # entries"; 8.2: the same goes for response_uri.
    # vp-5.9.3-attested-redirect
    if client.redirect_uris is not None and response_uri not in client.redirect_uris:
        raise InvalidRequest("the response_uri is not one of the verifier attestation", clause="OpenID4VP 5.9.3")


def validate_response_uri(client_id: ClientIdentifier, response_uri: str) -> None:
    """Check that this Verifier may have answers sent to ``response_uri`` (5.9.3, 8.2).

    Raises:
        InvalidRequest: under ``redirect_uri`` it is not the identifier itself; under ``x509_san_dns`` its host is not
            the name in the identifier.
        MalformedError: it is no https URL.
    """
    parse_url(response_uri, what="response_uri")
    # vp-5.9.3-redirect-uri
    if client_id.prefix is ClientIdPrefix.REDIRECT_URI and client_id.rest != response_uri:
        raise InvalidRequest("the response_uri is not the one in the client_id", clause="OpenID4VP 5.9.3")
    # "If not, the FQDN of the redirect_uri value MUST match the Client Identifier without the prefix".
    host = urlsplit(response_uri).hostname or ""
    # vp-5.9.3-host
    if client_id.prefix is ClientIdPrefix.X509_SAN_DNS and client_id.rest.lower() != host:
        raise InvalidRequest("the host of the response_uri is not the one in the client_id", clause="OpenID4VP 5.9.3")
