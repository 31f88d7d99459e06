from pathlib import Path
from typing import Any

import pytest

import issuer.console
from tests.support.html import assert_whole
from tests.support.page_samples import AGENCY, ISSUER, LONG_NAME
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

FOLDER = Path(issuer.console.__file__).parent / "templates"
MESSAGES = load_messages(["base", "issuer"])
PAGES = create_pages(MESSAGES, [FOLDER])
PSEUDO = create_pages(pseudo_locale(MESSAGES), [FOLDER])


def page(name: str, language: Any = "ko", pages: Any = PAGES) -> str:
    template, context = ISSUER[name]
    return str(pages.render(f"console/{template}", Display(language), f"/{name}", **AGENCY, **context))


@pytest.mark.parametrize("name", ISSUER)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_are_whole(name: str, language: str) -> None:
    html = page(name, language)
    assert_whole(html)
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", ISSUER)
def test_pages_bear_longer_words(name: str) -> None:
    assert_whole(page(name, "en", PSEUDO))


def test_every_sample_has_its_template_and_every_template_its_sample() -> None:
    used = {template for template, _ in ISSUER.values()}
    assert used == {file.name for file in (FOLDER / "console").glob("*.html")} - {"layout.html", "parts.html"}


def test_a_code_is_shown_only_while_it_waits() -> None:
    assert "493536" in page("offer-offered")
    for state in ("authorized", "issued", "refused", "expired"):
        assert "493536" not in page(f"offer-{state}")
        assert "credential_offer_uri" not in page(f"offer-{state}")


def test_a_page_whose_state_may_move_asks_for_it() -> None:
    assert 'data-module="poll"' in page("offer-offered")
    assert 'data-module="poll"' not in page("offer-issued")


def test_bad_rows_cannot_be_stored() -> None:
    assert 'action="/console/records"' not in page("records-bad")
    assert 'action="/console/records"' in page("records-good")
    assert LONG_NAME in page("records-bad")


def test_what_was_uploaded_is_shown_as_text() -> None:
    assert "&lt;b&gt;" in page("records-good")
