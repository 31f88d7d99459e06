"""Our own API for relying parties, requests beside each other, what time does, and the commands."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.presentations import CLAIMS, query
from tests.support.simultaneous import at_once
from tests.support.transactions import BILL, DOCUMENT, transaction, transaction_types
from tests.support.verifying import BACK, HOST, PARTY, VerifierUnderTest, register, response_code, start_verifier
from verifier import cli
from verifier.app import create_app, create_worker
from verifier.console.desk import asked_by_companies
from verifier.dependencies import build_verifier
from verifier.presentations.use_cases.requests import start_check
from verifier.presentations.use_cases.results import redeem_in_browser, redeem_response_code, show_check
from verifier.relying_parties.ports import PartyId, RelyingParty
from wallet_core.catalogue import Policy, Text
from wallet_core.errors import InvalidRequest, KeyUnavailable, NotFound, StateConflict, UntrustedError
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.matching import Selection, approve, match
from wallet_core.protocols.openid4vp.presentation import REDEEM_WITHIN

OURS, OTHERS = (hashlib.sha256(name).digest() for name in (b"our session", b"another session"))


@pytest.fixture
def desk(sqlite_verifier: VerifierUnderTest):
    """A page of ours that asks with a policy, and a card that answers it."""
    party = sqlite_verifier.verifier.party(PARTY)

    def start():
        return start_check(
            sqlite_verifier.verifier.presentations, party, "adult-check", session_digest=OURS, return_uri=f"{HOST}/back"
        )

    sqlite_verifier.held = sqlite_verifier.world.held(
        claims={"adult_by_year": True, "age_over_19": True},
        selectively_disclosable=[("adult_by_year",), ("age_over_19",)],
    )
    return start


def agreed_under(policy: Policy) -> list[dict[str, Any]]:
    """What is agreed to under a policy: an example of each of its transactions."""
    found = {each.id: each for each in transaction_types().values()}
    return [{"type": found[each].type, **found[each].example} for each in policy.transactions]


# --- the API ----------------------------------------------------------------------------------------------------------
def test_a_repeated_post_gets_the_first_answer(verifier: VerifierUnderTest) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"dcql_query": query(("name",))}
    first = verifier.api("POST", json=body, headers=headers)
    second = verifier.api("POST", json=body, headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    other = verifier.api("POST", json={"dcql_query": query(("age_over_19",))}, headers=headers)
    assert other.status_code == 422
    assert verifier.api("POST", json=body, headers=headers, party="dodam-bank").json()["id"] != first.json()["id"]


def test_a_repeated_redeem_gets_the_claims_again_as_long_as_they_are_kept(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    body = {"response_code": response_code(verifier.present(made["authorization_request"]).redirect_uri)}

    def redeem(key: str, content: dict[str, str]):
        return verifier.api("POST", f"/{made['id']}/redeem", json=content, headers={"Idempotency-Key": key})

    wrong = {"response_code": "guess"}
    assert [redeem("wrong", wrong).status_code for _ in range(9)] == [404] * 9  # one try, told again
    first, again = redeem("one", body), redeem("one", body)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["credentials"]["licence"][0]["claims"]["name"] == CLAIMS["name"]
    assert redeem("one", wrong).status_code == 422
    assert redeem("two", body).status_code == 409
    # Nothing of the claims is remembered for the key: they go when the policy says.
    verifier.clock.advance(301)
    assert redeem("one", body).json()["credentials"] is None


def test_wrong_codes_under_a_key_are_counted_too(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    verifier.present(made["authorization_request"])
    for number in range(5):
        headers = {"Idempotency-Key": f"guess-{number}"}
        answer = verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": "guess"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert verifier.result(made["id"])["state"] == "refused"


def test_of_simultaneous_redeems_of_one_code_one_wins(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    body = {"response_code": response_code(verifier.present(made["authorization_request"]).redirect_uri)}
    statuses = at_once(4, lambda: verifier.api("POST", f"/{made['id']}/redeem", json=body).status_code)
    assert sorted(statuses) == [200, 409, 409, 409]


def test_of_simultaneous_posts_under_one_key_one_is_done(verifier: VerifierUnderTest) -> None:
    headers, body = {"Idempotency-Key": "one"}, {"dcql_query": query(("name",))}
    ids = at_once(4, lambda: verifier.api("POST", json=body, headers=headers).json()["id"])
    assert len(set(ids)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"policy": "adult-check", "dcql_query": query()},
        {"dcql_query": {"credentials": []}},
        {"dcql_query": {"credentials": [{"id": "m", "format": "jwt_vc_json", "meta": {"type_values": [["x"]]}}]}},
        {"dcql_query": query(), "response_mode": "dc_api.jwt"},
        {"dcql_query": query(), "expected_origins": ["https://a.example"]},
        {"dcql_query": query(), "webhook": "https://a.example/no-secret-yet"},
        {"dcql_query": query(), "webhook": "http://a.example/hook"},
        {"dcql_query": query(), "webhook": "file:///etc/passwd"},
        {"dcql_query": query(), "dc_api_protocols": ["openid4vp-v1-signed"]},
        {"dcql_query": query(), "response_mode": "fragment"},
        {"dcql_query": query(), "client_id_prefix": "did"},
        {"dcql_query": query(), "flow": "same_device"},
        {"dcql_query": query(), "flow": "same_device", "redirect_uri": "javascript:alert(1)"},
        {"dcql_query": query(), "flow": "same_device", "redirect_uri": "http://shop.example"},
        {"dcql_query": query(), "authorization_endpoint": "javascript:"},
        {"dcql_query": query(), "authorization_endpoint": "data:"},
        {"dcql_query": query(), "authorization_endpoint": "http://wallet.example/authorize"},
        {"dcql_query": query(), "unknown": 1},
        {"dcql_query": "text"},
    ],
)
def test_an_order_that_cannot_be_met_is_400_and_says_why(sqlite_verifier: VerifierUnderTest, body) -> None:
    answer = sqlite_verifier.api("POST", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["error_description"]
    assert answer.json()["fault"] == "you"
    assert answer.json()["trace_id"]


@pytest.mark.parametrize(
    "body",
    [
        {"dcql_query": query(), "transaction_data": [{"type": "payment"}]},
        {"dcql_query": query(), "transaction_data": [transaction(tip=1)]},
        {"dcql_query": query(), "transaction_data": [transaction(without=("payee",))]},
        {"dcql_query": query(), "transaction_data": [transaction(credential_ids=["other"])]},
        {"dcql_query": query(), "transaction_data": [transaction(), transaction()]},
        {
            "dcql_query": query(require_cryptographic_holder_binding=False),
            "transaction_data": [transaction(without=("credential_ids",))],
        },
        {"policy": "tax-payment"},
        {"policy": "tax-payment", "transaction_data": [transaction(DOCUMENT)]},
        {"policy": "adult-check", "transaction_data": [transaction()]},
    ],
    ids=["type", "member", "missing", "id", "twice", "no holder", "needed", "of another policy", "policy without"],
)
def test_a_transaction_that_no_wallet_could_agree_to_is_400(sqlite_verifier: VerifierUnderTest, body: Any) -> None:
    answer = sqlite_verifier.api("POST", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_transaction_data"), answer.text
    assert answer.json()["fault"] == "you"


def test_a_transaction_is_agreed_to_and_shown(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(dcql_query=query(("name",)), transaction_data=[transaction(without=("credential_ids",))])
    asked = verifier.api("GET", f"/{made['id']}").json()
    expected = {"transaction": {"credential_ids": ["licence"], **transaction()}, "agreed_with": None}
    assert asked["transaction_data"] == [expected]
    verifier.present(made["authorization_request"])
    result = verifier.api("GET", f"/{made['id']}").json()
    assert result["state"] == "verified"
    assert result["transaction_data"] == [{**expected, "agreed_with": "licence"}]
    check = result["checks"][-1]
    assert (check["step"], check["name"], check["ok"]) == (11, "transaction_data_agreed", True)


def test_in_the_same_device_flow_nothing_is_agreed_before_redeem(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(
        dcql_query=query(("name",)), transaction_data=[transaction()], flow="same_device", redirect_uri=BACK
    )
    code = response_code(sqlite_verifier.present(made["authorization_request"]).redirect_uri)
    assert sqlite_verifier.api("GET", f"/{made['id']}").json()["transaction_data"][0]["agreed_with"] is None
    redeemed = sqlite_verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": code}).json()
    assert redeemed["transaction_data"][0]["agreed_with"] == "licence"


@pytest.mark.clause("vp-8.4-agreed")
def test_an_answer_that_agrees_to_nothing_is_refused(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(dcql_query=query(("name",)), transaction_data=[transaction()])
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    forgetful = replace(resolved, request=replace(resolved.request, transaction_data=()))
    pending = sqlite_verifier.prepare(forgetful)
    answer = sqlite_verifier.post(pending.resolved, sqlite_verifier.vp_token(pending))
    assert answer.status_code == 400
    result = sqlite_verifier.api("GET", f"/{made['id']}").json()
    assert (result["state"], result["credentials"]) == ("refused", None)
    failed = [check for check in result["checks"] if check["ok"] is False]
    assert [check["name"] for check in failed] == ["transaction_data_agreed"]
    assert result["transaction_data"][0]["agreed_with"] is None


def test_unknown_things_are_404(sqlite_verifier: VerifierUnderTest) -> None:
    assert sqlite_verifier.api("POST", json={"policy": "none"}).status_code == 404
    assert sqlite_verifier.api("GET", "/nothing").status_code == 404
    made = sqlite_verifier.ask()
    assert sqlite_verifier.api("GET", f"/{made['id']}", party="dodam-bank").status_code == 404
    # The name that wallets know is not the name that relying parties use.
    state = sqlite_verifier.resolve(made["authorization_request"]).request.state
    assert sqlite_verifier.api("GET", f"/{state}").status_code == 404


def test_without_a_key_nothing_is_told(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    for path, method in [("", "POST"), ("", "GET"), (f"/{made['id']}", "GET"), (f"/{made['id']}/redeem", "POST")]:
        answer = sqlite_verifier.client.request(method, f"{HOST}/api/v1/presentations{path}", json={})
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_token"


def test_the_list_is_paged_and_has_no_claims(verifier: VerifierUnderTest) -> None:
    ids = []
    for _ in range(52):
        verifier.clock.advance(0.01)
        ids.append(verifier.ask()["id"])
    first = verifier.api("GET").json()
    assert [one["id"] for one in first["presentations"]] == ids[:1:-1]
    second = verifier.api("GET", f"?cursor={first['next_cursor']}").json()
    assert [one["id"] for one in second["presentations"]] == ids[1::-1]
    assert second["next_cursor"] is None
    searched = verifier.api("GET", "?state=requested").json()
    assert searched["presentations"] == first["presentations"]
    assert verifier.api("GET", f"?state=requested&cursor={searched['next_cursor']}").json() == second
    assert verifier.api("GET", party="dodam-bank").json()["presentations"] == []


def test_nobody_asks_as_an_agency_does_where_citizens_log_in(sqlite_verifier: VerifierUnderTest) -> None:
    answer = sqlite_verifier.api("POST", json={"policy": "issuer-login"})
    unknown = sqlite_verifier.api("POST", json={"policy": "unheard-of"})
    assert (answer.status_code, answer.json()["error_description"]) == (404, unknown.json()["error_description"])
    with pytest.raises(NotFound):
        start_check(
            sqlite_verifier.verifier.presentations,
            sqlite_verifier.verifier.party(PARTY),
            "issuer-login",
            session_digest=OURS,
            return_uri=f"{HOST}/back",
        )


def test_a_policy_is_asked_whole_in_every_format(sqlite_verifier: VerifierUnderTest) -> None:
    for policy in asked_by_companies(sqlite_verifier.verifier.catalogue.policies.values()):
        made = sqlite_verifier.ask(policy=policy.id, transaction_data=agreed_under(policy))
        asked = sqlite_verifier.resolve(made["authorization_request"]).request.dcql_query
        assert asked.source == policy.dcql_query


def test_a_party_that_was_renamed_is_known_by_its_new_name_within_seconds(sqlite_verifier: VerifierUnderTest) -> None:
    verifier, renamed = sqlite_verifier.verifier, RelyingParty(PartyId(PARTY), Text("새 이름", "New name"))
    before = verifier.party(PARTY)
    # As ``party add`` does, in a process of its own.
    with verifier.database.unit() as unit:
        verifier.parties(unit).add(renamed, now=verifier.clock.now())
    sqlite_verifier.clock.advance(9)
    assert verifier.party(PARTY) == before
    sqlite_verifier.clock.advance(1)
    assert verifier.party(PARTY) == renamed
    with pytest.raises(NotFound):
        verifier.party("unheard-of")


# --- requests beside each other (M23) ---------------------------------------------------------------------------------
@pytest.mark.parametrize("used", ["qr", "link"])
def test_the_first_that_is_answered_ends_the_other(sqlite_verifier: VerifierUnderTest, desk, used) -> None:
    started = desk()
    ports, party = sqlite_verifier.verifier.presentations, sqlite_verifier.verifier.party(PARTY)
    links = {"qr": started.qr.authorization_request, "link": started.link.authorization_request}
    other = links["link" if used == "qr" else "qr"]
    waiting = sqlite_verifier.prepare(sqlite_verifier.resolve(other))
    assert show_check(ports, party, started.id).result.state == "retrieved"
    sqlite_verifier.present(links[used])
    shown = show_check(ports, party, started.id).result
    assert shown.state == ("verified" if used == "qr" else "answered")
    answer = sqlite_verifier.post(waiting.resolved, sqlite_verifier.vp_token(waiting))
    assert answer.status_code == 409
    assert sqlite_verifier.client.get(other.partition("request_uri=")[2].partition("&")[0]).status_code == 404


def test_the_browser_that_began_gets_the_result_once(sqlite_verifier: VerifierUnderTest, desk) -> None:
    ports = sqlite_verifier.verifier.presentations
    code = response_code(sqlite_verifier.present(desk().link.authorization_request).redirect_uri)
    result = redeem_in_browser(ports, code, session_digest=OURS)
    assert result.state == "verified"
    assert result.credentials["licence"][0].claims == {"adult_by_year": True}
    with pytest.raises(NotFound):
        redeem_in_browser(ports, code, session_digest=OURS)


def test_another_browser_gets_nothing_and_ends_it(sqlite_verifier: VerifierUnderTest, desk) -> None:
    started = desk()
    ports, party = sqlite_verifier.verifier.presentations, sqlite_verifier.verifier.party(PARTY)
    code = response_code(sqlite_verifier.present(started.link.authorization_request).redirect_uri)
    stolen = redeem_in_browser(ports, code, session_digest=OTHERS)
    assert (stolen.state, stolen.credentials) == ("refused", None)
    shown = show_check(ports, party, started.id).result
    assert (shown.state, shown.error) == ("refused", "access_denied")
    with pytest.raises(NotFound):
        redeem_in_browser(ports, code, session_digest=OURS)


def test_the_code_in_the_qr_flow_opens_nothing(sqlite_verifier: VerifierUnderTest, desk) -> None:
    ports, party = sqlite_verifier.verifier.presentations, sqlite_verifier.verifier.party(PARTY)
    started = desk()
    code = response_code(sqlite_verifier.present(started.qr.authorization_request).redirect_uri)
    with pytest.raises(NotFound):
        redeem_in_browser(ports, code, session_digest=OURS)
    with pytest.raises(StateConflict):
        redeem_response_code(ports.storage(), party, started.qr.id, code, now=sqlite_verifier.clock.now())


def test_the_check_of_another_party_is_not_there(sqlite_verifier: VerifierUnderTest, desk) -> None:
    with pytest.raises(NotFound):
        show_check(sqlite_verifier.verifier.presentations, sqlite_verifier.verifier.party("dodam-bank"), desk().id)


@pytest.mark.parametrize("scheme", ["haip-vp://", "datawallet://", "aboutme:", "httpd-wallet://"])
def test_a_wallet_may_have_a_scheme_of_its_own(sqlite_verifier: VerifierUnderTest, scheme: str) -> None:
    made = sqlite_verifier.ask(authorization_endpoint=scheme)
    assert made["authorization_request"].startswith(f"{scheme}?")


# --- time -------------------------------------------------------------------------------------------------------------
def stored_rows(under_test):
    with under_test.verifier.database.reader() as unit:
        return unit.connection.exec_driver_sql("SELECT kind, sealed_claims FROM verifier_presentation").all()


def test_claims_go_when_the_policy_says_and_the_record_later(verifier: VerifierUnderTest) -> None:
    made = verifier.ask()
    verifier.present(made["authorization_request"])
    worker = create_worker(verifier.verifier)
    worker.run_due()
    assert stored_rows(verifier)[0][1] is not None
    verifier.clock.advance(300)
    # At once for readers, and durably when the job runs.
    assert verifier.result(made["id"])["credentials"] is None
    worker_after = create_worker(verifier.verifier)
    run_crons_again(verifier)
    worker_after.run_due()
    assert stored_rows(verifier) == [("verified", None)]
    result = verifier.result(made["id"])
    assert (result["state"], result["credentials"], len(result["checks"])) == ("verified", None, 10)
    verifier.clock.advance(timedelta(days=91).total_seconds())
    run_crons_again(verifier)
    create_worker(verifier.verifier).run_due()
    assert stored_rows(verifier) == []


def test_no_claims_outlive_their_record(sqlite_verifier: VerifierUnderTest) -> None:
    """Whatever a policy counts, and answered and redeemed as late as can be."""
    for policy in asked_by_companies(sqlite_verifier.verifier.catalogue.policies.values()):
        made = sqlite_verifier.ask(
            policy=policy.id, transaction_data=agreed_under(policy), flow="same_device", redirect_uri=BACK
        )
        with sqlite_verifier.verifier.database.reader() as unit:
            stored = sqlite_verifier.verifier.storage(unit).presentations.by_id(PARTY, made["id"])
        assert stored
        terms = stored.state.terms
        latest = terms.expires_at + REDEEM_WITHIN + terms.keep_for
        assert latest <= stored.delete_at, policy.id
        # And not for longer than is promised, but for the minutes in which it can be answered and redeemed.
        promised = max(timedelta(days=policy.retention.record_days), terms.keep_for)
        assert stored.delete_at - terms.created_at - promised <= timedelta(minutes=10), policy.id


@pytest.mark.parametrize("settings", [{}, {"result_seconds": 86_400, "record_days": 1}], ids=["usual", "extreme"])
def test_a_late_answer_is_told_times_that_go_together(tmp_path: Path, settings) -> None:
    under_test = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db", **settings)
    made = under_test.ask(flow="same_device", redirect_uri=BACK)
    under_test.clock.advance(299)
    code = response_code(under_test.present(made["authorization_request"]).redirect_uri)
    under_test.clock.advance(299)
    told = under_test.api("POST", f"/{made['id']}/redeem", json={"response_code": code}).json()
    assert told["claims_until"] <= told["record_until"]
    under_test.client.close()
    under_test.verifier.database.close()


def run_crons_again(under_test):
    """Make repeated work due now: the database's clock decides, not ours."""
    with under_test.verifier.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE verifier_cron SET next_at = 0")


