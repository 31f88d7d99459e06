"""Every template of agencies and companies in every state: apart, so that two processes share the work."""

import pytest
from playwright.sync_api import Page

from tests.browser.gallery import STAFF_ADDRESSES
from tests.browser.looks import assert_sample_fits

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("address", STAFF_ADDRESSES)
def test_a_page_fits(window: Page, gallery: str, address: str) -> None:
    assert_sample_fits(window, gallery, address)
