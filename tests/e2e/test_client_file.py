"""``verifier/client.py``, which others copy: it runs against the real app over HTTP, and imports nothing of ours."""

import ast
import base64
import contextlib
import hashlib
import hmac
import http.server
import importlib.util
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.dc_api import PlatformWallet
from tests.support.network import free_port
from tests.support.presentations import CLAIMS, query
from tests.support.serving import serving
from tests.support.verifying import BACK, PARTY, VerifierUnderTest, response_code, start_verifier

ROOT = Path(__file__).parents[2]
FILE = ROOT / "verifier" / "client.py"
PAGE = ROOT / "specs" / "relying-parties.md"
ASK = query(("name",), ("age_over_19",))
SECRET = "whsec_" + base64.b64encode(b"a secret of the webhook, 32 byte").decode()


def copied(folder: Path) -> Any:
    """The file, copied as its users do, and imported where nothing of ours stands beside it."""
    copy = folder / "client.py"
    copy.write_bytes(FILE.read_bytes())
    spec = importlib.util.spec_from_file_location("client", copy)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["client"] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Bank:
    """A program of a relying party: the copied client and a verifier behind a port, with a wallet to answer."""

    module: Any
    under_test: VerifierUnderTest
    url: str
    slept: list[float] = field(default_factory=list)

    def client(self, key: str | None = None, **options: Any) -> Any:
        key = key or self.under_test.api_keys[PARTY]
        return self.module.VerifierClient(self.url, key, sleep=self.slept.append, **options)

    def answer(self, link: str) -> str | None:
        """Let the wallet answer; return where it sends the browser."""
        return self.under_test.present(link).redirect_uri


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder, port = tmp_path_factory.mktemp("bank"), free_port()
    url = f"http://localhost:{port}"
    under_test = start_verifier(folder, f"sqlite:///{folder}/verifier.db", public_url=url, insecure_allow_loopback=True)
    with serving(under_test.app, port):
        yield Bank(copied(folder), under_test, url)
    sys.modules.pop("client")
    under_test.verifier.database.close()


def test_it_imports_the_standard_library_only() -> None:
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import does not survive copying"
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names
    assert imported


def test_across_devices(bank: Bank) -> None:
    client = bank.client()
    asked = client.create(dcql_query=ASK)
    assert asked.qr_svg.lstrip().startswith("<")
    assert client.fetch(asked.id).state == "requested"
    bank.answer(asked.authorization_request)
    result = client.wait(asked.id)
    assert result.verified
    assert result.claims("licence")["name"] == CLAIMS["name"]
    assert all(check["ok"] for check in result.checks)
    with pytest.raises(KeyError):
        result.claims("passport")
    assert next(client.results()).id == asked.id


def test_on_the_same_device(bank: Bank) -> None:
    client = bank.client()
    asked = client.create(dcql_query=ASK, flow="same_device", redirect_uri=BACK)
    code = response_code(bank.answer(asked.authorization_request))
    waiting = client.wait(asked.id)
    assert (waiting.state, waiting.credentials, waiting.verified, waiting.final) == ("answered", None, False, False)
    with pytest.raises(bank.module.NotFound):
        client.redeem(asked.id, "guess")
    assert client.redeem(asked.id, code).claims("licence")["name"] == CLAIMS["name"]
    with pytest.raises(bank.module.Conflict) as caught:
        client.redeem(asked.id, code)
    assert (caught.value.fault, caught.value.clause) == ("you", "OpenID4VP 13.3")
    assert caught.value.trace_id


def test_claims_are_deleted_early(bank: Bank) -> None:
    client = bank.client()
    asked = client.create(dcql_query=ASK)
    with pytest.raises(bank.module.Conflict):
        client.forget_claims(asked.id)
    bank.answer(asked.authorization_request)
    assert client.wait(asked.id).credentials
    left = client.forget_claims(asked.id, idempotency_key="no account")
    assert (left.verified, left.credentials) == (True, None)
    assert client.forget_claims(asked.id).raw == client.fetch(asked.id).raw == left.raw
    with pytest.raises(KeyError):
        left.claims("licence")
    assert client.record(asked.id).strip().endswith("~")


