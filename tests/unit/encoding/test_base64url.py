"""Base64url: exactly one text for each byte string."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary())
def test_there_and_back(data: bytes) -> None:
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert base64url.decode(text) == data
    assert base64url.is_alphabet(text)


@given(st.integers(0, 64).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), max_size=5)))
def test_several_at_once(values: list[bytes]) -> None:
    assert base64url.encode_each(values) == [base64url.encode(value) for value in values]


@given(st.text(ALPHABET) | st.text(ALPHABET + "+/= \n") | st.text())
def test_what_decodes_is_what_encodes(text: str) -> None:
    try:
        data = base64url.decode(text)
    except MalformedError:
        return
    assert base64url.encode(data) == text


@pytest.mark.clause("jose-7515.2-base64url")
@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA==", "AAA=", "AB", "AAB", "A+", "A/", "AA\n", " AA", "가나", "AA\x00A", "=", "AA=A", "\ud800"],
)
def test_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        base64url.decode(text)


def test_the_error_names_the_value() -> None:
    with pytest.raises(MalformedError) as refused:
        base64url.decode("A", what="signature of the JWT")
    assert refused.value.description == "signature of the JWT is not base64url"