def test_a_request_nobody_answered_loses_its_key(verifier: VerifierUnderTest) -> None:
    verifier.ask()
    verifier.clock.advance(301)
    create_worker(verifier.verifier).run_due()
    with verifier.verifier.database.reader() as unit:
        rows = unit.connection.exec_driver_sql("SELECT kind, sealed_key FROM verifier_presentation").all()
    assert [tuple(row) for row in rows] == [("expired", None)]


def test_a_restart_forgets_nothing(verifier: VerifierUnderTest) -> None:
    made = verifier.ask(flow="same_device", redirect_uri=BACK)
    pending = verifier.prepare(verifier.resolve(made["authorization_request"]))
    restart(verifier)
    assert verifier.post(pending.resolved, verifier.vp_token(pending)).status_code == 200
    restart(verifier)
    assert verifier.result(made["id"])["state"] == "answered"


def restart(under_test):
    from starlette.testclient import TestClient

    under_test.verifier.database.close()
    under_test.verifier = build_verifier(
        under_test.verifier.settings, clock=under_test.clock, catalogue=under_test.verifier.catalogue
    )
    under_test.app = create_app(under_test.verifier)
    under_test.client = TestClient(under_test.app, base_url=HOST, follow_redirects=False)


# --- registration and commands ----------------------------------------------------------------------------------------
def test_a_party_needs_a_key_and_a_certificate_that_wallets_accept(sqlite_verifier: VerifierUnderTest) -> None:
    from tests.support.presentations import new_ca
    from tests.support.verifying import add_access_key

    with pytest.raises(KeyUnavailable):
        register(sqlite_verifier.verifier, "nobody")
    add_access_key(sqlite_verifier.verifier.keys, new_ca("모르는 인증기관"), "stranger")
    with pytest.raises(UntrustedError):
        register(sqlite_verifier.verifier, "stranger")
    add_access_key(
        sqlite_verifier.verifier.keys,
        sqlite_verifier.world.verifier_ca,
        "elsewhere",
        public_url="https://other.example",
    )
    with pytest.raises(UntrustedError):
        register(sqlite_verifier.verifier, "elsewhere")
    with pytest.raises(InvalidRequest):
        register(sqlite_verifier.verifier, "No Such Id")


