"""The ``status`` claim of a credential."""

import pytest

from wallet_core.errors import MalformedError
from wallet_core.trust.status_list.reference import StatusReference, parse_status

URI = "https://issuer.example/agencies/police/statuslists/1"


def test_a_reference_comes_back_as_it_was_written() -> None:
    reference = StatusReference(7, URI)
    assert parse_status(reference.to_json()) == reference


@pytest.mark.clause("tsl-6.2-idx")
@pytest.mark.parametrize("idx", [-1, 1.0, "1", True, None, 2**53])
def test_an_index_is_a_non_negative_integer(idx: object) -> None:
    with pytest.raises(MalformedError):
        parse_status({"status_list": {"idx": idx, "uri": URI}})


@pytest.mark.clause("tsl-6.2-uri")
@pytest.mark.parametrize(
    "uri", ["", "statuslists/1", 1, None, "https://", "https://h/" + "a" * 2048, "https://h/가", "http://["]
)
def test_a_list_has_an_address(uri: object) -> None:
    with pytest.raises(MalformedError):
        parse_status({"status_list": {"idx": 1, "uri": uri}})


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"status_list": []},
        {"identifier_list": {"id": b"1", "uri": URI}},
        [],
        "valid",
        None,
        {"status_list": {"idx": 1, "uri": URI, "certificate": b"der"}},
    ],
)
def test_another_mechanism_is_refused_not_passed_over(status: object) -> None:
    with pytest.raises(MalformedError):
        parse_status(status)
