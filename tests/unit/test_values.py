"""Values that only the type checker keeps from being changed are values like any other."""

from wallet_core.http import HttpResponse
from wallet_core.trust.status_list.reference import StatusReference


def test_equal_fields_are_one_value() -> None:
    one, other = StatusReference(1, "https://issuer.example/1"), StatusReference(1, "https://issuer.example/1")
    assert one == other
    assert len({one, other, StatusReference(2, one.uri)}) == 2
    assert HttpResponse(200) == HttpResponse(200, {}, b"")


def test_there_are_no_other_fields() -> None:
    assert not hasattr(StatusReference(1, "https://issuer.example/1"), "__dict__")
