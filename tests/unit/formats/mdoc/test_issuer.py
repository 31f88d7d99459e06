"""Issuing: what is signed, in which form, and what it gives away."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.mdoc import DEVICE, ISSUER, MDL, NAME_SPACES, VALIDITY, issue
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.formats.mdoc.issuer import SALT_BYTES, create_issuer_signed
from wallet_core.formats.mdoc.structures import KeyAuthorizations, parse_issuer_signed, parse_mso
from wallet_core.keys.cose_key import cose_key
from wallet_core.spec_versions import NAMESPACE_MDL


def mso_of(data: bytes) -> dict[str, Any]:
    mso: dict[str, Any] = cbor.loads(cbor.loads(cbor.loads(data)["issuerAuth"][2]).value)
    return mso


def test_the_frames_written_by_hand_are_preferred_serialization() -> None:
    for data in (issue(), issue(status={"status_list": {"idx": 1, "uri": "u"}}), issue(digest_algorithm="SHA-512")):
        assert cbor.dumps(cbor.loads(data)) == data
        payload = cbor.loads(data)["issuerAuth"][2]
        assert cbor.dumps(cbor.loads(payload)) == payload
        inner = cbor.loads(payload).value
        assert cbor.dumps(cbor.loads(inner)) == inner
        for items in cbor.loads(data)["nameSpaces"].values():
            assert all(cbor.dumps(cbor.loads(item.value)) == item.value for item in items)


def test_the_mso() -> None:
    mso = mso_of(issue())
    assert list(mso) == ["version", "digestAlgorithm", "valueDigests", "deviceKeyInfo", "docType", "validityInfo"]
    assert mso["deviceKeyInfo"] == {"deviceKey": cose_key(DEVICE.public_key)}
    assert mso["validityInfo"]["validUntil"] == Tagged(0, "2026-12-27T12:00:00Z")
    assert {name: sorted(digests) for name, digests in mso["valueDigests"].items()} == {
        name: list(range(len(elements))) for name, elements in NAME_SPACES.items()
    }


def test_issuer_auth_is_untagged_with_the_certificate_unprotected() -> None:
    auth = cbor.loads(issue(x5chain=[b"leaf", b"intermediate"]))["issuerAuth"]
    assert auth[:2] == [cbor.dumps({1: -7}), {33: [b"leaf", b"intermediate"]}]
    assert cbor.loads(issue())["issuerAuth"][1] == {33: b"leaf"}


def test_every_salt_is_fresh() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    items = [
        cbor.loads(item.value) for items in cbor.loads(issue(random=random))["nameSpaces"].values() for item in items
    ]
    assert len({item["random"] for item in items}) == len(items) == 20
    assert asked == [SALT_BYTES * len(elements) for elements in NAME_SPACES.values()]
    assert {len(item["random"]) for item in items} == {SALT_BYTES}


@pytest.mark.clause("mdoc-18013.9.1.2.4-digest-ids")
def test_digest_ids_of_two_mdocs_are_not_correlated() -> None:
    orders = [tuple(item.element for item in parse_issuer_signed(issue()).items[NAMESPACE_MDL]) for _ in range(5)]
    assert len(set(orders)) == 5
    assert all(set(order) == set(NAME_SPACES[NAMESPACE_MDL]) for order in orders)


def test_optional_members() -> None:
    expected = VALIDITY.valid_from + timedelta(days=15)
    data = issue(
        validity=replace(VALIDITY, expected_update=expected),
        key_authorizations=KeyAuthorizations(frozenset({"a"}), frozenset({("b", "y"), ("b", "x")})),
        status={"status_list": {"idx": 5, "uri": "https://issuer.example/1"}},
    )
    assert mso_of(data)["deviceKeyInfo"]["keyAuthorizations"] == {
        "nameSpaces": ["a"],
        "dataElements": {"b": ["x", "y"]},
    }
    mso = parse_mso(parse_issuer_signed(data).issuer_auth.payload)
    assert mso.validity.expected_update == expected
    assert mso.key_authorizations.allow("a", "anything")
    assert mso.key_authorizations.allow("b", "x")
    assert not mso.key_authorizations.allow("b", "z")
    assert mso.status == {"status_list": {"idx": 5, "uri": "https://issuer.example/1"}}


def test_another_signer_signs_the_same_bytes() -> None:
    pending = create_issuer_signed(
        doc_type=MDL,
        name_spaces=NAME_SPACES,
        device_key=DEVICE.public_key,
        validity=VALIDITY,
        algorithm=ISSUER.algorithm,
        x5chain=[b"leaf"],
        random=os.urandom,
    )
    data = pending.attach(ISSUER.sign(pending.issuer_auth.signing_input))
    assert sign1.verify(parse_issuer_signed(data).issuer_auth, ISSUER.public_key).payload


@pytest.mark.clause("mdoc-18013.9.1.2.4-order")
@pytest.mark.parametrize(
    "validity",
    [
        replace(VALIDITY, valid_from=VALIDITY.signed - timedelta(hours=1)),
        replace(VALIDITY, valid_until=VALIDITY.valid_from),
        replace(VALIDITY, valid_until=VALIDITY.valid_until + timedelta(milliseconds=1)),
        replace(VALIDITY, expected_update=datetime(2026, 12, 1)),  # noqa: DTZ001
    ],
)
def test_times_that_nobody_should_sign(validity: Any) -> None:
    with pytest.raises(ValueError, match=r"order|tdate"):
        issue(validity=validity)


@pytest.mark.parametrize("name_spaces", [{}, {NAMESPACE_MDL: {}}])
def test_an_empty_mdoc(name_spaces: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        issue(name_spaces=name_spaces)


def test_times_of_another_zone_are_written_in_utc() -> None:
    assert VALIDITY.signed.tzinfo is UTC
    assert mso_of(issue())["validityInfo"]["signed"].value.endswith("Z")
