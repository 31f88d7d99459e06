"""What the authorization server refuses, rule by rule: code, status and headers (protocols.md 3.3, 3.4, 22.1)."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Table, func, insert, select

from issuer.agencies.use_cases import register_agency
from issuer.app import create_worker
from issuer.issuance.use_cases.expiry import BATCH
from issuer.tables import IssuerBase
from tests.support.authorizing import (
    ATTESTED,
    CALLBACK,
    LOOPBACK,
    SCHEME,
    SUBJECT,
    WALLET,
    Town,
    answer_of,
    prove_clients,
    start_town,
)
from tests.support.issuing import HOST, LICENCE, NOW, add_signing_key
from wallet_core.errors import NotFound
from wallet_core.types import AgencyId

CI = f"{HOST}/agencies/police"
DETAILS = '[{"type": "openid_credential", "credential_configuration_id": "%s"}]'


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = start_town(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    yield found
    for each in (found.client, *found.browsers):
        each.close()
    found.under_test.issuer.database.close()


def refused(answer: Any, status: int, error: str) -> None:
    """The shape of RFC 6749 5.2: JSON, two members, never stored."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers


CHANGES = [
    ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, 400, "invalid_request"),
    ({"client_id": None}, 400, "invalid_request"),
    ({"client_id": "unknown"}, 401, "invalid_client"),
    ({"client_id": ATTESTED}, 401, "invalid_client"),
    ({"redirect_uri": None}, 400, "invalid_request"),
    ({"redirect_uri": f"{CALLBACK}/"}, 400, "invalid_request"),
    ({"response_type": None}, 400, "invalid_request"),
    ({"response_type": "token"}, 400, "unsupported_response_type"),
    ({"code_challenge": None}, 400, "invalid_request"),
    ({"code_challenge_method": "plain"}, 400, "invalid_request"),
    ({"scope": None}, 400, "invalid_scope"),
    ({"scope": "unknown"}, 400, "invalid_scope"),
    ({"resource": HOST}, 400, "invalid_target"),
    ({"authorization_details": "x"}, 400, "invalid_authorization_details"),
    ({"authorization_details": DETAILS % "unknown"}, 400, "invalid_authorization_details"),
    ({"request": "e30.e30."}, 400, "request_not_supported"),
    ({"issuer_state": "unknown"}, 400, "invalid_request"),
]


@pytest.mark.clause("oauth-6749.5.2-client", "vci-5.1.3-issuer-state-unknown", "oauth-9126.2.1-request-uri")
@pytest.mark.parametrize(("changes", "status", "error"), CHANGES)
def test_pushed_requests(town: Town, changes: dict[str, str | None], status: int, error: str) -> None:
    refused(town.push(**changes), status, error)


def test_the_form_of_a_pushed_request(town: Town) -> None:
    url = f"{CI}/oauth/par"
    refused(town.client.post(url, json=town.parameters()), 400, "invalid_request")
    twice = {**town.parameters(), "scope": [LICENCE, LICENCE]}
    refused(town.client.post(url, data=twice), 400, "invalid_request")
    refused(town.client.get(url), 405, "method_not_allowed")
    refused(town.client.post(f"{HOST}/agencies/nobody/oauth/par", data=town.parameters()), 404, "not_found")
    good = town.push(unknown="x")
    assert good.status_code == 201
    assert good.headers["cache-control"] == "no-store"
    assert good.headers["access-control-allow-origin"] == "*"
    assert set(good.json()) == {"request_uri", "expires_in"}
    assert 60 <= good.json()["expires_in"] <= 90
    assert town.client.options(url).headers["access-control-allow-origin"] == "*"


@pytest.mark.clause("oauth-9126.4-unknown", "oauth-9126.4-ours", "oauth-9126.4-expired", "oauth-9126.4-client")
def test_request_uris_that_are_not_opened(town: Town) -> None:
    uri = town.push().json()["request_uri"]
    for parameters in (
        {"client_id": WALLET, "request_uri": f"{uri}x"},
        {"client_id": WALLET, "request_uri": "https://evil.example/request.jwt"},
        {"client_id": "https://other.example/client", "request_uri": uri},
        {"request_uri": uri},
    ):
        answer = town.browser().open(**parameters)
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/html")  # a person reads it
        assert "location" not in answer.headers
    town.under_test.clock.advance(91)
    assert town.browser().open(client_id=WALLET, request_uri=uri).status_code == 400


