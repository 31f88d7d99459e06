"""Real clicks through three running apps: an agency offers, a citizen accepts, companies ask, she answers or declines.

Every page on the way is judged at 360 and 1280 px in both languages (``look``).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.desks import Desk
from demo.exchanges import RecordingClient
from demo.stranger import Stranger
from tests.browser.looks import assert_fit, ready, sideways_scroll, watch
from tests.browser.system import System, run_system
from wallet_core.adapters.clock import SystemClock
from wallet_core.trust.anchors import TrustAnchors

pytestmark = pytest.mark.browser

LICENCE = "모바일 운전면허증"
WIDTHS = (360, 1280)
SUBJECT = "p02"


@pytest.fixture(scope="module")
def system(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The three apps with the demo's people."""
    with run_system(tmp_path_factory.mktemp("demo") / "system") as found:
        yield found


class Window:
    """One person's browser."""

    def __init__(self, chromium: Browser, **options: object) -> None:
        defaults = {"viewport": {"width": 1280, "height": 900}, "locale": "ko-KR", "reduced_motion": "reduce"}
        self.context = chromium.new_context(**{**defaults, **options})  # type: ignore[arg-type]
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints = watch(self.page)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture
def staff(chromium: Browser, system: System) -> Iterator[Page]:
    """The agency's browser, signed in to the issuing console of the police."""
    window = Window(chromium)
    system.open_console(window.page, system.issuer, system.agency_key("police"))
    yield window.page
    window.close()


@pytest.fixture
def clerk(chromium: Browser, system: System) -> Iterator[Page]:
    """The shop's browser, signed in to the desk."""
    window = Window(chromium)
    system.open_console(window.page, system.verifier, system.party_key("corner-store"))
    yield window.page
    window.close()


@pytest.fixture(scope="module")
def citizen(chromium: Browser, system: System) -> Iterator[Page]:
    """The citizen's browser, signed in to her wallet with a licence in it. Her code works once, so there is one."""
    window = Window(chromium)
    office = Window(chromium)
    system.open_wallet(window.page, 0)
    system.open_console(office.page, system.issuer, system.agency_key("police"))
    system.receive(window.page, *system.make_offer(office.page, LICENCE, SUBJECT))
    office.close()
    yield window.page
    window.close()


