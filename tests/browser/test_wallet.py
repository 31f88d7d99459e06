"""The wallet's pages in Chromium: the whole way by clicks, each page under axe, narrow and wide, both languages.

The wallet is served for real; an agency and a company in memory stand in for the network.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page

from holder_app.accounts.use_cases import create_sign_in_code
from holder_app.app import create_wallet_app
from tests.browser.looks import assert_fit, ready
from tests.simulators.issuer import ISSUER
from tests.support.logins import with_login
from tests.support.presentations import new_world
from tests.support.wallets import CATALOGUE, LICENCE, Town, new_town, new_verifier, policy_query, receive
from wallet_core.http import HttpResponse

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param({"viewport": {"width": 360, "height": 740}, "locale": "ko-KR"}, id="360-ko"),
    pytest.param({"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}, id="1280-en"),
]


class Served:
    """A town whose wallet listens on a port of this machine."""

    def __init__(self, town: Town) -> None:
        self.town = town
        config = uvicorn.Config(create_wallet_app(town.wallet), port=0, log_config=None, lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.02)

    @property
    def url(self) -> str:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://localhost:{port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.town.wallet.database.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    settings = {"public_url": "http://localhost", "insecure_allow_loopback": True, "issuers": (ISSUER,)}
    running = Served(new_town(tmp_path, new_world(), **settings))
    yield running
    running.stop()


def sign_in(screen: Page, served: Served) -> None:
    screen.goto(f"{served.url}/")
    ready(screen)
    screen.fill("#field-code", create_sign_in_code(served.town.wallet.account_ports(), served.town.owner.id))
    screen.click("main button[type=submit]")
    screen.wait_for_url(f"{served.url}/")
    ready(screen)


def paste(screen: Page, served: Served, link: str) -> None:
    screen.goto(f"{served.url}/scan")
    ready(screen)
    screen.fill("#field-link", link)
    screen.locator("form:has(#field-link) button").click()
    screen.wait_for_url(re.compile(r"/(offers|requests)/"))
    ready(screen)


def press(screen: Page, kind: str = "main") -> None:
    before = screen.url
    with screen.expect_navigation():
        screen.click(f".cta .btn--{kind}")
    assert before
    ready(screen)


@pytest.mark.parametrize("screen", LOOKS, indirect=True)
def test_receiving_a_card(screen: Page, served: Served) -> None:
    screen.goto(f"{served.url}/")
    ready(screen)
    assert_fit(screen, "wallet-sign-in")
    sign_in(screen, served)
    assert_fit(screen, "wallet-home-empty")
    screen.goto(f"{served.url}/scan")
    ready(screen)
    assert_fit(screen, "wallet-scan")
    paste(screen, served, served.town.issuer.reference)
    assert_fit(screen, "wallet-offer-given")
    press(screen)
    assert_fit(screen, "wallet-offer")
    screen.fill("#field-tx_code", "000000")
    press(screen)
    assert_fit(screen, "wallet-offer-wrong-code")
    screen.fill("#field-tx_code", "123456")
    press(screen)
    assert_fit(screen, "wallet-preview")
    screen.goto(f"{served.url}/")
    ready(screen)
    assert_fit(screen, "wallet-home-unfinished")
    screen.go_back()
    ready(screen)
    press(screen)
    assert_fit(screen, "wallet-done")
    press(screen)
    assert_fit(screen, "wallet-card")
    screen.goto(f"{screen.url}/delete")
    ready(screen)
    assert_fit(screen, "wallet-delete")


@pytest.mark.parametrize("screen", LOOKS, indirect=True)
def test_showing_a_card(screen: Page, served: Served) -> None:
    town = served.town
    receive(town, LICENCE, CATALOGUE.types["resident-certificate"], CATALOGUE.types["resident-card"])
    sign_in(screen, served)
    assert_fit(screen, "wallet-home")
    paste(screen, served, new_verifier(town).link)
    assert_fit(screen, "wallet-request-given")
    press(screen)
    assert_fit(screen, "wallet-consent")
    screen.get_by_role("radio").nth(1).check(force=True)
    assert screen.locator(".alternative__body:visible").count() == 2
    press(screen)
    assert_fit(screen, "wallet-receipt")
    paste(screen, served, new_verifier(town, policy_query("loan-income")).link)
    press(screen)
    assert_fit(screen, "wallet-no-match")
    paste(screen, served, new_verifier(town, header={"typ": "JWT"}).link)
    press(screen)
    assert_fit(screen, "wallet-blocked")
    paste(screen, served, new_verifier(town).link)
    press(screen)
    press(screen, "line")
    assert_fit(screen, "wallet-declined")
    screen.goto(f"{served.url}/history")
    ready(screen)
    assert_fit(screen, "wallet-history")


def test_the_whole_way_without_script(chromium: Any, served: Served) -> None:
    town = served.town
    receive(town, LICENCE)
    context = chromium.new_context(java_script_enabled=False, locale="ko-KR")
    page = context.new_page()
    page.goto(f"{served.url}/")
    page.fill("#field-code", create_sign_in_code(town.wallet.account_ports(), town.owner.id))
    page.click("main button[type=submit]")
    page.goto(f"{served.url}/scan")
    page.fill("#field-link", new_verifier(town).link)
    page.locator("form:has(#field-link) button").click()
    page.click(".cta .btn--main")
    page.click(".cta .btn--main")
    assert "바람렌터카에 보냈어요" in page.inner_text("h1")
    context.close()


class CompanyPage(BaseHTTPRequestHandler):
    """The company's own pages on another site: one that links to the wallet, one to come back to."""

    link = ""

    def do_GET(self) -> None:
        title = "back" if self.path.startswith("/back") else "start"
        body = f'<!doctype html><title>{title}</title><h1>{title}</h1><a href="{self.link}">wallet</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def company() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), CompanyPage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("button", ["main", "line"])
