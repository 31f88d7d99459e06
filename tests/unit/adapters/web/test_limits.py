"""Who is refused too often waits; who succeeds never does; and who called, behind proxies."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient

from wallet_core.adapters.web.limits import FAILURES_AT_ONCE, client_address, client_key

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def _scope(peer: str, *forwarded: str) -> dict[str, object]:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", each.encode()) for each in forwarded]}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        # A stranger's claim is not believed,
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        # our proxy's is,
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        # through several of ours, in one header or two,
        ("10.0.0.1", ("198.51.100.1, 10.0.0.2",), "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1", "10.0.0.2"), "198.51.100.1"),
        # and what stood before it is the stranger's again.
        ("10.0.0.1", ("192.0.2.7, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
        ("testclient", ("198.51.100.1",), "testclient"),
        ("10.0.0.1", ("not an address",), "not an address"),
    ],
)
def test_the_address_is_what_our_nearest_proxy_saw(peer: str, forwarded: tuple[str, ...], expected: str) -> None:
    assert client_address(_scope(peer, *forwarded), PROXIES) == expected


def test_ipv6_counts_by_64_and_no_address_is_kept() -> None:
    one, other, far = (
        client_key(_scope(peer), (), b"k" * 32)
        for peer in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    )
    assert one == other != far
    assert "2001" not in one


def test_after_too_many_refusals_the_caller_waits_and_others_do_not(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(proxies="10.0.0.0/8")
    with TestClient(app, base_url="https://sample.example", client=("10.0.0.1", 1)) as client:
        mine, theirs = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
        for _ in range(FAILURES_AT_ONCE):
            assert client.get("/wire", headers=mine).status_code == 401
        # A call is given back every two seconds, so a slow machine gets some more of them.
        answers = (client.get("/wire", headers=mine) for _ in range(FAILURES_AT_ONCE))
        refused = next(answer for answer in answers if answer.status_code != 401)
        assert (refused.status_code, refused.json()["error"]) == (429, "temporarily_unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["x-content-type-options"] == "nosniff"
        # The guard is of all doors together, and of this caller alone.
        assert client.get("/note", headers=mine).status_code == 429
        assert client.get("/wire", headers=theirs).status_code == 401
        assert client.get("/form", headers=mine).status_code == 200
        # Every worker sees the same count: it is in the database. Time alone opens the door again.
        web = app.state.web
        with web.database.unit() as unit:
            keys = unit.connection.execute(select(web.tables.rate.c.key)).scalars().all()
            assert not any("198.51" in key for key in keys)
            unit.connection.execute(update(web.tables.rate).values(next_at=web.tables.rate.c.next_at - 20))
        assert client.get("/note", headers=mine).status_code == 200


def test_whoever_is_only_asked_for_a_fresh_nonce_does_not_wait(client: TestClient) -> None:
    for _ in range(FAILURES_AT_ONCE + 5):
        assert client.get("/again").status_code == 400
    assert client.get("/note").status_code == 200


def test_successes_are_not_counted(client: TestClient) -> None:
    for _ in range(FAILURES_AT_ONCE + 5):
        assert client.get("/note").status_code == 200
