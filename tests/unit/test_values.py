"""Values that only the type checker keeps from being changed are values like any other; Python keeps states too."""

from dataclasses import fields

import pytest

from wallet_core.http import HttpResponse
from wallet_core.protocols.openid4vci import issuance
from wallet_core.protocols.openid4vp import presentation
from wallet_core.trust.status_list.reference import StatusReference

STATES = [
    *(issuance.Offered, issuance.Authorized, issuance.Issued, issuance.Issuance),
    *(presentation.Terms, presentation.Requested, presentation.Retrieved, presentation.Answered),
    *(presentation.Verified, presentation.Refused, presentation.Expired),
]


def test_equal_fields_are_one_value() -> None:
    one, other = StatusReference(1, "https://issuer.example/1"), StatusReference(1, "https://issuer.example/1")
    assert one == other
    assert len({one, other, StatusReference(2, one.uri)}) == 2
    assert HttpResponse(200) == HttpResponse(200, {}, b"")


def test_there_are_no_other_fields() -> None:
    assert not hasattr(StatusReference(1, "https://issuer.example/1"), "__dict__")


@pytest.mark.parametrize("kind", STATES)
def test_nobody_changes_a_state(kind: type) -> None:
    state = object.__new__(kind)
    with pytest.raises(AttributeError):
        setattr(state, fields(kind)[0].name, None)
