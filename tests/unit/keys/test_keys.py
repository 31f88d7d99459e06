"""Keys: the closed list, one algorithm for each key, public halves only."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidSignature, KeyUnavailable, MalformedError, WalletError
from wallet_core.keys import algorithms, jwk
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.keys.signer import SoftwareSigner

SIGNERS = {
    "ES256": SoftwareSigner.generate(),
    "ES384": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())),
    "ES512": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())),
    "EdDSA": SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()),
}
P256 = SIGNERS["ES256"]


@pytest.mark.clause("jose-7518.3.4-length")
@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_the_same_two_numbers_in_another_length_are_refused(name: str) -> None:
    signer = SIGNERS[name]
    signature = signer.sign(b"data")
    half = len(signature) // 2
    with pytest.raises(InvalidSignature, match="length"):
        signer.public_key.verify(signature[:half] + b"\0" + signature[half:], b"data")


@pytest.mark.parametrize("name", SIGNERS)
def test_sign_and_verify(name: str) -> None:
    signer = SIGNERS[name]
    assert signer.algorithm.value == name
    signature = signer.sign(b"data")
    assert len(signature) == algorithms.signature_bytes(signer.algorithm)
    signer.public_key.verify(signature, b"data")
    for other in (signature[:-1], signature + b"\0", b"", bytes(len(signature)), b"\xff" * len(signature)):
        with pytest.raises(InvalidSignature):
            signer.public_key.verify(other, b"data")
    with pytest.raises(InvalidSignature):
        signer.public_key.verify(signature, b"other data")
    with pytest.raises(InvalidSignature):
        SoftwareSigner.generate().public_key.verify(signature, b"data")


@pytest.mark.clause("jose-7518.3.4-length")
@given(st.binary(max_size=140))
def test_any_bytes_are_at_most_a_wrong_signature(signature: bytes) -> None:
    for signer in SIGNERS.values():
        with pytest.raises(InvalidSignature):
            signer.public_key.verify(signature, b"data")


@pytest.mark.parametrize("name", SIGNERS)
def test_jwk_there_and_back(name: str) -> None:
    public = SIGNERS[name].public_key
    value = jwk.public_jwk(public)
    assert jwk.parse_public_jwk(value) == public
    assert jwk.parse_public_jwk({**value, "kid": "1", "use": "sig", "alg": name, "x5c": ["ignored"]}) == public
    assert jwk.thumbprint(public) == jwk.jwk_thumbprint({**value, "kid": "1"})
    assert set(value) <= {"kty", "crv", "x", "y"}


def test_private_jwk() -> None:
    private = P256.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    secret = base64url.encode(private.private_numbers().private_value.to_bytes(32, "big"))
    value = {**jwk.public_jwk(P256.public_key), "d": secret}
    assert PublicKey(jwk.parse_private_jwk(value).public_key()) == P256.public_key
    other = jwk.public_jwk(SoftwareSigner.generate().public_key)
    with pytest.raises(MalformedError, match="differ"):
        jwk.parse_private_jwk({**other, "d": secret})
    for impossible in ("A" * 43, "_" * 42 + "8"):
        with pytest.raises(MalformedError):
            jwk.parse_private_jwk({**value, "d": impossible})


GOOD = jwk.public_jwk(P256.public_key)


@pytest.mark.clause("jose-7518.6.2.1-length", "jose-7517-public")
@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "jwk",
        {},
        {**GOOD, "kty": "RSA"},
        {**GOOD, "kty": ["EC"]},
        {**GOOD, "kty": "OKP"},
        {**GOOD, "kty": "oct", "k": "AA"},
        {**GOOD, "crv": "P-384"},
        {**GOOD, "crv": "secp256k1"},
        {**GOOD, "crv": {}},
        {**GOOD, "x": GOOD["y"]},
        {**GOOD, "x": 5},
        {**GOOD, "x": f"{GOOD['x']}="},
        {**GOOD, "x": "AA" + str(GOOD["x"])},
        {**GOOD, "x": "A" * 43, "y": "A" * 43},
        {name: value for name, value in GOOD.items() if name != "y"},
        {**GOOD, "d": "AA"},
        {**GOOD, "k": None},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 42},
    ],
)
def test_refused_jwk(value: Any) -> None:
    with pytest.raises(MalformedError):
        jwk.parse_public_jwk(value)


@pytest.mark.clause("jose-8725.3.1-key-alg", "jose-7517.4.2-use", "jose-7517.4.3-key-ops")
@pytest.mark.parametrize(
    "purpose",
    [
        {"alg": "ES384"},
        {"alg": "ECDH-ES"},
        {"alg": None},
        {"use": "enc"},
        {"use": 1},
        {"key_ops": ["deriveKey"]},
        {"key_ops": []},
        {"key_ops": "verify"},
    ],
)
def test_a_jwk_that_is_for_something_else_verifies_nothing(purpose: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        jwk.parse_public_jwk({**GOOD, **purpose})
    assert jwk.parse_key_members({**GOOD, **purpose}) == P256.public_key


@pytest.mark.parametrize("said", [{"alg": "ES256", "use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign"]}])
def test_a_jwk_may_say_what_it_is_for(said: dict[str, Any]) -> None:
    assert jwk.parse_public_jwk({**GOOD, **said}) == P256.public_key


TEXTS = st.text(max_size=5) | st.sampled_from(["EC", "OKP", "P-256", "P-521", "Ed25519", "A" * 43, str(GOOD["x"])])
MEMBERS = st.sampled_from(["kty", "crv", "x", "y", "kid", "d", "alg", "use", "key_ops"])


@given(st.dictionaries(MEMBERS, TEXTS | st.integers() | st.none() | st.lists(TEXTS)).map(lambda some: {**GOOD, **some}))
def test_only_wallet_errors_leave_the_parsers(value: dict[str, Any]) -> None:
    for function in (jwk.parse_public_jwk, jwk.jwk_thumbprint, jwk.parse_private_jwk):
        try:
            function(value)
        except WalletError:
            continue


def test_keys_outside_the_closed_list() -> None:
    for private in (ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(KeyUnavailable):
            SoftwareSigner.from_key(private)
        with pytest.raises(MalformedError):
            algorithms.public_key(private.public_key())
    with pytest.raises(KeyUnavailable):
        algorithms.algorithm_of(x25519.X25519PrivateKey.generate())
    assert algorithms.public_key(P256.public_key.raw).algorithm is SignatureAlgorithm.ES256


def test_a_key_from_a_jwk_writes_the_same_jwk_as_the_key_itself() -> None:
    for signer in SIGNERS.values():
        parsed = jwk.parse_public_jwk({**jwk.public_jwk(signer.public_key), "kid": "1"})
        assert jwk.public_jwk(parsed) == jwk.public_jwk(PublicKey(parsed.raw)) == jwk.public_jwk(signer.public_key)
        assert jwk.thumbprint(parsed) == jwk.thumbprint(signer.public_key)
        assert list(jwk.public_jwk(parsed)) == list(jwk.public_jwk(signer.public_key))
