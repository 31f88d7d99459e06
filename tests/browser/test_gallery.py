"""Every template in every state, judged in Chromium without any app behind it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.gallery import ADDRESSES, start_gallery
from tests.browser.looks import accessibility_problems, assert_fit, ready, sideways_scroll, small_targets, watch

pytestmark = pytest.mark.browser

THEMES = {360: "light", 1280: "high-contrast"}


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    """Base address of the samples."""
    server = start_gallery()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Iterator[Page]:
    """One window for all samples: they share nothing, and opening a window costs more than a page."""
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    complaints = watch(page)
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_fits(window: Page, gallery: str, address: str) -> None:
    """Both languages, narrow and wide; then larger text and narrower screens, which need no sideways scroll."""
    for width, language in ((360, "ko"), (1280, "en")):
        window.set_viewport_size({"width": width, "height": 900})
        window.goto(f"{gallery}{address}?lang={language}&theme={THEMES[width]}")
        ready(window)
        assert_fit(window, f"sample{address.replace('/', '-')}")
        for narrow, size in ((320, "100"), (360, "130"), (360, "200"), (1280, "200")):
            window.set_viewport_size({"width": narrow, "height": 780})
            window.evaluate("(size) => { document.documentElement.dataset.size = size }", size)
            assert sideways_scroll(window) <= 0, (language, narrow, size)


def test_the_judge_finds_what_is_wrong(window: Page) -> None:
    window.set_viewport_size({"width": 360, "height": 780})
    window.goto("about:blank")
    window.set_content("<html lang=ko><title>x</title><main><img src='data:,' width=900><button>a</button></main>")
    assert [line for line in accessibility_problems(window) if "image-alt" in line]
    assert sideways_scroll(window) > 0
    assert small_targets(window)