def test_there_and_back_between_two_sites(screen: Page, served: Served, company: HTTPServer, button: str) -> None:
    """The wallet is on ``localhost``, the company on ``127.0.0.1``: two sites, so that CSP and cookies count."""
    town, origin = served.town, f"http://127.0.0.1:{company.server_port}"
    receive(town, LICENCE)
    verifier = new_verifier(town)
    verifier.request = replace(verifier.request, response_uri=f"{origin}/answer")
    answer = json.dumps({"redirect_uri": f"{origin}/back?response_code=secret#part"}).encode()
    town.network.hosts["127.0.0.1"] = lambda _: HttpResponse(200, {"content-type": "application/json"}, answer)
    CompanyPage.link = f"{served.url}/authorize?{verifier.link.partition('?')[2]}"
    sign_in(screen, served)
    screen.goto(f"{origin}/start")
    screen.click("a")
    ready(screen)
    press(screen)
    with screen.expect_navigation(url=re.compile("/back")):
        screen.click(f".cta .btn--{button}")
    assert screen.url == f"{origin}/back?response_code=secret#part"
    assert screen.inner_text("h1") == "back"


@pytest.mark.parametrize("screen", LOOKS, indirect=True)
def test_asking_an_agency(screen: Page, served: Served) -> None:
    issuer = with_login(served.town)

    class LoginPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Another site than the wallet's: the form may lead there, and back (protocols.md M5).
            self.send_response(303)
            self.send_header("Location", f"{served.url}/callback?{issuer.approve(self.path)}")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    login = HTTPServer(("127.0.0.1", 0), LoginPage)
    threading.Thread(target=login.serve_forever, daemon=True).start()
    issuer.server["authorization_endpoint"] = f"http://127.0.0.1:{login.server_port}/authorize"
    sign_in(screen, served)
    screen.click("a[href='/add']")
    ready(screen)
    assert_fit(screen, "wallet-issuers")
    screen.click("main .row")
    ready(screen)
    assert_fit(screen, "wallet-issuer")
    screen.locator("main .pick").first.click()
    press(screen)
    assert_fit(screen, "wallet-offer-login")
    issuer.answer = {"code": None, "error": "access_denied"}
    press(screen)
    assert_fit(screen, "wallet-login-cancelled")
    issuer.answer, issuer.deferrals = {}, 1
    press(screen)
    assert screen.url.startswith(f"{served.url}/offers/")
    assert_fit(screen, "wallet-deferred")
    screen.goto(f"{served.url}/")
    ready(screen)
    assert_fit(screen, "wallet-home-waiting")
    screen.goto(f"{served.url}/callback?state=unknown")
    ready(screen)
    assert_fit(screen, "wallet-login-lost")
    login.shutdown()
    login.server_close()