def test_commands(tmp_path, monkeypatch) -> None:
    under_test = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    monkeypatch.setattr(cli, "_verifier", lambda: under_test.verifier)
    run = CliRunner().invoke
    made = run(cli.app, ["request", "create", "--party", PARTY, "--policy", "adult-check", "--json"])
    created = json.loads(made.stdout)
    assert created["authorization_request"].startswith("openid4vp://?")
    shown = json.loads(run(cli.app, ["request", "show", created["id"], "--party", PARTY, "--json"]).stdout)
    assert shown["state"] == "requested"
    added = json.loads(run(cli.app, ["party", "add", "dodam-bank", "--json"]).stdout)
    assert added["api_key"].startswith("jgk_")
    file = tmp_path / "query.json"
    file.write_text(json.dumps(query(("name",))))
    own = run(cli.app, ["request", "create", "--party", PARTY, "--query", str(file), "--redirect-uri", BACK, "--json"])
    link = json.loads(own.stdout)["authorization_request"]
    sent = under_test.present(link)
    assert sent.redirect_uri.startswith(BACK)
    assert CLAIMS["name"] not in own.stdout
    (tmp_path / "bill.json").write_text(json.dumps(transaction()))
    command = [
        "request",
        "create",
        "--party",
        PARTY,
        "--query",
        str(file),
        "--transaction",
        str(tmp_path / "bill.json"),
    ]
    agreed = json.loads(run(cli.app, [*command, "--json"]).stdout)
    under_test.present(agreed["authorization_request"])
    words = run(cli.app, ["request", "show", agreed["id"], "--party", PARTY])
    assert f"{BILL}: agreed with licence" in words.output
    under_test.client.close()
    under_test.verifier.database.close()


