"""Status List Tokens: the signed form of a list, as JWT or CWT (Token Status List 5).

The invariant: only :func:`verify_status_list_token` makes a :class:`VerifiedStatusList`, and only that has statuses.
"""

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias, TypeGuard

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import Expired, MalformedError, NotYetValid, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import Signer
from wallet_core.trust.status_list.array import StatusList, check_bits, compress, decompress
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.x509 import format_x5c, parse_x5c
from wallet_core.types import JsonObject

MAX_TOKEN_BYTES: Final = 12 << 20
"""Bytes of a token: 20 million credentials of one bit cannot take more than 3.4 million, however many are revoked."""

LEEWAY: Final = timedelta(seconds=60)
"""How far the clock of a status provider may be ahead of ours."""

MAX_TTL: Final = 10 * 365 * 86_400
"""Seconds; larger values of ``ttl`` are mistakes, and overflow times."""

_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class StatusListClaims:
    """What a token states about a list.

    Attributes:
        sub: address of the list, equal to ``uri`` of every reference to it.
        issued_at: ``iat``.
        expires_at: ``exp``; None if it has none.
        ttl: for how long a copy may be kept; None if it does not say.
        bits: bits of one status.
        lst: the compressed array.
        aggregation_uri: where the other lists of this issuer are listed.
    """

    sub: str
    issued_at: datetime
    expires_at: datetime | None
    ttl: timedelta | None
    bits: int
    lst: bytes
    aggregation_uri: str | None = None


class UnverifiedStatusListToken(Protocol):
    """A token that parsed. Nothing in it is to be believed yet."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The signer's certificates in DER as the token carries them, leaf first; empty if it has none."""
        ...

    def verify(self, key: PublicKey) -> StatusListClaims:
        """Check type, algorithm and signature, and return the claims.

        Raises:
            VerificationError: the type is another, or the signature does not verify with ``key`` (step 1).
            MalformedError: the claims are not those of a status list (step 2).
        """
        ...


TokenParser: TypeAlias = Callable[[bytes], UnverifiedStatusListToken]
"""Reads one of the two forms."""


@dataclass(frozen=True, slots=True)
class VerifiedStatusList:
    """A list that its signer answers for. Only :func:`verify_status_list_token` makes one."""

    claims: StatusListClaims
    statuses: StatusList
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`verify_status_list_token`."""
        if seal is not _SEAL:
            raise TypeError("only verify_status_list_token makes a VerifiedStatusList")

    def status(self, reference: StatusReference) -> int:
        """Return the status at ``reference``.

        Raises:
            VerificationError: the reference is to another list (step 3), or its index is beyond this one (step 6).
        """
        _check_subject(self.claims, reference.uri)
        return self.statuses.status(reference.idx)


@dataclass(frozen=True, slots=True)
class _JwtToken:
    token: jws.UnverifiedJws
    chain: tuple[bytes, ...]

    def verify(self, key: PublicKey) -> StatusListClaims:
        # tsl-5.1-typ
        verified = jws.verify(self.token, key, typ=spec.TYP_STATUS_LIST_JWT)
        payload = strict_json.loads_object(verified.payload, what="Status List Token", max_bytes=MAX_TOKEN_BYTES)
        return _claims_from_json(payload)


def create_status_list_jwt(claims: StatusListClaims, *, signer: Signer, x5c: Sequence[bytes]) -> str:
    """Return a Status List Token in JWT form (5.1).

    Args:
        claims: of :func:`status_list_claims`.
        signer: the key, to which ``x5c[0]`` belongs.
        x5c: DER certificates, leaf first, without the root.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    entry: JsonObject = {"bits": claims.bits, "lst": base64url.encode(claims.lst)}
    if claims.aggregation_uri is not None:
        entry["aggregation_uri"] = claims.aggregation_uri
    payload: JsonObject = {"sub": claims.sub, "iat": _seconds(claims.issued_at)}
    if claims.expires_at is not None:
        payload["exp"] = _seconds(claims.expires_at)
    if claims.ttl is not None:
        payload["ttl"] = int(claims.ttl.total_seconds())
    header = {"typ": spec.TYP_STATUS_LIST_JWT, "x5c": format_x5c(x5c)}
    return jws.sign(header, {**payload, "status_list": entry}, signer)


def status_list_claims(
    array: bytes,
    bits: int,
    *,
    uri: str,
    issued_at: datetime,
    expires_at: datetime,
    ttl: timedelta,
    aggregation_uri: str | None = None,
) -> StatusListClaims:
    """Return what a token about ``array`` states, for :func:`create_status_list_jwt` and the CWT form.

    Raises:
        ValueError: times that are reversed, or a ``ttl`` that is not a positive number of whole seconds.
    """
    # tsl-13.7-ttl-issued
    if ttl < timedelta(seconds=1) or ttl % timedelta(seconds=1) or expires_at <= issued_at:
        raise ValueError("ttl is at least a second, and a token expires after it was issued")
    return StatusListClaims(uri, issued_at, expires_at, ttl, bits, compress(array), aggregation_uri)


