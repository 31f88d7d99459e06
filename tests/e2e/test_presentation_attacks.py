"""Answers that must be refused, each with its status and code, and what is stored of the refusal."""

import asyncio
import io
import json
import threading
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event

from tests.simulators import run_flow
from tests.support.presentations import CLAIMS, NOW, Agency, new_ca
from tests.support.verifying import BACK, FORM, HOST, PARTY, VerifierUnderTest, response_code
from verifier.presentations.use_cases.requests import start_check
from wallet_core.adapters import log
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import PeerRefusal, WalletError
from wallet_core.formats.sd_jwt.holder import HeldSdJwt, create_key_binding, index_sd_jwt
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.response import create_error_response, create_response


def refused(answer, code="invalid_request", status=400):
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"


def failed_step(verifier, made):
    result = verifier.result(made["id"])
    assert result["state"] == "refused"
    assert result["credentials"] is None
    return [check["step"] for check in result["checks"] if check["ok"] is False]


def test_a_second_answer_is_refused(verifier: VerifierUnderTest) -> None:
    made = verifier.ask()
    resolved = verifier.resolve(made["authorization_request"])
    vp_token = verifier.vp_token(verifier.prepare(resolved))
    assert verifier.post(resolved, vp_token).status_code == 200
    refused(verifier.post(resolved, vp_token), status=409)
    # M24: after an answer was accepted the request is gone too.
    refused(verifier.client.get(made["request_uri"]), status=409)
    assert verifier.result(made["id"])["state"] == "verified"


def test_an_answer_replayed_to_another_request(verifier: VerifierUnderTest) -> None:
    first, second = verifier.ask(), verifier.ask()
    captured = verifier.vp_token(verifier.prepare(verifier.resolve(first["authorization_request"])))
    refused(verifier.post(verifier.resolve(second["authorization_request"]), captured))
    assert failed_step(verifier, second) == [6]


def test_two_simultaneous_answers_one_wins(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(response_mode="direct_post")
    resolved = verifier.resolve(made["authorization_request"])
    body = create_response(resolved.request, verifier.vp_token(verifier.prepare(resolved)))
    barrier, statuses = threading.Barrier(4), []

    def post() -> None:
        barrier.wait()
        statuses.append(verifier.client.post(resolved.request.response_uri, data=body).status_code)

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409, 409]


def test_answers_of_one_turn_are_looked_up_and_stored_together(verifier: VerifierUnderTest) -> None:
    """On one event loop: one answer twice, one to another request, one to none, and both sides of a page."""
    twice, other = verifier.ask(), verifier.ask()
    page = start_check(
        verifier.verifier.presentations,
        verifier.verifier.party(PARTY),
        "adult-check",
        session_digest=b"s" * 32,
        return_uri=f"{HOST}/back",
    )
    adult = verifier.world.held(claims={"adult_by_year": True}, selectively_disclosable=[("adult_by_year",)])
    # The first one lets the verifier fetch the status list, which the others then need not wait for.
    verifier.present(verifier.ask()["authorization_request"])
    posts = [
        *[answer_to(verifier, twice["authorization_request"])] * 2,
        answer_to(verifier, other["authorization_request"]),
        (f"{HOST}/openid4vp/responses/nobody-asked", {"vp_token": "{}"}),
        answer_to(verifier, page.qr.authorization_request, adult),
        answer_to(verifier, page.link.authorization_request, adult),
    ]
    statements: list[str] = []
    event.listen(verifier.verifier.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert asyncio.run(posted_together(verifier, posts)) == [200, 409, 200, 404, 200, 409]
    assert len([each for each in statements if "json_each" in each or "ANY (" in each]) == 1
    assert [verifier.result(made["id"])["state"] for made in (twice, other)] == ["verified", "verified"]


def answer_to(verifier: VerifierUnderTest, link: str, held: HeldSdJwt | None = None) -> tuple[str, dict[str, str]]:
    """Where an answer goes, and its fields."""
    resolved = verifier.resolve(link)
    fields = create_response(resolved.request, verifier.vp_token(verifier.prepare(resolved, held)))
    return str(resolved.request.response_uri), fields


async def posted_together(verifier: VerifierUnderTest, posts: list[tuple[str, dict[str, str]]]) -> list[int]:
    """Return the statuses of posts that are under way at the same time."""
    async with AsyncClient(transport=ASGITransport(verifier.app)) as client:
        answers = await asyncio.gather(*[client.post(url, data=fields) for url, fields in posts])
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"nonce": "n-of-somebody-else"}, 6),
        ({"audience": "x509_hash:of-somebody-else"}, 6),
        ({"issued_at": NOW - timedelta(days=365)}, 6),
        ({"issued_at": NOW + timedelta(days=365)}, 6),
    ],
)
def test_a_proof_for_something_else(sqlite_verifier: VerifierUnderTest, changes, step) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    unsigned = create_key_binding(
        sqlite_verifier.held,
        [("name",), ("age_over_19",)],
        **{
            "audience": resolved.request.client_id.full,
            "nonce": resolved.request.nonce,
            "issued_at": NOW,
            "algorithm": SignatureAlgorithm.ES256,
            **changes,
        },
    )
    text = unsigned.attach(sqlite_verifier.world.holder.sign(unsigned.signing_input))
    refused(sqlite_verifier.post(resolved, {"licence": [text]}))
    assert failed_step(sqlite_verifier, made) == [step]


