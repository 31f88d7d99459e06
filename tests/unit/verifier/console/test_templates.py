from pathlib import Path
from typing import Any

import pytest

import verifier.console
from tests.support.html import assert_whole
from tests.support.page_samples import PARTY, VERIFIER
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

FOLDER = Path(verifier.console.__file__).parent / "templates"
MESSAGES = load_messages(["base", "verifier"])
PAGES = create_pages(MESSAGES, [FOLDER])
PSEUDO = create_pages(pseudo_locale(MESSAGES), [FOLDER])


def page(name: str, language: Any = "ko", pages: Any = PAGES) -> str:
    template, context = VERIFIER[name]
    return str(pages.render(f"console/{template}", Display(language), f"/{name}", **PARTY, **context))


@pytest.mark.parametrize("name", VERIFIER)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_are_whole(name: str, language: str) -> None:
    html = page(name, language)
    assert_whole(html)
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", VERIFIER)
def test_pages_bear_longer_words(name: str) -> None:
    assert_whole(page(name, "en", PSEUDO))


def test_every_sample_has_its_template_and_every_template_its_sample() -> None:
    used = {template for template, _ in VERIFIER.values()}
    assert used == {file.name for file in (FOLDER / "console").glob("*.html")} - {"layout.html", "parts.html"}


def test_the_failed_check_is_marked_and_takes_the_focus() -> None:
    html = page("result-refused")
    assert html.count('class="checks__bad" id="failed-check" tabindex="-1" data-module="focus"') == 1
    assert "checks__bad" not in page("result-verified")


def test_claims_appear_only_on_a_verified_result() -> None:
    assert "한지우" in page("result-verified")
    for name in ("result-refused", "result-gone", "check-retrieved", "back-stranger"):
        assert "한지우" not in page(name)


def test_a_finished_check_does_not_poll() -> None:
    assert 'data-module="poll"' in page("check-answered")
    assert 'data-module="poll"' not in page("result-verified")
