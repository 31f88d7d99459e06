import contextlib
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError, VerificationError, WalletError
from wallet_core.jose import jwe
from wallet_core.keys import jwk
from wallet_core.keys.algorithms import PublicKey

KEY = ec.generate_private_key(ec.SECP256R1())
JWK = {**jwk.public_jwk(PublicKey(KEY.public_key())), "kid": "k1", "use": "enc", "alg": "ECDH-ES"}
OKP = x25519.X25519PrivateKey.generate()
OKP_JWK = {
    "kty": "OKP",
    "crv": "X25519",
    "x": base64url.encode(OKP.public_key().public_bytes_raw()),
    "kid": "k2",
    "alg": "ECDH-ES",
}
KEYS = {"k1": KEY, "k2": OKP}
P384_JWK = {
    **jwk.public_jwk(PublicKey(ec.generate_private_key(ec.SECP384R1()).public_key())),
    "kid": "k3",
    "alg": "ECDH-ES",
}


def change_header(token: str, **members: Any) -> str:
    parts = token.split(".")
    header = {**json.loads(base64url.decode(parts[0])), **members}
    parts[0] = base64url.encode(strict_json.dumps({k: v for k, v in header.items() if v is not None}))
    return ".".join(parts)


@pytest.mark.clause("vp-8.3-kid")
@pytest.mark.parametrize("enc", jwe.ENC_VALUES)
@pytest.mark.parametrize("recipient", [JWK, OKP_JWK])
def test_what_is_encrypted_can_be_decrypted(enc: str, recipient: Any) -> None:
    token = jwe.encrypt(b"secret", recipient, enc=enc, header={"apu": "QWxpY2U", "apv": "Qm9i"})
    assert jwe.decrypt(token, KEYS) == b"secret"
    header = jwe.parse_header(token)
    assert (header["kid"], header["alg"], header["enc"]) == (recipient["kid"], "ECDH-ES", enc)


def test_the_largest_plaintext_fits_and_a_larger_one_is_refused() -> None:
    token = jwe.encrypt(bytes(jwe.MAX_PLAINTEXT_BYTES), JWK, enc="A256GCM")
    assert len(jwe.decrypt(token, KEYS)) == jwe.MAX_PLAINTEXT_BYTES
    with pytest.raises(ValueError, match="too long"):
        jwe.encrypt(bytes(jwe.MAX_PLAINTEXT_BYTES + 1), JWK, enc="A256GCM")
    with pytest.raises(MalformedError):
        jwe.decrypt("a" * (jwe.MAX_TOKEN_BYTES + 1), KEYS)


@pytest.mark.clause("jose-7516.4.1-offered")
def test_an_enc_that_was_not_offered_is_refused() -> None:
    token = jwe.encrypt(b"secret", JWK, enc="A128GCM")
    with pytest.raises(VerificationError, match="not offered") as caught:
        jwe.decrypt(token, KEYS, enc_values=["A256GCM"])
    assert caught.value.step == 2


@pytest.mark.clause("jose-7516.4.1-offered", "jose-7516.4.1.13-crit-zip", "vp-8.3-our-kid", "jose-7518.4.6-epk")
@pytest.mark.parametrize(
    ("members", "step"),
    [
        ({"alg": "ECDH-ES+A128KW"}, 2),
        ({"alg": "dir"}, 2),
        ({"alg": None}, 2),
        ({"enc": "A128CBC-HS256"}, 2),
        ({"enc": ["A128GCM"]}, 2),
        ({"zip": "DEF"}, 2),
        ({"crit": ["exp"]}, 2),
        ({"kid": "other"}, 3),
        ({"kid": None}, 3),
        ({"kid": ["k1"]}, 3),
        ({"epk": None}, None),
        ({"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}, None),
        ({"epk": OKP_JWK}, None),
        ({"epk": P384_JWK}, None),
        ({"apu": 1}, None),
        ({"apv": "=="}, None),
        ({"apu": "QWxpY2U"}, 5),
        ({"cty": "json"}, 5),
    ],
)
def test_a_changed_header_is_refused(members: Any, step: int | None) -> None:
    token = jwe.encrypt(b"secret", JWK, enc="A128GCM")
    with pytest.raises(VerificationError if step else MalformedError) as caught:
        jwe.decrypt(change_header(token, **members), KEYS)
    assert getattr(caught.value, "step", None) == step


@pytest.mark.parametrize("part", [2, 3, 4])
def test_a_changed_byte_is_refused(part: int) -> None:
    parts = jwe.encrypt(b"secret", JWK, enc="A128GCM").split(".")
    data = bytearray(base64url.decode(parts[part]))
    data[0] ^= 1
    parts[part] = base64url.encode(bytes(data))
    with pytest.raises(VerificationError) as caught:
        jwe.decrypt(".".join(parts), KEYS)
    assert caught.value.step == 5


def test_an_x25519_point_of_low_order_is_refused() -> None:
    token = jwe.encrypt(b"secret", OKP_JWK, enc="A128GCM")
    low = change_header(token, epk={"kty": "OKP", "crv": "X25519", "x": base64url.encode(bytes(32))})
    with pytest.raises(VerificationError):
        jwe.decrypt(low, KEYS)


@pytest.mark.clause("vp-8.3-key-alg", "x509-HAIP5-key", "jose-7517.4.3-encryption")
@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({}, True),
        ({"key_ops": ["sign", "verify"]}, False),
        ({"key_ops": ["verify", "deriveKey"]}, True),
        # As WebCrypto exports the public half of a key for ECDH.
        ({"key_ops": [], "ext": True}, True),
        ({"key_ops": [{}]}, True),
        ({"key_ops": ["sign", []]}, True),
        ({"use": None}, True),
        ({"use": "sig"}, False),
        ({"alg": None}, False),
        ({"alg": "RSA-OAEP"}, False),
        ({"kty": "PQC"}, False),
        ({"crv": "P-384"}, False),
        (P384_JWK, False),
        ({"d": "AA"}, False),
        ({"x": "AA"}, False),
        ({"kid": None}, True),
        ({"kid": ""}, True),
        ({"kid": 5}, False),
        ({"kid": {}}, False),
        ({"kid": []}, False),
        ({"kid": True}, False),
    ],
)
def test_only_keys_we_can_use_are_usable(change: Any, usable: Any) -> None:
    assert jwe.is_usable({k: v for k, v in {**JWK, **change}.items() if v is not None}) is usable
    assert not jwe.is_usable("key")


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), (2**255 - 20).to_bytes(32, "little")])
def test_a_point_of_low_order_is_not_usable(point: bytes) -> None:
    low = {**OKP_JWK, "x": base64url.encode(point)}
    with pytest.raises(MalformedError):
        jwe.encrypt(b"", low, enc="A128GCM")
    assert not jwe.is_usable(low)
    assert jwe.is_usable(OKP_JWK)


