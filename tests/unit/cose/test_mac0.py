"""COSE_Mac0: HMAC 256/256 and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from wallet_core.cose import mac0
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError

KEY = bytes(range(32))
MESSAGE = mac0.create(b"content", KEY)


def with_headers(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> mac0.UnverifiedMac0:
    data = cbor.dumps(protected)
    return mac0.parse_value([data, unprotected, b"x", mac0._tag(KEY, mac0.mac_structure(data, b"x"))])


def test_there_and_back() -> None:
    assert mac0.verify(mac0.parse(MESSAGE, tagged=False), KEY) == b"content"
    tagged = mac0.create(b"content", KEY, tagged=True)
    assert mac0.verify(mac0.parse(tagged, tagged=True), KEY) == b"content"


@pytest.mark.clause("cose-9052.6.1-payload")
def test_detached_payload() -> None:
    detached = mac0.parse(mac0.create(b"content", KEY, detached=True), tagged=False)
    assert mac0.verify(detached, KEY, detached_payload=b"content") == b"content"
    for message, payload in ((detached, None), (mac0.parse(MESSAGE, tagged=False), b"content")):
        with pytest.raises(VerificationError) as caught:
            mac0.verify(message, KEY, detached_payload=payload)
        assert caught.value.step == 1


@pytest.mark.clause("cose-9052.6.3-tag")
def test_one_change() -> None:
    message = mac0.parse(MESSAGE, tagged=False)
    for changed in (
        replace(message, payload=b"Content"),
        replace(message, protected_bytes=cbor.dumps({1: 5, 3: 0})),
        replace(message, tag=bytes([message.tag[0] ^ 1]) + message.tag[1:]),
        replace(message, tag=message.tag[:8]),
        replace(message, tag=b""),
    ):
        with pytest.raises(InvalidSignature) as caught:
            mac0.verify(changed, KEY)
        assert caught.value.step == 4
    with pytest.raises(InvalidSignature):
        mac0.verify(message, bytes(32))
    with pytest.raises(InvalidSignature):
        mac0.verify(message, KEY, external_aad=b"a")


@pytest.mark.clause("cose-9053.3.1-hmac")
@pytest.mark.parametrize(
    ("protected", "unprotected"),
    [({}, {1: 5}), ({1: 4}, {}), ({1: 6}, {}), ({1: -7}, {}), ({1: 5.0}, {}), ({1: "5"}, {})],
)
def test_the_header_does_not_choose_the_algorithm(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    with pytest.raises(InvalidSignature) as caught:
        mac0.verify(with_headers(protected, unprotected), KEY)
    assert caught.value.step == 3


@pytest.mark.clause("cose-9052.3.1-mac-crit")
@pytest.mark.parametrize(("protected", "unprotected"), [({1: 5, 2: [9]}, {}), ({1: 5}, {2: [9]})])
def test_a_critical_parameter(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    with pytest.raises(VerificationError) as caught:
        mac0.verify(with_headers(protected, unprotected), KEY)
    assert caught.value.step == 2


@pytest.mark.clause("cose-9052.6.2-array", "cose-9052.2-tag")
@pytest.mark.parametrize(
    "value", [[], {}, [b"", {}, b"x"], [b"", {}, "x", b""], [b"", {}, b"x", None], [{}, {}, b"x", b""]]
)
def test_what_is_not_a_cose_mac0(value: Any) -> None:
    with pytest.raises(MalformedError):
        mac0.parse_value(value)
    with pytest.raises(MalformedError):
        mac0.parse(cbor.dumps(Tagged(18, cbor.loads(MESSAGE))), tagged=True)
