"""A client of Jigap's verifier in one file: copy it into your own program. It needs Python 3.11 and nothing else.

::

    from client import VerifierClient

    verifier = VerifierClient("https://verifier.example", "jgk_...")
    asked = verifier.create(policy="adult-check")
    show_qr(asked.qr_svg)                              # or a button with asked.authorization_request
    result = verifier.wait(asked.id, timeout=300)
    if result.verified:
        print(result.claims("licence"))

What it takes off your hands:

* Every POST carries an ``Idempotency-Key``, made once and kept on each retry, so nothing is done twice.
* A call that got no answer, or 429, 502, 503 or 504, is made again after a pause, as long as ``Retry-After`` says.
* No redirect is followed: your API key goes to the address you gave and to no other. A proxy of your environment
  (``https_proxy``) passes on what is encrypted between you and that address, and cannot read it.
* Errors are typed, and say whose fault it is and which clause was broken.
* :func:`verify_webhook` checks the signature of a notice that the verifier sent you (Standard Webhooks).

A :class:`VerifierClient` keeps no connection and no state: threads may share one.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Bytes of an answer; a presentation with portraits has some hundred thousand."""

MAX_PAUSE = 60
"""Seconds that a call waits before it tries again; a verifier that wants a longer pause gets an error instead."""

WEBHOOK_TOLERANCE = 300
"""Seconds that a webhook's time may differ from yours: an older one may be a replay."""

FINAL_STATES = frozenset({"verified", "refused", "expired"})
"""States that never change; ``answered`` waits for :meth:`VerifierClient.redeem`."""

