"""Webhooks as Standard Webhooks 1.0.0 has them: signed, with one id over all tries, tried for three days.

https://github.com/standard-webhooks/standard-webhooks, ``spec/standard-webhooks.md``. A body names what moved and says
nothing of a person: whoever receives it asks our API.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.spec_versions import JSON
from wallet_core.types import RandomBytes

SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
"""Bytes of a secret; the specification asks for 24 to 64."""

RESPONSE_LIMIT: Final = 64 * 1024
"""Bytes that a receiver may answer; nobody reads them."""

RETRIES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=20),
)
"""Waits before the second and later tries: the schedule of the specification, its end drawn in to three days."""

MOST_ASKED: Final = timedelta(hours=24)
"""How long a receiver may ask us to wait (``Retry-After``)."""

GONE: Final = 410


def new_webhook_secret(random: RandomBytes) -> str:
    """Return a fresh signing secret in the form in which it is shown to a receiver."""
    return SECRET_PREFIX + base64.b64encode(random(SECRET_BYTES)).decode("ascii")


def webhook_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one entry of ``webhook-signature``: ``v1`` and HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    # "The content to be signed": id, timestamp and payload, with full stops between them.
    signed = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def create_webhook_request(
    url: str, message_id: str, body: bytes, secrets: Sequence[str], *, now: datetime
) -> HttpRequest:
    """Return one try of a webhook.

    Args:
        url: of the receiver.
        message_id: the same on every try; without a full stop.
        body: JSON.
        secrets: the current one first, then those that still count while it is rotated.
        now: of this try.
    """
    timestamp = int(now.timestamp())
    headers = {"Content-Type": JSON, "webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    # webhook-1-signature-list
    headers["webhook-signature"] = " ".join(webhook_signature(each, message_id, timestamp, body) for each in secrets)
    return HttpRequest("POST", url, headers, body, response_limit=RESPONSE_LIMIT)


def wait_after(tries: int, response: HttpResponse | None, random: RandomBytes) -> timedelta | None:
    """Return how long to wait after a failed try; None if it was the last.

    Args:
        tries: made so far, 1 after the first.
        response: what the receiver answered; None if it was not reached.
        random: for the jitter: what failed together must not come back together.
    """
    # webhook-1-gone
    if response is not None and response.status == GONE:
        return None
    # webhook-1-three-days
    if tries > len(RETRIES):
        return None
    wait = RETRIES[tries - 1] * (1 + int.from_bytes(random(2), "big") / 0xFFFF / 10)
    asked = None if response is None else _retry_after(response)
    # webhook-1-retry-after
    return wait if asked is None else max(wait, min(asked, MOST_ASKED))


def _retry_after(response: HttpResponse) -> timedelta | None:
    # RFC 9110 10.2.3: seconds or a date; a date would need the receiver's clock, so our own schedule holds then.
    value = response.headers.get("retry-after", "").strip()
    return timedelta(seconds=int(value)) if value.isascii() and value.isdigit() and len(value) < 9 else None
