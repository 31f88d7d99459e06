"""Words of strangers before a person reads them."""

import pytest

from holder_app.credentials.describe import plain_label, published_display
from wallet_core.adapters import cli
from wallet_core.encoding.plain_text import one_line, printable

STEERING = "시청\x1b[2J\x1b]0;title\x07\r\nRefused\u202eknab\u2066\u2028\x9b1A"


def test_a_name_is_one_line_and_steers_nothing() -> None:
    assert one_line(STEERING) == "시청 [2J ]0;title Refused knab 1A"
    assert one_line("  홍길동\t") == "홍길동"


UNSEEN = ("\u200b", "\u3164", "\u2060", "\ufeff", "\U000e0041", "\u200d", "\u200d\u200c", "\uffa0", "\ufe0f", "\u034f")


@pytest.mark.parametrize("unseen", [*UNSEEN, "\U000e0100", "\u2800", "\ufe01"])
def test_two_names_that_are_not_the_same_do_not_look_it(unseen: str) -> None:
    for name in (f"도담{unseen}은행", f"{unseen}도담은행", f"도담은행{unseen}", f"Dodam {unseen}Bank", f"é{unseen}"):
        assert "\ufffd" in one_line(name)
        assert not set(one_line(name)) & set(unseen)
        assert not set(printable(name)) & set(unseen)


def test_what_a_script_needs_to_be_written_stays() -> None:
    needed = ("\u0645\u06cc\u200c\u062e\u0648", "👩\u200d🌾", "क्\u200dष", "❤\ufe0f", "1\ufe0f", "辻\U000e0100")
    for name in (*needed, "한글 이름", "Zoë d'Été"):
        assert one_line(name) == name
        assert printable(name) == name


def test_a_soft_hyphen_is_a_gap() -> None:
    assert one_line("Steuer\xadamt") == "Steuer amt"


def test_several_lines_stay_several_lines() -> None:
    assert printable("a\n\tb\x1b[31mc\u202e") == "a\n\tb\ufffd[31mc\ufffd"


def test_what_an_issuer_calls_its_cards_and_claims_is_one_line() -> None:
    metadata = {
        "display": [{"name": STEERING, "locale": "ko"}],
        "claims": [{"path": ["x"], "display": [{"name": "a\nb"}]}],
    }
    shown = published_display({"credential_metadata": metadata})
    assert shown["name"]["ko"] == one_line(STEERING)
    assert shown["claims"][0]["label"]["en"] == "a b"
    assert plain_label(["given\x1bname"])["en"] == "given name"


def test_what_the_program_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    cli.say(f"offered by {STEERING}")
    assert not set(capsys.readouterr().err) & set("\x1b\x07\r\u202e\x9b")
