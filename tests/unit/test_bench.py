"""The bench can run: nobody looks at it for weeks, and then it must."""

import importlib
import json
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from starlette.testclient import TestClient

from tests.bench import cases, hsm, http, issuances, lookup, post, status_list
from tests.bench.__main__ import show, verdict
from tests.bench.cases import CASES
from tests.bench.haip import HaipWorld
from tests.bench.issuing import IssuerWorld
from tests.bench.load import Load
from tests.bench.mdoc import MDOC_CASES
from tests.bench.measure import Case, Row, measure
from tests.bench.post import Answers, Post
from tests.bench.verifying import VerifierWorld
from tests.support.network import free_port
from tests.support.serving import serving
from verifier.app import create_app as create_verifier_app
from wallet_core.trust.status_list.array import StatusList, compress
from wallet_core.trust.status_list.token import parse_status_list_jwt, verify_status_list_token

ROOT = Path(__file__).parents[2]

AUTHORIZATION = "SELECT issuer_authorization by agency_id, id"
RECORD = "SELECT issuer_record by agency_id, type_id, subject_id"
PAGE = ["SELECT issuer_rate by key", "SELECT issuer_login_session by agency_id, id"]


@pytest.mark.parametrize("case", [*CASES, *MDOC_CASES], ids=lambda case: case.name)
def test_every_case_runs(case: Case) -> None:
    case.run()


def test_a_row() -> None:
    row = measure(CASES[0], rounds=1)
    assert row.ratio > 0
    assert row.lowest <= row.ratio <= row.highest
    assert json.loads(json.dumps(row.to_json()))["unit"] == "s"


def test_the_row_of_a_token(softhsm_module: Path) -> None:
    (row,) = hsm.rows("token", rounds=1)
    assert row.ratio > 0


