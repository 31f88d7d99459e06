import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.catalogue import Catalogue, seoul_day
from wallet_core.catalogue.paths import parse_path_text, path_text
from wallet_core.errors import Expired, MalformedError, NotFound, UnknownCredentialConfiguration
from wallet_core.types import AgencyId, CredentialConfigurationId, JsonObject, Vct

TODAY = date(2026, 11, 22)


def test_the_catalogue_is_whole(catalogue: Catalogue) -> None:
    assert (len(catalogue.types), len(catalogue.policies), len(catalogue.agencies)) == (20, 16, 13)
    assert {each.agency for each in catalogue.types.values()} == set(catalogue.agencies)


def test_look_ups(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    assert catalogue.by_vct(Vct("urn:jigap:vct:drivers-licence:1")) is licence
    assert catalogue.by_configuration(CredentialConfigurationId("drivers-licence-sd-jwt")) is licence
    assert [each.id for each in catalogue.issued_by(AgencyId("city"))] == [
        "resident-abstract",
        "resident-card",
        "resident-certificate",
    ]
    with pytest.raises(NotFound):
        catalogue.by_vct(Vct("urn:none"))
    assert catalogue.by_configuration(CredentialConfigurationId("drivers-licence-mdoc")) is licence
    with pytest.raises(UnknownCredentialConfiguration):
        catalogue.by_configuration(CredentialConfigurationId("none"))


@pytest.mark.parametrize("path", ["name", "address.sido", "household[].name", "a[].b[].c"])
def test_path_texts_round_trip(path: str) -> None:
    assert path_text(parse_path_text(path)) == path


@given(st.text())
def test_only_malformed_leaves_parse_path_text(text: str) -> None:
    try:
        parse_path_text(text)
    except MalformedError:
        return
    assert text


def test_what_hides_by_itself(catalogue: Catalogue) -> None:
    paths = catalogue.types["resident-certificate"].selectively_disclosable
    wanted = {("household",), ("household", None), ("household", None, "name"), ("address",), ("address", "full")}
    assert wanted <= set(paths)
    assert ("issuing_authority",) not in paths
    assert len(set(paths)) == len(paths)


def test_issuer_metadata(catalogue: Catalogue) -> None:
    entry = catalogue.types["drivers-licence"].credential_configuration()
    assert (entry["format"], entry["scope"]) == ("dc+sd-jwt", "drivers-licence-sd-jwt")
    metadata = entry["credential_metadata"]
    assert [each["locale"] for each in metadata["display"]] == ["ko", "en"]
    assert metadata["claims"][0] == {
        "path": ["name"],
        "mandatory": True,
        "display": [{"locale": "ko", "name": "이름"}, {"locale": "en", "name": "Name"}],
    }
    paths = [json.dumps(each["path"]) for each in metadata["claims"]]
    assert len(set(paths)) == len(paths)
    assert '["resident_number"]' not in paths


def test_type_metadata(catalogue: Catalogue) -> None:
    for each in catalogue.types.values():
        metadata = each.type_metadata()
        assert metadata["vct"] == each.vct
        assert {claim["sd"] for claim in metadata["claims"]} <= {"always", "allowed", "never"}
        assert json.loads(json.dumps(metadata)) == metadata


def test_type_metadata_name_every_claim_that_could_be_hidden(catalogue: Catalogue) -> None:
    """The European Commission's library refuses a credential with a claim that its type metadata do not list."""
    for each in catalogue.types.values():
        listed = {tuple(claim["path"]): claim for claim in each.type_metadata()["claims"]}
        assert (listed["iat",]["sd"], listed["iat",]["mandatory"]) == ("never", True)
        # The rest of what we issue beside the content is never hidden in any credential (SD-JWT VC 2.2.2).
        assert {path for path in listed if path[0] in {"iss", "exp", "cnf", "status", "vct"}} == set()


def test_a_copy_ends_with_its_last_day_in_seoul(catalogue: Catalogue) -> None:
    certificate = catalogue.types["resident-certificate"]
    # 90 days after 22 November 2026 is 20 February 2027, which ends in Seoul at 15:00 UTC
    assert certificate.expires_at({}, today=TODAY) == datetime(2027, 2, 20, 15, tzinfo=UTC)


def test_no_copy_outlives_the_licence(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    assert licence.expires_at({"expiry_date": "2026-11-22"}, today=TODAY) == datetime(2026, 11, 22, 15, tzinfo=UTC)
    with pytest.raises(Expired):
        licence.expires_at({"expiry_date": "2026-11-21"}, today=TODAY)


def test_the_day_is_that_of_seoul() -> None:
    assert seoul_day(datetime(2026, 12, 31, 15, 0, tzinfo=UTC)) == date(2027, 1, 1)


def wrong(catalogue: Catalogue, change: JsonObject, *without: str) -> set[tuple[str, str]]:
    licence = catalogue.types["drivers-licence"]
    record = {k: v for k, v in licence.example_record.items() if k not in without} | change
    problems = licence.validate_record(record, today=TODAY)
    assert all(each.reason.ko and each.cure.ko and each.cure.en for each in problems)
    return {(each.path, each.reason.en) for each in problems}


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"birth_date": "1993-02-29"}, "birth_date", "not a day of the calendar"),
        ({"birth_date": "19930514"}, "birth_date", "not a day of the calendar"),
        ({"birth_date": "2026-11-23"}, "birth_date", "born after today"),
        ({"name": ""}, "name", "not a text, empty or too long"),
        ({"name": "한\n지우"}, "name", "not a text, empty or too long"),
        ({"name": 7}, "name", "not a text, empty or too long"),
        ({"sex": True}, "sex", "not one of the allowed values"),
        ({"sex": []}, "sex", "not one of the allowed values"),
        ({"sex": 3}, "sex", "not one of the allowed values"),
        ({"organ_donor": "예"}, "organ_donor", "neither true nor false"),
        ({"document_number": "99-19-123456"}, "document_number", "not of the prescribed form"),
        ({"document_number": "99-19-123456-78\n"}, "document_number", "not a text, empty or too long"),
        ({"portrait": "data:image/png;base64,AAAA"}, "portrait", "not a JPEG picture, or too large"),
        ({"licence_classes": "2종 보통"}, "licence_classes", "not a list, or too long"),
        ({"licence_classes": ["3종"]}, "licence_classes.1", "not one of the allowed values"),
        ({"driving_privileges": ["B"]}, "driving_privileges.1", "has no members"),
        ({"driving_privileges": [{"issue_date": "2019-12-20"}]}, "driving_privileges.1.vehicle_category_code",
         "a mandatory value is missing"),
        ({"address": {"full": "x"}}, "address.sido", "a mandatory value is missing"),
        ({"address": "x"}, "address", "has no members"),
        ({"shoe_size": 42}, "shoe_size", "no such claim in this type"),
        ({"age_over_19": True}, "age_over_19", "computed when signing"),
    ],
)  # fmt: skip
def test_a_wrong_record(catalogue: Catalogue, change: JsonObject, place: str, reason: str) -> None:
    assert (place, reason) in wrong(catalogue, change)


def test_a_missing_mandatory_value(catalogue: Catalogue) -> None:
    assert wrong(catalogue, {}, "name", "sex") == {("name", "a mandatory value is missing")}


def test_a_leap_day_is_a_day(catalogue: Catalogue) -> None:
    assert wrong(catalogue, {"birth_date": "2000-02-29"}) == set()


def test_problems_repeat_no_value(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    secret = "SECRET-VALUE"
    problems = licence.validate_record({**licence.example_record, "document_number": secret}, today=TODAY)
    assert problems
    assert secret not in str(problems)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["name", "address", "full", "sido", "x"]), each),
)


@given(st.dictionaries(st.sampled_from(["name", "birth_date", "address", "household", "driving_privileges"]), _JSON))
def test_any_record_gets_an_answer(catalogue: Catalogue, record: JsonObject) -> None:
    for name in ("drivers-licence", "resident-certificate"):
        assert catalogue.types[name].validate_record(record, today=TODAY)
