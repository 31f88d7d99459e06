"""The desk over the whole app: what staff and the returning person see, without a browser."""

import html as html_module
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.html import assert_whole
from tests.support.verifying import HOST, PARTY, VerifierUnderTest
from verifier.app import create_app
from wallet_core.protocols.openid4vp.asking import match_number

WALLET = "https://wallet.example"
POLICY = "adult-check"
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@dataclass
class Staff:
    """A browser at the desk."""

    under_test: VerifierUnderTest
    client: TestClient
    pages: list[str] = field(default_factory=list)

    def get(self, path: str, status: int = 200, **headers: str) -> str:
        answer = self.client.get(HOST + path, headers={**PAGE, **headers}, follow_redirects=False)
        assert answer.status_code == status, answer.text
        if status == 200:
            assert_whole(answer.text)
        return str(answer.text)

    def post(self, path: str, page: str, **fields: Any) -> Any:
        hidden = dict(re.findall(r'name="(csrf_token|once)" value="([^"]+)"', self.get(page)))
        assert "csrf_token" in hidden
        return self.client.post(
            HOST + path,
            data={**hidden, **fields},
            headers={**PAGE, "Origin": HOST},
            follow_redirects=False,
        )

    def sign_in(self, party: str = PARTY) -> None:
        answer = self.post("/console/sign-in", "/console/sign-in", api_key=self.under_test.api_keys[party])
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console"

    def start(self) -> tuple[str, str, str]:
        """Start a check; return its page, the link behind the QR code and the one for this device."""
        page = self.post("/console/checks", f"/console/ask?policy={POLICY}", policy=POLICY).headers["location"]
        text = self.get(page)
        across = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", text)
        beside = re.search(rf'href="({WALLET}/authorize[^"]+)"', text)
        assert across
        assert beside
        return page, html_module.unescape(across[1]), html_module.unescape(beside[1])

    def state(self, page: str) -> str:
        return str(self.client.get(f"{HOST}{page}/state").json()["state"])


def opened(under_test: VerifierUnderTest, **settings: Any) -> Staff:
    changed = under_test.verifier.settings.model_copy(update=settings)
    app = create_app(replace(under_test.verifier, settings=changed))
    return Staff(under_test, TestClient(app, base_url=HOST))


@contextmanager
def signed_in(under_test: VerifierUnderTest) -> Iterator[Staff]:
    """A browser of the party's staff, signed in."""
    found = opened(under_test, demo=True, wallet=WALLET)
    found.sign_in()
    yield found
    found.client.close()


@pytest.fixture
def staff(sqlite_verifier: VerifierUnderTest) -> Iterator[Staff]:
    """A browser, not signed in yet."""
    found = opened(sqlite_verifier, demo=True, wallet=WALLET)
    yield found
    found.client.close()


def back(redirect_uri: str | None) -> str:
    assert redirect_uri
    assert redirect_uri.startswith(HOST)
    return redirect_uri.removeprefix(HOST)


def test_the_front_page_needs_no_sign_in(staff: Staff) -> None:
    assert "성인 확인" in staff.get("/")
    assert "Adult check" in staff.get("/?lang=en")


def test_the_desk_is_shut_outside_a_demo(sqlite_verifier: VerifierUnderTest) -> None:
    shut = opened(sqlite_verifier)
    shut.get("/console/sign-in", 403)
    shut.get("/console", 403)
    shut.get("/")


def test_strangers_are_sent_to_sign_in(staff: Staff) -> None:
    for path in ("/console", f"/console/ask?policy={POLICY}", "/console/checks", "/console/checks/unheard-of"):
        staff.get(path, 303)


def test_a_wrong_key_opens_nothing(staff: Staff) -> None:
    answer = staff.post("/console/sign-in", "/console/sign-in", api_key="nonsense")
    assert answer.status_code == 401
    staff.get("/console", 303)


def test_what_a_policy_asks_is_shown_before_a_code_is_made(staff: Staff) -> None:
    staff.sign_in()
    staff.get("/console")
    text = staff.get(f"/console/ask?policy={POLICY}")
    assert "성인인지" in text
    assert "묻지 않아요" in text
    assert "90일 동안 남겨요" in text
    staff.get("/console/ask?policy=unheard-of", 404)


TAX = "tax-payment"
BILL = {
    "bill-payment.payee": "서울특별시 마포구 (시험용)",
    "bill-payment.amount": "184,000",
    "bill-payment.bill_name": "2026년 제2기 자동차세",
    "bill-payment.bill_no": "99999-1-26-12-0000006",
    "bill-payment.due": "2026-12-31",
    "bill-payment.bank": "",
}
AGREED = "서울특별시 마포구 (시험용)에 184,000원을 내요"


def test_a_desk_asks_to_agree_to_a_payment(staff: Staff) -> None:
    staff.sign_in()
    form = staff.get(f"/console/ask?policy={TAX}")
    assert 'name="bill-payment.amount"' in form
    answer = staff.post("/console/checks", f"/console/ask?policy={TAX}", policy=TAX, **BILL)
    page = answer.headers["location"]
    text = staff.get(page)
    assert AGREED in text
    # "A new code" asks for the same.
    assert 'name="bill-payment.amount" value="184000"' in text
    link = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", text)
    assert link
    staff.under_test.held = staff.under_test.world.held()
    staff.under_test.present(html_module.unescape(link[1]))
    result = staff.get(page)
    assert AGREED in result
    assert "동의했어요" in result
    assert "물어본 거래에 그대로 동의했어요" in result


