"""RFC 9901: every published example, rebuilt structures and every rejection rule."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import vectors
from wallet_core.encoding import base64url, strict_json
from wallet_core.encoding.claims_path import ConcretePath, resolve
from wallet_core.errors import WalletError
from wallet_core.formats.sd_jwt.disclosure import digest_of, open_disclosures
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.issuer import create_sd_jwt
from wallet_core.formats.sd_jwt.json_serialization import flattened_json, parse_sd_jwt_json
from wallet_core.formats.sd_jwt.verifier import (
    UnverifiedSdJwt,
    VerifiedSdJwt,
    parse_sd_jwt,
    verify_sd_jwt,
    verify_sd_jwt_kb,
)
from wallet_core.jose import jws
from wallet_core.keys.jwk import parse_private_jwk
from wallet_core.keys.signer import SoftwareSigner

KEYS = vectors.load("rfc9901", "keys.json")
ISSUER = SoftwareSigner.from_key(parse_private_jwk(KEYS["issuer_key"]))
HOLDER = SoftwareSigner.from_key(parse_private_jwk(KEYS["holder_key"]))
SETTINGS = vectors.load("rfc9901", "negative_cases.json")["verifier_settings"]
NOW = datetime.fromtimestamp(SETTINGS["now"], UTC)
KB_MADE = datetime.fromtimestamp(1748536865, UTC)


def counter(count: int) -> bytes:
    """Bytes that look random enough to be different salts and are the same in every run."""
    return hashlib.shake_256(b"salts").digest(count)


def verify(text: str, *, key_binding: bool, now: datetime = NOW) -> VerifiedSdJwt:
    return verify_parsed(parse_sd_jwt(text), key_binding=key_binding, now=now)


def verify_parsed(sd_jwt: UnverifiedSdJwt, *, key_binding: bool, now: datetime) -> VerifiedSdJwt:
    if not key_binding:
        return verify_sd_jwt(sd_jwt, issuer_key=ISSUER.public_key, now=now)
    return verify_sd_jwt_kb(
        sd_jwt, issuer_key=ISSUER.public_key, audience=SETTINGS["aud"], nonce=SETTINGS["nonce"], now=now
    )


@pytest.mark.parametrize("case", vectors.cases("rfc9901", "examples.json", "examples"))
def test_example_of_issuance(case: dict[str, Any]) -> None:
    texts = [disclosure["disclosure"] for disclosure in case["disclosures"]]
    for disclosure in case["disclosures"]:
        assert digest_of(disclosure["disclosure"].encode(), hashlib.sha256) == disclosure["digest"]
    opened = open_disclosures(case["issuer_payload"], texts)
    assert opened.claims == case["processed_payload_all_disclosed"]
    assert len(opened.paths) == len(texts)
    if "sd_jwt" in case:
        held = index_sd_jwt(case["sd_jwt"])
        assert held.claims == case["processed_payload_all_disclosed"]
        assert held.text == case["sd_jwt"]


@pytest.mark.parametrize(
    "case", [case for case in vectors.cases("rfc9901", "examples.json", "examples") if "presentation" in case.values[0]]
)
def test_example_of_presentation(case: dict[str, Any]) -> None:
    key_binding = case["presentation_kind"] == "sd-jwt+kb"
    verified = verify(case["presentation"], key_binding=key_binding, now=KB_MADE)
    assert verified.claims == case["processed_payload"]
    assert verified.payload == case["issuer_payload"]
    assert verified.header == case["issuer_jwt_header"]
    assert verified.key_binding == case.get("kb_jwt_payload")
    assert verified.holder_key == (HOLDER.public_key if key_binding else None)


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in vectors.cases("rfc9901", "examples.json", "examples")
        if {"presentation", "sd_jwt"} <= case.values[0].keys()
    ],
)
def test_example_presented_again_by_our_holder(case: dict[str, Any]) -> None:
    theirs = verify(case["presentation"], key_binding=True, now=KB_MADE)
    held = index_sd_jwt(case["sd_jwt"])
    opened = set(parse_sd_jwt(case["presentation"]).disclosures)
    wanted = [path for path, text in zip(held.paths, held.disclosures, strict=True) if text in opened]
    # A path shows its element whole, so a parent is asked for only where nothing below it was withheld.
    wanted = [path for path in wanted if all(held.disclosures[number] in opened for number in held.needed(path))]
    ours = create_key_binding(
        held,
        wanted,
        audience=SETTINGS["aud"],
        nonce=SETTINGS["nonce"],
        issued_at=KB_MADE,
        algorithm=HOLDER.algorithm,
    )
    verified = verify(ours.attach(HOLDER.sign(ours.signing_input)), key_binding=True, now=KB_MADE)
    assert verified.claims == theirs.claims


@pytest.mark.parametrize("case", vectors.cases("rfc9901", "json_serialization.json", "examples"))
def test_json_serialization(case: dict[str, Any]) -> None:
    sd_jwt = parse_sd_jwt_json(strict_json.dumps(case["jws"]))
    assert sd_jwt.sd_jwt == case["equivalent_compact_sd_jwt"]
    verified = verify_parsed(sd_jwt, key_binding="kb_jwt_payload" in case, now=KB_MADE)
    assert verified.claims == case["processed_payload"]
    assert verified.key_binding == case.get("kb_jwt_payload")
    if case["serialization"] == "flattened":
        text = sd_jwt.sd_jwt + case["jws"]["header"].get("kb_jwt", "")
        assert flattened_json(text) == case["jws"]


@pytest.mark.parametrize("case", vectors.cases("rfc9901", "primitives.json", "disclosures"))
def test_disclosure(case: dict[str, Any]) -> None:
    assert base64url.decode(case["disclosure"]).decode() == case["decoded_utf8"]
    assert strict_json.loads(base64url.decode(case["disclosure"])) == case["contents"]
    assert digest_of(case["disclosure"].encode(), hashlib.sha256) == case["sha256_digest"]


def test_disclosures_where_their_digests_stand() -> None:
    primitives = vectors.load("rfc9901", "primitives.json")
    by_id = {case["id"]: case["disclosure"] for case in primitives["disclosures"]}
    opened = open_disclosures(primitives["payload_with_array_digest"], [by_id["array_element_fr"]])
    assert opened.claims == {"nationalities": ["DE", "FR", "US"]}
    assert opened.paths == (("nationalities", 1),)
    opened = open_disclosures(primitives["payload_with_property_digest"], [by_id["property_family_name"]])
    assert opened.claims == {"given_name": "Alice", "family_name": "Möbius"}


def test_recursive_disclosures() -> None:
    recursive = vectors.load("rfc9901", "primitives.json")["recursive"]
    elements = [case["disclosure"] for case in recursive["disclosures"] if case["digest_recomputed"]]
    parent = next(case for case in recursive["disclosures"] if not case["digest_recomputed"])
    text = base64url.encode(strict_json.dumps(parent["contents"]))
    payload = {**recursive["issuer_payload"], "_sd": [digest_of(text.encode(), hashlib.sha256)]}
    assert open_disclosures(payload, [*elements, text]).claims == recursive["input"]


def disclosed(marks: Any, paths: set[ConcretePath], at: ConcretePath = ()) -> list[ConcretePath]:
    """Return the selectively disclosable paths that the reference implementation's tree of marks discloses."""
    found = [at] if at in paths and marks not in (False, None) else []
    if isinstance(marks, dict):
        return found + [path for name, mark in marks.items() for path in disclosed(mark, paths, (*at, name))]
    if isinstance(marks, list):
        return found + [path for index, mark in enumerate(marks) for path in disclosed(mark, paths, (*at, index))]
    return found