def test_waiting_ends(bank: Bank) -> None:
    asked = bank.client().create(dcql_query=ASK)
    with pytest.raises(TimeoutError):
        bank.client().wait(asked.id, timeout=0.01, interval=1)


def test_every_page_of_the_list(bank: Bank) -> None:
    client = bank.client(bank.under_test.api_keys["dodam-bank"])
    made = []
    for _ in range(51):
        bank.under_test.clock.advance(0.01)
        made.append(client.create(policy="account-opening").id)
    assert [each.id for each in client.results()] == made[::-1]


def test_a_handed_in_text_is_checked(bank: Bank) -> None:
    text = str(bank.under_test.world.agency.issue(bank.under_test.world.holder))
    assert bank.client().verify(text)["state"] == "verified"
    assert bank.client().verify(text.replace("~", "~A", 1))["state"] == "refused"


def test_typed_errors(bank: Bank) -> None:
    module, client = bank.module, bank.client()
    for refused, kind, status in [
        (client.create, module.BadRequest, 400),
        (lambda: bank.client("jgk_" + "A" * 43).fetch("x"), module.Unauthorized, 401),
        (lambda: client.fetch("x"), module.NotFound, 404),
        (lambda: client.create(policy="unheard-of"), module.NotFound, 404),
    ]:
        with pytest.raises(kind) as caught:
            refused()
        assert (caught.value.status, caught.value.fault) == (status, "you")
        assert caught.value.trace_id
        assert caught.value.description
    client.create(dcql_query=ASK, idempotency_key="order-1")
    with pytest.raises(module.IdempotencyMismatch):
        client.create(policy="adult-check", idempotency_key="order-1")
    assert bank.slept == [], "none of these is worth another try"


def test_an_address_that_is_no_https_is_refused(bank: Bank) -> None:
    for address in ("http://verifier.example", "ftp://verifier.example", "verifier.example"):
        with pytest.raises(ValueError, match="https"):
            bank.module.VerifierClient(address, "jgk_x")
    with pytest.raises(ValueError, match="tries"):
        bank.module.VerifierClient("https://verifier.example", "jgk_x", tries=0)


# --- a verifier that fails for a while --------------------------------------------------------------------------------
@dataclass
class Failing:
    """Answers what a test says, one after another, and notes what came."""

    url: str
    answers: list[tuple[int, dict[str, str], bytes] | None]
    seen: list[Any] = field(default_factory=list)


@contextlib.contextmanager
def failing(*answers: tuple[int, dict[str, str], bytes] | None) -> Iterator[Failing]:
    """Serve these answers; None hangs up without one."""
    found = Failing("", list(answers))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.seen.append({**self.headers, "path": self.path})
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = found.answers.pop(0)
            if answer is not None:
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the base class names it so

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


MADE = json.dumps({"id": "p", "authorization_request": "openid4vp://", "qr_svg": "<svg/>", "expires_at": "t"}).encode()
DOWN = (503, {}, b"<h1>no</h1>")


def test_a_retry_keeps_its_idempotency_key_and_waits_longer_each_time(bank: Bank) -> None:
    slept: list[float] = []
    with failing(None, DOWN, (429, {"Retry-After": "7"}, b"{}"), (201, {}, MADE)) as server:
        client = bank.module.VerifierClient(server.url, "jgk_x", sleep=slept.append)
        assert client.create(policy="adult-check").id == "p"
    assert len({each["Idempotency-Key"] for each in server.seen}) == 1
    assert len(server.seen) == 4
    assert slept == [0.5, 1.0, 7.0]