def changed_claim(text):
    parts = text.split("~")
    salt, name, _ = strict_json.loads(base64url.decode(parts[1]))
    parts[1] = base64url.encode(strict_json.dumps([salt, name, "다른 사람"]))
    return "~".join(parts)


def without_disclosure(text):
    parts = text.split("~")
    return "~".join([parts[0], *parts[2:]])


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (changed_claim, 4),
        (without_disclosure, 6),
        (lambda text: text.rpartition("~")[0] + "~", 6),
        (lambda text: "x" + text, 1),
    ],
)
def test_a_changed_presentation(sqlite_verifier: VerifierUnderTest, change, step) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    refused(sqlite_verifier.post(resolved, {"licence": [change(vp_token["licence"][0])]}))
    assert failed_step(sqlite_verifier, made) == [step]


def test_an_untrusted_issuer(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    stranger = Agency(new_ca("모르는 인증기관"), now=NOW)
    held = index_sd_jwt(stranger.issue(sqlite_verifier.world.holder))
    with pytest.raises(PeerRefusal) as caught:
        sqlite_verifier.present(made["authorization_request"], held)
    assert (caught.value.status, caught.value.error) == (400, "invalid_request")
    assert failed_step(sqlite_verifier, made) == [2]


def test_an_expired_credential(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    held = sqlite_verifier.world.held(issued_at=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=1))
    with pytest.raises(PeerRefusal):
        sqlite_verifier.present(made["authorization_request"], held)
    assert failed_step(sqlite_verifier, made) == [5]


def test_more_than_was_asked_for(sqlite_verifier: VerifierUnderTest) -> None:
    asked, more = sqlite_verifier.ask(("age_over_19",)), sqlite_verifier.ask(("age_over_19",), ("name",))
    generous = sqlite_verifier.prepare(sqlite_verifier.resolve(more["authorization_request"]))
    resolved = sqlite_verifier.resolve(asked["authorization_request"])
    unsigned = create_key_binding(
        sqlite_verifier.held,
        [("age_over_19",), ("name",)],
        audience=resolved.request.client_id.full,
        nonce=resolved.request.nonce,
        issued_at=NOW,
        algorithm=SignatureAlgorithm.ES256,
    )
    text = unsigned.attach(sqlite_verifier.world.holder.sign(unsigned.signing_input))
    assert generous.items[0].sd_jwt.count("~") == text.count("~")
    refused(sqlite_verifier.post(resolved, {"licence": [text]}))
    assert failed_step(sqlite_verifier, asked) == [8]


# --- what cannot be read changes nothing ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"vp_token=%7B%7D", 400),
        (b"vp_token=%5B%5D&state=x", 400),
        (b'vp_token={"licence":"text"}&state=x', 400),
        (b'vp_token={"licence":[]}&state=x', 400),
        (b'vp_token={"a":["x"],"a":["y"]}&state=x', 400),
        (b"vp_token=" + b"[" * 200, 400),
        (b"vp_token=%FF", 400),
        (b"error=access_denied&state=other", 400),
        (b"state=x&state=y", 400),
        (b"response=a.b.c", 400),
        (b"response=" + b"A" * 300_000, 400),
        (b"response=" + b"A" * 600_000, 413),
        (b"response=eyJhbGciOiJub25lIn0....", 400),
        (bytes(range(256)), 400),
    ],
)
def test_what_cannot_be_read_changes_nothing(sqlite_verifier: VerifierUnderTest, body, status) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    answer = sqlite_verifier.client.post(resolved.request.response_uri, content=body, headers=FORM)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] in {"invalid_request", "request_too_large"}
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"
    assert sqlite_verifier.present(made["authorization_request"])


