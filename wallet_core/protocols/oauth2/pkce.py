"""Proof Key for Code Exchange, S256 only (RFC 7636, OpenID4VCI 5.1, FAPI 2.0 5.3.2.2)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidGrant, InvalidRequest
from wallet_core.types import RandomBytes

METHOD: Final = "S256"
"""The only method: ``plain`` gives the verifier away to whoever reads the request."""

_VERIFIER_BYTES: Final = 32
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def create_code_verifier(random: RandomBytes) -> str:
    """Return a new ``code_verifier`` of 256 random bits, 43 characters (RFC 7636 4.1)."""
    return base64url.encode(random(_VERIFIER_BYTES))


def code_challenge(code_verifier: str) -> str:
    """Return the ``code_challenge`` of a verifier under S256 (RFC 7636 4.2)."""
    return base64url.encode(hashlib.sha256(code_verifier.encode()).digest())


def parse_code_challenge(parameters: Mapping[str, str]) -> str:
    """Return the ``code_challenge`` of an authorization request.

    Raises:
        InvalidRequest: there is none, or it is not one of S256.
    """
    challenge = parameters.get("code_challenge")
    # FAPI 2.0 5.3.2.2: "shall require PKCE with S256 as the code challenge method"; RFC 7636 4.4.1: invalid_request.
    # oauth-7636.4.4.1-required
    if challenge is None:
        raise InvalidRequest("code_challenge is missing", clause="RFC 7636 4.4.1")
    # oauth-7636.4.4.1-method
    if parameters.get("code_challenge_method") != METHOD:
        raise InvalidRequest("code_challenge_method is not S256", clause="RFC 7636 4.4.1")
    # oauth-7636.4.2-challenge
    if not _CHALLENGE.match(challenge):
        raise InvalidRequest("code_challenge is not one of S256", clause="RFC 7636 4.2")
    return challenge


def verify_code_verifier(code_verifier: str | None, challenge: str) -> None:
    """Check that whoever redeems a code began the request it belongs to (RFC 7636 4.6).

    Raises:
        InvalidGrant: no verifier, or one of another request.
    """
    # oauth-7636.4.6-verifier
    if code_verifier is None or not _matches(code_verifier, challenge):
        raise InvalidGrant("code_verifier is missing or does not fit the request", clause="RFC 7636 4.6")


def _matches(code_verifier: str, challenge: str) -> bool:
    # RFC 7636 4.1: 43 to 128 unreserved characters.
    if not _VERIFIER.match(code_verifier):
        return False
    return hmac.compare_digest(code_challenge(code_verifier), challenge)
