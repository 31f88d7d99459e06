"""Each case of protocols.md section 19 for Verifier and Wallet, with the tests that show it: ours are a superset.

The section lists the negative tests of the OpenID Foundation's conformance suite. What had no test stands below.
"""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.verifier import SimulatedVerifier
from tests.support.presentations import CLAIMS, NOW, query, world
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.request import parse_request_members

TESTS = Path(__file__).parents[2]
WORLD = world()
HELD = WORLD.held()
NEGATIVE, OPENID4VP, E2E = "protocol/negative", "protocol/openid4vp", "e2e"
REQUESTS = f"{OPENID4VP}/test_wallet.py::test_a_request_that_breaks_a_rule_is_refused_and_nothing_is_posted"
LINKS = f"{OPENID4VP}/test_wallet.py::test_a_link_that_breaks_a_rule_is_refused_and_nothing_is_fetched"
PROOFS = f"{E2E}/test_presentation_attacks.py::test_a_proof_for_something_else"
DC_API = f"{NEGATIVE}/test_dc_api.py"
PARAMETERS = f"{NEGATIVE}/test_authorization_request.py"

VERIFIER = {
    "bad credential signature": f"{OPENID4VP}/test_validation.py::test_a_changed_signature",
    "KB aud wrong": PROOFS,
    "KB nonce wrong": PROOFS,
    "KB signature wrong": f"{OPENID4VP}/test_validation.py::test_a_proof_made_for_something_else",
    "KB sd_hash wrong": f"{OPENID4VP}/test_validation.py::test_a_disclosure_removed_after_signing",
    "KB iat one year off in both directions": PROOFS,
    "wrong session transcript": f"{OPENID4VP}/test_mdoc.py::test_an_answer_to_another_request",
    "minimal cnf.jwk accepted": f"{NEGATIVE}/test_section_19.py::test_a_minimal_confirmation_key_is_enough",
    "request_uri fetched twice": f"{E2E}/test_presentation_attacks.py::test_fetched_twice_it_is_the_same_request",
    "request_uri POST": f"{E2E}/test_wallet_metadata.py::test_a_wallet_gets_its_request_encrypted",
    "response 200 + JSON": f"{E2E}/test_presentation_sessions.py::test_what_the_wallet_is_told",
    "HAIP redirect_uri present": f"{E2E}/test_presentation_sessions.py::test_what_the_wallet_is_told",
}
WALLET = {
    "unknown prefix": LINKS,
    "bad request signature": REQUESTS,
    "client_id mismatch": REQUESTS,
    "missing nonce": REQUESTS,
    "redirect_uri with direct_post": REQUESTS,
    "required non-matching credential": f"{NEGATIVE}/test_section_19.py::test_a_required_credential_that_is_not_there",
    "optional non-matching credential set": f"{NEGATIVE}/test_section_19.py::test_an_optional_set_that_nothing_answers",
    "no claims, no disclosures": f"{NEGATIVE}/test_section_19.py::test_only_what_was_asked_for_is_disclosed",
    "fewer claims than available": f"{NEGATIVE}/test_section_19.py::test_only_what_was_asked_for_is_disclosed",
    "unusable encryption keys ignored": f"{PARAMETERS}::test_a_key_that_cannot_be_used_is_passed_over",
    "unknown transaction_data type": f"{OPENID4VP}/test_transaction_data.py::test_one_unknown_type_refuses_all",
    "wrong expected_origins": f"{DC_API}::test_a_request_that_breaks_a_rule_is_refused",
    "multisigned with one bad signature accepted": f"{DC_API}::test_one_signature_that_is_trusted_is_enough",
    "mismatching iss ignored": f"{PARAMETERS}::test_what_is_not_known_is_ignored_and_a_long_nonce_is_taken",
    "unknown request parameter ignored": f"{PARAMETERS}::test_what_is_not_known_is_ignored_and_a_long_nonce_is_taken",
    "long nonce and state": f"{PARAMETERS}::test_what_is_not_known_is_ignored_and_a_long_nonce_is_taken",
    "encryption key without use": f"{PARAMETERS}::test_a_key_without_use_can_be_used",
}


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(
    "shown_by", [pytest.param(test, id=case) for table in (VERIFIER, WALLET) for case, test in table.items()]
)
def test_every_case_has_its_test(shown_by: str) -> None:
    file, _, name = shown_by.partition("::")
    assert name in names_in(file)


def answered(dcql: dict[str, Any], held: Any = HELD) -> dict[str, list[str]]:
    """What the wallet sends where the person agrees to what is needed."""
    verifier = SimulatedVerifier(WORLD, WORLD.request(dcql))
    arguments = {"anchors": WORLD.anchors, "now": NOW, "wallet_nonce": "w-0123456789"}
    resolved = verifier.run(wallet.resolve_request(verifier.link, **arguments))
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", held)]))
    pending = wallet.create_presentation(resolved, approved, {"card": held}, now=NOW)
    signatures = [WORLD.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]
    verifier.run(wallet.send_response(pending, signatures))
    vp_token: dict[str, list[str]] = dict(verifier.received().vp_token)
    return vp_token


def absent(query_id: str) -> dict[str, Any]:
    return {"id": query_id, "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:example:nobody-has-it"]}}


def test_a_required_credential_that_is_not_there() -> None:
    dcql = {"credentials": [*query(("name",))["credentials"], absent("other")]}
    candidates = [sd_jwt_candidate("card", HELD)]
    assert not match(parse_request_members(WORLD.request(dcql).to_json()).dcql_query, candidates).satisfiable


@pytest.mark.clause("vp-8.1-only-matched")
def test_an_optional_set_that_nothing_answers() -> None:
    """The VP Token has no entry, not even an empty one, for what the wallet does not have (8.1)."""
    sets = [{"options": [["licence"]]}, {"options": [["other"]], "required": False}]
    dcql = {"credentials": [*query(("name",))["credentials"], absent("other")], "credential_sets": sets}
    assert list(answered(dcql)) == ["licence"]


@pytest.mark.parametrize(("claims", "disclosed"), [((), set()), ((("name",),), {"name"})])
def test_only_what_was_asked_for_is_disclosed(claims: Any, disclosed: set[str]) -> None:
    (text,) = answered(query(*claims))["licence"]
    shown = index_sd_jwt(text.rpartition("~")[0] + "~").claims
    assert {name for name in CLAIMS if name in shown} - {"country"} - {"classes"} == disclosed
    assert shown["country"] == CLAIMS["country"]
    assert shown.get("classes", []) == []


def test_a_minimal_confirmation_key_is_enough() -> None:
    jwk = HELD.claims["cnf"]["jwk"]  # type: ignore[index,call-overload]
    assert set(jwk) == {"kty", "crv", "x", "y"}
    assert answered(query(("name",)))


@pytest.mark.clause("vp-8.3-default-enc", "haip-5-prefers-a256gcm")
def test_which_content_encryption_is_used() -> None:
    members = json.loads(json.dumps(WORLD.request().to_json()))
    both = parse_request_members(members).encryption
    assert both is not None
    assert both.enc == "A256GCM"
    del members["client_metadata"]["encrypted_response_enc_values_supported"]
    unsaid = parse_request_members(members).encryption
    assert unsaid is not None
    assert unsaid.enc_values == ("A128GCM",)
