"""One Chromium for all browser tests: the distribution's own. Without it they skip, or fail in CI."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.browser.gallery import start_gallery
from tests.browser.looks import watch
from tests.conftest import lacking

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--lang=ko-KR",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The distribution's Chromium, headless."""
    # The same engine without a browser's windows around it does the same pages in two thirds of the time.
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium-headless-shell fonts-noto-cjk)"
        lacking("chromium", reason)
    browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def screen(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh window; a refusal of the content security policy or a script error fails the test at its end.

    Parametrise indirectly with a dict of ``Browser.new_context`` options, say ``{"viewport": …, "locale": …}``.
    """
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "ko-KR"}
    context = chromium.new_context(**options | getattr(request, "param", {}))
    context.set_default_timeout(10_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    complaints = watch(page)
    yield page
    context.close()
    assert complaints == []


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
