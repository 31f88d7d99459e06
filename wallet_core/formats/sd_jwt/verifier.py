"""Verifying an SD-JWT, with or without key binding (RFC 9901 sections 7.1 and 7.3).

The invariant: :class:`VerifiedSdJwt` comes only from the two functions here; whether key binding is asked for is the
caller's policy and never read off the presentation (RFC 9901 7.3, step 1).
"""

import binascii
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, cast

from wallet_core.encoding import strict_json
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import Expired, HolderBindingError, MalformedError, NotYetValid, VerificationError
from wallet_core.formats.sd_jwt.disclosure import (
    MAX_DISCLOSURES,
    OpenedPayload,
    digest_of,
    hash_function_of,
    open_disclosures,
)
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.spec_versions import TYP_KEY_BINDING
from wallet_core.types import JsonObject, Nonce
from wallet_core.values import statically_frozen

LEEWAY: Final = timedelta(seconds=60)
"""How far the clocks of two parties may stand apart."""

KEY_BINDING_MAX_AGE: Final = timedelta(minutes=5)
"""How old a Key Binding JWT may be, beside the leeway: a person's consent and a slow network fit in."""

MAX_SD_JWT_CHARACTERS: Final = 256 * 1024
"""Longest SD-JWT that is looked at: a credential with a portrait is about 60 kB."""

MAX_CERTIFICATES: Final = 4
"""Certificates in one ``x5c``: leaf and two intermediates is the most that real issuers send."""


@statically_frozen
class UnverifiedSdJwt:
    """An SD-JWT that parsed. Nothing in it is to be believed yet.

    Attributes:
        issuer_jws: the Issuer-signed JWT.
        disclosures: the Disclosures as they came, encoded.
        key_binding_jwt: the Key Binding JWT, if one was attached.
        sd_jwt: the text up to and including the last tilde, which ``sd_hash`` is over.
    """

    issuer_jws: jws.UnverifiedJws
    disclosures: tuple[str, ...]
    key_binding_jwt: jws.UnverifiedJws | None
    sd_jwt: str

    def x5c(self) -> tuple[bytes, ...]:
        """Return the certificates of the protected header as DER, leaf first; empty if there are none.

        RFC 7515 4.1.6. Not done here: whether they are certificates, and whom they lead to.

        Raises:
            MalformedError: ``x5c`` is not a short non-empty array of base64 texts.
        """
        value = self.issuer_jws.header.get("x5c")
        if value is None:
            return ()
        if not isinstance(value, list) or not 0 < len(value) <= MAX_CERTIFICATES:
            raise MalformedError("x5c is not a short non-empty array", clause="RFC 7515 4.1.6")
        if not {*map(type, value)} <= {str}:
            raise MalformedError("a certificate of x5c is not a string", clause="RFC 7515 4.1.6")
        return tuple(map(_certificate, cast("list[str]", value)))


@statically_frozen
class VerifiedSdJwt:
    """What an SD-JWT says, verified with the key the caller named.

    Attributes:
        header: the protected header of the Issuer-signed JWT.
        payload: its payload as signed, with Digests.
        claims: the Processed SD-JWT Payload: everything disclosed, and what was never hidden.
        disclosed: paths in ``claims`` that were opened by a Disclosure.
        gaps: for each array with withheld elements: the index in the signed payload of each element left.
        hiding: the top-level claims that have a place for a Digest somewhere in them.
        holder_key: the key of ``cnf`` that the Key Binding JWT verified with; None without key binding.
        key_binding: the payload of the verified Key Binding JWT; None without key binding.
    """

    header: JsonObject
    payload: JsonObject
    claims: JsonObject
    disclosed: tuple[ConcretePath, ...]
    gaps: dict[ConcretePath, tuple[int, ...]]
    hiding: frozenset[str | int]
    holder_key: PublicKey | None = None
    key_binding: JsonObject | None = None


def parse_sd_jwt(text: str) -> UnverifiedSdJwt:
    """Split an SD-JWT or SD-JWT+KB in compact form (RFC 9901 4).

    Raises:
        MalformedError: not ``JWT~D1~...~Dn~`` or ``JWT~D1~...~Dn~KB-JWT``, or too large.
    """
    if len(text) > MAX_SD_JWT_CHARACTERS:
        raise MalformedError(f"the SD-JWT is longer than {MAX_SD_JWT_CHARACTERS} characters")
    if not text.isascii():
        raise MalformedError("the SD-JWT holds characters that are not ASCII", clause="RFC 9901 4")
    # The two long parts first: str.split looks at one character after the other.
    issuer_jwt, tilde, rest = text.partition("~")
    # RFC 9901 4: an SD-JWT ends with a tilde; what stands after the last one is the Key Binding JWT.
    # rfc9901-4-tilde
    if not tilde:
        raise MalformedError("the SD-JWT has no tilde", clause="RFC 9901 4")
    between, tilde, key_binding_jwt = rest.rpartition("~")
    disclosures = between.split("~") if tilde else []
    if len(disclosures) > MAX_DISCLOSURES:
        raise MalformedError(f"the SD-JWT has more than {MAX_DISCLOSURES} Disclosures")
    # rfc9901-4-empty-disclosure
    if "" in disclosures:
        raise MalformedError("the SD-JWT has an empty Disclosure", clause="RFC 9901 4")
    return UnverifiedSdJwt(
        issuer_jws=jws.parse(issuer_jwt, what="Issuer-signed JWT"),
        disclosures=tuple(disclosures),
        key_binding_jwt=jws.parse(key_binding_jwt, what="Key Binding JWT") if key_binding_jwt else None,
        sd_jwt=text[: len(text) - len(key_binding_jwt)],
    )


