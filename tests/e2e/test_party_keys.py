"""API keys of relying parties and their limits: scopes, ends, rotation, revocation, 429; every error in one shape."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.support.presentations import query
from tests.support.simultaneous import at_once
from tests.support.verifying import HOST, PARTY, VerifierUnderTest, start_verifier
from verifier import cli
from verifier.app import create_app
from verifier.dependencies import Verifier, build_verifier
from verifier.relying_parties import cli as key_cli
from verifier.relying_parties.ports import SCOPES, KeyTerms
from verifier.relying_parties.use_cases import (
    create_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
    show_api_key,
    sign_in,
)
from verifier.tables import APP_TABLES
from wallet_core.errors import InsufficientScope, InvalidRequest, InvalidToken, NotFound

URL = f"{HOST}/api/v1/presentations"
ASK = {"dcql_query": query(("name",))}


class Office:
    """Where a party's keys are made."""

    def __init__(self, under_test: VerifierUnderTest, party: str = PARTY) -> None:
        self.under_test, self.verifier = under_test, under_test.verifier
        self.party = self.verifier.party(party)

    @property
    def now(self) -> Any:
        return self.verifier.clock.now()

    def do(self, use_case: Any, *arguments: Any, **options: Any) -> Any:
        unit = self.verifier.database.unit()
        return use_case(unit, self.verifier.api_keys(unit), self.party, *arguments, **options)

    def make(self, *scopes: str, days: int | None = None, label: str = "shop") -> tuple[str, str]:
        end = None if days is None else self.now + timedelta(days=days)
        made: tuple[str, str] = self.do(create_api_key, KeyTerms(label, frozenset(scopes or SCOPES), end), now=self.now)
        return made

    def state(self, key_id: str) -> str:
        return str(self.do(show_api_key, key_id).state(self.now))

    def call(self, key: str, method: str = "GET", path: str = "", **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        return self.under_test.client.request(method, URL + path, headers=headers, **options)


@pytest.fixture
def office(sqlite_verifier: VerifierUnderTest) -> Office:
    return Office(sqlite_verifier)


def refused(answer: Any, status: int, error: str) -> None:
    """The one shape of an error of our API."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    body = answer.json()
    assert {"error", "error_description", "trace_id", "fault"} <= body.keys()
    assert body.keys() <= {"error", "error_description", "trace_id", "fault", "clause"}
    assert body["error_description"].isascii()
    assert body["trace_id"] == answer.headers["trace-id"]
    assert body["fault"] == "you"


# --- keys -------------------------------------------------------------------------------------------------------------
def test_a_key_is_good_for_its_scopes_only(office: Office) -> None:
    _, reader = office.make("presentations:read")
    _, writer = office.make("presentations:write")
    _, staff = office.make("console")
    made = office.call(writer, "POST", json=ASK).json()
    assert office.call(reader, path=f"/{made['id']}").json()["state"] == "requested"
    for key, method, path, body in [
        (reader, "POST", "", ASK),
        (reader, "POST", f"/{made['id']}/redeem", {"response_code": "x"}),
        (writer, "GET", "", None),
        (writer, "GET", f"/{made['id']}", None),
        (writer, "GET", f"/{made['id']}/record", None),
        (staff, "GET", "", None),
        (staff, "POST", "", ASK),
    ]:
        refused(office.call(key, method, path, json=body), 403, "insufficient_scope")
    refused(
        office.under_test.client.post(f"{HOST}/api/v1/verify", json={"text": "x"}, headers=bearer(writer)),
        403,
        "insufficient_scope",
    )
    unit = office.verifier.database.unit()
    with pytest.raises(InsufficientScope):
        sign_in(unit, office.verifier.parties(unit), office.verifier.api_keys(unit), reader, now=office.now)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_of_several_keys_each_ends_by_itself(office: Office) -> None:
    first = office.under_test.api_keys[PARTY]
    (one_id, one), (two_id, two) = office.make(days=30), office.make(label="bank counter")
    assert {office.call(key).status_code for key in (first, one, two)} == {200}
    assert (office.state(one_id), office.state(two_id)) == ("good", "good")
    office.under_test.clock.advance(timedelta(days=17).total_seconds())
    assert office.state(one_id) == "ending"
    office.under_test.clock.advance(timedelta(days=13).total_seconds())
    refused(office.call(one), 401, "invalid_token")
    assert office.state(one_id) == "expired"
    office.do(revoke_api_key, two_id, now=office.now)
    refused(office.call(two), 401, "invalid_token")
    assert office.state(two_id) == "revoked"
    assert office.call(first).status_code == 200
    with pytest.raises(NotFound):
        office.do(revoke_api_key, two_id, now=office.now)


def test_a_rotation_leaves_both_good_for_the_overlap(office: Office) -> None:
    old_id, old = office.make("presentations:read", days=365)
    new_id, new = office.do(rotate_api_key, old_id, overlap=timedelta(days=7), now=office.now)
    assert {office.call(key).status_code for key in (old, new)} == {200}
    view = office.do(show_api_key, new_id)
    assert (view.label, view.scopes, view.expires_at) == ("shop", frozenset({"presentations:read"}), None)
    assert office.state(old_id) == "ending"
    office.under_test.clock.advance(timedelta(days=7).total_seconds())
    refused(office.call(old), 401, "invalid_token")
    assert office.call(new).status_code == 200


def test_a_rotation_never_makes_the_old_key_live_longer(office: Office) -> None:
    old_id, _ = office.make(days=2)
    office.do(rotate_api_key, old_id, overlap=timedelta(days=30), now=office.now)
    assert office.do(show_api_key, old_id).expires_at == office.now + timedelta(days=2)


@pytest.mark.parametrize("days", [-1, 91])
def test_an_overlap_has_its_bounds(office: Office, days: int) -> None:
    old_id, old = office.make()
    with pytest.raises(InvalidRequest):
        office.do(rotate_api_key, old_id, overlap=timedelta(days=days), now=office.now)
    assert office.call(old).status_code == 200
    assert len(office.do(list_api_keys)) == 2


def test_what_is_over_is_not_rotated(office: Office) -> None:
    old_id, _ = office.make()
    office.do(revoke_api_key, old_id, now=office.now)
    with pytest.raises(InvalidRequest):
        office.do(rotate_api_key, old_id, overlap=timedelta(days=1), now=office.now)


def test_the_keys_of_others_are_not_there(office: Office) -> None:
    key_id, key = office.make()
    others = Office(office.under_test, "dodam-bank")
    for use_case, options in [
        (show_api_key, {}),
        (revoke_api_key, {"now": office.now}),
        (rotate_api_key, {"now": office.now, "overlap": timedelta()}),
    ]:
        with pytest.raises(NotFound):
            others.do(use_case, key_id, **options)
    assert office.call(key).status_code == 200
    assert key_id not in {each.id for each in others.do(list_api_keys)}


@pytest.mark.parametrize(
    "terms",
    [
        KeyTerms("", frozenset(SCOPES)),
        KeyTerms("x" * 61, frozenset(SCOPES)),
        KeyTerms("a\nb", frozenset(SCOPES)),
        KeyTerms("a", frozenset()),
        KeyTerms("a", frozenset({"presentations:delete"})),
    ],
    ids=["no-name", "long", "line", "no-scope", "unknown-scope"],
)
def test_a_key_that_makes_no_sense_is_not_made(office: Office, terms: KeyTerms) -> None:
    with pytest.raises(InvalidRequest):
        office.do(create_api_key, terms, now=office.now)
    with pytest.raises(InvalidRequest):
        office.do(create_api_key, KeyTerms("a", frozenset(SCOPES), office.now), now=office.now)


def test_the_last_use_is_noted_to_the_minute(office: Office) -> None:
    key_id, key = office.make()
    assert office.do(show_api_key, key_id).last_used_at is None
    office.call(key)
    first = office.do(show_api_key, key_id).last_used_at
    assert first == office.now
    office.under_test.clock.advance(59)
    office.call(key)
    assert office.do(show_api_key, key_id).last_used_at == first
    office.under_test.clock.advance(1)
    office.call(key)
    assert office.do(show_api_key, key_id).last_used_at == office.now


def test_only_digests_of_keys_are_stored(office: Office) -> None:
    _, key = office.make()
    with office.verifier.database.reader() as unit:
        rows = unit.connection.exec_driver_sql("SELECT * FROM verifier_api_key").all()
    assert key not in str(rows)


# --- errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "authorization",
    ["", "Basic abc", "Bearer", "Bearer jgk_short", "Bearer " + "jgk_" + "A" * 43, "jgk_" + "A" * 43],
    ids=["none", "basic", "empty", "short", "unknown", "bare"],
)
def test_without_a_good_key_nothing_is_told(office: Office, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    refused(office.under_test.client.get(URL, headers=headers), 401, "invalid_token")


def test_what_belongs_to_another_party_is_not_found(office: Office) -> None:
    made = office.under_test.ask()
    theirs = office.under_test.api_keys["dodam-bank"]
    for method, path, body in [
        ("GET", f"/{made['id']}", None),
        ("POST", f"/{made['id']}/redeem", {"response_code": "x"}),
    ]:
        refused(office.call(theirs, method, path, json=body), 404, "not_found")
    assert office.call(theirs).json()["presentations"] == []


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"", 400, "invalid_request"),
        (b"{", 400, "invalid_request"),
        (b'{"policy": "a", "policy": "b"}', 400, "invalid_request"),
        (b'{"policy": NaN}', 400, "invalid_request"),
        (b"\xff", 400, "invalid_request"),
        (b'{"policy": 1}', 400, "invalid_request"),
        (b'{"policy": "' + b"x" * 600_000 + b'"}', 413, "request_too_large"),
    ],
    ids=["empty", "broken", "twice", "nan", "bytes", "type", "large"],
)
def test_a_body_that_cannot_be_read(office: Office, content: bytes, status: int, error: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = office.call(office.under_test.api_keys[PARTY], "POST", content=content, headers=headers)
    refused(answer, status, error)


def test_an_idempotency_key_has_its_bounds(office: Office) -> None:
    key = office.under_test.api_keys[PARTY]
    for given in ("x" * 256, "\u00e9"):
        headers = {"Idempotency-Key": given.encode("latin-1")}
        refused(office.call(key, "POST", json=ASK, headers=headers), 400, "invalid_request")
    office.call(key, "POST", json=ASK, headers={"Idempotency-Key": "once"})
    other = office.call(key, "POST", json={"policy": "adult-check"}, headers={"Idempotency-Key": "once"})
    refused(other, 422, "idempotency_mismatch")


def test_addresses_and_methods_that_are_not_there(office: Office) -> None:
    key = office.under_test.api_keys[PARTY]
    refused(office.call(key, path="/x/y/z"), 404, "not_found")
    refused(office.call(key, "DELETE", "/x"), 405, "method_not_allowed")


# --- limits -----------------------------------------------------------------------------------------------------------
LIMITED = {"party_calls_at_once": 5, "party_calls_per_minute": 6}


@pytest.fixture
def limited(tmp_path: Any, database_url: str) -> Any:
    under_test = start_verifier(tmp_path, database_url, **LIMITED)
    yield Office(under_test)
    under_test.client.close()
    under_test.verifier.database.close()


def test_a_party_that_calls_too_often_waits_and_others_do_not(limited: Office) -> None:
    key, theirs = limited.under_test.api_keys[PARTY], limited.under_test.api_keys["dodam-bank"]
    _, second = limited.make()
    answers = [limited.call(each) for each in (key, second, key, second, key)]
    assert [each.status_code for each in answers] == [200] * 5
    assert [each.headers["ratelimit"].partition(";t=")[0] for each in answers] == [
        f'"party";r={left}' for left in (4, 3, 2, 1, 0)
    ]
    assert {each.headers["ratelimit-policy"] for each in answers} == {'"party";q=5;w=50'}
    waiting = limited.call(second)
    refused(waiting, 429, "temporarily_unavailable")
    assert 1 <= int(waiting.headers["retry-after"]) <= 10
    assert waiting.headers["ratelimit"].startswith('"party";r=0;')
    # Refusals do not make it longer, and a key without the scope is counted like any.
    for _ in range(20):
        limited.call(key)
    assert 1 <= int(limited.call(key).headers["retry-after"]) <= 10
    assert limited.call(theirs).status_code == 200
    # What wallets do counts for nobody.
    link = limited.call(theirs, "POST", json=ASK).json()["authorization_request"]
    limited.under_test.present(link)
    # Time alone lets it go on: ten seconds are one more call.
    earlier(limited, 10)
    assert [limited.call(key).status_code for _ in range(2)] == [200, 429]


def earlier(office: Office, seconds: float) -> None:
    """Let the database's clock go on: what is counted lies that much further back."""
    table = APP_TABLES.rate
    with office.verifier.database.unit() as unit:
        unit.connection.execute(update(table).values(next_at=table.c.next_at - seconds))


def test_a_call_without_the_scope_counts_too(limited: Office) -> None:
    _, reader = limited.make("presentations:read")
    assert [limited.call(reader, "POST", json=ASK).status_code for _ in range(6)] == [403] * 5 + [429]


def test_a_key_that_is_no_good_counts_for_nobody(limited: Office) -> None:
    for _ in range(20):
        assert limited.call("jgk_" + "A" * 43).status_code == 401
    assert limited.call(limited.under_test.api_keys[PARTY]).status_code == 200


def another_process(limited: Office) -> Verifier:
    """The same verifier once more, as another process has it."""
    settings, catalogue = limited.verifier.settings, limited.verifier.catalogue
    return build_verifier(settings, clock=limited.under_test.clock, catalogue=catalogue)


def clients_of(limited: Office, other: Verifier) -> list[TestClient]:
    """A client of each process. Each app has answered once: FastAPI completes its routes then, in one thread."""
    clients = [limited.under_test.client, TestClient(create_app(other), base_url=HOST)]
    assert [each.get(URL).status_code for each in clients] == [401, 401]
    return clients


def test_two_workers_count_together_and_at_once(limited: Office) -> None:
    """Another process on the same database, and calls that begin at one moment."""
    other = another_process(limited)
    clients = clients_of(limited, other)
    key, turns = limited.under_test.api_keys[PARTY], iter(range(12))
    statuses = at_once(12, lambda: clients[next(turns) % 2].get(URL, headers=bearer(key)).status_code)
    assert sorted(statuses) == [200] * 5 + [429] * 7
    other.database.close()


def test_two_workers_do_a_repeated_post_once(limited: Office) -> None:
    other = another_process(limited)
    clients = clients_of(limited, other)
    headers = {**bearer(limited.under_test.api_keys[PARTY]), "Idempotency-Key": "one"}
    turns = iter(range(4))
    made = at_once(4, lambda: clients[next(turns) % 2].post(URL, json=ASK, headers=headers).json())
    assert len({each["id"] for each in made}) == 1
    other.database.close()


# --- commands ---------------------------------------------------------------------------------------------------------
def test_keys_by_command(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cli, "build_verifier", lambda _settings: office.verifier)
    monkeypatch.setattr(key_cli.VerifierSettings, "from_environment", lambda: office.verifier.settings)

    def run(*arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(cli.app, ["party", "key", *arguments, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else None

    made = run("create", PARTY, "--label", "web shop", "--scope", "presentations:read", "--days", "365")
    assert office.call(made["api_key"]).status_code == 200
    turned = run("rotate", PARTY, made["api_key_id"], "--overlap-days", "0")
    refused(office.call(made["api_key"]), 401, "invalid_token")
    assert office.call(turned["api_key"]).status_code == 200
    run("revoke", PARTY, turned["api_key_id"])
    refused(office.call(turned["api_key"]), 401, "invalid_token")
    keys = {each["api_key_id"]: each for each in run("list", PARTY)["keys"]}
    assert (keys[made["api_key_id"]]["state"], keys[turned["api_key_id"]]["state"]) == ("expired", "revoked")
    assert keys[made["api_key_id"]]["label"] == "web shop"
    assert keys[made["api_key_id"]]["last_used_at"]
    assert made["api_key"] not in json.dumps(keys)
    words = CliRunner().invoke(cli.app, ["party", "key", "list", PARTY]).output
    assert "web shop" in words
    with pytest.raises(NotFound):
        CliRunner().invoke(
            cli.app, ["party", "key", "revoke", "dodam-bank", made["api_key_id"]], catch_exceptions=False
        )
    with pytest.raises(InvalidRequest):
        CliRunner().invoke(
            cli.app, ["party", "key", "create", PARTY, "--label", "x", "--scope", "all"], catch_exceptions=False
        )


def test_the_key_that_opened_the_console_is_known(office: Office) -> None:
    key_id, key = office.make("console")
    unit = office.verifier.database.unit()
    party, opened = sign_in(unit, office.verifier.parties(unit), office.verifier.api_keys(unit), key, now=office.now)
    assert (party.id, opened) == (PARTY, key_id)
    assert office.do(show_api_key, key_id).last_used_at == office.now
    office.do(revoke_api_key, key_id, now=office.now)
    with pytest.raises(InvalidToken):
        sign_in(unit, office.verifier.parties(unit), office.verifier.api_keys(unit), key, now=office.now)
