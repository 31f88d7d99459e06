from pathlib import Path
from typing import Any

import pytest

import issuer.console
from tests.support.html import assert_whole
from tests.support.page_samples import AGENCY, ISSUER, LONG_NAME, OFFER_STATES
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
    for state in set(OFFER_STATES) - {"offered"}:
        assert "493536" not in page(f"offer-{state}")
        assert "credential_offer_uri" not in page(f"offer-{state}")


def test_the_transaction_code_does_not_stand_open_beside_the_qr_code() -> None:
    for language, words in (("ko", "확인 번호 보기"), ("en", "Show the transaction code")):
        before, _, after = page("offer-offered", language).partition(f"<summary>{words}</summary>")
        assert "493536" not in before
        assert before.rstrip().endswith('<details class="rest center">')
        assert "493536" in after.partition("</details>")[0]


def test_a_page_whose_state_may_move_asks_for_it() -> None:
    assert 'data-module="poll"' in page("offer-offered")
    assert 'data-module="poll"' in page("offer-sent")
    assert 'data-module="poll"' not in page("offer-accepted")


def test_nobody_is_told_that_a_card_was_taken_before_the_wallet_says_so() -> None:
    assert "보냈어요, 받는 사람이 보고 있어요" in page("offer-sent")
    for state in ("sent", "unheard", "declined", "failed"):
        html = page(f"offer-{state}")
        assert "지갑에 들어갔어요" not in html
        assert "카드를 받았어요" not in html
    assert "지갑에 들어갔어요" in page("offer-accepted")
    assert "카드를 받았어요" not in page("offer-partly")
    assert "심사에서 거절해서" in page("offer-partly")
    assert "보고 있어요" not in page("offer-unheard")


def test_of_a_card_that_was_not_taken_nobody_is_told_that_it_can_be_used() -> None:
    html = page("credential-declined")
    assert "받는 사람이 안 받았어요" in html
    assert "쓸 수 있어요" not in html.replace("쓸 수 있는 날", "")
    assert "폐기하기" in html


def test_bad_rows_cannot_be_stored() -> None:
    assert 'action="/console/records"' not in page("records-bad")
    assert 'action="/console/records"' in page("records-good")
    assert LONG_NAME in page("records-bad")


def test_what_was_uploaded_is_shown_as_text() -> None:
    assert "&lt;b&gt;" in page("records-good")
