"""Queries of the catalogue also name formats that this verifier cannot check yet: they are left out of what is sent."""

import pytest

from tests.support.presentations import query
from wallet_core.errors import InvalidRequest
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query, validate_own_query, without_other_formats

MDOC = {"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}}


def with_mdoc(**members):
    return {"credentials": [*query(("name",))["credentials"], MDOC], **members}


def test_an_alternative_in_another_format_is_left_out() -> None:
    source = with_mdoc(credential_sets=[{"options": [["mdl"], ["licence"]]}, {"options": [["mdl"]], "required": False}])
    remaining = without_other_formats(source, ["dc+sd-jwt"])
    assert remaining == {**query(("name",)), "credential_sets": [{"options": [["licence"]], "required": True}]}
    validate_own_query(parse_dcql_query(remaining))


@pytest.mark.parametrize("members", [{}, {"credential_sets": [{"options": [["mdl"]]}]}])
def test_a_query_that_needs_another_format_is_refused(members) -> None:
    with pytest.raises(InvalidRequest):
        without_other_formats(with_mdoc(**members), ["dc+sd-jwt"])


def test_a_query_in_one_format_is_untouched() -> None:
    assert without_other_formats(query(), ["dc+sd-jwt"]) == query()


def test_a_wallet_tolerates_a_format_it_does_not_know() -> None:
    unknown = {"id": "x", "format": "of-tomorrow", "meta": {}}
    parsed = parse_dcql_query({"credentials": [unknown]})
    assert parsed.credentials[0].types == ()
    with pytest.raises(InvalidRequest):
        validate_own_query(parsed)
