"""DPoP proofs and server nonces (RFC 9449), both sides.

The invariant: only :func:`verify_dpop_proof` makes a :class:`DpopProof`, and a token is bound to nothing else.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import DPOP_ALGORITHM, InvalidDpopProof, MalformedError, UseDpopNonce, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from wallet_core.keys.signer import Signer
from wallet_core.protocols.oauth2.identifiers import MAX_URL_CHARACTERS
from wallet_core.protocols.oauth2.stamped import create_stamped_value, stamped_at
from wallet_core.types import Json, JsonObject, RandomBytes

MAX_PROOF_CHARACTERS: Final = 4096
"""Longest proof that is looked at; an honest one is about 600."""

MAX_JTI_CHARACTERS: Final = 256
"""Longest ``jti``: it is hashed and remembered."""

MAX_AGE: Final = timedelta(minutes=5)
"""How old a proof may be; its ``jti`` is remembered as long."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours a client's clock may be: 10 s must be accepted, more than 60 s refused (FAPI 2.0, M1)."""

NONCE_LIFETIME: Final = timedelta(minutes=5)
"""How long a DPoP nonce may be used: every answer brings a new one."""

_JTI_BYTES: Final = 16
_LAST_TIME: Final = 253_402_300_799  # the last second of the year 9999
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_PURPOSE: Final = b"dpop_nonce"