def test_a_kid_of_null_is_no_kid() -> None:
    assert not jwe.is_usable({**JWK, "kid": None})


@pytest.mark.parametrize("length", [0, 1, 1000, 5000])
def test_a_usable_key_can_be_encrypted_to(length: int) -> None:
    for key in (JWK, OKP_JWK):
        named = {**key, "kid": "k" * length}
        if jwe.is_usable(named):
            assert jwe.encrypt(b"secret", named, enc="A128GCM")


@pytest.mark.clause("x509-HAIP5-key")
def test_encrypting_to_a_bad_key_is_a_wallet_error() -> None:
    with pytest.raises(MalformedError):
        jwe.encrypt(b"", {"kty": "OKP", "crv": "X25519", "x": base64url.encode(bytes(32))}, enc="A128GCM")
    with pytest.raises(MalformedError):
        jwe.encrypt(b"", {"kty": "oct", "k": "AA"}, enc="A128GCM")


LEAVES = st.none() | st.integers(-(2**53), 2**53) | st.text()
JSON_VALUES = st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text(), x))
TOKEN = jwe.encrypt(b"secret", JWK, enc="A128GCM")


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=200),
        st.tuples(st.integers(0, len(TOKEN) - 1), st.characters()).map(
            lambda t: TOKEN[: t[0]] + t[1] + TOKEN[t[0] + 1 :]
        ),
        st.dictionaries(
            st.sampled_from(["alg", "enc", "kid", "epk", "apu", "apv", "zip", "cty", "p2s", "p2c"]),
            st.recursive(
                st.none() | st.integers(-(2**53), 2**53) | st.text(),
                lambda x: st.lists(x) | st.dictionaries(st.text(), x),
            ),
        ).map(lambda m: change_header(TOKEN, **m)),
    )
)
def test_only_wallet_errors_leave(token: str) -> None:
    with contextlib.suppress(WalletError):
        assert jwe.decrypt(token, KEYS) == b"secret"


@pytest.mark.clause("jose-7516.4.1.13-crit-zip", "jose-7516.4.1.3-inflated-size")
@pytest.mark.parametrize("size", [0, 1, 5_000, jwe.MAX_PLAINTEXT_BYTES])
def test_what_is_compressed_inflates_where_that_was_offered(size: int) -> None:
    text = (b"x" * 50 + bytes(range(50))) * (size // 100) + b"y" * (size % 100)
    token = jwe.encrypt(text, JWK, enc="A128GCM", deflate=True)
    assert jwe.parse_header(token)["zip"] == "DEF"
    assert jwe.decrypt(token, KEYS, zip_values=("DEF",)) == text
    with pytest.raises(VerificationError) as caught:
        jwe.decrypt(token, KEYS)
    assert caught.value.step == 2


@pytest.mark.clause("jose-7516.4.1.3-inflated-size")
def test_a_bomb_is_not_inflated() -> None:
    bomb = jwe.encrypt(bytes(50_000_000), JWK, enc="A128GCM", deflate=True, max_bytes=50_000_000)
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(VerificationError) as caught:
        jwe.decrypt(bomb, KEYS, zip_values=("DEF",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.step == 5
    assert peak < 5_000_000


@pytest.mark.clause("jose-7516.4.1.3-inflated-size")
def test_what_is_no_deflated_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = zlib.compress(b"text" * 100, wbits=-15)
    for content in (whole[:-2], whole + b"more", b"", b"\xff\xff", zlib.compress(b"text")):
        monkeypatch.setattr("wallet_core.jose.jwe._Deflate.compress", lambda _self, _text, c=content: c)
        token = jwe.encrypt(b"", JWK, enc="A128GCM", deflate=True)
        with pytest.raises(VerificationError):
            jwe.decrypt(token, KEYS, zip_values=("DEF",))
