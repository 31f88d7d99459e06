"""A company's page and a wallet in Chromium, on two sites: one device, two devices, and a stranger's link.

The company is on ``localhost``, the wallet on ``127.0.0.1``: two sites, so that cookies and policies count (24, traps).
Both are served for real; an agency in memory gave the card.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from holder_app.accounts.use_cases import create_sign_in_code
from holder_app.app import create_wallet_app
from holder_app.dependencies import create_wallet
from tests.browser.looks import ready, watch
from tests.support.network import free_port
from tests.support.presentations import new_world
from tests.support.roads import Roads
from tests.support.verifying import PARTY, add_access_key, catalogue, register, verifier_settings
from tests.support.wallets import LICENCE, NAME, Town, new_town, receive
from verifier.app import create_app
from verifier.dependencies import build_verifier
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.http import HttpClient
from wallet_core.adapters.keystore import KeyStore
from wallet_core.adapters.migrations import migrate
from wallet_core.adapters.qr import read_qr

pytestmark = pytest.mark.browser

POLICY = "계좌 개설"


@dataclass
class Street:
    """A company's desk and a person's wallet, each at its address."""

    verifier: str
    wallet: str
    api_key: str
    town: Town

    def sign_in(self, page: Page) -> None:
        """The person opens her wallet."""
        page.goto(f"{self.wallet}/sign-in")
        page.fill("#field-code", create_sign_in_code(self.town.wallet.account_ports(), self.town.owner.id))
        page.click("main button[type=submit]")
        expect(page).to_have_url(f"{self.wallet}/")

    def start(self, page: Page) -> str:
        """Staff sign in and ask; return the page of the check."""
        page.goto(f"{self.verifier}/console")
        page.get_by_label("API 열쇠").fill(self.api_key)
        page.get_by_role("button", name="들어가기").click()
        page.get_by_label(POLICY).check()
        page.get_by_role("button", name="다음").click()
        page.get_by_role("button", name="코드 만들기").click()
        ready(page)
        return page.url


def served(app: Any, port: int) -> tuple[uvicorn.Server, threading.Thread]:
    """Listen on all addresses of this machine's own name."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    return server, thread


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder: Path = tmp_path_factory.mktemp("street")
    now, ports = SystemClock().now(), (free_port(), free_port())
    verifier_url, wallet_url = f"http://localhost:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
    world, local = new_world(now), {"insecure_allow_loopback": True, "demo": True}
    settings = verifier_settings(
        folder, f"sqlite:///{folder}/verifier.db", world, public_url=verifier_url, wallet=wallet_url, **local
    )
    add_access_key(KeyStore(folder / "keys"), world.verifier_ca, PARTY, public_url=verifier_url, now=now)
    verifier = build_verifier(settings, catalogue=catalogue())
    migrate(verifier.database, "verifier")
    api_key = register(verifier, PARTY)
    (folder / "wallet").mkdir()
    town = new_town(folder / "wallet", world, public_url=wallet_url, insecure_allow_loopback=True)
    roads = Roads(town.network, HttpClient(allow_loopback=True))
    town.wallet = create_wallet(town.wallet.settings, fetch=roads, clock=SystemClock())
    for _ in range(2):
        receive(town, LICENCE)
    running = [served(create_app(verifier), ports[0]), served(create_wallet_app(town.wallet), ports[1])]
    yield Street(verifier_url, wallet_url, api_key, town)
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
    verifier.database.close()
    town.wallet.database.close()


@pytest.fixture
def windows(chromium: Browser) -> Iterator[tuple[Page, Page]]:
    """Two browsers that share nothing, as on two devices or of two people."""
    contexts = [chromium.new_context(locale="ko-KR", viewport={"width": 1280, "height": 900}) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    complaints = [watch(page) for page in pages]
    for context in contexts:
        context.set_default_timeout(15_000)
    yield pages[0], pages[1]
    for context in contexts:
        context.close()
    assert complaints == [[], []]


def agree(page: Page) -> None:
    page.get_by_role("button", name="보내기", exact=True).click()


@pytest.mark.parametrize("answer", ["보내기", "안 보내기"], ids=["yes", "no"])
def test_there_and_back_on_one_device(street: Street, windows: tuple[Page, Page], answer: str) -> None:
    """The company's page, the wallet on another site, and back: with the result, also where the person says no."""
    browser, _ = windows
    street.sign_in(browser)
    check = street.start(browser)
    browser.get_by_role("link", name="이 기기의 지갑으로 열기").click()
    expect(browser).to_have_url(re.compile(re.escape(f"{street.wallet}/authorize")))
    browser.get_by_role("button", name="요청 보기").click()
    # Whoever sent this link to somebody else would have the number on a screen that is not here.
    expect(browser.locator(".match")).to_contain_text("직접 시작한 일이 아니면 멈춰 주세요")
    browser.get_by_role("button", name=answer, exact=True).click()
    expect(browser).to_have_url(check)
    assert "response_code" not in browser.url
    if answer == "보내기":
        expect(browser.locator("h1")).to_have_text("확인했어요")
        expect(browser.get_by_text(NAME).first).to_be_visible()
    else:
        expect(browser.get_by_text("손님이 안 보내기로 했어요")).to_be_visible()


def test_across_two_devices_with_the_code_read_from_the_screen(street: Street, windows: tuple[Page, Page]) -> None:
    desk, phone = windows
    street.start(desk)
    picture = desk.locator("svg.qr").screenshot()
    (link,) = read_qr(picture)
    assert link.startswith("openid4vp://?client_id=x509_hash")
    street.sign_in(phone)
    phone.goto(f"{street.wallet}/scan")
    phone.locator("input[type=file]").set_input_files({"name": "code.png", "mimeType": "image/png", "buffer": picture})
    phone.get_by_role("button", name="사진 읽기").click()
    phone.get_by_role("button", name="요청 보기").click()
    # Before consent: the same two digits on both screens.
    number = phone.locator(".match b").inner_text()
    assert re.fullmatch(r"\d\d", number)
    expect(desk.locator(".match b")).to_have_text(number)
    agree(phone)
    expect(phone.locator("h1")).to_contain_text("보냈어요")
    expect(desk.locator("h1")).to_have_text("확인했어요")
    expect(desk.get_by_text(NAME).first).to_be_visible()


def test_an_attackers_link_comes_back_in_the_wrong_browser(street: Street, windows: tuple[Page, Page]) -> None:
    """Session fixation (OpenID4VP 14.2): the attacker began, the victim answers, and neither gets anything."""
    attacker, victim = windows
    street.start(attacker)
    link = attacker.get_by_role("link", name="이 기기의 지갑으로 열기").get_attribute("href")
    assert link
    street.sign_in(victim)
    victim.goto(link)
    victim.get_by_role("button", name="요청 보기").click()
    agree(victim)
    expect(victim.locator("h1")).to_have_text("시작한 브라우저가 아니에요")
    expect(victim).to_have_url(re.compile(re.escape(street.verifier)))
    expect(attacker.get_by_text("다른 브라우저로 돌아왔어요")).to_be_visible()
    expect(attacker.get_by_text(NAME)).to_have_count(0)
    assert NAME not in attacker.content()
