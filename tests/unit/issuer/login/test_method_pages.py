"""The pages of the two methods in every state, in both languages and with longer words."""

from typing import Any

import pytest

from issuer.login import TEMPLATES
from tests.support.html import assert_whole
from tests.support.page_samples import LOGIN_METHODS, NOW
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

MESSAGES = load_messages(["base", "issuer"])
PAGES = create_pages(MESSAGES, [TEMPLATES])
PSEUDO = create_pages(pseudo_locale(MESSAGES), [TEMPLATES])


def page(name: str, language: Any = "ko", pages: Any = PAGES) -> str:
    template, context = LOGIN_METHODS[name]
    return str(pages.render(f"login/{template}", Display(language), f"/{name}", now=NOW, csrf_token="token", **context))


@pytest.mark.parametrize("name", LOGIN_METHODS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_are_whole(name: str, language: str) -> None:
    html = page(name, language)
    assert_whole(html)
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", LOGIN_METHODS)
def test_pages_bear_longer_words(name: str) -> None:
    assert_whole(page(name, "en", PSEUDO))


def test_a_page_that_waits_asks_and_one_that_does_not_shows_no_code() -> None:
    for state in ("requested", "retrieved", "answered"):
        assert 'data-module="poll"' in page(f"card-{state}")
        assert "<noscript>" in page(f"card-{state}")
        assert ("request_uri" in page(f"card-{state}")) == (state == "requested")
    assert 'data-module="poll"' not in page("card-failed-late")