def look(page: Page, name: str) -> None:
    """Judge and photograph the page at both widths, in both languages; it is in Korean at 1280 px afterwards."""
    path = page.url.split("?")[0].split("#")[0]
    joint = "&" if "?" in page.url else "?"
    for language in ("en", "ko"):
        page.goto(f"{page.url.split(joint + 'lang=')[0]}{joint}lang={language}")
        ready(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            # The galleries judge the other two pairs.
            assert_fit(page, name, with_axe=(width, language) in {(360, "en"), (1280, "ko")})
    for width, size in ((320, "100"), (360, "200")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("(size) => { document.documentElement.dataset.size = size }", size)
        assert sideways_scroll(page) <= 0, (page.url, width, size)
    page.evaluate("document.documentElement.dataset.size = '100'")
    page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
    assert page.url.startswith(path)


def test_the_issuer_s_pages(system: System, staff: Page, chromium: Browser) -> None:
    visitor = Window(chromium)
    visitor.page.goto(system.issuer)
    look(visitor.page, "issuer-01-front")
    visitor.page.goto(f"{system.issuer}/console")
    look(visitor.page, "issuer-02-sign-in")
    visitor.page.goto(f"{system.issuer}/docs")
    look(visitor.page, "issuer-12-docs")
    visitor.close()
    for path, name in (
        ("/console", "03-overview"),
        ("/console/offers", "04-offers"),
        ("/console/offers/new", "05-offer-type"),
        ("/console/offers/new?type=drivers-licence", "06-offer-person"),
        (f"/console/offers/confirm?type=drivers-licence&subject={SUBJECT}", "07-offer-confirm"),
        ("/console/credentials", "08-issued"),
        ("/console/records", "09-records"),
    ):
        staff.goto(system.issuer + path)
        look(staff, f"issuer-{name}")


def test_records_are_checked_before_they_are_stored(system: System, staff: Page, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("subject_id,name\np-1,한지우\n", encoding="utf-8")
    staff.goto(f"{system.issuer}/console/records")
    staff.get_by_label("CSV 파일").set_input_files(file)
    staff.get_by_role("button", name="점검하기").click()
    expect(staff.locator("h1")).to_contain_text("1줄을 고쳐야 해요")
    for width in WIDTHS:
        staff.set_viewport_size({"width": width, "height": 900})
        assert_fit(staff, "issuer-10-records-checked")
    # The file is saved as often as one likes; the page stays.
    for _ in range(2):
        with staff.expect_download() as saved:
            staff.get_by_role("button", name="군데 내려받기").press("Enter")
        assert saved.value.suggested_filename.endswith("-faults.csv")
        assert saved.value.path().read_text("utf-8-sig").startswith("줄,칸,무엇이 틀렸나요,이렇게 고쳐요")


def test_an_offer_from_the_console_to_the_wallet(system: System, staff: Page, citizen: Page) -> None:
    link, tx_code = system.make_offer(staff, LICENCE, SUBJECT)
    look(staff, "issuer-11-offer")
    staff.evaluate("window.before = true")
    system.paste(citizen, link)
    look(citizen, "wallet-04-offer-given")
    citizen.get_by_role("button", name="내용 보기").click()
    expect(citizen.get_by_label("확인 번호")).to_be_visible()
    look(citizen, "wallet-05-offer")
    citizen.get_by_label("확인 번호").fill("000000" if tx_code != "000000" else "111111")
    citizen.keyboard.press("Enter")
    expect(citizen.get_by_text("확인 번호가 달라요")).to_be_visible()
    citizen.get_by_label("확인 번호").fill(tx_code)
    citizen.get_by_role("button", name="받기", exact=True).click()
    expect(citizen.get_by_role("button", name="지갑에 넣기")).to_be_visible()
    # Nobody has taken it yet, and the agency is told no more than that.
    expect(staff.locator("h1")).to_contain_text("카드를 보냈어요")
    look(citizen, "wallet-06-offer-preview")
    look(staff, "issuer-11-offer-sent")
    citizen.get_by_role("button", name="지갑에 넣기").click()
    expect(citizen.locator("h1")).to_contain_text("지갑에 넣었어요")
    look(citizen, "wallet-07-offer-done")
    # The agency's page moved on by itself.
    expect(staff.locator("h1")).to_contain_text("카드를 받았어요")
    look(staff, "issuer-11-offer-accepted")


def test_the_wallet_s_pages(system: System, citizen: Page, chromium: Browser) -> None:
    visitor = Window(chromium)
    visitor.page.goto(f"{system.wallet}/sign-in")
    look(visitor.page, "wallet-01-sign-in")
    visitor.page.goto(f"{system.wallet}/docs")
    look(visitor.page, "wallet-16-docs")
    system.open_wallet(visitor.page, 1)
    look(visitor.page, "wallet-02-home-empty")
    visitor.page.goto(f"{system.wallet}/history")
    look(visitor.page, "wallet-12-history-empty")
    visitor.page.goto(f"{system.wallet}/nothing-here")
    assert_fit(visitor.page, "wallet-15-not-found")
    visitor.close()
    citizen.goto(system.wallet)
    look(citizen, "wallet-02-home")
    citizen.goto(f"{system.wallet}/scan")
    look(citizen, "wallet-03-scan")
    citizen.goto(system.wallet)
    citizen.locator("a.vc").last.click()
    look(citizen, "wallet-08-card")
    citizen.get_by_role("link", name="지갑에서 지우기").click()
    look(citizen, "wallet-09-delete")
    citizen.goto(f"{system.wallet}/history")
    look(citizen, "wallet-12-history")
    citizen.locator("main a.row").first.click()
    look(citizen, "wallet-13-receipt")


def test_the_desk_s_pages(system: System, clerk: Page, chromium: Browser) -> None:
    visitor = Window(chromium)
    visitor.page.goto(system.verifier)
    look(visitor.page, "verifier-01-front")
    visitor.page.goto(f"{system.verifier}/console")
    look(visitor.page, "verifier-02-sign-in")
    visitor.page.goto(f"{system.verifier}/docs")
    look(visitor.page, "verifier-11-docs")
    visitor.page.goto(f"{system.verifier}/continue")
    look(visitor.page, "verifier-09-elsewhere")
    visitor.page.goto(f"{system.verifier}/console/return?response_code=nobody-waits")
    assert_fit(visitor.page, "verifier-10-over")
    visitor.close()
    pages = (
        ("/console", "03-choose"),
        ("/console/ask?policy=adult-check", "04-policy"),
        ("/console/file", "12-file"),
    )
    for path, name in pages:
        clerk.goto(system.verifier + path)
        look(clerk, f"verifier-{name}")


def test_an_answer_across_devices(system: System, clerk: Page, citizen: Page, tmp_path: Path) -> None:
    system.start_check(clerk, "성인 확인")
    look(clerk, "verifier-05-code")
    # The citizen's wallet reads a photograph of the code.
    photo = tmp_path / "code.png"
    clerk.locator(".qrbox").screenshot(path=photo)
    citizen.goto(f"{system.wallet}/scan")
    citizen.get_by_label("사진", exact=False).first.set_input_files(photo)
    citizen.locator("form", has=citizen.locator("input[type=file]")).locator("button").click()
    look(citizen, "wallet-10-request-given")
    citizen.get_by_role("button", name="요청 보기").click()
    expect(citizen.get_by_role("button", name="보내기", exact=True)).to_be_visible()
    expect(clerk.locator("h1")).to_contain_text("손님이 내용을 보고 있어요")
    look(clerk, "verifier-06-read")
    look(citizen, "wallet-11-consent")
    citizen.get_by_role("button", name="보내기", exact=True).click()
    expect(citizen.locator("h1")).to_contain_text("보냈어요")
    look(citizen, "wallet-13-receipt-sent")
    expect(clerk.locator("h1")).to_have_text("확인했어요")
    expect(clerk.get_by_text("모두 통과")).to_be_visible()
    look(clerk, "verifier-07-result")
    clerk.goto(f"{system.verifier}/console/checks")
    look(clerk, "verifier-08-checks")


def log_in_for(page: Page, system: System, agency: str, certificate: str) -> None:
    """From the wallet's home to the agency's choice of ways to log in."""
    page.goto(system.wallet)
    page.get_by_role("link", name="증명서 추가").click()
    page.get_by_role("link", name=agency).click()
    page.get_by_label(certificate).check(force=True)
    page.get_by_role("button", name="다음").click()
    page.get_by_role("button", name="로그인하러 가기").click()
    expect(page).to_have_url(re.compile(f"{re.escape(system.issuer)}/agencies/.*/login"))


def agree_and_keep(page: Page, system: System) -> None:
    """From the agency's last question to the card in the wallet."""
    page.get_by_role("button", name="지갑으로 보내기").click()
    expect(page).to_have_url(re.compile(re.escape(system.wallet)))
    page.get_by_role("button", name="지갑에 넣기").click()
    expect(page.locator("h1")).to_contain_text("지갑에 넣었어요")


def test_a_certificate_asked_for_with_the_test_login(system: System, citizen: Page) -> None:
    """Wallet, agency, wallet: one browser, a wrong code first, a refusal and a second try in between."""
    page, person = citizen, system.facts["people"][0]
    log_in_for(page, system, "국세청", "소득금액증명")
    page.get_by_role("button", name="그만두고 지갑으로 돌아가기").click()
    expect(page.get_by_role("alert")).to_contain_text("로그인을 그만뒀어요")
    page.get_by_role("button", name="로그인하러 가기").click()
    page.get_by_role("link", name="시험용 로그인").click()
    page.get_by_label("이름").fill(person["name"])
    page.get_by_label("생년월일").fill(person["birth_date"].replace("-", ""))
    page.get_by_label("일회용 번호").fill("00000000")
    page.get_by_role("button", name="로그인").click()
    expect(page.get_by_role("alert")).to_contain_text("4번 더")
    page.get_by_label("일회용 번호").fill(person["login_code"])
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("내 지갑으로 보낼까요?")
    agree_and_keep(page, system)


def test_a_certificate_asked_for_with_a_licence_on_the_phone(
    system: System, citizen: Page, chromium: Browser, tmp_path: Path
) -> None:
    """The computer shows the agency's code, the phone reads it off the screen; both show one number."""
    phone = Window(chromium, viewport={"width": 360, "height": 780}, storage_state=citizen.context.storage_state())
    log_in_for(citizen, system, "서울특별시 (시험용)", "주민등록표 등본")
    citizen.get_by_role("link", name="지갑의 신분증으로 로그인").click()
    citizen.get_by_role("button", name="지갑으로 보여 주기").click()
    ready(citizen)
    number = citizen.locator(".match b").inner_text()
    photo = tmp_path / "code.png"
    citizen.locator(".qrbox").screenshot(path=photo)
    page = phone.page
    page.goto(f"{system.wallet}/scan")
    page.get_by_label("사진", exact=False).first.set_input_files(photo)
    page.locator("form", has=page.locator("input[type=file]")).locator("button").click()
    page.get_by_role("button", name="요청 보기").click()
    expect(page.locator(".match b")).to_have_text(number)
    expect(citizen.locator("h1")).to_have_text("지갑에서 확인해 주세요")
    expect(citizen.locator(".match b")).to_have_text(number)
    assert_fit(page, "wallet-23-consent-login")
    page.get_by_role("button", name="보내기", exact=True).click()
    expect(page.locator("h1")).to_contain_text("보냈어요")
    expect(citizen.locator("h1")).to_have_text("내 지갑으로 보낼까요?")
    agree_and_keep(citizen, system)
    phone.close()


def test_a_card_that_staff_approve_and_later_renew(system: System, staff: Page, citizen: Page) -> None:
    """An offer with a review, the decision, and new copies for everybody, each seen in the wallet."""
    page = citizen
    link, tx_code = system.make_offer(staff, LICENCE, SUBJECT, form="심사한 뒤에")
    system.paste(page, link)
    page.get_by_role("button", name="내용 보기").click()
    page.get_by_label("확인 번호").fill(tx_code)
    page.get_by_role("button", name="받기", exact=True).click()
    expect(page.locator("h1")).to_contain_text("심사하고 있어요")
    expect(staff.locator("h1")).to_contain_text("심사하고 있어요")
    staff.get_by_role("link", name="심사하러 가기").click()
    staff.locator("main a.row").first.click()
    staff.get_by_role("link", name="승인하기").click()
    staff.get_by_role("button", name="승인하기").click()
    # The wallet asks by itself: where it was faster than this page, nothing is left to take back.
    undo, taken = staff.get_by_role("link", name="결정 되돌리기"), staff.get_by_text("카드를 지갑으로 보냈어요")
    expect(undo.or_(taken)).to_be_visible()
    for _ in range(40):  # it comes by itself, as the page says
        if "지갑에 넣었어요" in page.locator("h1").inner_text():
            break
        page.wait_for_timeout(250)
        page.reload()
    page.get_by_role("link", name="카드 보기").click()
    card = page.url
    staff.goto(f"{system.issuer}/console/reissuances/new")
    staff.get_by_label("까닭").fill("양식 변경")
    staff.get_by_role("button", name="먼저 세어 보기").click()
    staff.get_by_role("button", name="시작하기").click()
    expect(staff.get_by_text("지갑이 알아서 새 사본을 받아요.")).to_be_visible()
    page.goto(card)
    page.get_by_role("button", name="새 사본 받기").click()
    expect(page.get_by_role("alert")).to_contain_text("새 사본을 받았어요")


def test_one_licence_in_two_formats(system: System, staff: Page, chromium: Browser) -> None:
    """Staff offer both forms, the citizen gets two cards, chooses between them, and the firm sees the picture."""
    holder, firm = Window(chromium), Window(chromium)
    page, desk = holder.page, firm.page
    link, tx_code = system.make_offer(staff, LICENCE, SUBJECT, form="두 가지 다")
    look(staff, "issuer-13-offer-two-forms")
    system.open_wallet(page, 4)
    system.paste(page, link)
    page.get_by_role("button", name="내용 보기").click()
    look(page, "wallet-17-offer-two-forms")
    page.get_by_label("확인 번호").fill(tx_code)
    page.get_by_role("button", name="받기", exact=True).click()
    expect(page.get_by_role("button", name="지갑에 넣기")).to_be_visible()  # else ``look`` cuts the way there short
    look(page, "wallet-18-preview-two-forms")
    page.get_by_role("button", name="지갑에 넣기").click()
    page.goto(system.wallet)
    expect(page.locator("a.vc")).to_have_count(2)
    look(page, "wallet-19-home-two-forms")
    page.locator("a.vc", has_text="국제").click()
    look(page, "wallet-20-card-mdoc")
    system.open_console(desk, system.verifier, system.party_key("wind-rental"))
    system.start_check(desk, "자동차 빌리기")
    system.paste(page, desk.locator(".copybox code").inner_text())
    page.get_by_role("button", name="요청 보기").click()
    expect(page.get_by_role("radio")).to_have_count(2)
    page.get_by_role("radio").nth(1).check(force=True)
    look(page, "wallet-21-consent-two-forms")
    page.get_by_role("radio").nth(1).check(force=True)
    page.get_by_role("button", name="보내기", exact=True).click()
    expect(page.locator("h1")).to_contain_text("보냈어요")
    look(page, "wallet-22-receipt-mdoc")
    expect(desk.locator("h1")).to_have_text("카드를 확인했어요")
    expect(desk.get_by_text("모두 통과")).to_be_visible()
    expect(desk.locator(".portrait img")).to_be_visible()
    assert desk.locator(".portrait img").evaluate("(image) => image.naturalWidth") > 0
    look(desk, "verifier-12-result-mdoc")
    desk.get_by_role("button", name="달라요").focus()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("alert")).to_contain_text("이 확인은 통과한 것이 아니에요")
    look(desk, "verifier-13-other-face")
    desk.locator("summary", has_text="다시 봤어요").focus()
    desk.keyboard.press("Enter")
    for _ in range(2):
        desk.keyboard.press("Tab")
    desk.keyboard.press("Space")
    expect(desk.locator("h1")).to_have_text("확인했어요")
    holder.close()
    firm.close()


def test_a_refusal_is_as_easy(system: System, clerk: Page, citizen: Page) -> None:
    system.start_check(clerk, "성인 확인")
    system.paste(citizen, clerk.locator(".copybox code").inner_text())
    citizen.get_by_role("button", name="요청 보기").click()
    no, yes = (citizen.get_by_role("button", name=name, exact=True).bounding_box() for name in ("안 보내기", "보내기"))
    assert no
    assert yes
    assert no["height"] == yes["height"]
    assert no["y"] == yes["y"]
    citizen.get_by_role("button", name="안 보내기").click()
    expect(citizen.locator("h1")).to_contain_text("안 보냈어요")
    expect(clerk.locator("h1")).to_contain_text("확인하지 못했어요")
    expect(clerk.get_by_text("손님이 안 보내기로 했어요")).to_be_visible()
    look(clerk, "verifier-07-result-declined")


def test_an_answer_on_the_same_device(system: System, citizen: Page) -> None:
    """One browser holds the shop's page and the wallet: the link leads there and back."""
    system.open_console(citizen, system.verifier, system.party_key("corner-store"))
    system.start_check(citizen, "성인 확인")
    check = citizen.url
    citizen.get_by_role("link", name="이 기기의 지갑으로 열기").click()
    expect(citizen).to_have_url(re.compile(re.escape(system.wallet)))
    citizen.get_by_role("button", name="요청 보기").click()
    citizen.get_by_role("button", name="보내기", exact=True).click()
    expect(citizen).to_have_url(check)
    expect(citizen.locator("h1")).to_have_text("확인했어요")
    assert "response_code" not in citizen.url


def test_the_wallet_says_what_it_lacks(system: System, chromium: Browser, clerk: Page) -> None:
    system.start_check(clerk, "계좌 개설")
    other = Window(chromium)
    system.open_wallet(other.page, 2)
    system.paste(other.page, clerk.locator(".copybox code").inner_text())
    other.page.get_by_role("button", name="요청 보기").click()
    expect(other.page.get_by_role("button", name="보내기", exact=True)).to_have_count(0)
    look(other.page, "wallet-14-no-match")
    other.close()


def test_by_keyboard_alone(system: System, chromium: Browser) -> None:
    """The agency's staff make an offer without touching the mouse."""
    window = Window(chromium)
    page = window.page
    page.goto(f"{system.issuer}/console/sign-in")
    ready(page)

    def press_until(selector: str) -> None:
        ready(page)
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"Tab never reaches {selector}")

    press_until("#field-api_key")
    page.keyboard.type(system.agency_key("police"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{system.issuer}/console")
    press_until("main a.btn--main")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/offers/new")
    press_until("input[type=radio]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/offers/new?type=*")
    press_until("input[type=radio]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/offers/confirm?*")
    press_until("button.btn--main")
    page.keyboard.press("Enter")
    expect(page.locator("svg.qr")).to_be_visible()
    # The number is not beside the code until somebody asks for it.
    expect(page.locator(".txcode")).to_be_hidden()
    press_until("details.rest > summary")
    page.keyboard.press("Enter")
    expect(page.locator(".txcode")).to_be_visible()
    window.close()


def licence_text(system: System, name: str) -> str:
    """A licence as a text that somebody hands in."""
    client = RecordingClient()
    police = Desk(client, f"{system.issuer}/api/v1/agencies/police", system.agency_key("police"))
    order = {"credential_configuration_ids": ["drivers-licence-sd-jwt"], "subject_id": "p04", "tx_code": True}
    offer = police.post("/offers", order, key=name)
    return Stranger(client, TrustAnchors()).receive(offer["uri"], offer["tx_code"], now=SystemClock().now())


@pytest.mark.parametrize("script", [True, False])
def test_a_file_is_checked_with_and_without_script(
    system: System,
    chromium: Browser,
    tmp_path: Path,
    script: bool,  # noqa: FBT001
) -> None:
    file = tmp_path / "licence.txt"
    file.write_text(licence_text(system, f"file-{script}"))
    window = Window(chromium, java_script_enabled=script)
    page = window.page
    system.open_console(page, system.verifier, system.party_key("corner-store"))
    page.goto(f"{system.verifier}/console/file")
    page.get_by_label("파일이나 QR 사진").set_input_files(file)
    page.get_by_role("button", name="확인하기").click()
    expect(page.locator("h1")).to_have_text("기관이 발급한 그대로예요")
    expect(page.get_by_text("주인이 보여 줬는지는 아무도 증명하지 않았어요").first).to_be_visible()
    for width in WIDTHS if script else ():  # axe is a script too
        page.set_viewport_size({"width": width, "height": 900})
        assert_fit(page, "verifier-13-file-result")
    window.close()


def test_without_script_a_card_is_received(system: System, chromium: Browser, staff: Page) -> None:
    plain = Window(chromium, java_script_enabled=False)
    link, tx_code = system.make_offer(staff, LICENCE, SUBJECT)
    system.open_wallet(plain.page, 3)
    system.receive(plain.page, link, tx_code)
    plain.close()