@pytest.mark.parametrize(
    "changes",
    [{"bill-payment.amount": "열만원"}, {"bill-payment.amount": ""}, {"bill-payment.due": "어제"}],
    ids=["no number", "missing", "no day"],
)
def test_a_payment_that_is_filled_in_wrong_comes_back(staff: Staff, changes: dict[str, str]) -> None:
    staff.sign_in()
    answer = staff.post("/console/checks", f"/console/ask?policy={TAX}", policy=TAX, **{**BILL, **changes})
    assert answer.status_code == 400
    assert "고칠 것이 있어요" in answer.text
    assert "2026년 제2기 자동차세" in answer.text


def test_a_policy_with_a_transaction_does_not_go_without(staff: Staff) -> None:
    staff.sign_in()
    answer = staff.post("/console/checks", f"/console/ask?policy={TAX}", policy=TAX)
    assert answer.status_code == 400
    assert "고칠 것이 있어요" in answer.text


def test_a_check_across_devices(staff: Staff) -> None:
    staff.sign_in()
    page, across, beside = staff.start()
    assert across != beside
    assert staff.state(page) == "requested"
    shown = staff.get(page)
    number = match_number(staff.under_test.resolve(across).request)
    assert f'class="match"><b>{number}</b>' in shown
    resolved = staff.under_test.resolve(across)
    assert staff.state(page) == "retrieved"
    assert "손님이 내용을 보고 있어요" in staff.get(page)
    sent = staff.under_test.present(across)
    assert resolved.request.state
    assert staff.state(page) == "verified"
    saved = staff.client.get(f"{HOST}{page}/record", headers=PAGE)
    assert saved.headers["content-type"] == "application/jigap-verification-record+sd-jwt"
    assert saved.headers["content-disposition"].startswith("attachment; ")
    assert saved.text.count("~") >= 1
    text = staff.get(page)
    assert "모두 통과" in text
    assert text.count("통과</span></li>") == 10
    assert "다른 화면에서 이어서" in staff.get(back(sent.redirect_uri))
    assert staff.get("/console/checks").count('class="row"') == 1 + 6  # one check, and six lines of the menu


def test_a_check_on_the_same_device_comes_back_to_its_browser(staff: Staff) -> None:
    staff.sign_in()
    page, _, beside = staff.start()
    sent = staff.under_test.present(beside)
    assert staff.state(page) == "answered"
    assert "모두 통과" not in staff.get(page)
    returned = staff.client.get(sent.redirect_uri, headers=PAGE, follow_redirects=False)
    assert returned.status_code == 303
    assert returned.headers["location"] == page
    assert returned.headers["referrer-policy"] == "no-referrer"
    assert returned.headers["cache-control"] == "no-store"
    assert "모두 통과" in staff.get(page)
    again = staff.client.get(sent.redirect_uri, headers=PAGE, follow_redirects=False)
    assert again.headers["location"] == page


def test_another_browser_gets_nothing_and_the_first_is_told(staff: Staff) -> None:
    staff.sign_in()
    page, _, beside = staff.start()
    sent = staff.under_test.present(beside)
    stranger = TestClient(staff.client.app, base_url=HOST)
    answer = stranger.get(sent.redirect_uri, headers=PAGE)
    stranger.close()
    assert answer.status_code == 403
    assert "시작한 브라우저가 아니에요" in answer.text
    assert staff.state(page) == "refused"
    told = staff.get(page)
    assert "다른 브라우저로 돌아왔어요" in told
    assert "손님이 안 보내기로 했어요" not in told


@pytest.mark.clause("vp-13.3-opened")
def test_a_prefetch_does_not_spend_the_code(staff: Staff) -> None:
    staff.sign_in()
    page, _, beside = staff.start()
    address = back(staff.under_test.present(beside).redirect_uri)
    for ahead in ({"Sec-Fetch-Mode": "no-cors"}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
        staff.get(address, 403, **ahead)
    assert staff.client.head(HOST + address, headers=PAGE).status_code == 405
    assert staff.state(page) == "answered"
    staff.get(address, 303)
    assert staff.state(page) == "verified"


def test_a_code_that_nobody_waits_for(staff: Staff) -> None:
    assert "이미 끝난 확인이에요" in staff.get("/console/return?response_code=nonsense", 404)


def test_only_what_belongs_to_the_party_is_shown(staff: Staff) -> None:
    staff.sign_in()
    page, _, _ = staff.start()
    staff.post("/console/sign-out", "/console")
    staff.sign_in("dodam-bank")
    staff.get(page, 404)
    assert POLICY not in staff.get("/console/checks")


def test_time_runs_out(staff: Staff) -> None:
    staff.sign_in()
    page, _, _ = staff.start()
    staff.under_test.clock.advance(3600)
    assert staff.state(page) == "expired"
    assert "답이 오지 않았어요" in staff.get(page)


def test_what_a_program_asked_is_listed_without_a_page(staff: Staff) -> None:
    staff.under_test.ask(policy=POLICY)
    staff.under_test.ask()
    staff.sign_in()
    text = staff.get("/console/checks")
    assert text.count("프로그램(API)으로 물었어요") == 2
    assert 'href="/console/checks/"' not in text
