"""Issuing: what is hidden, where its Digest stands, how salts come about."""

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sd_jwt import CLAIMS, HOLDER, ISSUER, NOW, every_path, issue, verify
from wallet_core.encoding import base64url, strict_json
from wallet_core.encoding.claims_path import resolve
from wallet_core.formats.sd_jwt.disclosure import DIGEST_ALGORITHMS
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.formats.sd_jwt.issuer import create_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.jose import jws

HEADER = jws.encode_header({"alg": "ES256"})
NAMES = st.sampled_from(["a", "b", "c", "이름"])
CLAIM_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def create(claims: Any, paths: Any, **arguments: Any) -> str:
    arguments = {"random": os.urandom, "encoded_header": HEADER, "signer": ISSUER, **arguments}
    return create_sd_jwt(claims=claims, selectively_disclosable=paths, **arguments)


def payload_of(text: str) -> dict[str, Any]:
    return parse_sd_jwt(text).issuer_jws.claims()


def contents(text: str) -> list[Any]:
    return [strict_json.loads(base64url.decode(disclosure)) for disclosure in parse_sd_jwt(text).disclosures]


def test_a_member_an_element_and_a_structure() -> None:
    text = create(CLAIMS, [("family_name",), ("licence_classes", 1), ("address", "region")])
    payload = payload_of(text)
    assert "family_name" not in payload
    assert payload["licence_classes"][0] == "1종보통"
    assert set(payload["licence_classes"][1]) == {"..."}
    assert set(payload["address"]) == {"street_address", "_sd"}
    assert len(payload["_sd"]) == 1
    assert payload["_sd_alg"] == "sha-256"
    assert sorted(parts[1:] for parts in contents(text)) == [
        ["2종소형"],
        ["family_name", "시험"],
        ["region", "서울특별시"],
    ]
    assert verify(text).claims == CLAIMS


def test_a_recursive_disclosure_holds_the_digest_of_its_child() -> None:
    text = create(CLAIMS, [("address",), ("address", "region")])
    assert "address" not in payload_of(text)
    child, parent = contents(text)
    assert child[1:] == ["region", "서울특별시"]
    assert set(parent[2]) == {"street_address", "_sd"}


def test_nothing_hidden_leaves_no_trace() -> None:
    for paths in ([], [("absent",)]):
        text = create(CLAIMS, paths, decoys=3)
        assert payload_of(text) == CLAIMS
        assert text.endswith("~")
        assert text.count("~") == 1


@pytest.mark.parametrize("algorithm", DIGEST_ALGORITHMS)
def test_digest_algorithms(algorithm: str) -> None:
    text = create(CLAIMS, [("family_name",)], digest_algorithm=algorithm)
    assert payload_of(text)["_sd_alg"] == algorithm
    assert verify(text).claims == CLAIMS


@pytest.mark.clause("rfc9901-4.2.5-decoys", "rfc9901-4.2.4.1-order")
def test_decoys_stand_in_every_object_that_hides_something() -> None:
    text = create(CLAIMS, [("family_name",), ("address", "region")], decoys=4)
    payload = payload_of(text)
    assert len(payload["_sd"]) == len(payload["address"]["_sd"]) == 5
    assert payload["_sd"] == sorted(payload["_sd"])
    assert verify(text).claims == CLAIMS
    assert index_sd_jwt(text).claims == CLAIMS


def test_salts_come_from_one_call_and_are_all_different() -> None:
    calls = []

    def random(count: int) -> bytes:
        calls.append(count)
        return os.urandom(count)

    salts = [parts[0] for parts in contents(issue(random=random, decoys=2))]
    # Six Disclosures and twice two decoys: one object hides at the top, one inside it.
    assert calls == [18 * (6 + 4)]
    assert len(set(salts)) == 6
    assert all(len(base64url.decode(salt)) == 18 for salt in salts)


@pytest.mark.clause("rfc9901-4.1-reserved-names")
@pytest.mark.parametrize("claims", [{"_sd": []}, {"a": {"...": 1}}, {"a": [{"_sd_alg": "x"}]}, {"a": [[{"_sd": 1}]]}])
def test_reserved_names_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="_sd"):
        create(claims, [])


@pytest.mark.parametrize(
    "path", [("given_name", "x"), ("given_name", None), ("address", 0), ("licence_classes", "x"), ("address", None)]
)
def test_a_path_that_would_hide_nothing_is_refused(path: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        create(CLAIMS, [path])


def test_every_element_and_one_of_them_together() -> None:
    claims = {"list": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    text = create(claims, [("list", None, "a"), ("list", 1), ("list", 1, "b"), ("list", 1, "a")])
    assert set(index_sd_jwt(text).paths) == {("list", 0, "a"), ("list", 1), ("list", 1, "a"), ("list", 1, "b")}
    assert verify(text).claims == claims


@given(st.dictionaries(NAMES, CLAIM_VALUES, max_size=3), st.data())
def test_any_claims_any_paths(claims: dict[str, Any], data: st.DataObject) -> None:
    every = every_path(claims)
    paths = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    text = create(claims, paths, decoys=data.draw(st.integers(0, 2)))
    held = index_sd_jwt(text)
    assert held.claims == claims
    assert set(held.paths) == set(paths)
    # Any choice presents, and shows each chosen element whole and nothing the issuer did not sign.
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    shown = verify(held.select(chosen))
    assert len(shown.disclosed) == len({number for path in chosen for number in held.needed(path)})
    for path in chosen:
        if all(isinstance(part, str) for part in path):
            assert resolve(shown.claims, path)


def test_times_and_registered_claims() -> None:
    payload = payload_of(issue(not_before=NOW - timedelta(hours=1), decoys=1))
    assert payload["iat"] == int(NOW.timestamp())
    assert payload["exp"] - payload["iat"] == 30 * 86400
    assert payload["iat"] - payload["nbf"] == 3600
    assert set(payload["cnf"]) == {"jwk"}
    assert set(payload["cnf"]["jwk"]) == {"kty", "crv", "x", "y"}
    assert "status" not in payload
    assert "cnf" not in payload_of(issue(holder_key=None))
    assert parse_sd_jwt(issue(x5c=[b"leaf", b"ca"])).x5c() == (b"leaf", b"ca")
    assert parse_sd_jwt(issue()).issuer_jws.header["typ"] == "dc+sd-jwt"


@pytest.mark.clause("sdjwtvc-2.2.2.2-never-hidden-issued", "sdjwtvc-2.2.2-expiry-order")
@pytest.mark.parametrize(
    "changes",
    [
        {"x5c": []},
        {"claims": {"iss": "x"}},
        {"claims": {"status": {}}},
        {"claims": {"cnf": {}}},
        {"claims": {"vct": "x"}},
        {"claims": {"exp": 1}},
        {"selectively_disclosable": [("cnf",)]},
        {"selectively_disclosable": [("cnf", "jwk")]},
        {"selectively_disclosable": [("vct",)]},
        {"expires_at": NOW},
        {"issued_at": NOW.replace(tzinfo=None)},
    ],
    ids=str,
)
def test_what_is_not_issued(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        issue(**changes)


def test_each_issuer_has_its_own_header() -> None:
    other = type(HOLDER).generate()
    one, two = issue(x5c=[b"one"]), issue(x5c=[b"two"], signer=other)
    assert parse_sd_jwt(one).x5c() == (b"one",)
    assert parse_sd_jwt(two).x5c() == (b"two",)