def parse_status_list_jwt(token: bytes) -> UnverifiedStatusListToken:
    """Return a Status List Token in JWT form, unverified.

    Raises:
        MalformedError: not a compact JWS, too long, or its ``x5c`` does not parse.
    """
    if not token.isascii():
        raise MalformedError("the Status List Token holds characters that are not ASCII")
    text = token.decode("ascii")
    parsed = jws.parse(text, what="Status List Token", max_characters=MAX_TOKEN_BYTES)
    return _JwtToken(parsed, parse_x5c(parsed.header["x5c"]) if "x5c" in parsed.header else ())


def verify_status_list_token(
    token: UnverifiedStatusListToken, *, key: PublicKey, uri: str, now: datetime, at: datetime | None = None
) -> VerifiedStatusList:
    """Return the list of a token, if it is the one at ``uri`` and valid now.

    Token Status List 8.3.

    Args:
        token: as it was parsed.
        key: the key the caller trusts for this list.
        uri: ``uri`` of the reference.
        now: the present time.
        at: the time in the past that was asked for (8.4); None for the present.

    Steps:
        1. Type, algorithm and signature (5.1, 5.2).
        2. ``sub``, ``iat`` and ``status_list`` are there; ``exp`` and ``ttl`` have their types (5.1, 5.2).
        3. ``sub`` equals ``uri``, as strings (8.3).
        4. The token was issued before now and has not expired; or it covers the time that was asked for (8.3, 8.4).
        5. The list has 1, 2, 4 or 8 bits and inflates to no more than we hold (4.1, 11.1).
        6. The index is in the list: :meth:`VerifiedStatusList.status` (8.3).

    Not done here: trust in ``key``; whether its owner may speak for the credential's issuer; what a status means.

    Raises:
        MalformedError: the payload does not parse.
        VerificationError: a step failed; ``step`` is its number.
    """
    # 1. and 2. The status is looked at only after the token itself is good.
    try:
        claims = token.verify(key)
    except VerificationError as exc:
        exc.step = 1
        raise
    # 3.
    _check_subject(claims, uri)
    # 4.
    _check_times(claims, now, at)
    # 5.
    try:
        check_bits(claims.bits)
        statuses = StatusList(claims.bits, decompress(claims.lst))
    except MalformedError as exc:
        raise VerificationError(exc.description, step=5, clause=exc.clause) from exc
    return VerifiedStatusList(claims, statuses, _SEAL)


def _check_subject(claims: StatusListClaims, uri: str) -> None:
    # "The subject claim … MUST be equal to the uri claim" (8.3): compared as strings, never normalised.
    # tsl-8.3-sub
    if claims.sub != uri:
        raise VerificationError("the status list is another one", step=3, clause="Token Status List 8.3")


def _check_times(claims: StatusListClaims, now: datetime, at: datetime | None) -> None:
    # tsl-8.3-iat
    if claims.issued_at > now + LEEWAY:
        raise NotYetValid("the status list is from the future", step=4, clause="Token Status List 8.3")
    if at is None:
        # tsl-8.3-exp
        if claims.expires_at is not None and claims.expires_at <= now:
            raise Expired("the status list has expired", step=4, clause="Token Status List 8.3")
        return
    # "The Relying Party MUST verify that the requested timestamp is within the range" of iat and exp (8.4).
    # tsl-8.4-time
    if not claims.issued_at <= at or (claims.expires_at is not None and claims.expires_at < at):
        raise VerificationError("the list is not of the time asked for", step=4, clause="Token Status List 8.4")


def _claims_from_json(payload: JsonObject) -> StatusListClaims:
    entry = payload.get("status_list")
    # tsl-5.1-status-list
    if not isinstance(entry, dict) or not isinstance(entry.get("lst"), str):
        raise claim_error("status_list")
    lst = base64url.decode(str(entry["lst"]), what="lst of the status list")
    return read_claims(
        (payload.get("sub"), payload.get("iat"), payload.get("exp"), payload.get("ttl")),
        (entry.get("bits"), lst, entry.get("aggregation_uri")),
    )


def read_claims(members: tuple[object, ...], entry: tuple[object, ...]) -> StatusListClaims:
    """Return the claims of either form.

    Args:
        members: ``sub``, ``iat``, ``exp`` and ``ttl`` as they were decoded, None where absent.
        entry: ``bits``, ``lst`` as bytes, and ``aggregation_uri``.

    Raises:
        VerificationError: one is missing or has the wrong type (step 2).
    """
    sub, iat, exp, ttl = members
    bits, lst, aggregation_uri = entry
    # tsl-5.1-sub
    if not isinstance(sub, str):
        raise claim_error("sub")
    if not isinstance(bits, int) or not isinstance(lst, bytes):
        raise claim_error("status_list")
    # tsl-5.1-ttl
    if ttl is not None and (not _is_number(ttl) or not 0 < ttl <= MAX_TTL):
        raise claim_error("ttl")
    return StatusListClaims(
        sub,
        _time(iat, "iat"),
        None if exp is None else _time(exp, "exp"),
        None if ttl is None else timedelta(seconds=ttl),
        bits,
        lst,
        aggregation_uri if isinstance(aggregation_uri, str) else None,
    )


def claim_error(name: str) -> VerificationError:
    """Return the error for a claim that is missing or has the wrong type."""
    return VerificationError(
        f"{name} of the Status List Token is missing or wrong", step=2, clause="Token Status List 5.1"
    )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _time(value: object, name: str) -> datetime:
    # tsl-5.1-iat
    if not _is_number(value):
        raise claim_error(name)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise claim_error(name) from exc


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
