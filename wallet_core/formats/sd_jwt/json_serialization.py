"""SD-JWTs in the JWS JSON Serialization (RFC 9901 section 8).

The invariant: what is verified is the compact form that is put together here, which ``sd_hash`` is over as well, and no
part of the JSON can bring another part into it.
"""

from typing import Final, cast

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError
from wallet_core.formats.sd_jwt.verifier import MAX_SD_JWT_CHARACTERS, UnverifiedSdJwt, parse_sd_jwt
from wallet_core.types import Json, JsonObject

DISCLOSURES: Final = "disclosures"
KB_JWT: Final = "kb_jwt"

MAX_SIGNATURES: Final = 8
"""Signatures of one SD-JWT: only the first is verified, so others cost nothing but their bytes."""

_OF_ONE_SIGNATURE: Final = frozenset({"protected", "header", "signature"})


def parse_sd_jwt_json(text: bytes | str) -> UnverifiedSdJwt:
    """Return the SD-JWT or SD-JWT+KB that flattened or general JSON stands for.

    RFC 9901 8. Of several signatures the first counts: the Key Binding JWT is bound to it. The others are not verified,
    and unprotected members other than ``disclosures`` and ``kb_jwt`` are not looked at: nobody vouches for them.

    Raises:
        MalformedError: not such JSON, or too large.
    """
    members = strict_json.loads_object(text, what="SD-JWT in JSON", max_bytes=MAX_SD_JWT_CHARACTERS)
    signature, *others = _signatures(members)
    header = _unprotected_header(signature)
    # RFC 9901 8.3: they stand in the first unprotected header only.
    # rfc9901-8.3-first-header
    if any(not {DISCLOSURES, KB_JWT}.isdisjoint(_unprotected_header(other)) for other in others):
        raise MalformedError("Disclosures stand beside a second signature", clause="RFC 9901 8.3")
    jwt = ".".join(map(_encoded, (signature.get("protected"), members.get("payload"), signature.get("signature"))))
    sd_jwt = parse_sd_jwt("~".join((jwt, *_disclosures(header), _kb_jwt(header))))
    # RFC 7515 7.2.1: no name stands in both headers, so that nobody reads the one that was not signed.
    # jose-7515.7.2.1-disjoint
    if not sd_jwt.issuer_jws.header.keys().isdisjoint(header):
        raise MalformedError("a name stands in both headers of the SD-JWT", clause="RFC 7515 7.2.1")
    return sd_jwt


def flattened_json(text: str) -> JsonObject:
    """Return a compact SD-JWT or SD-JWT+KB as flattened JSON (RFC 9901 8.2).

    Raises:
        MalformedError: ``text`` is neither.
    """
    parse_sd_jwt(text)
    jwt, *disclosures, kb_jwt = text.split("~")
    protected, payload, signature = jwt.split(".")
    header: JsonObject = {DISCLOSURES: [*disclosures]}
    if kb_jwt:
        header[KB_JWT] = kb_jwt
    return {"payload": payload, "protected": protected, "header": header, "signature": signature}


def _signatures(members: JsonObject) -> list[JsonObject]:
    if "signatures" not in members:
        return [members]
    # RFC 7515 7.2.2: one form or the other.
    # jose-7515.7.2.2-one-form
    if not _OF_ONE_SIGNATURE.isdisjoint(members):
        raise MalformedError("the SD-JWT is flattened and general JSON at once", clause="RFC 7515 7.2.2")
    signatures = members["signatures"]
    if not isinstance(signatures, list) or not 0 < len(signatures) <= MAX_SIGNATURES:
        raise MalformedError("signatures is not a short non-empty array", clause="RFC 7515 7.2.1")
    if not {*map(type, signatures)} <= {dict}:
        raise MalformedError("a signature is not an object", clause="RFC 7515 7.2.1")
    return cast("list[JsonObject]", signatures)


def _unprotected_header(signature: JsonObject) -> JsonObject:
    header = signature.get("header", {})
    if not isinstance(header, dict):
        raise MalformedError("an unprotected header is not an object", clause="RFC 7515 7.2.1")
    return header


def _encoded(value: Json) -> str:
    # No tilde and no dot: it would end the part, and begin another one.
    # rfc9901-8.1-parts
    if not isinstance(value, str) or not value or not base64url.is_alphabet(value):
        raise MalformedError("a part of the SD-JWT in JSON is not base64url", clause="RFC 9901 8.1")
    return value


def _disclosures(header: JsonObject) -> list[str]:
    values = header.get(DISCLOSURES, [])
    if not isinstance(values, list):
        raise MalformedError("disclosures is not an array", clause="RFC 9901 8.1")
    return [_encoded(value) for value in values]


def _kb_jwt(header: JsonObject) -> str:
    if KB_JWT not in header:
        return ""
    value = header[KB_JWT]
    # An empty one would count as none.
    # rfc9901-8.1-kb-jwt
    if not isinstance(value, str) or not value or "~" in value:
        raise MalformedError("kb_jwt is not a JWT", clause="RFC 9901 8.1")
    return value