def test_only_what_was_pushed_counts(town: Town) -> None:
    uri = town.push().json()["request_uri"]
    browser = town.browser()
    browser.open(client_id=WALLET, request_uri=uri, redirect_uri="https://evil.example", state="other")
    browser.log_in()
    assert browser.consent()["state"] == "the state"


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": None}, {"client_id": None}],
)
def test_nobody_is_redirected_before_the_wallet_is_known(town: Town, changes: dict[str, str | None]) -> None:
    answer = town.browser().open(**town.parameters(**changes))
    assert answer.status_code in {400, 401}
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert "//evil.example" not in answer.text


@pytest.mark.parametrize(("changes", "error"), [(changes, error) for changes, _, error in CHANGES[6:]])
def test_later_errors_go_back_to_the_wallet(town: Town, changes: dict[str, str | None], error: str) -> None:
    answer = town.browser().open(**town.parameters(**changes))
    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    got = answer_of(answer)
    assert (got["error"], got["state"], got["iss"]) == (error, "the state", CI)
    assert "code" not in got


def test_where_the_answer_goes(town: Town) -> None:
    for uri in (SCHEME, LOOPBACK.replace("127.0.0.1", "127.0.0.1:49152")):
        browser = town.browser()
        page = browser.open(**town.parameters(redirect_uri=uri))
        # M5: a form may end where the wallet is, and nowhere else.
        (form_action,) = re.findall(r"form-action ([^;]+);", page.headers["content-security-policy"])
        target = "example.wallet:" if uri == SCHEME else "http://127.0.0.1:49152"
        assert form_action == f"'self' {target}"
        answer = browser.post("/agencies/police/login/cancel")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{uri}?")


TOKENS = [
    ({"grant_type": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"code": None}, 400, "invalid_request"),
    ({"code": "unknown"}, 400, "invalid_grant"),
    ({"redirect_uri": None}, 400, "invalid_request"),
    ({"redirect_uri": f"{CALLBACK}/"}, 400, "invalid_grant"),
    ({"code_verifier": None}, 400, "invalid_grant"),
    ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
    ({"client_id": None}, 401, "invalid_client"),
    ({"client_id": "https://other.example/client"}, 400, "invalid_grant"),
    ({"authorization_details": "x"}, 400, "invalid_authorization_details"),
    ({"authorization_details": DETAILS % "local-tax-payment-sd-jwt"}, 400, "invalid_authorization_details"),
]


@pytest.mark.clause("oauth-6749.5.2-code", "oauth-6749.4.1.3-named", "vci-6.1-subset", "vci-6.2-details")
def test_token_requests(town: Town) -> None:
    code = town.authorize()["code"]
    for changes, status, error in TOKENS:
        refused(town.token(**{"code": code, **changes}), status, error)
    # None of them spent the code.
    got = town.token(code=code, authorization_details=DETAILS % LICENCE).json()
    assert got["authorization_details"][0]["credential_configuration_id"] == LICENCE


def test_a_code_lives_a_minute(town: Town) -> None:
    code = town.authorize()["code"]
    town.under_test.clock.advance(60)
    refused(town.token(code=code), 400, "invalid_grant")


@pytest.mark.clause("vci-8.3.1.2-identifier-not-given", "vci-6.1-subset")
def test_a_pre_authorized_code_with_details(town: Town) -> None:
    made = town.under_test.offer()
    code = made["credential_offer"]["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"][
        "pre-authorized_code"
    ]
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": code}
    url = f"{CI}/oauth/token"
    wrong = {**fields, "authorization_details": DETAILS % "drivers-licence-mdoc"}
    refused(town.client.post(url, data=wrong), 400, "invalid_authorization_details")
    body = town.client.post(url, data={**fields, "authorization_details": DETAILS % LICENCE}).json()
    assert body["authorization_details"][0]["credential_identifiers"] == [f"{LICENCE}.own"]
    headers = {"authorization": f"Bearer {body['access_token']}"}
    for named, error in (
        # Multipaz names the configuration where it should use the identifier: both are clear (decision 0111).
        ({"credential_configuration_id": LICENCE}, "invalid_proof"),
        ({"credential_identifier": f"{LICENCE}.own"}, "invalid_proof"),
        ({"credential_configuration_id": "drivers-licence-mdoc"}, "unknown_credential_configuration"),
        ({"credential_identifier": "other.own"}, "unknown_credential_identifier"),
    ):
        answer = town.client.post(f"{CI}/credential", json={**named, "proofs": {"jwt": ["a.b.c"]}}, headers=headers)
        refused(answer, 400, error)


