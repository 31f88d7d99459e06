"""What errors may say to a peer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.errors import InvalidToken, MalformedError, peer_text

ALLOWED = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}


@pytest.mark.clause("vci-8.3.1.2-ascii")
@given(st.text())
def test_a_description_has_only_characters_that_may_stand_in_one(text: str) -> None:
    assert set(MalformedError(text).description) <= ALLOWED
    assert len(peer_text(text)) == len(text)


@given(st.text())
def test_a_challenge_stays_one_header(text: str) -> None:
    challenge = InvalidToken(text).headers["WWW-Authenticate"]
    assert challenge.isascii()
    assert challenge.isprintable()
    assert challenge.count('"') == 4


def test_the_detail_is_for_our_own_log_and_may_say_more() -> None:
    error = MalformedError("no", detail="아니요")
    assert (error.description, error.detail, str(error)) == ("no", "아니요", "아니요")
