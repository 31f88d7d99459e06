"""Logging in by a card or at an OpenID provider, as a person does it: page by page, without script, in two browsers."""

import re
from collections.abc import Callable
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from issuer.records.ports import Citizen
from tests.simulators import run_flow
from tests.simulators.openid_provider import CLIENT_ID, ISSUER, SECRET, SimulatedProvider
from tests.support.authorizing import CLIENTS, WALLET, Browser, Town
from tests.support.issuing import HOST, LICENCE
from tests.support.logging_in import MDOC, CardLogin, path_of, start_login_issuer
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.protocols.openid4vp import wallet

TAX = "local-tax-payment-sd-jwt"
AGENCY = "city-tax"
ROOT = f"/agencies/{AGENCY}/login"
CARD, OPENID = f"{ROOT}/presentation", f"{ROOT}/openid"
JIWOO = Citizen("한지우", date(1993, 5, 14))
LINK = re.compile(r'href="((?:openid4vp|https)://[^"]*request_uri=[^"]+)"')
CODE = re.compile(r"openid4vp://\?[^\s<\"]+")
WALLET_URL = "https://wallet.example"


class Scene:
    """A town whose tax office lets people log in by licence and at a provider."""

    def __init__(self, folder: Path, database_url: str, **more: Any) -> None:
        clients = folder / "clients.toml"
        clients.write_text(CLIENTS)
        secret = folder / "provider.secret"
        secret.write_text(f"{SECRET}\n")
        settings = {
            "clients": clients,
            "demo": True,
            "wallet": WALLET_URL,
            "openid_issuer": ISSUER,
            "openid_client_id": CLIENT_ID,
            "openid_client_secret_file": secret,
            "openid_name_ko": "바깥 인증 (시험용)",
            "openid_name_en": "Outside log-in (test)",
            **more,
        }
        self.login: CardLogin = start_login_issuer(folder, database_url, **settings)
        self.provider = SimulatedProvider(now=self.login.under_test.clock.now)
        self.login.others = {urlsplit(ISSUER).hostname: self.provider}
        self.town = Town(self.login.under_test, JIWOO)
        self.town.put("p02", TAX, AGENCY, taxpayer_name=JIWOO.name, birth_date=JIWOO.birth_date.isoformat())

    def browser(self, scope: str = TAX, agency: str = AGENCY) -> Browser:
        """A browser that a wallet sent to the tax office."""
        pushed = self.town.push(agency=agency, scope=scope)
        assert pushed.status_code == 201, pushed.text
        browser = self.town.browser()
        browser.open(agency=agency, client_id=WALLET, request_uri=pushed.json()["request_uri"])
        return browser

    def started(self) -> Browser:
        """A browser whose person chose to show a card, and began."""
        browser = self.browser()
        browser.get(CARD)
        browser.post(CARD)
        assert "openid4vp://" in browser.page.text
        return browser

    def close(self) -> None:
        for client in (self.login.under_test.client, *self.town.browsers):
            client.close()
        self.login.under_test.issuer.database.close()


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Scene:
    made = Scene(tmp_path, database_url)
    yield made
    made.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Scene:
    made = Scene(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    yield made
    made.close()


def across(browser: Browser) -> str:
    """What the QR code and the box beside it say."""
    found = CODE.search(unescape(browser.page.text))
    assert found
    return found[0]


def beside(browser: Browser) -> str:
    """The link for a wallet on this device."""
    (found,) = set(LINK.findall(browser.page.text)) - {across(browser)}
    return unescape(found)


def get_at_wallet(scene: Scene, redirect_uri: str) -> Any:
    """Open an address in the browser of the other device."""
    return scene.town.browser().get(path_of(redirect_uri))


# --- by a card --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_a_licence_on_the_same_device_gets_the_tax_certificate(scene: Scene, configuration: str) -> None:
    card = scene.login.licence(configuration)
    browser = scene.started()
    assert beside(browser).startswith(f"{WALLET_URL}/authorize?")
    redirect_uri = scene.login.present(beside(browser), card)
    browser.get(path_of(redirect_uri))
    browser.get(CARD)
    browser.get(f"{ROOT}/consent")
    assert "한*우" in browser.text
    answer = browser.consent(agency=AGENCY)
    assert answer["state"] == "the state"
    token = scene.town.token(agency=AGENCY, code=answer["code"])
    assert token.status_code == 200, token.text


@pytest.mark.parametrize("configuration", [LICENCE, MDOC])
def test_a_licence_on_another_device_gets_the_tax_certificate(scene: Scene, configuration: str) -> None:
    card = scene.login.licence(configuration)
    browser = scene.started()
    number = re.search(r'class="match"><b>(\d\d)</b>', browser.page.text)
    assert number
    assert browser.client.get(f"{CARD}/state").json() == {"state": "requested"}
    redirect_uri = scene.login.present(across(browser), card)
    # The wallet's browser is told to look at the other screen, and nothing else.
    there = get_at_wallet(scene, redirect_uri)
    assert there.status_code == 200
    assert "시작한 화면에서" in there.text
    assert browser.client.get(f"{CARD}/state").json() == {"state": "verified"}
    browser.get(CARD)
    assert browser.get(ROOT).headers["location"] == f"{ROOT}/consent"
    browser.get(f"{ROOT}/consent")
    assert "code" in browser.consent(agency=AGENCY)


def test_the_page_moves_on_without_script(sqlite: Scene) -> None:
    browser = sqlite.started()
    assert "<noscript>" in browser.page.text
    sqlite.login.resolve(across(browser))
    assert "openid4vp://" not in browser.get(CARD).text
    assert browser.client.get(f"{CARD}/state").json() == {"state": "retrieved"}


def test_the_choice_of_ways(sqlite: Scene) -> None:
    text = sqlite.browser().page.text
    for path in (f"{ROOT}/test", CARD, OPENID):
        assert f'href="{path}"' in text
    assert "바깥 인증 (시험용)" in text
    # A licence is not given out to whoever shows a licence.
    sqlite.town.put("p02")
    police = sqlite.browser(LICENCE, "police")
    assert "/login/presentation" not in police.page.text
    assert police.get("/agencies/police/login/presentation").status_code == 404


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_pages_speak_both_languages(sqlite: Scene, language: str) -> None:
    browser = sqlite.browser()
    page = browser.get(f"{CARD}?lang={language}").text
    assert {"ko": "이것만 물어봐요", "en": "We ask for this only"}[language] in page
    assert {"ko": "생년월일", "en": "Date of birth"}[language] in page


def test_coming_back_in_another_browser_is_refused(scene: Scene) -> None:
    card, browser = scene.login.licence(), scene.started()
    redirect_uri = scene.login.present(beside(browser), card)
    other = scene.browser()
    stolen = other.get(path_of(redirect_uri))
    assert (stolen.status_code, "한지우" in stolen.text) == (403, False)
    assert other.get(ROOT).status_code == 200
    # The browser that began is told, and cannot use it either.
    assert "다른 브라우저로 돌아갔어요" in browser.get(CARD).text
    assert browser.get(path_of(redirect_uri)).headers["location"] == CARD
    assert browser.get(f"{ROOT}/consent").headers["location"] == ROOT


def test_coming_back_without_any_login_is_refused(sqlite: Scene) -> None:
    redirect_uri = sqlite.login.present(beside(sqlite.started()), sqlite.login.licence())
    assert get_at_wallet(sqlite, redirect_uri).status_code == 403
    assert get_at_wallet(sqlite, redirect_uri).status_code == 404


def test_a_prefetch_spends_no_code(sqlite: Scene) -> None:
    browser = sqlite.started()
    redirect_uri = path_of(sqlite.login.present(beside(browser), sqlite.login.licence()))
    refused = browser.client.get(redirect_uri, headers={"Sec-Fetch-Mode": "no-cors", "Accept": "text/html"})
    assert refused.status_code == 403
    answer = browser.client.get(redirect_uri, headers={"Sec-Fetch-Mode": "navigate"})
    assert (answer.status_code, answer.headers["location"]) == (303, CARD)
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_code_that_is_used_again_changes_nothing(scene: Scene) -> None:
    browser = scene.started()
    redirect_uri = path_of(scene.login.present(beside(browser), scene.login.licence()))
    browser.get(redirect_uri)
    assert browser.get(CARD).headers["location"] == ROOT
    assert browser.get(redirect_uri).headers["location"] == CARD
    assert get_at_wallet(scene, f"{HOST}{redirect_uri}").status_code == 404


@pytest.mark.parametrize(("status", "words"), [("invalid", "지금은 쓸 수 없는"), ("suspended", "지금은 쓸 수 없는")])
def test_a_licence_that_was_withdrawn_is_refused(scene: Scene, status: str, words: str) -> None:
    card = scene.login.licence()
    scene.login.set_status(status)
    browser = scene.started()
    scene.login.refused(across(browser), card)
    assert words in browser.get(CARD).text
    assert browser.get(f"{ROOT}/consent").headers["location"] == ROOT
    # Another try is a fresh one.
    browser.get(CARD)
    browser.post(CARD)
    assert "openid4vp://" in browser.page.text


def test_a_licence_that_has_expired_is_refused(scene: Scene) -> None:
    card = scene.login.licence()
    scene.login.under_test.clock.advance(40 * 86_400)
    browser = scene.started()
    scene.login.refused(across(browser), card)
    assert "기한이 지난" in browser.get(CARD).text


def test_the_licence_of_somebody_without_record(scene: Scene) -> None:
    card, browser = scene.login.licence(name="오시험"), scene.started()
    scene.login.present(across(browser), card)
    browser.get(CARD)
    page = browser.get(f"{ROOT}/consent")
    assert page.status_code == 200
    assert "명부에 없거나" in page.text
    assert "오시험" not in page.text


def test_a_wallet_that_declines_leads_back(sqlite: Scene) -> None:
    browser = sqlite.started()
    sent = run_flow(wallet.decline(sqlite.login.resolve(beside(browser))), sqlite.login.under_test.send)
    assert browser.get(path_of(str(sent.redirect_uri))).headers["location"] == CARD
    assert "보내지 않았어요" in browser.get(CARD).text


def test_time_runs_out(sqlite: Scene) -> None:
    browser = sqlite.started()
    sqlite.login.under_test.clock.advance(301)
    assert "시간이 지났어요" in browser.get(CARD).text
    sqlite.login.under_test.clock.advance(3600)
    assert browser.get(CARD).status_code == 404
    assert browser.client.get(f"{CARD}/state", headers={"Accept": "application/json"}).status_code == 404


def test_forms_need_their_token_and_the_login_its_cookie(sqlite: Scene) -> None:
    browser = sqlite.browser()
    assert browser.client.post(CARD, data={}, headers={"origin": HOST}).status_code == 403
    assert sqlite.town.browser().get(CARD).status_code == 404


def test_without_an_access_key_nobody_shows_a_card(tmp_path: Path) -> None:
    scene = Scene(tmp_path, f"sqlite:///{tmp_path}/issuer.db", login_key=None)
    browser = scene.browser()
    assert CARD not in browser.page.text
    for path in (CARD, f"{CARD}/return?response_code=x"):
        assert browser.get(path).status_code == 404
    assert scene.town.client.get(f"/agencies/{AGENCY}/openid4vp/requests/x").status_code == 404
    scene.close()


# --- at an OpenID provider --------------------------------------------------------------------------------------------


def provider_address(browser: Browser) -> str:
    """Where the browser is sent to log in."""
    answer = browser.get(OPENID)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_a_provider_logs_in(scene: Scene) -> None:
    browser = scene.browser()
    url = provider_address(browser)
    assert url.startswith(f"{ISSUER}/authorize?")
    back = scene.provider.log_in(url)
    assert back.startswith(f"{HOST}{OPENID}/callback?")
    assert browser.get(path_of(back)).headers["location"] == ROOT
    browser.get(f"{ROOT}/consent")
    assert "한*우" in browser.text
    assert "code" in browser.consent(agency=AGENCY)


@pytest.mark.clause("oidc-10.12-bound")
def test_an_answer_belongs_to_one_browser(scene: Scene) -> None:
    browser, other = scene.browser(), scene.browser()
    back = path_of(scene.provider.log_in(provider_address(browser)))
    provider_address(other)
    assert other.get(back).status_code == 403
    assert scene.town.browser().get(back).status_code == 404
    # Neither took anything away from the browser that began.
    forged = f"{OPENID}/callback?code=code-1&state=guessed&iss={ISSUER}"
    assert browser.get(forged).status_code == 403
    assert browser.get(back).headers["location"] == ROOT


def test_an_answer_is_used_once(scene: Scene) -> None:
    scene.provider.name = None
    browser = scene.browser()
    back = path_of(scene.provider.log_in(provider_address(browser)))
    assert "이름과 생년월일을 알려 주지 않았어요" in browser.get(back).text
    assert "기다리던 로그인이 아니에요" in browser.get(back).text
    assert scene.provider.redeemed == 1


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda provider: provider.answer.update(code=None, error="access_denied"), "로그인하지 않았어요"),
        (lambda provider: setattr(provider, "birthdate", None), "알려 주지 않았어요"),
        (lambda provider: setattr(provider, "birthdate", "1993"), "알려 주지 않았어요"),
        (lambda provider: setattr(provider, "birthdate", "0000-05-14"), "알려 주지 않았어요"),
        (lambda provider: provider.claims.update(nonce="another"), "믿을 수 없어요"),
        (lambda provider: provider.claims.update(aud="other"), "믿을 수 없어요"),
        (lambda provider: provider.answer.update(iss="https://other.example"), "믿을 수 없어요"),
        (lambda provider: setattr(provider, "down", "/token"), "믿을 수 없어요"),
    ],
)
def test_a_provider_that_does_not_log_in(sqlite: Scene, break_it: Callable[[Any], None], words: str) -> None:
    browser = sqlite.browser()
    url = provider_address(browser)
    break_it(sqlite.provider)
    page = browser.get(path_of(sqlite.provider.log_in(url)))
    assert (page.status_code, words in page.text) == (403, True)
    assert browser.get(f"{ROOT}/consent").headers["location"] == ROOT


def test_a_provider_that_is_away(sqlite: Scene) -> None:
    sqlite.provider.down = "/.well-known/openid-configuration"
    page = sqlite.browser().get(OPENID)
    assert (page.status_code, "답하지 않아요" in page.text) == (502, True)


def test_somebody_the_agency_does_not_know(scene: Scene) -> None:
    scene.provider.name = "오시험"
    browser = scene.browser()
    browser.get(path_of(scene.provider.log_in(provider_address(browser))))
    assert "명부에 없거나" in browser.get(f"{ROOT}/consent").text


def test_nothing_of_the_exchange_lies_in_the_clear(sqlite: Scene, tmp_path: Path) -> None:
    browser = sqlite.browser()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(provider_address(browser)).query).items()}
    files = b"".join(path.read_bytes() for path in tmp_path.glob("issuer.db*"))
    for name in ("state", "nonce"):
        assert asked[name].encode() not in files
    seen: list[HttpRequest] = sqlite.provider.seen
    assert isinstance(sqlite.provider(seen[0]), HttpResponse)