# --- cards of one person ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("other_name", "state"), [("홍시험", "verified"), ("남의이름", "refused")])
def test_the_cards_of_one_answer_belong_to_one_person(sqlite_verifier: VerifierUnderTest, other_name, state) -> None:
    made = sqlite_verifier.ask(policy="account-opening")
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    licence = {"name": "홍시험", "document_number": "11-00-000000-00", "age_over_19": True}
    address = {"name": other_name, "address": {"full": "제주특별자치도 시험로 1"}}
    cards = {
        "licence": sqlite_verifier.world.held(
            claims=licence, selectively_disclosable=[(name,) for name in licence], vct="urn:jigap:vct:drivers-licence:1"
        ),
        "resident_certificate": sqlite_verifier.world.held(
            claims=address, selectively_disclosable=[("name",)], vct="urn:jigap:vct:resident-certificate:1"
        ),
    }
    matches = match(resolved.request.dcql_query, [sd_jwt_candidate(name, card) for name, card in cards.items()])
    approved = approve(matches, {name: [Selection(name)] for name in cards})
    pending = wallet.create_presentation(resolved, approved, cards, now=sqlite_verifier.clock.now())
    answer = sqlite_verifier.post(resolved, sqlite_verifier.vp_token(pending))
    assert answer.status_code == (200 if state == "verified" else 400)
    result = sqlite_verifier.result(made["id"])
    assert (result["state"], len(result["checks"])) == (state, 10)
    assert [check["step"] for check in result["checks"] if check["ok"] is False] == ([] if state == "verified" else [9])