def verify_sd_jwt(
    sd_jwt: UnverifiedSdJwt, *, issuer_key: PublicKey, now: datetime, leeway: timedelta = LEEWAY
) -> VerifiedSdJwt:
    """Verify an SD-JWT of which no key binding is asked and return what it discloses.

    RFC 9901 7.1. Trust in ``issuer_key`` is the caller's: see ``trust.x509``.

    Steps:
        1. The Issuer-signed JWT verifies with the issuer's key and its algorithm (7.1, steps 2.a and 2.b).
        2. Its payload is a JSON object and ``_sd_alg`` is acceptable (7.1, step 2.d).
        3. Every Disclosure fits where its Digest stands (7.1, step 3).
        4. No Digest occurs twice (7.1, step 4).
        5. No Disclosure is without a Digest (7.1, step 5).
        6. ``nbf`` and ``exp`` of the processed payload allow ``now`` (7.1, step 6).

    Not done here: certificate chain, ``typ`` and the other rules of SD-JWT VC (``vc.validate_sd_jwt_vc``), status, a
    missing ``exp``. A Key Binding JWT that was sent all the same is not looked at (7.3, step 1).

    Raises:
        VerificationError: a step failed; ``step`` is its number.
    """
    header, payload, opened = _verified_content(sd_jwt, issuer_key, now, leeway)
    return VerifiedSdJwt(header, payload, opened.claims, opened.paths, opened.gaps, opened.hiding)


def verify_sd_jwt_kb(
    sd_jwt: UnverifiedSdJwt,
    *,
    issuer_key: PublicKey,
    audience: str,
    nonce: Nonce,
    now: datetime,
    leeway: timedelta = LEEWAY,
    max_age: timedelta = KEY_BINDING_MAX_AGE,
) -> VerifiedSdJwt:
    """Verify an SD-JWT with key binding and return what it discloses.

    RFC 9901 7.3. Trust in ``issuer_key`` is the caller's: see ``trust.x509``.

    Steps:
        1. to 6. as in :func:`verify_sd_jwt`.
        7. There is a Key Binding JWT (7.3, step 2).
        8. The holder's key stands in ``cnf`` (7.3, step 5.a).
        9. The Key Binding JWT is of type ``kb+jwt`` and verifies with that key and its algorithm (7.3, 5.b to 5.d).
        10. Its ``iat`` lies within ``max_age`` before ``now`` (7.3, step 5.e).
        11. Its ``aud`` and ``nonce`` are ours (7.3, step 5.f).
        12. Its ``sd_hash`` is that of what was presented (7.3, step 5.g).
        13. Its ``nbf`` and ``exp``, if there, allow ``now`` (7.3, step 5.h).

    Not done here: what :func:`verify_sd_jwt` leaves out, transaction data, and whether ``nonce`` was used before.

    Raises:
        VerificationError: a step of 1 to 6 failed; ``step`` is its number.
        HolderBindingError: a step of 7 to 13 failed; ``step`` is its number.
    """
    # 1. to 6.
    header, payload, opened = _verified_content(sd_jwt, issuer_key, now, leeway)
    # 7.
    # rfc9901-7.3-required
    if sd_jwt.key_binding_jwt is None:
        raise HolderBindingError("there is no Key Binding JWT", step=7, clause="RFC 9901 7.3")
    holder_key = _holder_key(opened.claims)
    key_binding = _verified_key_binding(sd_jwt.key_binding_jwt, holder_key)
    _check_freshness(key_binding, now, leeway, max_age)
    # 11. RFC 9901 4.3: "aud" is a single string.
    # rfc9901-7.3-aud
    if key_binding.get("aud") != audience:
        raise HolderBindingError("the Key Binding JWT is for another audience", step=11, clause="RFC 9901 7.3")
    # rfc9901-7.3-nonce
    if key_binding.get("nonce") != nonce:
        raise HolderBindingError("the Key Binding JWT carries another nonce", step=11, clause="RFC 9901 7.3")
    # 12. Over the very text that came, last tilde included (4.3.1).
    # rfc9901-7.3-sd-hash
    if key_binding.get("sd_hash") != digest_of(sd_jwt.sd_jwt.encode("ascii"), hash_function_of(payload)):
        raise HolderBindingError("sd_hash is not that of the presentation", step=12, clause="RFC 9901 7.3")
    _check_key_binding_times(key_binding, now, leeway)
    return VerifiedSdJwt(
        header, payload, opened.claims, opened.paths, opened.gaps, opened.hiding, holder_key, key_binding
    )


