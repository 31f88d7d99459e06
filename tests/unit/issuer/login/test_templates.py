"""The pages of the login: whole, in both languages, with room for longer words."""

from pathlib import Path
from typing import Any

import pytest

import issuer.login
from tests.support.html import assert_whole
from tests.support.page_samples import AGENCY, LOGIN, LOGIN_METHODS
from wallet_core.adapters.ui.display import Display
from wallet_core.adapters.ui.environment import create_pages
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

FOLDER = Path(issuer.login.__file__).parent / "templates"
MESSAGES = load_messages(["base", "issuer"])
PAGES = create_pages(MESSAGES, [FOLDER])
PSEUDO = create_pages(pseudo_locale(MESSAGES), [FOLDER])


def page(name: str, language: Any = "ko", pages: Any = PAGES) -> str:
    template, context = LOGIN[name]
    values = {**AGENCY, "root": "/agencies/police", **context}
    return str(pages.render(f"login/{template}", Display(language), f"/{name}", **values))


@pytest.mark.parametrize("name", LOGIN)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_are_whole(name: str, language: str) -> None:
    html = page(name, language)
    assert_whole(html)
    assert html.count("<h1") == 1


@pytest.mark.parametrize("name", LOGIN)
def test_pages_bear_longer_words(name: str) -> None:
    assert_whole(page(name, "en", PSEUDO))


def test_every_template_has_its_sample() -> None:
    samples = LOGIN | LOGIN_METHODS
    shown = {template for template, _ in samples.values()} | {"layout.html"}
    assert shown == {file.name for file in (FOLDER / "login").glob("*.html")}


def test_the_test_login_says_that_it_is_one() -> None:
    assert "시험용" in page("by-code")


@pytest.mark.parametrize("name", LOGIN)
def test_every_page_lets_the_person_go_back(name: str) -> None:
    way_out = "/login/consent" if name in {"consent", "consent-some"} else "/login/cancel"
    assert f'action="/agencies/police{way_out}"' in page(name)
