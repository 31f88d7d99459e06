"""Asking over the Digital Credentials API by our own API: every protocol, every refusal; the wallet is our core."""

import html as html_module
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.e2e.test_mdoc_presentation import Scene, new_scene
from tests.e2e.test_verifier_console import Staff, opened
from tests.support.dc_api import ORIGIN, PlatformWallet, requests_of
from tests.support.mdoc_presentations import NAME, mdoc_query
from tests.support.presentations import query
from tests.support.simultaneous import at_once
from tests.support.transactions import transaction, transaction_types
from tests.support.verifying import HOST
from wallet_core.encoding import base64url
from wallet_core.errors import InvalidTransactionData
from wallet_core.protocols.iso18013.reader_auth import VerifiedReader
from wallet_core.protocols.openid4vp.dc_api_wallet import resolve_dc_api_request

SIGNED, UNSIGNED = "openid4vp-v1-signed", "openid4vp-v1-unsigned"
MULTISIGNED, ISO = "openid4vp-v1-multisigned", "org-iso-mdoc"
ALL = [SIGNED, UNSIGNED, MULTISIGNED, ISO]
ASKED = mdoc_query({"path": list(NAME), "intent_to_retain": True})


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    made = new_scene(tmp_path, database_url)
    yield made
    made.under_test.verifier.database.close()


