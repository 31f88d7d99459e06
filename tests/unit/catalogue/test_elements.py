"""The mdoc form of a credential type: claims as data elements."""

from datetime import date

import pytest

from wallet_core.catalogue import Catalogue
from wallet_core.encoding import cbor

MDL = "org.iso.18013.5.1"
KOREAN = "org.iso.18013.5.1.KR"
TODAY = date(2026, 11, 22)


@pytest.fixture
def elements(catalogue: Catalogue) -> dict[str, dict[str, object]]:
    licence = catalogue.types["drivers-licence"]
    return licence.data_elements(licence.prepare_claims(licence.example_record, today=TODAY))


def test_both_namespaces_are_filled(elements) -> None:
    assert set(elements) == {MDL, KOREAN}
    assert (elements[MDL]["family_name"], elements[KOREAN]["name"]) == ("Han", "한지우")


def test_each_value_has_the_type_that_iso_18013_5_gives_it(elements) -> None:
    mdl = elements[MDL]
    assert mdl["birth_date"] == cbor.full_date(date(1993, 5, 14))
    assert mdl["portrait_capture_date"] == cbor.Tagged(cbor.TAG_TDATE, "2019-12-02T00:00:00Z")
    assert (mdl["sex"], mdl["age_over_19"]) == (2, True)
    assert bytes(mdl["portrait"][:3]) == b"\xff\xd8\xff"


def test_dates_within_driving_privileges_are_full_dates(elements) -> None:
    first, *_ = elements[MDL]["driving_privileges"]
    assert first["vehicle_category_code"] == "B"
    assert first["expiry_date"] == cbor.full_date(date(2029, 12, 31))
    assert first["codes"] == [{"code": "78"}]


def test_a_claim_that_the_record_lacks_is_no_element(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    record = {name: value for name, value in licence.example_record.items() if name != "portrait_capture_date"}
    assert "portrait_capture_date" not in licence.data_elements(licence.prepare_claims(record, today=TODAY))[MDL]


def test_an_element_leads_back_to_its_claim(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    claim = licence.element_claim(KOREAN, "organ_donor")
    assert claim is not None
    assert claim.path == ("organ_donor",)
    assert licence.element_claim(MDL, "organ_donor") is None


def test_the_configuration_of_the_mdoc_form(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    configuration = licence.credential_configuration(licence.mdoc)
    assert configuration["format"] == "mso_mdoc"
    assert configuration["doctype"] == "org.iso.18013.5.1.mDL"
    assert configuration["cryptographic_binding_methods_supported"] == ["cose_key"]
    assert configuration["credential_signing_alg_values_supported"] == [-7, -9]
    paths = [claim["path"] for claim in configuration["credential_metadata"]["claims"]]
    assert [MDL, "driving_privileges"] in paths
    assert all(len(path) == 2 and path[0] in licence.mdoc.namespaces for path in paths)
