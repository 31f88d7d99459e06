import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.catalogue import Catalogue
from wallet_core.catalogue.derivation import AGENCY, RULES, Derivation, derive, full_years
from wallet_core.types import JsonObject

TODAY = date(2026, 11, 22)
LEAP = "2008-02-29"


def rule(name: str, *sources: tuple[str | None, ...], **parameters: object) -> Derivation:
    return Derivation(name, sources, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("born", "today", "years"),
    [
        ("1993-05-14", "2026-05-13", 32),
        ("1993-05-14", "2026-05-14", 33),
        (LEAP, "2026-02-28", 17),
        (LEAP, "2026-03-01", 18),
        (LEAP, "2028-02-28", 19),
        (LEAP, "2028-02-29", 20),
        ("2026-11-22", "2026-11-22", 0),
    ],
)
def test_years_are_full_on_the_birthday_and_on_1_march_for_leap_days(born: str, today: str, years: int) -> None:
    assert full_years(date.fromisoformat(born), date.fromisoformat(today)) == years


@given(st.dates(), st.dates())
def test_nobody_is_two_ages(born: date, today: date) -> None:
    years = full_years(born, today)
    anniversary = (born.month, born.day) <= (today.month, today.day)
    assert years == today.year - born.year - (0 if anniversary else 1)


def test_adult_by_year_turns_on_1_january() -> None:
    adult = rule("year_age_at_least", ("birth_date",), years=19)
    claims: JsonObject = {"birth_date": "2007-12-31"}
    assert derive(adult, claims, date(2025, 12, 31)) is False
    assert derive(adult, claims, date(2026, 1, 1)) is True


@pytest.mark.parametrize(
    ("derivation", "value"),
    [
        (rule("age", ("born",)), 33),
        (rule("age", ("absent",)), None),
        (rule("year", ("born",)), 1993),
        (rule("today"), "2026-11-22"),
        (rule("not_after_today", ("born",)), True),
        (rule("not_after_today", ("later",)), False),
        (rule("copy", ("home", "sido")), "서울특별시"),
        (rule("at_least", ("income",), value=40_000_000), True),
        (rule("at_least", ("income",), value=50_000_000), False),
        (rule("greatest", ("years", None, "year")), 2025),
        (rule("greatest", ("absent",)), None),
        (rule("latest", ("years", None, "income"), by=("years", None, "year")), 7),
        (rule("any_of", ("classes",), values=["1종 보통", "2종 보통"]), True),
        (rule("any_of", ("kind",), values=["직장가입자"]), False),
        (rule("any_of", ("absent",), values=["A"]), False),
        (rule("none_of", ("kind",), values=["상실"]), True),
        (rule("any_without", ("years",), member="lost_on"), True),
        (rule("any_without", ("years",), member="year"), False),
        (rule("every", ("years", None, "paid")), False),
        (rule("count", ("years",)), 2),
        (rule("count", ("absent",)), 0),
        (rule("count_younger", ("children", None, "born"), years=19), 1),
        (rule("size_is", ("years",), value=2), True),
        (rule("all_empty", ("empty",), ("absent",)), True),
        (rule("all_empty", ("empty",), ("years",)), False),
    ],
)
def test_each_rule(derivation: Derivation, value: object) -> None:
    claims: JsonObject = {
        "born": "1993-05-14",
        "later": "2026-11-23",
        "home": {"sido": "서울특별시"},
        "income": 41_200_000,
        "years": [{"year": 2025, "income": 7, "paid": True}, {"year": 2024, "income": 9, "paid": False}],
        "classes": ["2종 보통"],
        "kind": "피부양자",
        "children": [{"born": "2020-02-29"}, {"born": "2000-01-01"}],
        "empty": [],
    }
    assert derive(derivation, claims, TODAY) == value


def test_every_rule_is_tested_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'rule\("(\w+)"', text)) | {"age_at_least"} == set(RULES)


def test_examples_of_the_catalogue_come_out_of_its_rules(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    claims = licence.prepare_claims(licence.example_record, today=catalogue.as_of)
    assert (claims["age_over_19"], claims["adult_by_year"], claims["may_drive_ordinary_car"]) == (True, True, True)
    assert claims["resident_of"] == {
        "sido": "서울특별시",
        "sido_code": "11",
        "sigungu": "마포구",
        "sigungu_code": "11440",
    }
    assert list(claims)[:3] == ["name", "family_name", "given_name"]


def test_claims_that_are_not_issued_by_default_are_left_out_unless_asked_for(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    record = {**licence.example_record, "resident_number": "999999-9999999"}
    assert licence.validate_record(record, today=TODAY) == []
    assert "resident_number" not in licence.prepare_claims(record, today=TODAY)
    assert "resident_number" in licence.prepare_claims(record, today=TODAY, also=[("resident_number",)])


def test_the_agencys_own_answers_pass_through(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    held = licence.claim(("held_over_1_year",))
    assert held is not None
    assert held.derived is not None
    assert (held.derived.rule, held.computed) == (AGENCY, False)
    record = {**licence.example_record, "held_over_1_year": False}
    assert licence.prepare_claims(record, today=TODAY)["held_over_1_year"] is False