@pytest.fixture
def sqlite_scene(tmp_path: Path) -> Iterator[Scene]:
    made = new_scene(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield made
    made.under_test.verifier.database.close()


def wallet_of(scene: Scene) -> PlatformWallet:
    under_test = scene.under_test
    cards = {"licence": under_test.held, "mdl": scene.held()}
    return PlatformWallet(under_test.world.anchors, under_test.world.holder, under_test.clock.now(), cards)


def ask(scene: Scene, **members: Any) -> dict[str, Any]:
    body = {"response_mode": "dc_api.jwt", "expected_origins": [ORIGIN], **members}
    return scene.under_test.ask(**body)


def give(scene: Scene, made: dict[str, Any], credential: dict[str, Any], origin: str = ORIGIN, **options: Any) -> Any:
    return scene.under_test.api(
        "POST", f"/{made['id']}/dc-api-response", json={**credential, "origin": origin}, **options
    )


def failed(scene: Scene, made: dict[str, Any]) -> list[int]:
    return [check["step"] for check in scene.under_test.result(made["id"])["checks"] if check["ok"] is False]


@pytest.mark.clause("dcapi-A.4-audience", "dcapi-B.2.6.2-handover", "dcapi-C.5-reader", "dcapi-C.4-info")
@pytest.mark.parametrize("mode", ["dc_api", "dc_api.jwt"])
@pytest.mark.parametrize("dcql", [query(("name",)), ASKED], ids=["sd-jwt", "mdoc"])
def test_every_protocol_brings_the_claims(sqlite_scene: Scene, mode: str, dcql: dict[str, Any]) -> None:
    protocols = ALL if dcql is ASKED else ALL[:3]
    for protocol in protocols:
        made = ask(sqlite_scene, dcql_query=dcql, response_mode=mode, dc_api_protocols=protocols)
        assert (made["authorization_request"], made["request_uri"], made["qr_svg"]) == (None, None, None)
        assert list(requests_of(made)) == protocols
        credential = wallet_of(sqlite_scene).answer(protocol, requests_of(made)[protocol])
        encrypted = mode == "dc_api.jwt" or protocol == ISO
        assert list(credential["data"]) == (["response"] if encrypted else ["vp_token"])
        answer = give(sqlite_scene, made, json.loads(json.dumps(credential)))
        assert answer.status_code == 200, answer.text
        assert answer.json() == sqlite_scene.under_test.result(made["id"])
        assert answer.json()["state"] == "verified"
        [[shown]] = answer.json()["credentials"].values()
        assert shown["claims"] in ({"name": "홍시험"}, {NAME[0]: {"family_name": "SIHEOM"}})
        assert all(check["ok"] for check in answer.json()["checks"])


@pytest.mark.clause("dcapi-5.2-fresh-nonce")
def test_what_fits_is_offered_and_everything_is_fresh(sqlite_scene: Scene) -> None:
    first, second = (ask(sqlite_scene, dcql_query=ASKED) for _ in range(2))
    assert list(requests_of(first)) == [SIGNED, UNSIGNED, ISO]
    assert list(requests_of(ask(sqlite_scene, dcql_query=query(("name",))))) == [SIGNED, UNSIGNED]
    # Reader authentication is over one origin.
    assert list(requests_of(ask(sqlite_scene, dcql_query=ASKED, expected_origins=[ORIGIN, HOST]))) == [SIGNED, UNSIGNED]
    plain = [requests_of(made)[UNSIGNED] for made in (first, second)]
    assert plain[0]["nonce"] != plain[1]["nonce"]
    keys = [each["client_metadata"]["jwks"]["keys"][0]["x"] for each in plain]
    infos = [requests_of(made)[ISO]["encryptionInfo"] for made in (first, second)]
    assert len({*keys, *infos}) == 4
    # No key serves two schemes of encryption.
    assert base64url.decode(keys[0]) not in base64url.decode(infos[0])
    assert {"client_id", "expected_origins", "state", "response_uri"}.isdisjoint(plain[0])


def test_the_iso_request_says_who_asks_and_what_is_kept(sqlite_scene: Scene) -> None:
    wallet = wallet_of(sqlite_scene)
    wallet.answer(ISO, requests_of(ask(sqlite_scene, dcql_query=ASKED))[ISO])
    (document,) = wallet.seen[0].asked
    assert isinstance(document.reader, VerifiedReader)
    assert document.name_spaces == {NAME[0]: {NAME[1]: True}}
    wallet.answer(ISO, requests_of(ask(sqlite_scene, dcql_query=mdoc_query(NAME)))[ISO])
    assert wallet.seen[1].asked[0].name_spaces == {NAME[0]: {NAME[1]: False}}


UNMET: list[dict[str, Any]] = [
    {"expected_origins": []},
    {"expected_origins": [f"https://shop{number}.example" for number in range(17)]},
    {"expected_origins": ["https://shop.example/"]},
    {"expected_origins": ["http://shop.example"]},
    {"response_mode": "direct_post.jwt"},
    {"expected_origins": None},
    {"dc_api_protocols": []},
    {"dc_api_protocols": [SIGNED, SIGNED]},
    {"dc_api_protocols": ["openid4vp"]},
    {"dc_api_protocols": [ISO]},
    {"dcql_query": ASKED, "dc_api_protocols": [ISO], "expected_origins": [ORIGIN, "https://b.example"]},
    {"dcql_query": mdoc_query(), "dc_api_protocols": [ISO]},
    {"dcql_query": mdoc_query(NAME, multiple=True), "dc_api_protocols": [ISO]},
    {"client_id_prefix": "redirect_uri"},
    {"redirect_uri": "https://shop.example/back"},
    {"flow": "same_device", "redirect_uri": "https://shop.example/back"},
]


@pytest.mark.clause("dcapi-A.2-own-origins-there", "dcapi-C.2-one-document", "dcapi-A.1-no-way-back")
def test_an_order_that_cannot_be_met(sqlite_scene: Scene) -> None:
    for members in UNMET:
        body = {"response_mode": "dc_api.jwt", "expected_origins": [ORIGIN], "dcql_query": query(("name",)), **members}
        answer = sqlite_scene.under_test.api("POST", json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), (members, answer.text)


@pytest.mark.clause("dcapi-A.2-answer-origin", "dcapi-A.1-answer-protocol")
def test_a_mistake_of_the_caller_loses_nothing(sqlite_scene: Scene) -> None:
    made = ask(sqlite_scene, dcql_query=query(("name",)))
    credential = wallet_of(sqlite_scene).answer(SIGNED, requests_of(made)[SIGNED])
    for wrong, origin in (
        (credential, "https://evil.example"),
        (credential, f"{ORIGIN}/"),
        (credential, ""),
        ({**credential, "protocol": MULTISIGNED}, ORIGIN),
        ({**credential, "protocol": "openid4vp"}, ORIGIN),
        ({**credential, "data": {}}, ORIGIN),
        ({**credential, "data": {"vp_token": {"licence": ["a~"]}}}, ORIGIN),
        ({**credential, "data": {"response": 1}}, ORIGIN),
        ({**credential, "data": []}, ORIGIN),
        ({"protocol": SIGNED}, ORIGIN),
    ):
        answer = give(sqlite_scene, made, wrong, origin)
        assert (answer.status_code, answer.json()["error"], answer.json()["fault"]) == (400, "invalid_request", "you")
    assert sqlite_scene.under_test.result(made["id"])["state"] == "requested"
    assert give(sqlite_scene, made, credential).json()["state"] == "verified"


def swapped(scene: Scene, made: dict[str, Any], protocol: str) -> dict[str, Any]:
    """The honest answer to another request for the same."""
    other = ask(scene, dcql_query=made["asked"], response_mode=made["mode"])
    return wallet_of(scene).answer(protocol, requests_of(other)[protocol])


def elsewhere(scene: Scene, made: dict[str, Any], protocol: str) -> dict[str, Any]:
    """The answer to this request, which a page of somebody else passed on."""
    return wallet_of(scene).answer(protocol, requests_of(made)[protocol], "https://evil.example")


LICENCE = query(("name",))
ATTACKS: dict[str, tuple[Any, str, str, Callable[..., dict[str, Any]], int]] = {
    "an SD-JWT of another request": (LICENCE, "dc_api", UNSIGNED, swapped, 6),
    "an mdoc of another request": (ASKED, "dc_api", UNSIGNED, swapped, 6),
    "encrypted to the key of another request": (LICENCE, "dc_api.jwt", UNSIGNED, swapped, 1),
    "ISO, sealed to the key of another request": (ASKED, "dc_api", ISO, swapped, 1),
    "an SD-JWT shown elsewhere": (LICENCE, "dc_api", UNSIGNED, elsewhere, 6),
    "an mdoc shown elsewhere": (ASKED, "dc_api", UNSIGNED, elsewhere, 6),
    "shown elsewhere, encrypted": (ASKED, "dc_api.jwt", UNSIGNED, elsewhere, 6),
    "ISO, shown elsewhere": (ASKED, "dc_api", ISO, elsewhere, 1),
}


@pytest.mark.clause("dcapi-A.4-audience", "dcapi-B.2.6.2-handover", "dcapi-C.4-bound")
def test_an_answer_that_is_not_for_this_call_is_refused_with_its_check(sqlite_scene: Scene) -> None:
    for attack in ATTACKS:
        refused_with_its_check(sqlite_scene, attack)


def refused_with_its_check(sqlite_scene: Scene, attack: str) -> None:
    asked, mode, protocol, make, step = ATTACKS[attack]
    made = {**ask(sqlite_scene, dcql_query=asked, response_mode=mode), "mode": mode, "asked": asked}
    answer = give(sqlite_scene, made, make(sqlite_scene, made, protocol))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["clause"]
    result = sqlite_scene.under_test.result(made["id"])
    assert (result["state"], result["credentials"]) == ("refused", None)
    assert failed(sqlite_scene, made) == [step], attack
    # A good answer comes too late now.
    good = wallet_of(sqlite_scene).answer(protocol, requests_of(made)[protocol])
    assert give(sqlite_scene, made, good).status_code == 409


@pytest.mark.clause("dcapi-8.4-transaction-data")
def test_what_is_agreed_to_is_bound_over_the_api_too(sqlite_scene: Scene) -> None:
    bill, wallet = transaction(), wallet_of(sqlite_scene)
    wallet.transaction_types = transaction_types()
    for protocol in ALL[:3]:
        made = ask(sqlite_scene, dcql_query=LICENCE, transaction_data=[bill], dc_api_protocols=[protocol])
        call = requests_of(made)[protocol]
        # Nobody is asked to agree to what the wallet cannot put into words.
        with pytest.raises(InvalidTransactionData):
            resolve_dc_api_request(protocol, call, origin=ORIGIN, anchors=wallet.anchors, now=wallet.now)
        found = give(sqlite_scene, made, wallet.answer(protocol, call)).json()
        assert found["state"] == "verified"
        assert found["transaction_data"] == [{"transaction": bill, "agreed_with": "licence"}]
    # An answer that agrees to nothing is refused at its check.
    made = ask(sqlite_scene, dcql_query=LICENCE, transaction_data=[bill], response_mode="dc_api")
    without = {**requests_of(made)[UNSIGNED]}
    del without["transaction_data"]
    assert give(sqlite_scene, made, wallet.answer(UNSIGNED, without)).status_code == 400
    assert failed(sqlite_scene, made) == [11]
    # A DeviceRequest has no place for it.
    two = {"credentials": [*LICENCE["credentials"], *ASKED["credentials"]]}
    assert ISO not in requests_of(ask(sqlite_scene, dcql_query=two, transaction_data=[bill]))


def test_an_answer_counts_once(scene: Scene) -> None:
    made = ask(scene, dcql_query=query(("name",)))
    credential = wallet_of(scene).answer(SIGNED, requests_of(made)[SIGNED])
    statuses = at_once(4, lambda: give(scene, made, credential).status_code)
    assert sorted(statuses) == [200, 409, 409, 409]


def test_a_repeat_under_one_key_gets_the_result_again(scene: Scene) -> None:
    made = ask(scene, dcql_query=query(("name",)))
    credential = wallet_of(scene).answer(SIGNED, requests_of(made)[SIGNED])
    first, again = (give(scene, made, credential, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    other = give(scene, made, {**credential, "data": {"error": "x"}}, headers={"Idempotency-Key": "one"})
    assert other.status_code == 422
    bad = ask(scene, dcql_query=query(("name",)), response_mode="dc_api")
    wrong = wallet_of(scene).answer(SIGNED, requests_of(made)[SIGNED])
    wrong = {"protocol": UNSIGNED, "data": {"vp_token": {"other": ["a~"]}}}
    refusals = [give(scene, bad, wrong, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [each.status_code for each in refusals] == [400, 400]
    assert refusals[0].json()["error_description"] == refusals[1].json()["error_description"]


def test_an_error_of_the_wallet_ends_the_request(sqlite_scene: Scene) -> None:
    made = ask(sqlite_scene, dcql_query=query(("name",)))
    answer = give(sqlite_scene, made, {"protocol": SIGNED, "data": {"error": "invalid_request"}})
    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (200, "refused", "invalid_request")
    assert answer.json()["checks"] == []


def test_time_and_strangers(sqlite_scene: Scene) -> None:
    made = ask(sqlite_scene, dcql_query=query(("name",)))
    credential = wallet_of(sqlite_scene).answer(SIGNED, requests_of(made)[SIGNED])
    assert give(sqlite_scene, made, credential, party="dodam-bank").status_code == 404
    posted = sqlite_scene.under_test.ask()
    assert give(sqlite_scene, posted, credential).status_code == 404
    sqlite_scene.under_test.clock.advance(301)
    assert give(sqlite_scene, made, credential).status_code == 400
    assert sqlite_scene.under_test.result(made["id"])["state"] == "expired"


@pytest.mark.clause("dcapi-A.2-no-response-uri")
def test_nobody_fetches_or_posts_what_goes_through_the_api(sqlite_scene: Scene) -> None:
    under_test = sqlite_scene.under_test
    made = ask(sqlite_scene, dcql_query=query(("name",)))
    # The row's own name, which the kid of the key happens to tell.
    kid = requests_of(made)[UNSIGNED]["client_metadata"]["jwks"]["keys"][0]["kid"]
    assert under_test.client.get(f"{HOST}/openid4vp/requests/{kid}").status_code == 404
    posted = under_test.client.post(f"{HOST}/openid4vp/responses/{kid}", data={"error": "access_denied", "state": kid})
    assert posted.status_code == 404
    assert under_test.result(made["id"])["state"] == "requested"


def test_a_party_signs_under_both_its_names(sqlite_scene: Scene) -> None:
    made = ask(sqlite_scene, dcql_query=query(("name",)), dc_api_protocols=[MULTISIGNED])
    headers = requests_of(made)[MULTISIGNED]["request"]["signatures"]
    names = [json.loads(base64url.decode(each["protected"]))["client_id"] for each in headers]
    assert [name.partition(":")[0] for name in names] == ["x509_hash", "x509_san_dns"]


def desk_of(scene: Scene) -> Staff:
    found = opened(scene.under_test, demo=True, wallet="https://wallet.example")
    found.sign_in()
    return found


def call_on(staff: Staff, page: str) -> dict[str, Any]:
    """What the page passes to the API."""
    found = re.search(r'data-module="dcapi" data-request="([^"]+)"', staff.get(page))
    assert found
    return {"dc_api_request": json.loads(html_module.unescape(found[1]))}


def test_the_desk_takes_an_answer_and_ends_the_requests_beside_it(sqlite_scene: Scene) -> None:
    staff = desk_of(sqlite_scene)
    page, across, _ = staff.start()
    call = requests_of(call_on(staff, page))
    assert list(call) == [SIGNED, UNSIGNED]
    credential = wallet_of(sqlite_scene).answer(SIGNED, call[SIGNED])
    answer = staff.post(f"{page}/answer", page, answer=json.dumps(credential))
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert staff.state(page) == "verified"
    staff.get(page)
    # M23: the code beside it is over.
    uri = re.search(r"request_uri=([^&]+)", across)
    assert uri
    assert sqlite_scene.under_test.client.get(unquote(uri[1])).status_code == 409
    # Brought a second time it changes nothing.
    again = sqlite_scene.under_test.api("GET", "").json()["presentations"]
    assert [each["state"] for each in again[:3]].count("verified") == 1


def test_the_desk_takes_no_good_answer_once_it_has_stopped(sqlite_scene: Scene) -> None:
    staff = desk_of(sqlite_scene)
    page, _, _ = staff.start()
    call = requests_of(call_on(staff, page))
    credential = wallet_of(sqlite_scene).answer(SIGNED, call[SIGNED])
    assert staff.post(f"{page}/stop", page).status_code == 303
    answer = staff.post(f"{page}/answer", "/console", answer=json.dumps(credential))
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert staff.state(page) == "expired"
    assert "묻기를 그만뒀어요" in staff.get(page)


def test_the_desk_keeps_its_code_when_nothing_useful_came(sqlite_scene: Scene) -> None:
    staff = desk_of(sqlite_scene)
    page, _, _ = staff.start()
    for text in ("", "no JSON", "[]", "{}", '{"protocol":"openid4vp-v1-signed","data":{}}'):
        answer = staff.post(f"{page}/answer", page, answer=text)
        assert answer.status_code in {303, 400}
    assert staff.state(page) == "requested"
    call = requests_of(call_on(staff, page))
    relayed = wallet_of(sqlite_scene).answer(UNSIGNED, call[UNSIGNED], "https://evil.example")
    assert staff.post(f"{page}/answer", page, answer=json.dumps(relayed)).status_code == 303
    assert staff.state(page) == "refused"
    assert staff.post("/console/checks/none/answer", "/console", answer="{}").status_code == 404
