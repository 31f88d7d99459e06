"""SD-JWTs for tests: good ones through the library, bad ones signed by hand."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.keys import fixed_signer
from wallet_core.encoding import base64url, strict_json
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.formats.sd_jwt.holder import HeldSdJwt, create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import VerifiedSdJwt, parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.types import ClaimsPath, CredentialIssuerId, Nonce, Vct

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ISSUER = fixed_signer("SD-JWT issuer")
HOLDER = fixed_signer("SD-JWT holder")
AUDIENCE = "x509_hash:test"
NONCE = Nonce("n-0S6_WzA2Mj")

CLAIMS: dict[str, Any] = {
    "family_name": "시험",
    "given_name": "하나",
    "address": {"region": "서울특별시", "street_address": "시험로 1"},
    "licence_classes": ["1종보통", "2종소형"],
    "portrait": "AAAA",
}
PATHS: tuple[ClaimsPath, ...] = (
    ("family_name",),
    ("given_name",),
    ("address",),
    ("address", "street_address"),
    ("licence_classes", None),
)


def issue(**changes: Any) -> str:
    """Return a signed SD-JWT VC of :data:`CLAIMS`; ``changes`` replace arguments of the issuing function."""
    arguments: dict[str, Any] = {
        "vct": Vct("urn:jigap:vct:test:1"),
        "issuer": CredentialIssuerId("https://issuer.example/agencies/test"),
        "claims": CLAIMS,
        "selectively_disclosable": PATHS,
        "holder_key": HOLDER.public_key,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(days=30),
        "signer": ISSUER,
        "x5c": [b"not read here"],
        "random": os.urandom,
    }
    return issue_sd_jwt_vc(**{**arguments, **changes})


def bind(held: HeldSdJwt, disclose: list[ConcretePath], **changes: Any) -> str:
    """Return a presentation of ``held`` with a Key Binding JWT."""
    arguments: dict[str, Any] = {"audience": AUDIENCE, "nonce": NONCE, "issued_at": NOW, "algorithm": HOLDER.algorithm}
    to_sign = create_key_binding(held, disclose, **{**arguments, **changes})
    return to_sign.attach(HOLDER.sign(to_sign.signing_input))


def present(disclose: list[ConcretePath], **changes: Any) -> str:
    """Return a presentation of a fresh credential."""
    return bind(index_sd_jwt(issue(**changes)), disclose)


def verify(text: str, now: datetime = NOW) -> VerifiedSdJwt:
    """Verify without key binding."""
    return verify_sd_jwt(parse_sd_jwt(text), issuer_key=ISSUER.public_key, now=now)


def verify_kb(text: str, now: datetime = NOW, **changes: Any) -> VerifiedSdJwt:
    """Verify with key binding."""
    arguments: dict[str, Any] = {"issuer_key": ISSUER.public_key, "audience": AUDIENCE, "nonce": NONCE, "now": now}
    return verify_sd_jwt_kb(parse_sd_jwt(text), **{**arguments, **changes})


def disclosure(*parts: Any) -> str:
    """Return a Disclosure of exactly these array elements."""
    return base64url.encode(strict_json.dumps(parts))


def digest(text: str) -> str:
    """Return the SHA-256 Digest of a Disclosure."""
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def sign(payload: Any, disclosures: list[str] | None = None, **header: Any) -> str:
    """Return an SD-JWT with exactly this payload; ``header`` replaces members of the header."""
    data = jws.signing_input({"alg": "ES256", "typ": "dc+sd-jwt", **header}, strict_json.dumps(payload))
    return "~".join([jws.attach_signature(data, ISSUER.sign(data)), *(disclosures or []), ""])


def payload(**changes: Any) -> dict[str, Any]:
    """Return a payload that keeps every rule, with members replaced."""
    cnf = {"jwk": public_jwk(HOLDER.public_key)}
    return {"vct": "urn:jigap:vct:test:1", "iss": "https://issuer.example", "cnf": cnf, **changes}


def every_path(value: Any, at: ConcretePath = ()) -> list[ConcretePath]:
    """Return the path of every element below ``value``."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, child in children for path in ((*at, key), *every_path(child, (*at, key)))]
