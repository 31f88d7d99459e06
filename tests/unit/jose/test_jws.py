"""JWS: the caller's key decides; the header must agree."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner

SIGNER = SoftwareSigner.generate()
TOKEN = jws.sign({"typ": "test+jwt"}, {"name": "홍길동", "n": 1}, SIGNER)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
TWO_ALGORITHMS = base64url.encode(b'{"alg":"ES256","alg":"none"}')


def encoded(value: Any) -> str:
    return base64url.encode(json.dumps(value).encode())


def test_there_and_back() -> None:
    parsed = jws.parse(TOKEN)
    assert parsed.claims() == {"name": "홍길동", "n": 1}
    verified = jws.verify(parsed, SIGNER.public_key, typ="test+jwt")
    assert verified.claims() == parsed.claims()
    assert verified.key == SIGNER.public_key
    assert verified.header == {"alg": "ES256", "typ": "test+jwt"}


@pytest.mark.parametrize(
    "signer",
    [
        SIGNER,
        SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())),
        SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())),
        SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=lambda signer: signer.algorithm.value,
)
def test_pyjwt_reads_ours_and_we_read_pyjwt(signer: SoftwareSigner) -> None:
    algorithm = signer.algorithm.value
    ours = jws.sign({"typ": "JWT"}, {"a": 1}, signer)
    assert jwt.decode(ours, signer.public_key.raw, algorithms=[algorithm]) == {"a": 1}
    theirs = jwt.encode({"a": 1}, signer.private_key, algorithm=algorithm)
    assert jws.verify(jws.parse(theirs), signer.public_key, typ="JWT").claims() == {"a": 1}


@pytest.mark.clause("jose-7515.3.1-parts")
@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        TOKEN + ".",
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}\n",
        f" {TOKEN}",
        f"가.{PAYLOAD}.{SIGNATURE}",
        f"{encoded([])}.{PAYLOAD}.{SIGNATURE}",
        f"{base64url.encode(b'{')}.{PAYLOAD}.{SIGNATURE}",
        f"{TWO_ALGORITHMS}.{PAYLOAD}.{SIGNATURE}",
        f"{encoded({'alg': 'ES256', 'x': 'a' * jws.MAX_HEADER_BYTES})}.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{'A' * jws.MAX_TOKEN_BYTES}.{SIGNATURE}",
    ],
)
def test_malformed(token: str) -> None:
    with pytest.raises(MalformedError):
        jws.parse(token)


def test_a_payload_that_is_no_object_has_no_claims() -> None:
    signing_input = jws.signing_input({"alg": "ES256"}, b"[]")
    token = jws.attach_signature(signing_input, SIGNER.sign(signing_input))
    verified = jws.verify(jws.parse(token), SIGNER.public_key, typ=None)
    with pytest.raises(MalformedError):
        verified.claims()


def signed(header: dict[str, Any]) -> jws.UnverifiedJws:
    signing_input = jws.signing_input(header, b"{}")
    return jws.parse(jws.attach_signature(signing_input, SIGNER.sign(signing_input)))


@pytest.mark.clause("jose-8725.3.11-typ", "jose-7515.4.1.11-crit", "jose-8725.3.1-alg")
@pytest.mark.parametrize(
    ("header", "step"),
    [
        ({"alg": "ES256"}, 1),
        ({"alg": "ES256", "typ": "TEST+JWT"}, 1),
        ({"alg": "ES256", "typ": "test+jwt", "crit": ["b64"], "b64": False}, 2),
        ({"alg": "ES256", "typ": "test+jwt", "crit": []}, 2),
        ({"alg": "none", "typ": "test+jwt"}, 3),
        ({"alg": "HS256", "typ": "test+jwt"}, 3),
        ({"alg": "ES384", "typ": "test+jwt"}, 3),
        ({"alg": ["ES256"], "typ": "test+jwt"}, 3),
        ({"typ": "test+jwt"}, 3),
    ],
)
def test_a_header_that_does_not_agree(header: dict[str, Any], step: int) -> None:
    with pytest.raises(VerificationError) as refused:
        jws.verify(signed(header), SIGNER.public_key, typ="test+jwt")
    assert refused.value.step == step


@pytest.mark.clause("jose-8725.3.1-alg")
def test_unsigned_and_mac_tokens() -> None:
    unsigned = f"{encoded({'alg': 'none', 'typ': 'test+jwt'})}.{PAYLOAD}."
    with pytest.raises(InvalidSignature):
        jws.verify(jws.parse(unsigned), SIGNER.public_key, typ="test+jwt")


@pytest.mark.clause("jose-7515.5.2-signature")
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_part(part: int) -> None:
    other = jws.sign({"typ": "test+jwt", "kid": "2"}, {"name": "임꺽정"}, SIGNER).split(".")
    parts = TOKEN.split(".")
    parts[part] = other[part]
    with pytest.raises(InvalidSignature):
        jws.verify(jws.parse(".".join(parts)), SIGNER.public_key, typ="test+jwt")


@pytest.mark.clause("jose-7515.5.2-signature")
def test_another_key() -> None:
    with pytest.raises(InvalidSignature) as refused:
        jws.verify(jws.parse(TOKEN), SoftwareSigner.generate().public_key, typ="test+jwt")
    assert "signature" in refused.value.description


def test_ed25519_answers_to_both_its_names() -> None:
    signer = SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate())
    for name in ("EdDSA", "Ed25519"):
        data = jws.signing_input({"alg": name}, b"{}")
        assert jws.verify(jws.parse(jws.attach_signature(data, signer.sign(data))), signer.public_key, typ=None)
    for name in ("Ed448", "ES256", None):
        data = jws.signing_input({"alg": name}, b"{}")
        with pytest.raises(InvalidSignature, match="algorithm"):
            jws.verify(jws.parse(jws.attach_signature(data, signer.sign(data))), signer.public_key, typ=None)
    data = jws.signing_input({"alg": "Ed25519"}, b"{}")
    with pytest.raises(InvalidSignature, match="algorithm"):
        jws.verify(jws.parse(jws.attach_signature(data, SIGNER.sign(data))), SIGNER.public_key, typ=None)