def numeric_date(claims: JsonObject, name: str) -> float | None:
    """Return a time claim in seconds since 1970; None if it is absent (RFC 7519 2, NumericDate).

    Raises:
        MalformedError: it is not a number.
    """
    if name not in claims:
        return None
    value = claims[name]
    # rfc9901-7.1-times-are-numbers
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedError(f"{name} is not a number", clause="RFC 7519 2")
    return value


@lru_cache(maxsize=256)
def _certificate(text: str) -> bytes:
    """Return a certificate as DER. An issuer sends the same one with every token."""
    try:
        # RFC 7515 4.1.6: base64, not base64url.
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:
        raise MalformedError("a certificate of x5c is not base64", clause="RFC 7515 4.1.6") from exc


def _verified_content(
    sd_jwt: UnverifiedSdJwt, issuer_key: PublicKey, now: datetime, leeway: timedelta
) -> tuple[JsonObject, JsonObject, OpenedPayload]:
    """Return header, payload as signed, and opened payload: steps 1 to 6 of both functions."""
    # 1. The type of the token belongs to the profile; RFC 9901 itself fixes none.
    try:
        verified = jws.verify(sd_jwt.issuer_jws, issuer_key, typ=None)
    except VerificationError as exc:
        exc.step = 1
        raise
    # 2.
    try:
        payload = verified.claims()
    except MalformedError as exc:
        raise VerificationError(exc.description, step=2, clause="RFC 9901 7.1") from exc
    # 2. to 5.
    opened = open_disclosures(payload, sd_jwt.disclosures)
    # 6. In the processed payload: they could have been hidden.
    _check_times(opened.claims, now, leeway)
    return verified.header, payload, opened


def _check_times(claims: JsonObject, now: datetime, leeway: timedelta) -> None:
    try:
        not_before, expires = numeric_date(claims, "nbf"), numeric_date(claims, "exp")
    except MalformedError as exc:
        raise VerificationError(exc.description, step=6, clause="RFC 9901 7.1") from exc
    # 6. RFC 7519 4.1.5: "nbf" itself is already valid; 4.1.4: "exp" itself is no longer.
    # rfc9901-7.1-nbf
    if not_before is not None and now.timestamp() + leeway.total_seconds() < not_before:
        raise NotYetValid("the SD-JWT is not valid yet", step=6, clause="RFC 9901 7.1")
    # rfc9901-7.1-exp
    if expires is not None and now.timestamp() - leeway.total_seconds() >= expires:
        raise Expired("the SD-JWT has expired", step=6, clause="RFC 9901 7.1")


def _holder_key(claims: JsonObject) -> PublicKey:
    # 8. RFC 7800 3.2: the confirmation method is a key in clear; no other method is supported here.
    cnf = claims.get("cnf")
    # rfc9901-7.3-cnf
    if not isinstance(cnf, dict) or "jwk" not in cnf:
        raise HolderBindingError("the SD-JWT names no holder key in cnf.jwk", step=8, clause="RFC 9901 7.3")
    try:
        return parse_public_jwk(cnf["jwk"], what="cnf.jwk")
    except MalformedError as exc:
        raise HolderBindingError(exc.description, step=8, clause="RFC 9901 7.3") from exc


def _verified_key_binding(key_binding_jwt: jws.UnverifiedJws, holder_key: PublicKey) -> JsonObject:
    # 9. "none" and MAC algorithms fail because no key of ours has them.
    try:
        # rfc9901-4.3-kb-typ
        verified = jws.verify(key_binding_jwt, holder_key, typ=TYP_KEY_BINDING)
        return strict_json.loads_object(verified.payload, what="Key Binding JWT")
    except (VerificationError, MalformedError) as exc:
        raise HolderBindingError(
            "the Key Binding JWT does not verify", step=9, detail=exc.detail, clause="RFC 9901 7.3"
        ) from exc


def _check_freshness(key_binding: JsonObject, now: datetime, leeway: timedelta, max_age: timedelta) -> None:
    # 10.
    try:
        issued = numeric_date(key_binding, "iat")
    except MalformedError as exc:
        raise HolderBindingError(exc.description, step=10, clause="RFC 9901 4.3") from exc
    # rfc9901-4.3-kb-iat
    if issued is None:
        raise HolderBindingError("the Key Binding JWT lacks iat", step=10, clause="RFC 9901 4.3")
    age, slack = now.timestamp() - issued, leeway.total_seconds()
    # rfc9901-7.3-iat-window
    if not -slack <= age <= max_age.total_seconds() + slack:
        raise HolderBindingError("the Key Binding JWT was not made just now", step=10, clause="RFC 9901 7.3")


def _check_key_binding_times(key_binding: JsonObject, now: datetime, leeway: timedelta) -> None:
    # 13.
    try:
        # rfc9901-7.3-kb-times
        _check_times(key_binding, now, leeway)
    except VerificationError as exc:
        raise HolderBindingError(
            "the Key Binding JWT is not valid at this time", step=13, detail=exc.detail, clause="RFC 9901 7.3"
        ) from exc
