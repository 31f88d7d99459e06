"""The fifty invented citizens: good records, impossible numbers, and the odd ones that are there on purpose."""

import csv
import re
from datetime import date
from typing import Any

import pytest

from demo.deployment import DATA
from demo.seed import FILES, PEOPLE, POLICIES
from wallet_core.adapters.config import load_catalogue
from wallet_core.catalogue import Catalogue
from wallet_core.catalogue.records import parse_records
from wallet_core.types import AgencyId

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def records(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """agency → subject → claims."""
    found: dict[str, dict[str, Any]] = {}
    for agency, file in FILES.items():
        report = parse_records((DATA / file).read_bytes(), catalogue.issued_by(AgencyId(agency)), today=TODAY)
        assert report.problems == ()
        found[agency] = {each.subject_id: each.claims for each in report.records}
    return found


def test_fifty_people_in_four_files(records: dict[str, dict[str, Any]]) -> None:
    everybody = set(records["city"])
    assert len(everybody) == 50
    assert all(set(each) <= everybody for each in records.values())
    assert {agency: len(each) for agency, each in records.items()} == {
        "police": 39,
        "city": 50,
        "national-tax": 34,
        "health-insurance": 50,
    }
    assert set(PEOPLE) <= everybody


def test_one_person_is_one_person_everywhere(records: dict[str, dict[str, Any]]) -> None:
    for agency in records.values():
        for subject, claims in agency.items():
            register = records["city"][subject]
            assert (claims["name"], claims["birth_date"]) == (register["name"], register["birth_date"])


def test_households_agree_with_themselves(records: dict[str, dict[str, Any]]) -> None:
    for claims in records["city"].values():
        members = {(each["name"], each["birth_date"]) for each in claims["household"]}
        assert len(members) == claims["household_size"]
        assert (claims["name"], claims["birth_date"]) in members
        assert claims["head_name"] == next(each["name"] for each in claims["household"] if each["relation"] == "본인")


@pytest.mark.parametrize("file", FILES.values())
def test_no_number_can_belong_to_anybody(file: str) -> None:
    text = (DATA / file).read_text(encoding="utf-8")
    assert not re.search(r"\b\d{6}-?[1-8]\d{6}\b", text)  # resident numbers
    assert not re.search(r"\b01\d-?\d{3,4}-?\d{4}\b", text)  # telephones
    with (DATA / file).open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            assert row.get("address.postal_code", "00000") == "00000"
            assert row.get("address.building_no", "9999") == "9999"
            assert row.get("document_number", "99-").startswith("99-")
            assert row.get("insurance_no", "9-9").startswith("9-9")


def test_the_odd_ones_are_there(records: dict[str, dict[str, Any]]) -> None:
    register, licences = records["city"], records["police"]
    names = [each["name"] for each in register.values()]
    assert max(map(len, names)) > 60
    assert any(re.search(r"[-']", name) for name in names)
    assert any(re.fullmatch(r"[가-힣]{2}", name) for name in names)
    assert any(re.fullmatch(r"[가-힣]{9,}", name) for name in names)
    assert sum(each["birth_date"].endswith("02-29") for each in register.values()) == 4
    assert max(each["household_size"] for each in register.values()) == 11
    assert any(each["relation_to_head"] == "동거인" for each in register.values())
    assert any("family_name_national_character" not in each for each in licences.values())
    assert any(each["driving_privileges"] == [] for each in licences.values())
    assert any(each["expiry_date"] < TODAY.isoformat() for each in licences.values())
    assert any("D" in each.get("condition_codes", []) for each in licences.values())


def test_the_ages_around_the_new_year(catalogue: Catalogue, records: dict[str, dict[str, Any]]) -> None:
    certificate = catalogue.types["resident-certificate"]
    older, younger = records["city"]["p22"], records["city"]["p23"]
    assert (older["birth_date"], younger["birth_date"]) == ("2007-12-31", "2008-01-01")
    signed = [certificate.prepare_claims(each, today=TODAY) for each in (older, younger)]
    assert [each["adult_by_year"] for each in signed] == [True, False]
    assert [each["age_over_19"] for each in signed] == [False, False]


def test_three_companies_of_three_kinds(catalogue: Catalogue) -> None:
    assert [catalogue.policies[each].party.kind for each in POLICIES] == [
        "bank",
        "shop",
        "car_rental",
        "tax_collection",
    ]