def test_a_pause_that_is_no_number_is_none(bank: Bank) -> None:
    slept: list[float] = []
    with failing((429, {"Retry-After": "\xb2"}, b"{}"), (201, {}, MADE)) as server:
        bank.module.VerifierClient(server.url, "jgk_x", sleep=slept.append).create(policy="adult-check")
    assert slept == [0.5]


def test_no_proxy_sees_the_key_without_tls(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    with failing((201, {}, MADE)) as server, failing((201, {}, MADE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        bank.module.VerifierClient(server.url, "jgk_x").create(policy="adult-check")
    assert (len(server.seen), proxy.seen) == (1, [])


def test_two_calls_have_two_keys(bank: Bank) -> None:
    with failing((201, {}, MADE), (201, {}, MADE)) as server:
        client = bank.module.VerifierClient(server.url, "jgk_x")
        client.create(policy="a")
        client.create(policy="a")
    assert len({each["Idempotency-Key"] for each in server.seen}) == 2


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([DOWN] * 4, "ServerFailed"),
        ([None] * 4, "Unreachable"),
        ([(429, {"Retry-After": "7"}, b"{}")] * 4, "RateLimited"),
        # A pause that is too long is the caller's to decide.
        ([(429, {"Retry-After": "3600"}, b"{}")], "RateLimited"),
        ([(500, {}, b'{"error": "server_error"}')], "ServerFailed"),
        ([(201, {}, b"[]")] * 4, "Unreachable"),
        ([(201, {}, b"<html>")] * 4, "Unreachable"),
        ([(201, {}, b"{}")], "Unreachable"),
        ([(201, {"Content-Length": "999"}, b"{}")] * 4, "Unreachable"),
    ],
    ids=["down", "silent", "limited", "limited-long", "broken", "array", "page", "other", "cut"],
)
def test_it_gives_up_with_an_error_of_its_own(bank: Bank, answers: Any, kind: str) -> None:
    slept: list[float] = []
    with failing(*answers) as server, pytest.raises(getattr(bank.module, kind)) as caught:
        bank.module.VerifierClient(server.url, "jgk_x", sleep=slept.append, timeout=1).create(policy="a")
    assert isinstance(caught.value, bank.module.VerifierError)
    assert len(server.seen) == len(answers)


def test_the_key_goes_to_no_other_address(bank: Bank) -> None:
    with failing() as other, failing((302, {"Location": "http://127.0.0.1:1/"}, b"")) as server:
        server.answers = [(307, {"Location": f"{other.url}/steal"}, b"")] * 4
        with pytest.raises(bank.module.Unreachable):
            bank.module.VerifierClient(server.url, "jgk_x", sleep=lambda _: None).fetch("p")
    assert other.seen == []


# --- webhooks ---------------------------------------------------------------------------------------------------------
BODY = json.dumps({"type": "presentation.verified", "data": {"id": "p"}}).encode()
SENT = 1_795_314_600


def signed(
    body: bytes = BODY, *, sent: str = str(SENT), identifier: str = "msg_1", secret: str = SECRET
) -> dict[str, str]:
    """Headers as a sender makes them, written by the specification and not by our code."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, b".".join([identifier.encode(), sent.encode(), body]), hashlib.sha256).digest()
    return {
        "Webhook-Id": identifier,
        "Webhook-Timestamp": sent,
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def test_a_webhook_of_the_verifier_is_read(bank: Bank) -> None:
    assert bank.module.verify_webhook(SECRET, signed(), BODY, now=SENT + 299)["data"] == {"id": "p"}
    # The vector of the specification's reference libraries.
    vector = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert bank.module.verify_webhook(secret, vector, b'{"test": 2432232314}', now=1614265330) == {"test": 2432232314}


def test_while_a_secret_is_rotated_one_of_two_signatures_is_enough(bank: Bank) -> None:
    old = signed(secret="whsec_" + base64.b64encode(b"another").decode())
    both = signed() | {"Webhook-Signature": f"v1a,x {old['Webhook-Signature']} {signed()['Webhook-Signature']} v1,§"}
    assert bank.module.verify_webhook(SECRET, both, BODY, now=SENT)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.pop("Webhook-Id"),
        lambda headers: headers.pop("Webhook-Timestamp"),
        lambda headers: headers.pop("Webhook-Signature"),
        lambda headers: headers.update({"Webhook-Id": "msg_2"}),
        lambda headers: headers.update({"Webhook-Timestamp": str(SENT + 1)}),
        lambda headers: headers.update({"Webhook-Signature": headers["Webhook-Signature"].replace("v1,", "v2,")}),
        lambda headers: headers.update({"Webhook-Signature": "v1,"}),
        lambda headers: headers.update(signed(BODY + b" ")),
        lambda headers: headers.update(signed(sent=str(SENT - 301))),
        lambda headers: headers.update(signed(sent=str(SENT + 301))),
        lambda headers: headers.update(signed(sent="٣")),
        lambda headers: headers.update(signed(sent="-1")),
    ],
    ids=[
        "no-id",
        "no-time",
        "no-signature",
        "id",
        "time",
        "version",
        "empty",
        "body",
        "old",
        "early",
        "digits",
        "minus",
    ],
)
def test_anything_else_is_refused(bank: Bank, change: Callable[[dict[str, str]], Any]) -> None:
    headers = signed()
    change(headers)
    with pytest.raises(bank.module.WebhookRefused):
        bank.module.verify_webhook(SECRET, headers, BODY, now=SENT)


def test_a_signed_webhook_that_is_no_object_is_refused(bank: Bank) -> None:
    for body in (b"[]", b"{", b"\xff"):
        with pytest.raises(bank.module.WebhookRefused):
            bank.module.verify_webhook(SECRET, signed(body), body, now=SENT)
    for secret in ("whsec_", "whsec_?"):
        with pytest.raises(ValueError, match="whsec_"):
            bank.module.verify_webhook(secret, signed(), BODY, now=SENT)


def in_the_page(under_test: VerifierUnderTest, call: dict[str, Any]) -> dict[str, Any]:
    """What a browser returns to a page of the shop's."""
    world, now = under_test.world, under_test.clock.now()
    wallet = PlatformWallet(world.anchors, world.holder, now, {"licence": under_test.held})
    first = call["digital"]["requests"][0]
    return wallet.answer(first["protocol"], first["data"], "https://shop.example")


# --- the page ---------------------------------------------------------------------------------------------------------
def test_the_code_on_the_page_runs(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    under_test, shown = bank.under_test, []
    under_test.held = under_test.world.held(
        claims={"adult_by_year": True, "age_over_19": True},
        selectively_disclosable=[("adult_by_year",), ("age_over_19",)],
    )
    links: list[str] = []
    names: dict[str, Any] = {
        "ADDRESS": bank.url,
        "API_KEY": under_test.api_keys[PARTY],
        "WEBHOOK_SECRET": SECRET,
        "headers": {name.lower(): value for name, value in signed(sent=str(SENT)).items()},
        "body": BODY,
        "show": lambda svg: (shown.append(svg), bank.answer(names["asked"].authorization_request)),
        "redirect": links.append,
        "in_the_page": lambda call: in_the_page(under_test, call),
    }
    pieces = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(pieces) >= 6
    for piece in pieces:
        if "response_code" in piece:
            names["response_code"] = response_code(bank.answer(links[-1]))
        exec(compile(piece, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "adult_by_year" in printed
    assert names["result"].verified
    assert shown[0].lstrip().startswith("<")
    assert "redeemed before" in printed
    assert "answer 400: the webhook is too old" in printed


def test_the_commands_on_the_page_exist() -> None:
    from typer.testing import CliRunner

    from verifier.cli import app

    commands = re.findall(r"^jigap verifier (party [a-z]+(?: [a-z]+)?) my-bank", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command
