"""Every template of wallet and login in every state, judged in Chromium without any app behind it."""

import pytest
from playwright.sync_api import Page

from tests.browser.gallery import CITIZEN_ADDRESSES
from tests.browser.looks import accessibility_problems, assert_sample_fits, sideways_scroll, small_targets

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("address", CITIZEN_ADDRESSES)
def test_a_page_fits(window: Page, gallery: str, address: str) -> None:
    assert_sample_fits(window, gallery, address)


def test_the_judge_finds_what_is_wrong(window: Page) -> None:
    window.set_viewport_size({"width": 360, "height": 780})
    window.goto("about:blank")
    window.set_content("<html lang=ko><title>x</title><main><img src='data:,' width=900><button>a</button></main>")
    assert [line for line in accessibility_problems(window) if "image-alt" in line]
    assert sideways_scroll(window) > 0
    assert small_targets(window)