@pytest.mark.clause("oauth-9449.10.1-same", "oauth-M16-unknown", "oauth-9700.2.2.2-bound", "oauth-9126.2.1-client")
def test_clients_that_prove_something(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_clients(monkeypatch)
    key = "A" * 43
    refused(town.push(dpop_jkt=key, headers={"x-dpop": "another"}), 400, "invalid_request")
    assert town.push(dpop_jkt=key, headers={"x-dpop": "\0" * 32}).status_code == 201
    refused(town.push(client_id="unknown", headers={"x-instance": "i"}), 400, "invalid_request")
    attested = {"client_id": ATTESTED, "redirect_uri": "https://attested.example/callback"}
    assert town.push(headers={"x-instance": "i"}, **attested).status_code == 201
    refused(town.push(headers={"x-instance": "i", "x-client": ATTESTED}), 400, "invalid_request")
    unbound = town.token(code=town.authorize()["code"]).json()
    assert "refresh_token" not in unbound
    bound = town.token(code=town.authorize(headers={"x-dpop": "d"})["code"], headers={"x-dpop": "d"}).json()
    assert "refresh_token" in bound


@pytest.mark.clause("haip-4.4-par", "haip-4.4-client")
def test_an_agency_of_the_high_assurance_profile(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = town.under_test.issuer
    add_signing_key(issuer.keys, town.under_test.ca, "national-tax")
    unit = issuer.database.unit()
    register_agency(
        unit,
        issuer.agencies(unit),
        issuer.api_keys(unit),
        issuer.keys,
        issuer.catalogue,
        AgencyId("national-tax"),
        public_url=HOST,
        now=NOW,
        haip=True,
    )
    scope = "national-tax-payment-sd-jwt"
    answer = town.browser().open(agency="national-tax", **town.parameters(scope=scope))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    refused(town.push(agency="national-tax", scope=scope), 401, "invalid_client")
    refused(town.token(agency="national-tax", code="x"), 401, "invalid_client")
    document = town.client.get(f"{HOST}/.well-known/oauth-authorization-server/agencies/national-tax").json()
    assert document["require_pushed_authorization_requests"] is True
    assert document["pre-authorized_grant_anonymous_access_supported"] is False
    assert document["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]
    prove_clients(monkeypatch)
    refused(town.push(agency="national-tax", scope=scope, headers={"x-dpop": "d"}), 401, "invalid_client")
    # HAIP 4.3, RFC 9449 10: a pushed request may leave the DPoP key open, a token request may not.
    for keys in ({"x-instance": "i"}, {"x-instance": "i", "x-dpop": "d"}):
        assert town.push(agency="national-tax", scope=scope, headers=keys).status_code == 201
    refused(town.token(agency="national-tax", code="x", headers={"x-instance": "i"}), 400, "invalid_dpop_proof")


def test_wrong_codes_are_counted_and_then_the_wallet_is_told(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    right = town.code_for()
    for _ in range(4):
        page = browser.log_in(code="0000-0000")
        assert page.status_code == 401
    answer = browser.log_in(code="0000-0000")
    assert answer_of(answer)["error"] == "access_denied"
    assert browser.get("/agencies/police/login").status_code == 404
    # The person's code died with the fifth try, whatever the session.
    fresh = town.browser()
    fresh.open(**town.parameters())
    assert fresh.log_in(code=right).status_code == 401


def test_a_code_works_once_and_for_its_person(town: Town) -> None:
    other = town.put("p03", name="김시험", birth_date="1980-02-03")
    code = town.code_for()
    for who, used, status in ((other, code, 401), (town.person, code, 200), (town.person, code, 401)):
        browser = town.browser()
        browser.open(**town.parameters())
        assert browser.log_in(who, code=used).status_code == status
    late = town.code_for()
    town.under_test.clock.advance(25 * 3600)
    browser = town.browser()
    browser.open(**town.parameters())
    assert browser.log_in(code=late).status_code == 401


def test_a_date_that_is_none_costs_no_try(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    browser.get("/agencies/police/login/test")
    page = browser.post("/agencies/police/login/test", {"name": "x", "birth_date": "soon", "code": "1"})
    assert page.status_code == 400
    assert browser.log_in().status_code == 200


def test_forms_need_their_token_and_their_browser(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    browser.log_in()
    headers = {"origin": HOST, "sec-fetch-site": "same-origin"}
    without = browser.client.post("/agencies/police/login/consent", data={"decision": "yes"}, headers=headers)
    assert without.status_code == 403
    other = town.browser()
    assert other.get("/agencies/police/login/consent").status_code == 404
    cookies = [each for each in browser.client.cookies.jar if each.name == "__Host-jigap-issuer-login"]
    assert [(each.secure, each.path, each.domain_specified) for each in cookies] == [(True, "/", False)]


def test_consent_comes_after_the_login_and_once(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    assert browser.post("/agencies/police/login/consent", {"decision": "yes"}).status_code == 404
    browser.open(**town.parameters())
    browser.log_in()
    assert browser.get("/agencies/police/login/test").status_code == 404
    assert browser.get("/agencies/police/login").status_code == 303  # on to what comes next
    browser.get("/agencies/police/login/consent")
    assert "code" in browser.consent()
    assert browser.post("/agencies/police/login/consent", {"decision": "yes"}).status_code == 404
    late = town.browser()
    late.open(**town.parameters())
    late.log_in()
    town.under_test.clock.advance(15 * 60)
    assert late.post("/agencies/police/login/consent", {"decision": "yes"}).status_code == 404


def test_whoever_says_no_gives_nothing(town: Town) -> None:
    browser = town.browser()
    browser.open(**town.parameters())
    browser.log_in()
    assert browser.consent("no") == {"error": "access_denied", "state": "the state", "iss": CI}


def test_without_a_demo_nobody_logs_in_by_code(tmp_path: Path) -> None:
    town = start_town(tmp_path, f"sqlite:///{tmp_path}/issuer.db", demo=False)
    with pytest.raises(NotFound):
        town.code_for()
    browser = town.browser()
    page = browser.open(**town.parameters())
    assert page.status_code == 200
    assert "/login/test" not in page.text
    assert browser.get("/agencies/police/login/test").status_code == 404
    assert answer_of(browser_cancel(browser))["error"] == "access_denied"
    town.client.close()
    town.under_test.issuer.database.close()


def browser_cancel(browser: Any) -> Any:
    browser.get("/agencies/police/login")
    return browser.post("/agencies/police/login/cancel")


def test_people_are_found_by_name_and_birthday_and_never_confused(town: Town) -> None:
    issuer = town.under_test.issuer

    def find(citizen: Any, agency: str = "police") -> str | None:
        unit = issuer.database.reader()
        with unit:
            return issuer.records(unit).find_subject(AgencyId(agency), citizen)

    assert find(town.person) == SUBJECT
    assert find(town.person, "city-tax") is None
    spaced = type(town.person)(f" {town.person.name} ", town.person.birth_date)
    assert find(spaced) == SUBJECT
    town.put("p77")  # another person of the same name and birthday
    assert find(town.person) is None


def test_what_is_over_is_forgotten(town: Town) -> None:
    town.push()
    browser = town.browser()
    browser.open(**town.parameters())
    town.code_for()
    issuer = town.under_test.issuer
    later = town.under_test.clock.now()

    def forget() -> tuple[int, int]:
        unit = issuer.database.unit()
        with unit:
            return (
                issuer.storage(unit).authorizations.forget(now=later, limit=9),
                issuer.login_storage(unit).sessions.forget(now=later, limit=9),
            )

    assert forget() == (0, 0)
    town.under_test.clock.advance(25 * 3600)
    later = town.under_test.clock.now()
    assert forget() == (2, 2)
    assert forget() == (0, 0)
    assert urlsplit(CI).path == "/agencies/police"


@pytest.mark.parametrize("table", ["issuer_login_session", "issuer_test_code", "issuer_spent", "issuer_idempotency"])
def test_one_hour_forgets_all_that_is_over_however_much(town: Town, table: str) -> None:
    issuer = town.under_test.issuer
    over = town.under_test.clock.now() - timedelta(seconds=1)
    found = IssuerBase.metadata.tables[table]
    with issuer.database.unit() as unit:
        unit.connection.execute(insert(found), [filled(found, each, over) for each in range(2 * BATCH + 50)])
    create_worker(issuer).run_due()
    with issuer.database.reader() as unit:
        assert unit.connection.execute(select(func.count()).select_from(found)).scalar() == 0


def filled(table: Table, number: int, expires_at: datetime) -> dict[str, object]:
    """A row whose columns hold anything: the key alone tells it from the others."""
    plain: dict[type, object] = {object: "x", str: "x", bytes: b"x" * 32, int: 1, dict: {}}
    row = {each.name: plain[each.type.python_type] for each in table.columns if each.name != "expires_at"}
    (key,) = table.primary_key.columns
    unique = number.to_bytes(32) if key.type.python_type is bytes else f"{number:044x}"
    return {**row, key.name: unique, "expires_at": expires_at}
