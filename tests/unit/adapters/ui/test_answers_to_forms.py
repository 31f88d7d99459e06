"""Pages that answer a form cannot be had again, so nothing in their menu leads away from them."""

import re

import pytest

from tests.browser.gallery import ADDRESSES, SHELVES
from wallet_core.adapters.ui.display import choose_display

IN_PLACE = re.compile(r"<div hidden data-in-place[^>]*>.*?</div>", re.DOTALL)
LATER = {"ko": "언어는 다음 화면에서", "en": "Change the language on the next page"}


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_that_answers_a_form_offers_to_load_itself(address: str, language: str) -> None:
    _, shelf, name = address.split("/")
    pages, common, samples = SHELVES[shelf]
    template, context = samples[name]
    display = choose_display({"lang": language}, {})
    asked = pages.render(template, display, "/here", **{**common, **context, "posted": False})
    posted = pages.render(template, display, "/here", **{**common, **context, "posted": True})
    menu = asked.count('data-module="display"')
    assert asked.count("hreflang") == 2 * menu
    assert asked.count("/here?") == 8 * menu
    assert "hreflang" not in posted
    assert "/here?" not in posted
    # Only script shows these, and it changes the page where it stands.
    assert len(IN_PLACE.findall(posted)) == menu
    assert not re.search(r'href="[^"]*[?&;](size|theme|lang)=', IN_PLACE.sub("", posted))
    assert (LATER[language] in posted) == bool(menu)
