"""COSE_Sign1: the caller's key decides; the protected header must agree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wallet_core.cose import headers, sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError
from wallet_core.keys.signer import SoftwareSigner

SIGNER = SoftwareSigner.generate()
MESSAGE = sign1.sign(b"content", SIGNER, unprotected={4: b"11"})
PROTECTED, UNPROTECTED, PAYLOAD, SIGNATURE = cbor.loads(MESSAGE)
ALL = {
    "ES256": SIGNER,
    "ES384": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())),
    "ES512": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())),
    "EdDSA": SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()),
}
IDENTIFIERS = {"ES256": (-7, -9), "ES384": (-35, -51), "ES512": (-36, -52), "EdDSA": (-8, -19)}


def with_protected(signer: SoftwareSigner, protected: dict[Any, Any], unprotected: dict[Any, Any]) -> bytes:
    """Return a message with these very headers, rightly signed."""
    data = cbor.dumps(protected) if protected else b""
    return cbor.dumps([data, unprotected, b"x", signer.sign(sign1.sig_structure(data, b"x"))])


def checked(data: bytes, signer: SoftwareSigner = SIGNER, **options: Any) -> sign1.VerifiedSign1:
    return sign1.verify(sign1.parse(data, tagged=False), signer.public_key, **options)


def test_there_and_back() -> None:
    verified = checked(MESSAGE)
    assert verified.payload == b"content"
    assert verified.protected == {1: -7}
    assert verified.unprotected == {4: b"11"}
    assert verified.key == SIGNER.public_key


def test_signing_input_is_the_sig_structure() -> None:
    assert sign1.sig_structure(PROTECTED, b"p" * 300, b"a" * 30) == cbor.dumps(
        ["Signature1", PROTECTED, b"a" * 30, b"p" * 300]
    )


@pytest.mark.parametrize("name", ALL)
def test_both_identifiers_of_an_algorithm(name: str) -> None:
    for identifier in IDENTIFIERS[name]:
        assert checked(with_protected(ALL[name], {1: identifier}, {}), ALL[name]).payload == b"x"


@pytest.mark.clause("cose-9052.3.1-alg")
@pytest.mark.parametrize(
    ("protected", "unprotected"),
    [
        ({}, {}),
        ({}, {1: -7}),
        ({1: -35}, {}),
        ({1: -8}, {}),
        ({1: "ES256"}, {}),
        ({1: -7.0}, {}),
        ({1: 5}, {}),
        ({1: None}, {}),
        ({1: [-7]}, {}),
        ({"alg": -7}, {}),
    ],
)
def test_the_header_does_not_choose_the_algorithm(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    with pytest.raises(InvalidSignature) as caught:
        checked(with_protected(SIGNER, protected, unprotected))
    assert caught.value.step == 3


def test_an_empty_protected_map_is_signed_as_an_empty_string() -> None:
    assert sign1.sig_structure(b"\xa0", b"x") == sign1.sig_structure(b"", b"x")


@pytest.mark.clause("cose-9052.3.1-crit")
@pytest.mark.parametrize(
    ("protected", "unprotected"), [({1: -7, 2: [99]}, {}), ({1: -7}, {2: [1]}), ({1: -7, 2: []}, {})]
)
def test_a_critical_parameter(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    with pytest.raises(VerificationError) as caught:
        checked(with_protected(SIGNER, protected, unprotected))
    assert caught.value.step == 2


@pytest.mark.clause("cose-9052.4.4-signature")
@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, payload=b"Content"),
        lambda m: replace(m, protected_bytes=cbor.dumps({1: -9})),
        lambda m: replace(m, signature=m.signature[:-1] + bytes([m.signature[-1] ^ 1])),
        lambda m: replace(m, signature=m.signature[:-1]),
        lambda m: replace(m, signature=b""),
    ],
)
def test_one_change(change: Callable[[sign1.UnverifiedSign1], sign1.UnverifiedSign1]) -> None:
    with pytest.raises(InvalidSignature):
        sign1.verify(change(sign1.parse(MESSAGE, tagged=False)), SIGNER.public_key)


def test_another_key_or_other_external_data() -> None:
    with pytest.raises(InvalidSignature):
        checked(MESSAGE, SoftwareSigner.generate())
    with pytest.raises(InvalidSignature):
        checked(MESSAGE, external_aad=b"a")


@pytest.mark.clause("cose-9052.4.1-payload")
def test_detached_payload() -> None:
    pending = sign1.to_sign(b"content", SIGNER.algorithm, detached=True)
    data = pending.attach(SIGNER.sign(pending.signing_input))
    assert cbor.loads(data)[2] is None
    assert checked(data, detached_payload=b"content").payload == b"content"
    for message, payload in ((data, None), (MESSAGE, b"content")):
        with pytest.raises(VerificationError) as caught:
            checked(message, detached_payload=payload)
        assert caught.value.step == 1


@pytest.mark.clause("cose-9052.2-tag")
def test_tag() -> None:
    tagged = sign1.sign(b"content", SIGNER, tagged=True)
    assert sign1.parse(tagged, tagged=True).payload == b"content"
    for data, wanted in ((tagged, False), (MESSAGE, True), (cbor.dumps(Tagged(17, cbor.loads(MESSAGE))), True)):
        with pytest.raises(MalformedError):
            sign1.parse(data, tagged=wanted)


@pytest.mark.clause("cose-9052.4.2-array", "cose-9052.1.5-label", "cose-9052.3-unique")
@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        [PROTECTED, {}, PAYLOAD],
        [PROTECTED, {}, PAYLOAD, SIGNATURE, None],
        [{1: -7}, {}, PAYLOAD, SIGNATURE],
        [PROTECTED, [], PAYLOAD, SIGNATURE],
        [PROTECTED, {}, "content", SIGNATURE],
        [PROTECTED, {}, PAYLOAD, None],
        [cbor.dumps([1]), {}, PAYLOAD, SIGNATURE],
        [PROTECTED + b"\x00", {}, PAYLOAD, SIGNATURE],
        [bytes.fromhex("a201260126"), {}, PAYLOAD, SIGNATURE],
        [PROTECTED, {1: -7}, PAYLOAD, SIGNATURE],
        [PROTECTED, {1.5: 0}, PAYLOAD, SIGNATURE],
        [PROTECTED, {True: 0}, PAYLOAD, SIGNATURE],
        [cbor.dumps({1: -7, b"x": 0}), {}, PAYLOAD, SIGNATURE],
    ],
)
def test_what_is_not_a_cose_sign1(value: Any) -> None:
    with pytest.raises(MalformedError):
        sign1.parse_value(value)


@pytest.mark.parametrize("chain", [[b"leaf"], [b"leaf", b"ca"]])
@pytest.mark.parametrize("where", ["protected", "unprotected"])
def test_x5chain_in_either_header(chain: list[bytes], where: str) -> None:
    data = sign1.sign(b"x", SIGNER, **{where: sign1.x5chain_header(chain)})
    parsed = sign1.parse(data, tagged=False)
    assert parsed.x5chain() == tuple(chain)
    # RFC 9360 2: one certificate is a byte string, not an array.
    assert isinstance({**parsed.protected, **parsed.unprotected}[33], bytes) == (len(chain) == 1)


def test_an_array_of_one_certificate_is_read() -> None:
    assert sign1.parse(with_protected(SIGNER, {1: -7}, {33: [b"leaf"]}), tagged=False).x5chain() == (b"leaf",)
    assert sign1.parse(MESSAGE, tagged=False).x5chain() == ()
    with pytest.raises(ValueError, match="at least one"):
        sign1.x5chain_header([])


@pytest.mark.clause("cose-9360.2-x5chain")
@pytest.mark.parametrize("value", [[], "leaf", [b"leaf", "ca"], [b"c"] * (headers.MAX_CERTIFICATES + 1), {}, 1])
def test_what_is_not_an_x5chain(value: Any) -> None:
    with pytest.raises(MalformedError):
        sign1.parse(with_protected(SIGNER, {1: -7}, {33: value}), tagged=False).x5chain()
