"""COSE_Key: the closed list of keys, public halves only."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError
from wallet_core.keys import algorithms
from wallet_core.keys.cose_key import cose_key, encode_cose_key, parse_cose_key
from wallet_core.keys.jwk import parse_public_jwk, public_jwk
from wallet_core.keys.signer import SoftwareSigner

KEYS = {
    "P-256": SoftwareSigner.generate().public_key,
    "P-384": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())).public_key,
    "P-521": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())).public_key,
    "Ed25519": SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()).public_key,
}
P256 = cose_key(KEYS["P-256"])
OKP = cose_key(KEYS["Ed25519"])


@pytest.mark.parametrize("name", KEYS)
def test_there_and_back(name: str) -> None:
    key = KEYS[name]
    assert parse_cose_key(cbor.loads(cbor.dumps(cose_key(key)))) == key
    assert cose_key(parse_public_jwk(public_jwk(key))) == cose_key(key)
    assert encode_cose_key(key) == cbor.dumps(cose_key(key))
    assert len(cose_key(key)) == (3 if name == "Ed25519" else 4)


def test_a_compressed_point() -> None:
    y = P256[-3]
    assert isinstance(y, bytes)
    assert parse_cose_key({**P256, -3: bool(y[-1] & 1)}) == KEYS["P-256"]


def test_other_members_are_ignored() -> None:
    assert parse_cose_key({**P256, 2: b"kid", 4: [2], 3: -9}) == KEYS["P-256"]


@pytest.mark.clause("cose-9052.7.1-alg")
@pytest.mark.parametrize("alg", [-35, -8, "ES256", None])
def test_an_algorithm_of_another_curve(alg: Any) -> None:
    with pytest.raises(MalformedError, match="algorithm"):
        parse_cose_key({**P256, 3: alg})


@pytest.mark.clause("cose-9053.7-public")
@pytest.mark.parametrize("key", [P256, OKP])
def test_a_private_key(key: dict[int, Any]) -> None:
    with pytest.raises(MalformedError, match="private"):
        parse_cose_key({**key, -4: bytes(32)})


@pytest.mark.clause("cose-9053.7.1.1-length")
@pytest.mark.parametrize("label", [-2, -3])
@pytest.mark.parametrize(
    "change", [lambda c: c[1:], lambda c: b"\0" + c, lambda _: b"", lambda _: "x" * 32, lambda _: None]
)
def test_coordinates_of_another_length(label: int, change: Any) -> None:
    with pytest.raises(MalformedError):
        parse_cose_key({**P256, label: change(P256[label])})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {**P256, 1: 4},
        {**P256, 1: True},
        {**P256, 1: "EC2"},
        {**P256, -1: 2},
        {**P256, -1: 8},
        {**P256, -2: bytes(32)},
        {**OKP, -1: 4},
        {**OKP, -2: bytes(31)},
        {1: 4, -1: b"k" * 32},
        {label: value for label, value in P256.items() if label != -3},
    ],
)
def test_what_is_not_a_key_of_ours(value: Any) -> None:
    with pytest.raises(MalformedError):
        parse_cose_key(value)


def test_identifiers() -> None:
    assert algorithms.cose_identifier(KEYS["P-256"].algorithm) == -7
    assert algorithms.cose_identifiers(KEYS["P-256"].algorithm) == (-7, -9)
    assert not KEYS["P-256"].answers_to_cose(True)
