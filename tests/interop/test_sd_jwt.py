"""SD-JWT both ways with PyPI ``sd-jwt``: what one issues or presents, the other verifies, with the same result.

In JSON (RFC 9901 section 8) with npm ``@sd-jwt/core``: that of PyPI writes the form of an old draft.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from tests.interop.conftest import NodePeer
from tests.support import peers
from tests.support.sd_jwt import AUDIENCE, HOLDER, ISSUER, NONCE
from wallet_core.adapters.clock import SystemClock
from wallet_core.encoding import strict_json
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.issuer import create_sd_jwt
from wallet_core.formats.sd_jwt.json_serialization import flattened_json, parse_sd_jwt_json
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk

NOW: datetime = SystemClock().now()
THEIR_ISSUER, THEIR_HOLDER = peers.peer_key(ISSUER), peers.peer_key(HOLDER)
PUBLIC = peers.peer_public_key(ISSUER)
CLAIMS = {
    "iss": "https://issuer.example",
    "family_name": "시험",
    "address": {"region": "서울특별시", "street_address": "시험로 1", "lines": ["가", "나"]},
    "list": ["a", {"b": 1, "c": [True, None, 1.5]}, "d"],
}


@dataclass(frozen=True)
class Case:
    """What is hidden, what is shown in our words and in theirs, and what comes out."""

    paths: list[Any]
    shown: list[ConcretePath]
    marks: peers.Marks
    expected: dict[str, Any] = field(default_factory=dict)


CASES = {
    "flat": Case(
        [("family_name",), ("address",), ("list",)],
        [("family_name",)],
        {"family_name": True},
        {"iss": CLAIMS["iss"], "family_name": "시험"},
    ),
    "structured": Case(
        [("address", "region"), ("address", "street_address"), ("list", 1, "b")],
        [("address", "region"), ("list", 1, "b")],
        {"address": {"region": True}, "list": [None, {"b": True}, None]},
        {**CLAIMS, "address": {"region": "서울특별시", "lines": ["가", "나"]}},
    ),
    "elements": Case(
        [("list", 0), ("list", 1), ("address", "lines", 1)],
        [("list", 1)],
        {"list": [False, True, None]},
        {**CLAIMS, "list": [CLAIMS["list"][1], "d"], "address": {**CLAIMS["address"], "lines": ["가"]}},  # type: ignore[dict-item]
    ),
    "recursive": Case(
        [("address",), ("address", "region"), ("address", "lines"), ("address", "lines", 0)],
        [("address", "lines", 0)],
        {"address": {"lines": [True]}},
        {**CLAIMS, "address": {"street_address": "시험로 1", "lines": ["가", "나"]}},
    ),
    "nothing hidden": Case([], [], {}, CLAIMS),
}


def ours(case: Case, decoys: int) -> str:
    return create_sd_jwt(
        claims={**CLAIMS, "cnf": {"jwk": public_jwk(HOLDER.public_key)}},
        selectively_disclosable=case.paths,
        encoded_header=jws.encode_header({"alg": "ES256", "typ": "example+sd-jwt"}),
        signer=ISSUER,
        random=os.urandom,
        decoys=decoys,
    )


def theirs(case: Case, decoys: int) -> str:
    return peers.peer_issue(peers.mark(CLAIMS, case.paths), THEIR_ISSUER, THEIR_HOLDER, decoys=bool(decoys))


def present(text: str, case: Case) -> str:
    to_sign = create_key_binding(
        index_sd_jwt(text),
        case.shown,
        audience=AUDIENCE,
        nonce=NONCE,
        issued_at=SystemClock().now(),
        algorithm=HOLDER.algorithm,
    )
    return to_sign.attach(HOLDER.sign(to_sign.signing_input))


def present_theirs(text: str, case: Case) -> str:
    return peers.peer_present(text, case.marks, audience=AUDIENCE, nonce=NONCE, holder=THEIR_HOLDER)


def verify(text: str) -> dict[str, Any]:
    verified = verify_sd_jwt_kb(
        parse_sd_jwt(text),
        issuer_key=ISSUER.public_key,
        audience=AUDIENCE,
        nonce=NONCE,
        now=SystemClock().now(),
    )
    return without_key(verified.claims)


def verify_theirs(text: str) -> dict[str, Any]:
    return without_key(peers.peer_verify(text, PUBLIC, audience=AUDIENCE, nonce=NONCE))


def without_key(claims: dict[str, Any]) -> dict[str, Any]:
    assert claims["cnf"]["jwk"]["x"] == public_jwk(HOLDER.public_key)["x"]
    return {name: value for name, value in claims.items() if name != "cnf"}


@pytest.mark.parametrize("decoys", [0, 3])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verifier", [verify, verify_theirs])
@pytest.mark.parametrize("holder", [present, present_theirs])
@pytest.mark.parametrize("issuer", [ours, theirs])
def test_one_issues_another_presents_another_verifies(
    issuer: Any, holder: Any, verifier: Any, name: str, decoys: int
) -> None:
    case = CASES[name]
    assert verifier(holder(issuer(case, decoys), case)) == case.expected


@pytest.mark.parametrize("name", CASES)
def test_everything_disclosed_without_key_binding(name: str) -> None:
    case = CASES[name]
    assert without_key(peers.peer_verify(ours(case, 2), PUBLIC)) == CLAIMS
    verified = verify_sd_jwt(parse_sd_jwt(theirs(case, 2)), issuer_key=ISSUER.public_key, now=NOW)
    assert without_key(verified.claims) == CLAIMS


def test_a_presentation_in_json(node: NodePeer) -> None:
    case = CASES["structured"]
    presentation = present(ours(case, 2), case)
    written, read = node(
        "formats",
        {"task": "writeSdJwtJson", "presentation": presentation},
        {"task": "readSdJwtJson", "json": flattened_json(presentation)},
    )
    assert read == presentation
    assert written["flattened"] == flattened_json(presentation)
    assert len(written["general"]["signatures"]) == 2
    for form in written.values():
        assert parse_sd_jwt_json(strict_json.dumps(form)) == parse_sd_jwt(presentation)
