"""From an agency's record to the data elements of an mdoc, with the catalogue's own driving licence."""

from typing import Any

import pytest

from wallet_core.adapters.config import load_catalogue
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.mdl import lint_mdl
from wallet_core.formats.mdoc.values import element_value
from wallet_core.spec_versions import NAMESPACE_MDL, NAMESPACE_MDL_KR


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("시험", "tstr", "시험"),
        (2, "uint", 2),
        (False, "bool", False),
        ("1990-02-28", "full-date", Tagged(1004, "1990-02-28")),
        ("1990-02-28", "tdate", Tagged(0, "1990-02-28T00:00:00Z")),
        ("data:image/jpeg;base64,/9j/", "bstr", b"\xff\xd8\xff"),
        ("/9j/", "bstr", b"\xff\xd8\xff"),
        (["1종보통"], "array", ["1종보통"]),
        (
            [{"vehicle_category_code": "B", "issue_date": "2020-05-11", "codes": [{"code": "78"}]}],
            "array",
            [{"vehicle_category_code": "B", "issue_date": Tagged(1004, "2020-05-11"), "codes": [{"code": "78"}]}],
        ),
    ],
)
def test_each_kind(value: Any, kind: str, expected: Any) -> None:
    assert element_value(value, kind, what="element") == expected
    assert cbor.dumps(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, "tstr"),
        (True, "uint"),
        (-1, "uint"),
        ("2", "uint"),
        (1, "bool"),
        ("19900228", "full-date"),
        ("1990-02-30", "full-date"),
        (None, "tdate"),
        ("data:image/jpeg,x", "bstr"),
        ("data:image/jpeg;base64", "bstr"),
        ("_-_-", "bstr"),
        ({}, "array"),
        ([{"issue_date": "2020"}], "array"),
    ],
)
def test_what_is_not_of_the_kind(value: Any, kind: str) -> None:
    with pytest.raises(MalformedError, match="element"):
        element_value(value, kind, what="element")


def test_the_driving_licence_of_the_catalogue() -> None:
    catalogue = load_catalogue()
    licence = next(each for each in catalogue.types.values() if any(f.doctype for f in each.formats))
    name_spaces: dict[str, dict[str, Any]] = {}
    for claim in licence.claims:
        if claim.mdoc is not None and claim.example is not None:
            value = element_value(claim.example, claim.mdoc.cbor, what=claim.mdoc.element)
            name_spaces.setdefault(claim.mdoc.namespace, {})[claim.mdoc.element] = value
    assert set(name_spaces) == {NAMESPACE_MDL, NAMESPACE_MDL_KR}
    assert lint_mdl(name_spaces) == ()
