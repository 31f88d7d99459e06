"""The ES modules, each by what a person notices; and the same pages without script."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.gallery import Gallery, start_gallery
from tests.browser.looks import ready
from tests.support.page_samples import NOW

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 780}}


@pytest.fixture
def server() -> Iterator[Gallery]:
    """The samples."""
    running = start_gallery()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def gallery(server: Gallery) -> str:
    """Base address of the samples."""
    return f"http://127.0.0.1:{server.server_address[1]}"


def open_sample(page: Page, gallery: str, name: str) -> None:
    page.goto(f"{gallery}/{name}")
    ready(page)


def test_a_link_is_copied(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "issuer/offer-offered")
    link = screen.locator(".copybox code").inner_text()
    screen.get_by_role("button", name="복사하기").click()
    expect(screen.get_by_role("button", name="복사했어요")).to_be_visible()
    assert screen.evaluate("navigator.clipboard.readText()") == link


def test_the_ring_and_its_words_run_down_by_the_server_s_clock(screen: Page, gallery: str) -> None:
    # The browser's clock is years off; the page counts from the server's time.
    screen.clock.install(time=NOW + timedelta(days=900))
    open_sample(screen, gallery, "issuer/offer-offered")
    left = screen.locator(".qrblock__left")
    expect(left).to_contain_text("10분")
    screen.clock.run_for(65_000)
    expect(left).to_contain_text("8분 5")
    offset = screen.locator(".ring__on").get_attribute("stroke-dashoffset")
    assert offset is not None
    assert 10 < float(offset) < 12
    screen.clock.run_for(600_000)
    expect(left).to_have_text("시간이 지났어요. 새 코드를 만들어 주세요.")
    expect(screen.get_by_role("button", name="새 코드 만들기")).to_be_visible()


def test_a_page_moves_on_when_its_state_does(screen: Page, gallery: str, server: Gallery) -> None:
    server.state = "offered"
    open_sample(screen, gallery, "issuer/offer-offered")
    screen.evaluate("window.before = true")
    screen.wait_for_timeout(2000)
    assert screen.evaluate("window.before")
    with screen.expect_navigation():
        server.state = "issued"
    ready(screen)
    assert not screen.evaluate("window.before")


def test_text_size_and_theme_change_at_once(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "issuer/overview")
    screen.get_by_label("글자 크기와 보기 설정").click()
    with screen.expect_response(lambda answer: "size=200" in answer.url):
        screen.get_by_role("link", name="가장 크게").click()
    assert screen.locator("html").get_attribute("data-size") == "200"
    with screen.expect_response(lambda answer: "theme=high-contrast" in answer.url):
        screen.get_by_role("link", name="고대비").click()
    assert screen.locator("html").get_attribute("data-theme") == "high-contrast"
    assert screen.url.endswith("/issuer/overview")


def test_a_menu_closes_by_escape_and_gives_the_focus_back(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "issuer/overview")
    help_button = screen.get_by_label("도움말")
    help_button.click()
    expect(screen.get_by_text("도움이 필요하세요?")).to_be_visible()
    screen.keyboard.press("Escape")
    expect(screen.get_by_text("도움이 필요하세요?")).to_be_hidden()
    assert screen.evaluate("document.activeElement.tagName") == "SUMMARY"
    help_button.click()
    screen.locator("h1").click()
    expect(screen.get_by_text("도움이 필요하세요?")).to_be_hidden()


@pytest.mark.parametrize("screen", [PHONE], indirect=True)
def test_a_phone_has_the_navigation_in_a_menu(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "issuer/overview")
    screen.locator("summary[aria-label=메뉴]").click()
    expect(screen.get_by_role("navigation", name="메뉴", exact=True).get_by_text("명부")).to_be_visible()


def test_the_failed_check_has_the_focus(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "verifier/result-refused")
    assert screen.evaluate("document.activeElement.id") == "failed-check"
    expect(screen.locator("#failed-check")).to_contain_text("발급 기관이 서명했어요")


def test_a_form_is_sent_once(screen: Page, gallery: str) -> None:
    posts: list[str] = []

    def answer(route: Route) -> None:
        posts.append(route.request.method)
        route.fulfill(status=204)  # no new page: as if the server were still thinking

    screen.route("**/console/sign-in", answer)
    open_sample(screen, gallery, "issuer/sign-in")
    screen.get_by_label("API 열쇠").fill("key")
    button = screen.locator("form button")
    button.click(no_wait_after=True)
    expect(button).to_have_text("보내는 중이에요")
    button.click(force=True)
    screen.wait_for_timeout(300)
    assert posts == ["POST"]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(screen: Page, gallery: str) -> None:
    open_sample(screen, gallery, "issuer/offer-type")
    screen.keyboard.press("Tab")
    assert screen.evaluate("document.activeElement.className") == "skip"
    expect(screen.get_by_text("본문으로 바로 가기")).to_be_in_viewport()
    seen = []
    for _ in range(14):
        screen.keyboard.press("Tab")
        seen.append(
            screen.evaluate(
                """() => { const active = document.activeElement;
                if (active === document.body) return ['', false];
                const e = active.closest('label') ?? active, style = getComputedStyle(e);
                return [e.innerText || e.getAttribute('aria-label'),
                style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2] }"""
            )
        )
    words = " ".join(str(text) for text, _ in seen)
    assert all(name in words for name in ("명부", "도움말", "모바일 운전면허증", "다음"))
    assert all(visible for text, visible in seen if text), seen


def test_the_seal_goes_on_by_the_server_s_clock(screen: Page, gallery: str) -> None:
    screen.clock.install(time=NOW + timedelta(days=900))
    open_sample(screen, gallery, "wallet/card-portrait")
    seal = screen.get_by_role("group", name="이 화면이 살아 있다는 표시")
    expect(seal).to_contain_text("오전 11:30:0")
    expect(seal).to_contain_text("화면 살아 있음")
    screen.clock.run_for(65_000)
    expect(seal).to_contain_text("오전 11:31:0")
    screen.clock.run_for(1_800_000)
    expect(seal).to_contain_text("오후 12:01:0")
    assert seal.locator("svg").evaluate("e => getComputedStyle(e).animationName") == "turn"
    # It is not read out each second.
    assert screen.locator(".seal [aria-live]").get_attribute("aria-live") == "off"
    open_sample(screen, gallery, "wallet/card-portrait?lang=en")
    expect(screen.get_by_role("group", name="Sign that this screen is live")).to_contain_text("11:30:0")
    expect(screen.locator(".seal__time")).to_contain_text(" am")


@pytest.mark.parametrize("screen", [{"reduced_motion": "reduce"}], indirect=True)
def test_where_motion_is_reduced_only_the_time_of_the_seal_changes(screen: Page, gallery: str) -> None:
    screen.clock.install(time=NOW)
    open_sample(screen, gallery, "wallet/card-portrait")
    seal = screen.locator(".seal")
    assert seal.locator("svg").evaluate("e => getComputedStyle(e).animationName") == "none"
    screen.clock.run_for(65_000)
    expect(seal).to_contain_text("오전 11:31:0")


def test_a_card_that_ends_is_asked_for_anew(screen: Page, gallery: str) -> None:
    screen.clock.install(time=NOW)
    open_sample(screen, gallery, "wallet/card-portrait")
    screen.evaluate("window.before = true")
    with screen.expect_navigation():
        screen.clock.fast_forward(timedelta(days=31).total_seconds() * 1000)
    ready(screen)
    assert not screen.evaluate("window.before")


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Page]:
    """A window without script."""
    context = chromium.new_context(java_script_enabled=False, locale="ko-KR")
    yield context.new_page()
    context.close()


def test_without_script_the_seal_says_when_the_page_was_opened(plain: Page, gallery: str) -> None:
    plain.goto(f"{gallery}/wallet/card-portrait")
    expect(plain.locator(".seal")).to_contain_text("오전 11:30:00")
    expect(plain.locator(".seal")).to_contain_text("이때 연 화면")


def test_without_script_everything_is_there(plain: Page, gallery: str) -> None:
    plain.goto(f"{gallery}/issuer/offer-offered")
    expect(plain.locator("svg.qr")).to_be_visible()
    expect(plain.locator(".qrblock__left")).to_have_text("오전 11:40까지 쓸 수 있어요")
    expect(plain.get_by_role("link", name="새로 고침")).to_be_visible()
    expect(plain.get_by_role("button", name="복사하기")).to_be_hidden()
    plain.get_by_label("글자 크기와 보기 설정").click()
    plain.get_by_role("link", name="English").click()
    expect(plain.locator("h1")).to_contain_text("Show this code")
