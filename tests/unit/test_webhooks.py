"""Standard Webhooks: the signature, the headers, the schedule."""

import asyncio
import base64
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from verifier.webhooks.use_cases import send_delivery
from wallet_core.adapters.http import HttpClient
from wallet_core.http import HttpResponse
from wallet_core.protocols.webhooks import (
    MOST_ASKED,
    RETRIES,
    create_webhook_request,
    new_webhook_secret,
    wait_after,
    webhook_signature,
)

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def no_jitter(length: int) -> bytes:
    return bytes(length)


def most_jitter(length: int) -> bytes:
    return b"\xff" * length


def test_the_signature_is_the_one_that_other_libraries_make() -> None:
    # The example that the libraries of the specification have among their tests.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = webhook_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_has_256_bits_in_the_form_that_receivers_know() -> None:
    secret = new_webhook_secret(bytes)
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32


@pytest.mark.clause("webhook-1-signature-list")
def test_while_it_is_rotated_both_secrets_sign() -> None:
    secrets = [new_webhook_secret(lambda n, fill=fill: fill * n) for fill in (b"1", b"2")]
    request = create_webhook_request("https://a.example/hook", "msg_1", b"{}", secrets, now=NOW)
    assert request.method == "POST"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    expected = [webhook_signature(each, "msg_1", int(NOW.timestamp()), b"{}") for each in secrets]
    assert request.headers["webhook-signature"].split(" ") == expected


@pytest.mark.clause("webhook-1-three-days")
def test_it_is_tried_for_three_days_and_no_longer() -> None:
    waits = [wait_after(tries, None, most_jitter) for tries in range(1, len(RETRIES) + 1)]
    assert all(wait is not None for wait in waits)
    assert waits == sorted(waits)
    assert timedelta(days=2, hours=12) < sum(RETRIES, timedelta()) <= timedelta(days=3)
    assert wait_after(len(RETRIES) + 1, None, most_jitter) is None


def test_jitter_spreads_by_a_tenth() -> None:
    assert wait_after(2, None, no_jitter) == RETRIES[1]
    assert wait_after(2, None, most_jitter) == RETRIES[1] * 1.1


@pytest.mark.clause("webhook-1-gone")
def test_who_says_gone_is_not_asked_again() -> None:
    assert wait_after(1, HttpResponse(410), no_jitter) is None
    assert wait_after(1, HttpResponse(500), no_jitter) == RETRIES[0]


@pytest.mark.clause("webhook-1-retry-after")
@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("600", timedelta(seconds=600)),
        ("1", RETRIES[0]),
        ("99999999", MOST_ASKED),
        ("999999999999", RETRIES[0]),
        ("-5", RETRIES[0]),
        ("٣", RETRIES[0]),
        ("Fri, 31 Dec 2027 23:59:59 GMT", RETRIES[0]),
    ],
)
def test_a_receiver_may_ask_for_time(value, wait) -> None:
    assert wait_after(1, HttpResponse(503, {"retry-after": value}), no_jitter) == wait


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", ".example", "a..example"])
def test_an_address_that_is_no_name_is_a_failed_try(host: str) -> None:
    delivery = SimpleNamespace(party_id="p", turn=0, dead_at=None, url=f"https://{host}/", id="msg_1", body=b"{}")
    endpoint = SimpleNamespace(secrets=lambda _now: (new_webhook_secret(no_jitter),))
    webhooks = SimpleNamespace(find=lambda _id: delivery, endpoint=lambda _id: endpoint)
    ports: Any = SimpleNamespace(
        reading=lambda: SimpleNamespace(unit=nullcontext(), webhooks=webhooks),
        clock=SimpleNamespace(now=lambda: NOW),
        send=lambda request: asyncio.run(HttpClient(allow_loopback=False).fetch(request)),
    )
    attempt = send_delivery(ports, "msg_1", 0)
    assert attempt is not None
    assert attempt.response is None
    assert attempt.problem