def test_the_program(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--only", "stored", "--rounds", "1", "--json", str(output)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "present 3 of 10, stored and indexed" in finished.stdout
    assert [row["floor"] for row in json.loads(output.read_text())["rows"]] == [0.5]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kind", [IssuerWorld, VerifierWorld])
def test_the_requests_of_the_http_cases_are_answered_once(
    kind: type[IssuerWorld | VerifierWorld], *, in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = kind(tmp_path, f"sqlite:///{tmp_path}/bench.db", "http://localhost:8199")
    posts = world.posts(3, in_memory=in_memory)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    factory = world.factory_in_memory if in_memory else world.factory
    module, _, function = factory.partition(":")
    client = TestClient(getattr(importlib.import_module(module), function)())
    assert [send(client, post) for post in posts] == [200, 200, 200]
    # What is sent again is refused, unless storage is in memory, where only new requests are measured.
    assert in_memory or send(client, posts[0]) >= 400


QUERIES = {
    "par": ["SELECT issuer_rate by key", "INSERT issuer_spent", "INSERT issuer_spent", "INSERT issuer_authorization"],
    "authorize": [
        "SELECT issuer_rate by key",
        "SELECT issuer_authorization by agency_id, request_digest",
        "UPDATE issuer_authorization by id, version",
        "INSERT issuer_login_session",
    ],
    "login": [*PAGE, AUTHORIZATION],
    "login/test": [*PAGE, AUTHORIZATION],
    "login/test (code)": [
        *PAGE,
        AUTHORIZATION,
        "SELECT issuer_login_session by agency_id, id",
        "SELECT issuer_test_code by id",
        "DELETE issuer_test_code by id, tries_left, code_digest",
        "SELECT issuer_record by agency_id, citizen_digest",
        AUTHORIZATION,
        "UPDATE issuer_login_session by id, version",
    ],
    "consent": [*PAGE, AUTHORIZATION, RECORD],
    "consent (yes)": [
        *PAGE,
        AUTHORIZATION,
        RECORD,
        "UPDATE issuer_authorization by id, version",
        "UPDATE issuer_login_session by id, version",
    ],
    "token": [
        "SELECT issuer_rate by key",
        "SELECT issuer_authorization by agency_id, code_digest",
        "INSERT issuer_spent",
        "INSERT issuer_spent",
        "UPDATE issuer_authorization by id, version",
        "INSERT issuer_offer",
    ],
    "nonce": [],
    "credential": [
        "SELECT issuer_offer by agency_id, token_digest",
        RECORD,
        "SELECT issuer_status_list by agency_id, format, is_open",
        "SELECT issuer_status_entry by agency_id, number, idx",
        "INSERT issuer_spent",
        "UPDATE issuer_offer by id, version",
        "INSERT issuer_credential",
        "INSERT issuer_status_entry",
    ],
}
"""What each request of an issuance asks of the database: a request that needs more says here why."""


def test_a_whole_issuance_asks_no_more_of_the_database_than_it_needs(tmp_path: Path) -> None:
    work = issuances.count_work(HaipWorld(tmp_path, f"sqlite:///{tmp_path}/bench.db", "http://localhost:8199"))
    asked = {kind: queries.statements for kind, queries in work.queries.items()}
    # Of ten places drawn at random some may be decoys: then the list is looked at once more.
    credential = asked["credential"]
    while credential.count(again := QUERIES["credential"][3]) > 1:
        credential.remove(again)
    assert asked == QUERIES
    assert {kind: queries.writing for kind, queries in work.queries.items() if queries.writing} == {
        "par": 1,
        "authorize": 2,
        "login/test (code)": 1,
        "consent (yes)": 2,
        "token": 1,
        "credential": 1,
    }
    # Signed: one copy for each key. Verified: three times who asks, at PAR and token; and three proofs at the end.
    assert (work.signed, work.verified) == (10, 9)


def test_times_of_answers() -> None:
    load = Load(issued=2, seconds=4.0)
    load.milliseconds["par"] += [float(number) for number in range(100, 0, -1)]
    assert load.percentiles("par") == (50.5, 100.0)
    assert (load.per_second, load.requests_per_second) == (0.5, 25.0)


def said(*numbers: int) -> Answers:
    return Answers.parse(f"Running\nRESULT {' '.join(map(str, numbers))}\n")


def test_answers_that_were_refused_are_no_rate_and_void_the_row() -> None:
    good = said(4000, 2_000_000, 0, 0, 12_500, 5000, 0)
    assert (good.per_second, good.answered, good.refused, good.p99, good.void) == (2000.0, 4000, 0, 12.5, "")
    refusing = said(4000, 2_000_000, 1000, 7, 12_500, 5000, 0)
    assert (refusing.per_second, refusing.answered, refusing.refused) == (1500.0, 3000, 1007)
    assert refusing.void == "1,007 refused, 3,000 answered"
    assert said(5001, 2_000_000, 0, 0, 1, 5000, 0).void == "5,001 answers to 5,000 posts"
    assert said(4990, 2_000_000, 0, 0, 1, 5000, 3).void == "the 5,000 posts were used up too soon"
    with pytest.raises(RuntimeError, match="unable to connect"):
        Answers.parse("unable to connect")


def test_a_round_is_void_by_any_of_its_parts() -> None:
    good, refusing = said(400, 2_000_000, 0, 0, 1, 500, 0), said(400, 2_000_000, 1, 0, 1, 500, 0)
    used_up = said(400, 2_000_000, 0, 0, 1, 400, 32)
    assert http.Round(good, good, 1.0, Load()).void == ""
    assert http.Round(used_up, good, 1.0, Load()).void == "", "how long the warm-up goes on says nothing"
    assert http.Round(refusing, good, 1.0, Load()).void == "in the warm-up 1 refused, 399 answered"
    assert http.Round(good, refusing, 1.0, Load()).void == "1 refused, 399 answered"
    assert http.Round(good, used_up, 1.0, Load()).void == "the 400 posts were used up too soon"
    assert http.Round(good, good, 1.0, Load(failed=2)).void == "2 refused at half of the rate"


@pytest.mark.parametrize(
    ("ratio", "floor", "target", "void", "expected"),
    [
        (0.5, None, None, "", ""),
        (0.5, 0.4, None, "", "pass"),
        (0.5, 0.4, 0.5, "", "target"),
        (0.3, 0.4, 0.5, "", "BELOW FLOOR"),
        (0.9, 0.4, 0.5, "3 refused", "VOID: 3 refused"),
        (0.9, None, None, "3 refused", "VOID: 3 refused"),
    ],
)
def test_the_verdict_on_a_row(
    ratio: float, floor: float | None, target: float | None, void: str, expected: str
) -> None:
    row = Row("a case", "S2", ratio, ratio, ratio, 1.0, floor, target, void=void)
    assert verdict(row) == expected
    assert show(row).endswith(expected)
    assert row.to_json()["void"] == void


class Counting(BaseHTTPRequestHandler):
    """Answers every POST with 200 and counts them."""

    protocol_version = "HTTP/1.1"
    counted: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.counted.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing is printed."""


class CountingServer(ThreadingHTTPServer):
    request_queue_size = 128


@pytest.mark.skipif(bool(post.missing()), reason=post.missing() or "wrk is there")
def test_no_post_is_sent_again_when_all_are_used_up(tmp_path: Path) -> None:
    with CountingServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        posts = [Post(f"/{number}", "", "text/plain", "x") for number in range(101)]
        post.write_posts(posts, origin, tmp_path / "posts")
        answers = post.send(origin, tmp_path / "posts", 2.0)
        server.shutdown()
    assert sorted(Counting.counted) == sorted(each.path for each in posts)
    assert (answers.answered, answers.refused, answers.posts, answers.used_up) == (101, 0, 101, True)


def test_the_row_of_looking_up_an_open_request() -> None:
    (row,) = lookup.rows("lookup", rounds=2, many=40, lookups=20)
    assert row.lowest <= row.ratio <= row.highest
    assert row.per_second > 0


def test_half_of_a_rate_sends_each_post_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    world = VerifierWorld(tmp_path, f"sqlite:///{tmp_path}/bench.db", f"http://localhost:{port}")
    monkeypatch.setattr(http, "HALF_SECONDS", 0.25)
    posts = world.posts(6, in_memory=False)
    with serving(create_verifier_app(world.verifier), port):
        load = http.at_half(posts[:5], 40.0, port)
        again = http.at_half(posts[:5], 40.0, port)
    assert (load.issued, load.failed) == (5, 0)
    assert (again.issued, again.failed) == (0, 5), "a refusal is no answer to be timed as one"
    assert 0 < load.percentiles(http.HALF)[0] <= load.percentiles(http.HALF)[1]


def send(client: TestClient, post: Post) -> int:
    headers = {"Content-Type": post.media_type, **({"Authorization": post.authorization} if post.authorization else {})}
    status: int = client.post(post.path, content=post.body, headers=headers).status_code
    return status


def test_the_status_list_of_the_bench_is_smaller_than_the_usual_one() -> None:
    array = status_list.example()
    assert len(compress(array)) <= len(zlib.compress(array, 6))
    statuses = StatusList(1, bytes(array))
    assert statuses.data.count(0) < len(statuses.data)
    status_list.look_up(statuses, [0, status_list.ENTRIES - 1])
    token = parse_status_list_jwt(status_list.make(array).encode())
    uri = f"{cases.ISSUER_ID}/statuslists/1"
    read = verify_status_list_token(token, key=cases.ISSUER.public_key, uri=uri, now=cases.NOW)
    assert read.statuses.data == statuses.data