NonceCheck = Callable[[str | None], None]
"""Raises ``UseDpopNonce`` unless the value is a DPoP nonce of ours that is still good; None if the proof has none."""


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof that verified.

    Attributes:
        thumbprint: of the key that signed it, 32 bytes (RFC 7638).
        spent: what to record, so that the proof is taken once; 32 bytes.
        expires_at: until when that must be remembered.
    """

    thumbprint: bytes
    spent: bytes
    expires_at: datetime


def create_dpop_proof(
    signer: Signer,
    *,
    method: str,
    url: str,
    issued_at: datetime,
    random: RandomBytes,
    nonce: str | None = None,
    access_token: str | None = None,
) -> str:
    """Return a proof for one request (RFC 9449 4.2).

    Args:
        signer: the DPoP key.
        method: HTTP method of the request.
        url: its URL; query and fragment are left out.
        issued_at: the time.
        random: for ``jti``.
        nonce: what the server gave last, if anything.
        access_token: the token that goes with it; None at an authorization server.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    claims: JsonObject = {
        "jti": base64url.encode(random(_JTI_BYTES)),
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": int(issued_at.timestamp()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = _token_hash(access_token)
    return jws.sign({"typ": spec.TYP_DPOP, "jwk": public_jwk(signer.public_key)}, claims, signer)


def verify_dpop_proof(
    proofs: Sequence[str],
    *,
    method: str,
    url: str,
    now: datetime,
    verify_nonce: NonceCheck,
    access_token: str | None = None,
) -> DpopProof:
    """Return what the proof of a request proves (RFC 9449 4.3).

    Args:
        proofs: every ``DPoP`` header of the request.
        method: its HTTP method.
        url: the URL that was called, as published.
        now: the time.
        verify_nonce: raises ``UseDpopNonce`` unless a nonce is ours and fresh.
        access_token: the token that came with it; None at an authorization server.

    Steps:
        1. There is exactly one ``DPoP`` header (4.3, 1).
        2. It is a well-formed JWT (4.3, 2).
        3. ``alg`` is the one we take and ``jwk`` a public key (4.3, 5 and 7).
        4. ``typ`` and the signature (4.3, 4 and 6).
        5. ``jti`` is there and short enough to be remembered (4.3, 3).
        6. ``htm`` and ``htu`` are method and URL of the request (4.3, 8 and 9).
        7. ``iat`` is within the window (4.3, 11).
        8. ``ath`` is the hash of the access token, where there is one (4.3, 12).
        9. ``nonce`` is one of ours (4.3, 10).

    Not done here: whether the proof was used before (:attr:`DpopProof.spent`), and whether the token is bound to its
    key.

    Raises:
        InvalidDpopProof: step 1 to 8 failed; with a token as a resource server answers it.
        UseDpopNonce: step 9 failed; the same.
    """
    try:
        return _verified(proofs, method=method, url=url, now=now, verify_nonce=verify_nonce, token=access_token)
    except InvalidDpopProof as exc:
        if access_token is None:
            raise
        # RFC 9449 7.1: a resource server answers 401 with a challenge, an authorization server 400 (5).
        # dpop-9449.7.1-resource-server
        raise exc.at_resource_server() from exc


def normalize_htu(url: str) -> str | None:
    """Return ``url`` as it is compared: scheme and host in lower case, no default port, query and fragment (4.3, M2).

    None if it is not a URL.
    """
    if len(url) > MAX_URL_CHARACTERS:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc:
        return None
    name = f"[{host}]" if ":" in host else host
    shown = f":{port}" if port is not None and port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{name}{shown}{parts.path or '/'}"


def create_dpop_nonce(secret: bytes, *, now: datetime, random: RandomBytes) -> str:
    """Return a new nonce (RFC 9449 8). It is good at every endpoint of every tenant (M3); issuing it writes nothing."""
    return create_stamped_value(secret, _PURPOSE, now=now, random=random)


def verify_dpop_nonce(nonce: str | None, secret: bytes, *, now: datetime) -> None:
    """Check that ``nonce`` is one of ours and still good.

    Raises:
        UseDpopNonce: it is not there, not ours or too old (RFC 9449 8, 9).
    """
    issued_at = None if nonce is None else stamped_at(nonce, secret, _PURPOSE)
    # dpop-9449.8-ours
    if issued_at is None:
        raise UseDpopNonce("a nonce of this server is needed in the DPoP proof", clause="RFC 9449 8")
    # dpop-9449.8-expired
    if now >= issued_at + NONCE_LIFETIME:
        raise UseDpopNonce("the nonce in the DPoP proof is too old", clause="RFC 9449 8")


def _verified(
    proofs: Sequence[str], *, method: str, url: str, now: datetime, verify_nonce: NonceCheck, token: str | None
) -> DpopProof:
    # 1.
    # dpop-9449.4.3-one
    if len(proofs) != 1:
        raise InvalidDpopProof("exactly one DPoP header is needed", clause="RFC 9449 4.3")
    try:
        parsed = jws.parse(proofs[0], what="DPoP proof", max_characters=MAX_PROOF_CHARACTERS)  # 2.
        # 3.
        # dpop-9449.4.3-alg
        if parsed.header.get("alg") != DPOP_ALGORITHM:
            raise InvalidDpopProof(f"the DPoP proof is not signed with {DPOP_ALGORITHM}", clause="RFC 9449 4.3")
        key = parse_public_jwk(parsed.header.get("jwk"), what="jwk of the DPoP proof")
        # 4.
        # dpop-9449.4.3-typ
        claims = jws.verify(parsed, key, typ=spec.TYP_DPOP).claims()
    except (MalformedError, VerificationError) as exc:
        raise InvalidDpopProof(exc.description, detail=exc.detail, clause="RFC 9449 4.3") from exc
    jti = _identifier(claims.get("jti"))  # 5.
    _validate_target(claims, method, url)  # 6.
    issued_at = _issued_at(claims.get("iat"), now)  # 7.
    # 8.
    # dpop-9449.4.3-ath
    if token is not None and claims.get("ath") != _token_hash(token):
        raise InvalidDpopProof("ath of the DPoP proof is not the hash of the access token", clause="RFC 9449 4.3")
    # 9. Last, so that a proof that is wrong anyway is not answered with "try again".
    nonce = claims.get("nonce")
    # dpop-9449.4.3-nonce
    verify_nonce(nonce if isinstance(nonce, str) else None)
    print_ = thumbprint(key)
    # RFC 9449 11.1: a jti is unique in the context of the URL it was sent to.
    spent = hashlib.sha256(b"dpop\x00" + print_ + url.encode() + b"\x00" + jti.encode()).digest()
    return DpopProof(print_, spent, issued_at + MAX_AGE + timedelta(seconds=1))


def _identifier(jti: Json) -> str:
    # dpop-9449.4.2-jti
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARACTERS:
        raise InvalidDpopProof(
            f"jti of the DPoP proof is not 1 to {MAX_JTI_CHARACTERS} characters", clause="RFC 9449 4.2"
        )
    return jti


def _validate_target(claims: JsonObject, method: str, url: str) -> None:
    # RFC 9449 4.2: htm is the method, which is case-sensitive (RFC 9110 9.1).
    # dpop-9449.4.3-htm
    if claims.get("htm") != method:
        raise InvalidDpopProof("htm of the DPoP proof is not the method of the request", clause="RFC 9449 4.3")
    htu = claims.get("htu")
    # dpop-9449.4.3-htu
    if not isinstance(htu, str) or normalize_htu(htu) != normalize_htu(url):
        raise InvalidDpopProof("htu of the DPoP proof is not the URL of the request", clause="RFC 9449 4.3")


def _issued_at(value: Json, now: datetime) -> datetime:
    # dpop-9449.4.2-iat
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_TIME:
        raise InvalidDpopProof("the DPoP proof has no iat", clause="RFC 9449 4.2")
    age = now.timestamp() - value
    # dpop-9449.4.3-iat
    if age > MAX_AGE.total_seconds() or age < -MAX_AHEAD.total_seconds():
        raise InvalidDpopProof("iat of the DPoP proof is not within the accepted window", clause="RFC 9449 4.3")
    return datetime.fromtimestamp(value, UTC)


def _token_hash(access_token: str) -> str:
    return base64url.encode(hashlib.sha256(access_token.encode()).digest())