@pytest.mark.parametrize("case", vectors.cases("rfc9901", "structural_cases.json", "cases", "name"))
def test_structure(case: dict[str, Any]) -> None:
    paths = [tuple(path) for path in case["selectively_disclosable_paths"]]
    text = create_sd_jwt(
        claims=case["user_claims"],
        selectively_disclosable=paths,
        encoded_header=jws.encode_header({"alg": "ES256"}),
        signer=ISSUER,
        random=counter,
    )
    held = index_sd_jwt(text)
    assert held.claims == case["user_claims"]
    assert set(held.paths) == set(paths)
    chosen = set(disclosed(case["holder_disclosed_claims"], set(paths)))
    # The reference implementation names Disclosures one by one; it never adds what lies below a disclosed element.
    texts = [text for path, text in zip(held.paths, held.disclosures, strict=True) if path in chosen]
    presented = held.issuer_jwt + "".join(f"{text}~" for text in texts)
    assert verify(presented, key_binding=False).claims == case["expect_verified_user_claims"]
    # Our holder shows each element whole: at least as much, and the same where nothing was left out below.
    whole = [path for path in chosen if all(held.paths[number] in chosen for number in held.needed(path))]
    shown = verify(held.select(whole), key_binding=False)
    assert set(shown.disclosed) <= set(held.paths)
    assert all(resolve(held.claims, path) for path in whole)


@pytest.mark.parametrize("case", vectors.cases("rfc9901", "negative_cases.json", "cases"))
def test_rule(case: dict[str, Any]) -> None:
    if case["role"] == "holder":
        with pytest.raises(WalletError):
            index_sd_jwt(case["token"])
    elif case["expect"].startswith("accept"):
        verified = verify(case["token"], key_binding=case["key_binding_required"])
        assert verified.claims == case["processed_payload"]
    else:
        with pytest.raises(WalletError):
            verify(case["token"], key_binding=case["key_binding_required"])