_TRY_AGAIN = frozenset({429, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


# --- errors -----------------------------------------------------------------------------------------------------------
class VerifierError(Exception):
    """The verifier did not do what was asked.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        error: a stable code, such as ``invalid_request``.
        description: one sentence on it.
        trace_id: names the lines of the verifier's log; quote it when you ask for help.
        clause: where the broken rule stands in a specification, if known.
        fault: ``you``, ``us`` (the verifier) or ``peer`` (the wallet).
        retry_after: seconds to wait before the next try; None if it would not help.
    """

    def __init__(self, status: int, body: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.error = str(body.get("error", "server_error"))
        self.description = str(body.get("error_description", ""))
        self.trace_id = str(body.get("trace_id", ""))
        self.clause = body.get("clause")
        self.fault = body.get("fault")
        self.retry_after = retry_after
        super().__init__(
            f"{status} {self.error}: {self.description}" + (f" ({self.trace_id})" if self.trace_id else "")
        )


class BadRequest(VerifierError):
    """400, 405, 413, 415: what was sent is wrong; the description says what to change."""


class Unauthorized(VerifierError):
    """401: the API key is missing, unknown, expired or revoked."""


class Forbidden(VerifierError):
    """403: the API key lacks the scope."""


class NotFound(VerifierError):
    """404: there is no such thing, it is another party's, or a response_code is wrong."""


class Conflict(VerifierError):
    """409: it moved or ended meanwhile, or was done before."""


class IdempotencyMismatch(VerifierError):
    """422: the Idempotency-Key was used before with another request."""


class RateLimited(VerifierError):
    """429: too many calls of your company; ``retry_after`` says how long to wait."""


class ServerFailed(VerifierError):
    """5xx: the verifier failed."""


class Unreachable(VerifierError):
    """There was no answer, or none that this client understands."""

    def __init__(self, why: str) -> None:
        super().__init__(0, {"error": "unreachable", "error_description": why})


class WebhookRefused(Exception):
    """What came is no webhook of the verifier, or too old. Answer 400 and do nothing."""


_ERRORS: Mapping[int, type[VerifierError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: IdempotencyMismatch,
    429: RateLimited,
}


# --- what is answered -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Created:
    """A request for a presentation.

    Attributes:
        id: for you only: never show it to the wallet.
        authorization_request: the link for a button; None over the Digital Credentials API.
        qr_svg: the same link as a QR code, an SVG image.
        dc_api_request: what your page passes to ``navigator.credentials.get``; None for the other ways.
        expires_at: until when it can be answered (RFC 3339).
        raw: the whole answer.
    """

    id: str
    authorization_request: str | None
    qr_svg: str | None
    dc_api_request: Mapping[str, Any] | None
    expires_at: str
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What became of a presentation.

    Attributes:
        state: requested, retrieved, answered, verified, refused or expired.
        credentials: by the id of the query: a list of what each credential says; None unless verified and kept.
        checks: the numbered checks.
        error: code of what went wrong; None if nothing did.
        raw: the whole answer.
    """

    id: str
    state: str
    credentials: Mapping[str, list[dict[str, Any]]] | None
    checks: list[dict[str, Any]]
    error: str | None
    raw: Mapping[str, Any]

    @property
    def verified(self) -> bool:
        """Whether every check passed. Rely on no claim otherwise."""
        return self.state == "verified"

    @property
    def final(self) -> bool:
        """Whether the state never changes any more."""
        return self.state in FINAL_STATES

    def claims(self, query_id: str) -> dict[str, Any]:
        """Return the claims of the first credential that answers ``query_id``. ``KeyError`` if there is none."""
        if not self.credentials or not self.credentials.get(query_id):
            raise KeyError(query_id)
        claims: dict[str, Any] = self.credentials[query_id][0]["claims"]
        return claims


# --- the client -------------------------------------------------------------------------------------------------------
class VerifierClient:
    """Calls the verifier's API for one relying party.

    Args:
        base_url: origin of the verifier; https, but for this machine itself.
        api_key: ``jgk_...``.
        timeout: seconds that one try may take.
        tries: how often a call is made that fails for a while.
        ssl_context: instead of the system's roots.
        sleep: how to wait; tests give their own.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 10,
        tries: int = 4,
        ssl_context: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = urllib.parse.urlsplit(base_url)
        if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
            raise ValueError("the verifier's address is https")
        if tries < 1:
            raise ValueError("tries is 1 or more")
        self._base = base_url.rstrip("/") + "/api/v1"
        self._key = api_key
        self._timeout = timeout
        self._tries = tries
        self._sleep = sleep
        https = urllib.request.HTTPSHandler(context=ssl_context or ssl.create_default_context())
        # Without TLS, on this machine, a proxy would read the key.
        proxy = urllib.request.ProxyHandler({} if address.scheme == "http" else None)
        self._opener = urllib.request.build_opener(https, proxy, _EveryAnswer)

    def create(
        self,
        *,
        policy: str | None = None,
        dcql_query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Created:
        """Ask for a presentation.

        Args:
            policy: id of a policy of the catalogue, or
            dcql_query: a query of your own (OpenID4VP 1.0 section 6).
            idempotency_key: yours, say the number of the order, if another process may ask for the same again.
            options: other members of the request, such as ``flow="same_device", redirect_uri="https://…"``.
        """
        body = {"policy": policy, "dcql_query": dcql_query, **options}
        given = {name: value for name, value in body.items() if value is not None}
        made = self._post("/presentations", given, idempotency_key)
        names = ("id", "authorization_request", "qr_svg", "expires_at")
        call = made.get("dc_api_request")
        return Created(raw=made, dc_api_request=call, **{name: _member(made, name) for name in names})

    def fetch(self, presentation_id: str) -> Result:
        """Return what became of a presentation so far."""
        return _result(self._get(f"/presentations/{_quoted(presentation_id)}"))

    def wait(self, presentation_id: str, *, timeout: float = 300, interval: float = 2) -> Result:
        """Return the result once there is one, or ``answered``, which waits for :meth:`redeem`.

        Raises:
            TimeoutError: nothing was answered in time; the request may still be open.
        """
        end = time.monotonic() + timeout
        while True:
            result = self.fetch(presentation_id)
            if result.final or result.state == "answered":
                return result
            if time.monotonic() + interval > end:
                raise TimeoutError(f"{presentation_id} is still {result.state}")
            self._sleep(interval)

    def redeem(self, presentation_id: str, response_code: str, *, idempotency_key: str | None = None) -> Result:
        """Exchange the ``response_code`` that the browser brought back for the claims, once (same-device flow).

        Do it only in the browser session that began: who brings a code in another one may be an attacker's victim.
        """
        path = f"/presentations/{_quoted(presentation_id)}/redeem"
        return _result(self._post(path, {"response_code": response_code}, idempotency_key))

    def dc_api_response(
        self, presentation_id: str, credential: Mapping[str, Any], origin: str, *, idempotency_key: str | None = None
    ) -> Result:
        """Bring what ``navigator.credentials.get`` gave to your page, once, and return the result.

        Args:
            presentation_id: of the request.
            credential: ``protocol`` and ``data`` of the ``DigitalCredential``.
            origin: of your page; one of the ``expected_origins`` of the request.
            idempotency_key: yours, if another process may bring the same.

        Raises:
            BadRequest: it does not pass the checks; :meth:`fetch` says at which it stopped.
        """
        path = f"/presentations/{_quoted(presentation_id)}/dc-api-response"
        return _result(self._post(path, {**credential, "origin": origin}, idempotency_key))

    def forget_claims(self, presentation_id: str, *, idempotency_key: str | None = None) -> Result:
        """Delete the claims now, before their time, and return what is left; a repeat changes nothing.

        Call it when what you told people comes true before the days are over ("the same day if no account is opened"):
        the verifier counts from the answer and cannot know. The record stays, and nothing in it can be opened any more.

        Raises:
            Conflict: the presentation has not ended yet.
        """
        return _result(self._post(f"/presentations/{_quoted(presentation_id)}/forget-claims", {}, idempotency_key))

    def record(self, presentation_id: str) -> str:
        """Return the sealed verification record: a file to keep, and to show to an auditor."""
        path = f"/presentations/{_quoted(presentation_id)}/record"
        record: str = self._call("GET", path, None, {}, read=bytes.decode)
        return record

    def results(self) -> Iterator[Result]:
        """Return every presentation that is on record, the newest first, without claims."""
        cursor = ""
        while True:
            page = self._get(f"/presentations?cursor={_quoted(cursor)}")
            yield from (_result(each) for each in _member(page, "presentations"))
            cursor = _member(page, "next_cursor") or ""
            if not cursor:
                return

    def verify(self, text: str, *, policy: str | None = None) -> dict[str, Any]:
        """Check a credential that somebody handed in, without a session, and return what was found."""
        return self._post("/verify", {"text": text, **({"policy": policy} if policy else {})}, None)

    def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", path, None, {})
        return found

    def _post(self, path: str, body: Mapping[str, Any], idempotency_key: str | None) -> dict[str, Any]:
        # Made once for all tries: the verifier answers a repeat as it answered the first.
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4()), "Content-Type": "application/json"}
        found: dict[str, Any] = self._call("POST", path, json.dumps(body).encode(), headers)
        return found

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        read: Callable[[bytes], Any] | None = None,
    ) -> Any:
        attempt = 1
        while True:
            try:
                return self._once(method, path, body, headers, read or _object)
            except VerifierError as error:
                pause = 0.5 * 2 ** (attempt - 1) if error.retry_after is None else error.retry_after
                again = isinstance(error, Unreachable) or error.status in _TRY_AGAIN
                if not again or attempt == self._tries or pause > MAX_PAUSE:
                    raise
            self._sleep(pause)
            attempt += 1

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        read: Callable[[bytes], Any],
    ) -> Any:
        every = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", **headers}
        request = urllib.request.Request(self._base + path, body, every, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                status, retry_after = answer.status, answer.headers.get("Retry-After")
                content = _read(answer)
            if status < 300:
                return read(content)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(f"{method} {path.partition('?')[0]}: {error}") from error
        raise _error(status, retry_after, content)


class _EveryAnswer(urllib.request.HTTPErrorProcessor):
    """Returns every answer as it came. So no redirect is followed: urllib would take the API key along with it."""

    def http_response(self, request: Any, response: Any) -> Any:
        """Return the answer."""
        del request
        return response

    https_response = http_response


def _read(answer: Any) -> bytes:
    content: bytes = answer.read(MAX_ANSWER_BYTES + 1)
    # What Content-Length promised beyond it; http.client does not miss it.
    if answer.length or len(content) > MAX_ANSWER_BYTES:
        raise ValueError("the answer was cut off, or is too large")
    return content


def _result(body: Mapping[str, Any]) -> Result:
    names = ("id", "state", "credentials", "checks", "error")
    return Result(raw=body, **{name: _member(body, name) for name in names})


def _member(body: Mapping[str, Any], name: str) -> Any:
    if name not in body:
        raise Unreachable(f"the answer has no {name}: is this the address of a verifier?")
    return body[name]


def _error(status: int, retry_after: str | None, content: bytes) -> VerifierError:
    if status < 400:
        return Unreachable(f"the address answered {status}, and redirects are not followed")
    try:
        body = _object(content)
    except ValueError:
        body = {"error_description": "no JSON"}
    kind = _ERRORS.get(status) or (ServerFailed if status >= 500 else BadRequest)
    # isdigit() alone takes "²", of which no number can be made.
    wait = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return kind(status, body, wait)


def _object(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - of what came, not of an argument
    return found


def _quoted(value: str) -> str:
    return urllib.parse.quote(value, safe="")


# --- webhooks ---------------------------------------------------------------------------------------------------------
def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance: float = WEBHOOK_TOLERANCE,
) -> dict[str, Any]:
    """Return the content of a webhook that the verifier signed (Standard Webhooks 1.0: HMAC-SHA256, ``v1``).

    Deliveries are repeated until you answer 2xx: keep the ``webhook-id`` of those you acted on, and act once.

    Args:
        secret: ``whsec_...``, as it was shown to you.
        headers: of the request, in any case.
        body: as it came, not parsed and written again.
        now: the present time in seconds since 1970; the clock's if it is not given.
        tolerance: seconds that the webhook's time may differ from it.

    Raises:
        WebhookRefused: a header is missing, the signature does not fit, or it is too old.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        identifier, sent = found["webhook-id"], found["webhook-timestamp"]
        signatures = found["webhook-signature"].split()
    except KeyError as missing:
        raise WebhookRefused(f"there is no header {missing}") from None
    expected = hmac.digest(_webhook_key(secret), f"{identifier}.{sent}.".encode() + body, hashlib.sha256)
    # Every one is compared: while a secret is rotated, a webhook carries two signatures.
    if not any([hmac.compare_digest(expected, each) for each in _signatures(signatures)]):  # noqa: C419
        raise WebhookRefused("the signature does not fit")
    if not sent.isascii() or not sent.isdigit() or len(sent) > 15:
        raise WebhookRefused("webhook-timestamp is no number of seconds")
    if abs((time.time() if now is None else now) - int(sent)) > tolerance:
        raise WebhookRefused("the webhook is too old, or one of the two clocks is wrong")
    try:
        return _object(body)
    except ValueError as error:
        raise WebhookRefused(str(error)) from None


def _webhook_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("a webhook's secret is whsec_ and base64")
    return key


def _signatures(texts: list[str]) -> Iterator[bytes]:
    for text in texts:
        version, _, value = text.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(value, validate=True)
            except ValueError:
                continue
