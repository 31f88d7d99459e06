"""CBOR and COSE as the RFCs and the working group's examples print them."""

import json
from math import isnan
from typing import Any

import pytest

from tests.support import vectors
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import base64url, cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import InvalidSignature, MalformedError, WalletError
from wallet_core.keys.jwk import parse_public_jwk

# Errors only where deterministic or preferred encoding is required: see the note of the file.
READ_ALL_THE_SAME = {"not preferred", "key order"}
DIAGNOSTIC = {
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "undefined": cbor.Undefined,
    "simple(16)": "f0",
    "simple(255)": "f8ff",
    '0("2013-03-21T20:04:00Z")': Tagged(0, "2013-03-21T20:04:00Z"),
    "1(1363896240)": Tagged(1, 1363896240),
    "1(1363896240.5)": Tagged(1, 1363896240.5),
    "23(h'01020304')": Tagged(23, b"\x01\x02\x03\x04"),
    "24(h'6449455446')": Tagged(24, b"dIETF"),
    '32("http://www.example.com")': Tagged(32, "http://www.example.com"),
    "h''": b"",
    "h'01020304'": b"\x01\x02\x03\x04",
    "{1: 2, 3: 4}": {1: 2, 3: 4},
}


def integer(value: Any) -> Any:
    """Return the integer of a bignum, which stays a tag in our hands."""
    if isinstance(value, Tagged) and value.tag in {2, 3}:
        number = int.from_bytes(value.value, "big")
        return number if value.tag == 2 else -1 - number
    return value


@pytest.mark.parametrize("case", vectors.cases("cose_cbor", "rfc8949_appendix_a.json", "vectors", "hex"))
def test_appendix_a(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    value = cbor.loads(data)
    if "decoded" in case:
        assert json.dumps(integer(value)) == json.dumps(case["decoded"])
    elif case["diagnostic"] == "NaN":
        assert isnan(value)
    elif case["diagnostic"].startswith("simple"):
        assert cbor.dumps(value).hex() == DIAGNOSTIC[case["diagnostic"]]
    else:
        assert value == DIAGNOSTIC[case["diagnostic"]]
    assert (cbor.dumps(value) == data) == case["roundtrip"]


@pytest.mark.parametrize("encoding", vectors.MANIFEST["cose_cbor"]["rfc8949_appendix_a.json"]["not_run"])
def test_appendix_a_with_indefinite_lengths(encoding: str) -> None:
    with pytest.raises(MalformedError):
        cbor.loads(bytes.fromhex(encoding))


@pytest.mark.parametrize("case", vectors.cases("cose_cbor", "cbor_strictness_cases.json", "cases", "hex"))
def test_strictness(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    if case["class"] in READ_ALL_THE_SAME:
        assert cbor.dumps(cbor.loads(data)) != data or case["class"] == "key order"
        return
    with pytest.raises(MalformedError):
        cbor.loads(data)


@pytest.mark.parametrize("case", vectors.cases("cose_cbor", "cose_sign1.json", "vectors"))
def test_sign1(case: dict[str, Any]) -> None:
    public = {name: value for name, value in case["key"].items() if name != "d"}
    key = parse_public_jwk(public)
    data, external = bytes.fromhex(case["cose_sign1_hex"]), bytes.fromhex(case["external_aad_hex"])
    if case["expect"] == "reject":
        with pytest.raises(WalletError):
            sign1.verify(sign1.parse(data, tagged=True), key, external_aad=external)
        return
    message = sign1.parse(data, tagged=data[0] == 0xD2)
    assert sign1.verify(message, key, external_aad=external).payload == case["payload_utf8"].encode()
    signed = sign1.sig_structure(message.protected_bytes, case["payload_utf8"].encode(), external)
    assert signed.hex() == case["to_be_signed_hex"]


@pytest.mark.parametrize("case", vectors.cases("cose_cbor", "cose_mac0_hmac256.json", "vectors"))
def test_mac0(case: dict[str, Any]) -> None:
    key = base64url.decode(case["key"]["k"])
    data, external = bytes.fromhex(case["cose_mac0_hex"]), bytes.fromhex(case["external_aad_hex"])
    if case["expect"] == "reject":
        with pytest.raises(WalletError):
            mac0.verify(mac0.parse(data, tagged=True), key, external_aad=external)
        return
    message = mac0.parse(data, tagged=data[0] == 0xD1)
    payload = mac0.verify(message, key, external_aad=external)
    assert payload == message.payload == b"This is the content."
    assert mac0.create(payload, key, tagged=data[0] == 0xD1) == data


def checked(case: dict[str, Any]) -> None:
    """Verify the message of a case, of either kind, and raise what is raised."""
    external = bytes.fromhex(case["external_aad_hex"])
    if "cose_mac0_hex" in case:
        data = bytes.fromhex(case["cose_mac0_hex"])
        mac0.verify(mac0.parse(data, tagged=data[0] == 0xD1), base64url.decode(case["key"]["k"]), external_aad=external)
    else:
        data = bytes.fromhex(case["cose_sign1_hex"])
        public = parse_public_jwk({name: value for name, value in case["key"].items() if name != "d"})
        sign1.verify(sign1.parse(data, tagged=data[0] == 0xD2), public, external_aad=external)


@pytest.mark.parametrize("name", ["cose_sign1.json", "cose_mac0_hmac256.json"])
def test_an_algorithm_that_nothing_authenticates(name: str) -> None:
    left_out = vectors.MANIFEST["cose_cbor"][name]["not_run"]
    cases = [case for case in vectors.load("cose_cbor", name)["vectors"] if case["id"] in left_out]
    for case in cases:
        with pytest.raises(InvalidSignature, match="algorithm"):
            checked(case)
    assert len(cases) == len(left_out)