@pytest.mark.parametrize(
    ("children", "vaccinated", "state"),
    [
        (["홍일번", "홍이번"], "홍이번", "verified"),
        (["홍일번", "홍이번"], None, "verified"),
        (["홍일번", "홍이번"], "남의아이", "refused"),
    ],
)
def test_a_card_that_names_several_people_matches_by_one(
    sqlite_verifier: VerifierUnderTest, children, vaccinated, state
) -> None:
    made = sqlite_verifier.ask(policy="school-admission")
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    resident = {
        "name": "홍시험",
        "resident_of": {"sigungu_code": "50110"},
        "address": {"town": "시험동"},
        "minor_children": [{"name": name, "birth_date": "2020-01-02"} for name in children],
    }
    cards = {
        "resident_certificate": sqlite_verifier.world.held(
            claims=resident, selectively_disclosable=[], vct="urn:jigap:vct:resident-certificate:1"
        )
    }
    if vaccinated:
        cards["child_vaccination"] = sqlite_verifier.world.held(
            claims={"name": vaccinated, "school_entry_complete": True},
            selectively_disclosable=[],
            vct="urn:jigap:vct:vaccination-certificate:1",
        )
    matches = match(resolved.request.dcql_query, [sd_jwt_candidate(name, card) for name, card in cards.items()])
    approved = approve(matches, {name: [Selection(name)] for name in cards})
    pending = wallet.create_presentation(resolved, approved, cards, now=sqlite_verifier.clock.now())
    answer = sqlite_verifier.post(resolved, sqlite_verifier.vp_token(pending))
    assert answer.status_code == (200 if state == "verified" else 400), answer.text
    assert sqlite_verifier.result(made["id"])["state"] == state