def test_an_answer_in_clear_where_encryption_was_asked_for(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    body = {"vp_token": json.dumps(vp_token), "state": resolved.request.state}
    refused(sqlite_verifier.client.post(resolved.request.response_uri, data=body))
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"


def test_a_wrong_state_inside_an_encrypted_answer(sqlite_verifier: VerifierUnderTest) -> None:
    from dataclasses import replace

    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    for state in ("other", None):
        body = create_response(replace(resolved.request, state=state), vp_token)
        refused(sqlite_verifier.client.post(resolved.request.response_uri, data=body))
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"


def test_another_media_type(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    address = made["request_uri"].replace("requests", "responses")
    refused(sqlite_verifier.client.post(address, json={"vp_token": {}}))


@pytest.mark.parametrize("place", ["requests", "responses"])
def test_an_address_of_nobody(sqlite_verifier: VerifierUnderTest, place) -> None:
    address = f"{HOST}/openid4vp/{place}/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    refused(sqlite_verifier.client.post(address, data={"wallet_nonce": "x"}), "not_found", 404)


def test_a_request_in_a_link_is_at_no_address(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(client_id_prefix="redirect_uri")
    assert made["request_uri"] is None
    state = sqlite_verifier.resolve(made["authorization_request"]).request.state
    refused(sqlite_verifier.client.get(f"{HOST}/openid4vp/requests/{state}"), "not_found", 404)


# --- time -------------------------------------------------------------------------------------------------------------
def test_nothing_is_answered_late(verifier: VerifierUnderTest) -> None:
    made = verifier.ask()
    resolved = verifier.resolve(made["authorization_request"])
    vp_token = verifier.vp_token(verifier.prepare(resolved))
    verifier.clock.advance(300)
    refused(verifier.post(resolved, vp_token))
    refused(verifier.client.get(made["request_uri"]))
    assert verifier.result(made["id"])["state"] == "expired"


# --- the request itself -----------------------------------------------------------------------------------------------
def test_fetched_twice_it_is_the_same_request(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(request_uri_method="post")
    first, second = verifier.resolve(made["authorization_request"]), verifier.resolve(made["authorization_request"])
    assert first == second
    # M24: loose metadata and no wallet_nonce is answered like GET; a nonce of ours is never invented.
    answer = verifier.client.post(made["request_uri"], data={"vp_formats_supported": "{}", "unknown": "1"})
    assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
    assert answer.headers["cache-control"] == "no-store"
    claims = strict_json.loads_object(base64url.decode(answer.text.split(".")[1]))
    assert "wallet_nonce" not in claims
    assert claims["aud"] == "https://self-issued.me/v2"
    assert 16 <= len(claims["nonce"]) <= 43
    # A body without parameters has no type in many HTTP libraries.
    assert verifier.client.post(made["request_uri"]).headers["content-type"] == "application/oauth-authz-req+jwt"
    refused(verifier.client.post(made["request_uri"], data={"wallet_nonce": "n" * 600}))


def test_the_link_holds_nothing_but_the_reference(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(request_uri_method="post")
    link = made["authorization_request"]
    names = [pair.partition("=")[0] for pair in link.partition("?")[2].split("&")]
    assert names == ["client_id", "request_uri", "request_uri_method"]
    assert made["id"] not in link


def test_wallets_in_a_browser_may_call(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    answer = sqlite_verifier.client.get(made["request_uri"], headers={"Origin": "https://wallet.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


# --- saying no --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
def test_a_wallet_that_says_no(verifier: VerifierUnderTest, mode) -> None:
    made = verifier.ask(response_mode=mode, flow="same_device", redirect_uri=BACK)
    sent = run_flow(wallet.decline(verifier.resolve(made["authorization_request"])), verifier.send)
    # M25: the person comes back in this case too.
    assert sent.redirect_uri.startswith(f"{BACK}?response_code=")
    result = verifier.result(made["id"])
    assert (result["state"], result["error"], result["checks"]) == ("refused", "access_denied", [])


def test_an_error_in_clear_is_accepted_even_if_encryption_was_asked_for(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    body = {"error": "wallet_unavailable", "state": resolved.request.state}
    assert sqlite_verifier.client.post(resolved.request.response_uri, data=body).status_code == 200
    assert sqlite_verifier.result(made["id"])["error"] == "wallet_unavailable"
    assert create_error_response(resolved.request, "access_denied").keys() == {"response"}


# --- same device: codes, stolen QR codes ------------------------------------------------------------------------------
def test_wrong_codes_are_counted_and_then_it_is_over(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    code = response_code(verifier.present(made["authorization_request"]).redirect_uri)
    for _ in range(5):
        answer = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": "guess"})
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    late = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": code})
    assert late.status_code == 409
    assert verifier.result(made["id"])["state"] == "refused"


def test_a_code_is_good_for_its_own_presentation_and_party_only(sqlite_verifier: VerifierUnderTest) -> None:
    first = sqlite_verifier.ask(flow="same_device", redirect_uri=BACK)
    second = sqlite_verifier.ask(flow="same_device", redirect_uri=f"{BACK}#")
    code = response_code(sqlite_verifier.present(first["authorization_request"]).redirect_uri)
    sent = sqlite_verifier.present(second["authorization_request"]).redirect_uri
    assert sent.startswith(f"{BACK}#response_code=")
    body = {"response_code": code}
    assert sqlite_verifier.api("POST", f"/{second['id']}/redeem", json=body).status_code == 404
    other = sqlite_verifier.api("POST", f"/{first['id']}/redeem", json=body, party="dodam-bank")
    assert other.status_code == 404
    assert sqlite_verifier.api("POST", f"/{first['id']}/redeem", json=body).status_code == 200


def test_an_answer_that_never_came_back_expires_with_its_claims(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    code = response_code(verifier.present(made["authorization_request"]).redirect_uri)
    verifier.clock.advance(300)
    assert verifier.result(made["id"])["state"] == "expired"
    late = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": code})
    assert late.status_code == 404
    assert "홍시험" not in json.dumps(verifier.result(made["id"]))


# --- logs -------------------------------------------------------------------------------------------------------------
def test_nothing_personal_is_logged(sqlite_verifier: VerifierUnderTest) -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    good, bad = sqlite_verifier.ask(flow="same_device", redirect_uri=BACK), sqlite_verifier.ask()
    sent = sqlite_verifier.present(good["authorization_request"])
    resolved = sqlite_verifier.resolve(bad["authorization_request"])
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    sqlite_verifier.post(resolved, {"licence": [changed_claim(vp_token["licence"][0])]})
    logged = stream.getvalue()
    assert '"step":4' in logged
    secrets = [CLAIMS["name"], "다른 사람", vp_token["licence"][0].split("~")[1], response_code(sent.redirect_uri)]
    assert not [secret for secret in secrets if secret in logged]


def test_the_database_holds_no_claim_in_clear(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    sqlite_verifier.present(made["authorization_request"])
    with sqlite_verifier.verifier.database.reader() as unit:
        rows = unit.connection.exec_driver_sql("SELECT * FROM verifier_presentation").all()
    assert CLAIMS["name"] not in repr(rows)
    assert CLAIMS["name"].encode() not in repr(rows).encode()
    assert all(row.sealed_key is None for row in rows)


def test_a_wallet_error_is_what_leaves_the_flow(sqlite_verifier: VerifierUnderTest) -> None:
    with pytest.raises(WalletError):
        sqlite_verifier.resolve("openid4vp://?client_id=x509_hash:a&request_uri=" + HOST + "/openid4vp/requests/none")
