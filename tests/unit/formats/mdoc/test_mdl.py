"""The mobile driving licence: what readers of any country expect of it."""

from typing import Any

import pytest

from tests.support.mdoc import ISSUER_SIGNED, NAME_SPACES, issue
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.mdl import (
    ZK_SHA256_BLOCKS,
    lint_mdl,
    mso_size,
    nearest_age_attestation,
    select_age_attestations,
)
from wallet_core.formats.mdoc.structures import parse_issuer_signed
from wallet_core.spec_versions import MDL_MANDATORY, NAMESPACE_MDL, NAMESPACE_MDL_KR

LICENCE = NAME_SPACES[NAMESPACE_MDL]


def lint(**elements: Any) -> tuple[str, ...]:
    return lint_mdl({NAMESPACE_MDL: {**LICENCE, **elements}})


def test_the_sample_is_a_licence() -> None:
    assert lint_mdl(NAME_SPACES) == ()


@pytest.mark.clause("mdoc-18013.7.2.1-mandatory")
def test_mandatory_elements() -> None:
    assert len(MDL_MANDATORY) == 11
    for element in MDL_MANDATORY:
        rest = {name: value for name, value in LICENCE.items() if name != element}
        assert lint_mdl({NAMESPACE_MDL: rest}) == (f"{element} is missing",)
    nothing = lint_mdl({NAMESPACE_MDL_KR: {"name": "x"}})
    assert nothing == tuple(f"{element} is missing" for element in sorted(MDL_MANDATORY))


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("issue_date", Tagged(0, "2020-05-11T00:00:00Z")),
        ("portrait", b"\x00\x00\x00\x0cjP  \r\n\x87\n..."),
        ("driving_privileges", []),
        (
            "driving_privileges",
            [{"vehicle_category_code": "A", "codes": [{"code": "S01", "sign": "<=", "value": "2500"}]}],
        ),
        ("family_name", "Müller"),
        ("family_name_national_character", "가" * 150),
        ("sex", 9),
        ("height", 170),
        ("eye_colour", "brown"),
        ("portrait_capture_date", Tagged(0, "2020-05-11T00:00:00Z")),
        ("age_over_99", False),
        ("biometric_template_face", b"x"),
        ("resident_country", "KR"),
    ],
)
def test_values_that_are_right(element: str, value: Any) -> None:
    assert lint(**{element: value}) == ()


@pytest.mark.clause("mdoc-18013.7.2.1-values")
@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("family_name", "시험"),
        ("family_name", ""),
        ("family_name", "x" * 151),
        ("family_name", b"x"),
        ("family_name_national_character", "가" * 151),
        ("birth_date", "1990-02-28"),
        ("birth_date", Tagged(0, "1990-02-28T00:00:00Z")),
        ("birth_date", Tagged(1004, "1990-02-30")),
        ("issue_date", Tagged(0, "2020-05-11T00:00:00.5Z")),
        ("issue_date", Tagged(0, "2020-05-11T00:00:00.0Z")),
        ("expiry_date", 20301231),
        ("issuing_country", "KOR"),
        ("issuing_country", "kr"),
        ("issuing_jurisdiction", "11"),
        ("un_distinguishing_sign", "KOREA"),
        ("portrait", b"\x89PNG\r\n\x1a\n"),
        ("portrait", "data:image/jpeg;base64,/9j/"),
        ("sex", 3),
        ("sex", True),
        ("height", -1),
        ("eye_colour", "red"),
        ("age_over_19", 1),
        ("age_over_019", True),
        ("age_in_years", True),
        ("biometric_template_face", "x"),
        ("biometric_face", b"x"),
        ("driving_privileges", {}),
        ("driving_privileges", [{}]),
        ("driving_privileges", [{"vehicle_category_code": 1}]),
        ("driving_privileges", [{"vehicle_category_code": "B", "issue_date": "2020-05-11"}]),
        ("driving_privileges", [{"vehicle_category_code": "B", "codes": "78"}]),
        ("driving_privileges", [{"vehicle_category_code": "B", "codes": [{}]}]),
        ("driving_privileges", [{"vehicle_category_code": "B", "codes": [{"code": "S01", "sign": 5}]}]),
        ("licence_classes", []),
    ],
)
def test_values_that_are_wrong(element: str, value: Any) -> None:
    found = lint(**{element: value})
    assert len(found) == 1
    assert found[0].startswith(f"{element} is not ")


HELD = {"age_over_15": True, "age_over_18": True, "age_over_21": True, "age_over_60": False, "age_over_65": False}


@pytest.mark.clause("mdoc-18013.7.2.5-nearest")
@pytest.mark.parametrize(
    ("requested", "answer"),
    [
        ("age_over_18", "age_over_18"),
        ("age_over_10", "age_over_15"),
        ("age_over_17", "age_over_18"),
        ("age_over_19", "age_over_21"),
        ("age_over_21", "age_over_21"),
        ("age_over_22", None),
        ("age_over_59", None),
        ("age_over_60", "age_over_60"),
        ("age_over_62", "age_over_60"),
        ("age_over_66", "age_over_65"),
        ("age_over_99", "age_over_65"),
    ],
)
def test_the_nearest_age(requested: str, answer: str | None) -> None:
    assert nearest_age_attestation(requested, {**HELD, "family_name": "x"}) == answer
    assert nearest_age_attestation(requested, {}) is None


@pytest.mark.clause("mdoc-18013.7.2.5-two")
def test_two_ages_a_request() -> None:
    assert select_age_attestations(["portrait", "age_over_19", "age_over_62"], HELD) == {
        "age_over_19": "age_over_21",
        "age_over_62": "age_over_60",
    }
    with pytest.raises(MalformedError, match="at most 2"):
        select_age_attestations(["age_over_18", "age_over_19", "age_over_20"], HELD)
    with pytest.raises(MalformedError, match="not an age"):
        nearest_age_attestation("age_in_years", HELD)


def test_how_large_the_mso_is() -> None:
    small = mso_size(parse_issuer_signed(ISSUER_SIGNED))
    assert small.digests == 20
    assert small.fits_zero_knowledge_circuits
    # FIPS 180-4: the signed bytes, one byte and eight bytes of length, in blocks of 64.
    signed = len(cbor.dumps(["Signature1", cbor.dumps({1: -7}), b"", cbor.loads(ISSUER_SIGNED)["issuerAuth"][2]]))
    assert (small.sha256_blocks - 1) * 64 < signed + 9 <= small.sha256_blocks * 64
    large = mso_size(parse_issuer_signed(issue(name_spaces={"x": {f"e{number}": number for number in range(80)}})))
    assert large.sha256_blocks > ZK_SHA256_BLOCKS
    assert not large.fits_zero_knowledge_circuits
