"""The wallet's pages of receiving, renewing and consenting: whole, in both languages, with room for longer words."""

from pathlib import Path
from typing import Any

import pytest

import holder_app
from tests.support.html import assert_whole
from tests.support.page_samples import NOW
from tests.support.wallet_samples import WALLET, WALLET_WORDS
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

FOLDERS = [
    Path(holder_app.__file__).parent / part / "templates"
    for part in ("", "credentials", "issuance", "presentation", "accounts")
]
MESSAGES = load_messages(["base", "wallet"])
PAGES = create_pages(MESSAGES, FOLDERS)
PSEUDO = create_pages(pseudo_locale(MESSAGES), FOLDERS)
SAMPLES = WALLET | WALLET_WORDS


def page(name: str, language: Any = "ko", pages: Any = PAGES) -> str:
    template, context = SAMPLES[name]
    return str(pages.render(template, Display(language), f"/{name}", now=NOW, csrf_token="token", **context))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_are_whole(name: str, language: str) -> None:
    html = page(name, language)
    assert_whole(html)
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_pages_bear_longer_words(name: str) -> None:
    assert_whole(page(name, "en", PSEUDO))


def test_every_page_of_issuance_has_its_sample() -> None:
    shown = {template for template, _ in SAMPLES.values()} | {"offer_given.html"}  # test_wallet.py shows it
    assert {file.name for file in FOLDERS[2].glob("*.html")} <= shown


def test_waiting_is_given_up_only_after_a_warning() -> None:
    html = page("deferred")
    assert html.index("신청이 사라져요") < html.index("/decline")


def test_only_a_card_that_can_be_used_has_the_live_seal() -> None:
    for name in ("card", "card-portrait", "card-ends-soon", "card-used-up"):
        assert page(name).count('class="seal"') == 1
    for name, state in (("expired", "기한이 지났어요"), ("suspended", "정지됐어요"), ("revoked", "폐기됐어요")):
        html = page(f"card-{name}")
        assert 'class="seal"' not in html
        assert f'<span class="vc__state">{state}</span>' in html
    assert 'class="seal"' not in page("card-unreadable")


def test_new_copies_are_offered_where_the_warning_is() -> None:
    assert page("card-used-up").count("/cards/c-1/refresh") == 1
    assert "/cards/c-1/refresh" not in page("card-used-up-for-good")
