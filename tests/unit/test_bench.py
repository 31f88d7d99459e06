"""The bench can run: nobody looks at it for weeks, and then it must."""

import importlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.bench import cases, hsm, status_list
from tests.bench.cases import CASES
from tests.bench.issuing import IssuerWorld
from tests.bench.mdoc import MDOC_CASES
from tests.bench.measure import Case, measure
from tests.bench.post import Post
from tests.bench.verifying import VerifierWorld
from wallet_core.trust.status_list.array import StatusList, compress
from wallet_core.trust.status_list.token import parse_status_list_jwt, verify_status_list_token

ROOT = Path(__file__).parents[2]


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
