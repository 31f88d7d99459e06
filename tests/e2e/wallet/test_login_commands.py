"""Logging in at an agency from the command line: a browser is opened and brings the answer to the loopback address."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

import holder_app.cli
import holder_app.home
from holder_app.dependencies import create_wallet
from holder_app.issuance.waiting import RETRY_TROUBLE
from holder_app.loopback import LoopbackListener
from holder_app.settings import WalletSettings
from tests.simulators.issuer import ISSUER
from tests.support.logins import LoginIssuer, with_login
from tests.support.presentations import Agency, new_ca
from tests.support.wallets import LICENCE, Town
from wallet_core.errors import AccessDenied, MalformedError, UntrustedError
from wallet_core.trust.anchors import format_trust_anchors

WHAT = ("--configuration", LICENCE.configuration_id)


def fetch(url: str) -> int:
    """What a browser does at the loopback address."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    status = connection.getresponse().status
    connection.close()
    return status


class Desk:
    """A person at the command line, whose browser the agency lets in at once."""

    def __init__(self, town: Town, folder: Path, issuer: LoginIssuer) -> None:
        self.town, self.folder, self.issuer = town, folder, issuer
        self.opened: list[str] = []

    def open(self, url: str) -> int:
        """Instead of a browser."""
        self.opened.append(url)
        answer = self.issuer.approve(url)
        return fetch(f"{self.issuer.pushed['redirect_uri']}?{answer}")

    def run(self, *arguments: str, typed: str = "") -> Any:
        options = ["--home", str(self.folder / "home"), "--lang", "en", "--trust", str(self.folder / "anchors.pem")]
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(CliRunner().invoke, holder_app.cli.app, [*arguments, *options], input=typed).result()


@pytest.fixture
def desk(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    def in_town(settings: WalletSettings) -> Any:
        return create_wallet(settings, fetch=town.network, clock=town.clock)

    found = Desk(town, tmp_path, with_login(town))
    monkeypatch.setattr(holder_app.home, "create_wallet", in_town)
    monkeypatch.setattr(holder_app.cli.typer, "launch", found.open)
    return found


def test_a_card_of_an_issuer_by_name(desk: Desk) -> None:
    result = desk.run("add", ISSUER, *WHAT, "--yes", "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    (card,) = json.loads(result.stdout)["cards"]
    assert card["name"]["en"] == LICENCE.name.en
    assert desk.issuer.pushed["redirect_uri"].startswith("http://127.0.0.1:")
    assert len(desk.opened) == 1


def test_it_asks_before_it_goes_and_before_it_keeps(desk: Desk) -> None:
    result = desk.run("add", ISSUER, typed="0\ny\ny\n")
    assert result.exit_code == 0, (result.exception, result.output)
    assert "Log in here with your browser" in result.output
    assert isinstance(desk.run("add", ISSUER, *WHAT, typed="n\n").exception, AccessDenied)


def test_an_offer_that_asks_to_log_in(desk: Desk) -> None:
    grants = {"authorization_code": {"issuer_state": "s"}}
    ids = [LICENCE.configuration_id]
    desk.issuer.offer = {"credential_issuer": ISSUER, "credential_configuration_ids": ids, "grants": grants}
    result = desk.run("accept", desk.issuer.link, "--yes", "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    assert desk.issuer.pushed["issuer_state"] == "s"


def test_without_a_browser_the_address_is_pasted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def paste(question: str, **_options: Any) -> str:
        parameters = dict(parse_qsl(urlsplit(desk.run_url).query))
        assert parameters["client_id"] == "https://wallet.invalid/client"
        return f"http://127.0.0.1/callback?{desk.issuer.approve(desk.run_url)}"

    say = holder_app.cli.say

    def remember(text: str) -> None:
        if "https://" in text and "/authorize" in text:
            desk.run_url = text[text.index("https://") :]  # type: ignore[attr-defined]
        say(text)

    monkeypatch.setattr(holder_app.cli, "say", remember)
    monkeypatch.setattr(holder_app.cli.typer, "prompt", paste)
    result = desk.run("add", ISSUER, *WHAT, "--yes", "--paste", "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    assert desk.opened == []


def test_a_mix_up_and_a_cancelled_login(desk: Desk) -> None:
    desk.issuer.answer = {"iss": "https://honest.example"}
    assert "mixed_up" in str(desk.run("add", ISSUER, *WHAT, "--yes").exception)
    desk.issuer.answer = {"code": None, "error": "access_denied"}
    assert isinstance(desk.run("add", ISSUER, *WHAT, "--yes").exception, AccessDenied)
    assert isinstance(desk.run("add", "http://issuer.example", "--yes").exception, MalformedError)


def test_an_issuer_that_nobody_vouches_for(desk: Desk) -> None:
    desk.issuer.agency = Agency(new_ca())
    assert isinstance(desk.run("add", ISSUER, *WHAT, "--yes").exception, UntrustedError)


def test_an_agency_that_decides_later(desk: Desk) -> None:
    desk.issuer.deferrals = 1
    result = desk.run("add", ISSUER, *WHAT, "--yes", "--json")
    assert json.loads(result.stdout) == {"cards": [], "deferred": True}
    assert json.loads(desk.run("check", "--json").stdout) == {"cards": [], "waiting": 1, "ended": [], "failed": []}
    desk.town.clock.pass_by(RETRY_TROUBLE)
    answer = json.loads(desk.run("check", "--json").stdout)
    assert (len(answer["cards"]), answer["waiting"]) == (1, 0)


def test_check_says_that_an_agency_decided_against_it(desk: Desk) -> None:
    desk.issuer.deferrals = 1
    desk.run("add", ISSUER, *WHAT, "--yes", "--json")
    desk.issuer.refuse["/agencies/police/deferred"] = desk.issuer.reply({"error": "credential_request_denied"}, 400)
    desk.town.clock.pass_by(RETRY_TROUBLE)
    result = desk.run("check", "--json")
    assert result.exit_code == 1
    (why,) = json.loads(result.stdout)["ended"]
    assert why.startswith("denied: ")


def test_the_listener_takes_one_answer_and_nothing_else() -> None:
    with LoopbackListener() as listener:
        assert listener.wait(0) is None
        assert fetch(f"{listener.redirect_uri.removesuffix('/callback')}/favicon.ico") == 404
        assert fetch(f"{listener.redirect_uri}?code=a") == 200
        assert fetch(f"{listener.redirect_uri}?code=b") == 404
        assert listener.wait(5) == "code=a"


def test_nobody_logs_in_where_nobody_is_trusted(desk: Desk) -> None:
    (desk.folder / "anchors.pem").write_text(format_trust_anchors(desk.town.issuer.mdocs.anchors))
    refused = desk.run("add", ISSUER, *WHAT, "--yes").exception
    assert isinstance(refused, UntrustedError)
    assert "--trust" in refused.detail
    assert desk.opened == []
