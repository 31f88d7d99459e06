from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.catalogue.records import (
    MAX_BYTES,
    Record,
    RecordsReport,
    format_records,
    format_template,
    parse_records,
)
from wallet_core.types import AgencyId

TODAY = date(2026, 11, 22)


def licence_types(catalogue: Catalogue) -> tuple[CredentialType, ...]:
    return catalogue.issued_by(AgencyId("police"))


def example(catalogue: Catalogue, subject: str = "p1") -> Record:
    licence = catalogue.types["drivers-licence"]
    return Record(2, subject, licence.id, licence.example_record)


def parse(catalogue: Catalogue, text: str | bytes) -> RecordsReport:
    data = text.encode() if isinstance(text, str) else text
    return parse_records(data, licence_types(catalogue), today=TODAY)


def places(report: RecordsReport) -> list[tuple[int, str, str]]:
    assert all(each.cure.ko and each.cure.en and each.reason.ko for each in report.problems)
    return [(each.line, each.column, each.reason.en) for each in report.problems]


def test_every_type_survives_the_round_trip(catalogue: Catalogue) -> None:
    for each in catalogue.types.values():
        record = Record(2, "p1", each.id, each.example_record)
        report = parse_records(format_records([record]).encode(), catalogue.issued_by(each.agency), today=TODAY)
        assert (report.records, report.problems, report.rows) == ((record,), (), 1)


def test_types_of_one_agency_share_a_file(catalogue: Catalogue) -> None:
    types = catalogue.issued_by(AgencyId("city"))
    text = format_records([Record(2, "p1", each.id, each.example_record) for each in types])
    report = parse_records(text.encode(), types, today=TODAY)
    assert [each.type_id for each in report.records] == [each.id for each in types]


def test_a_byte_order_mark_and_windows_lines_are_fine(catalogue: Catalogue) -> None:
    text = format_records([example(catalogue)]).replace("\n", "\r\n")
    assert parse(catalogue, b"\xef\xbb\xbf" + text.encode()).problems == ()


def test_one_bad_row_does_not_hold_up_the_others(catalogue: Catalogue) -> None:
    text = format_records([example(catalogue, "a"), example(catalogue, "b"), example(catalogue, "c")])
    lines = text.splitlines()
    lines[2] = lines[2].replace("1993-05-14", "1993-14-05")
    report = parse(catalogue, "\n".join(lines))
    assert [each.subject_id for each in report.records] == ["a", "c"]
    assert (report.rows, report.bad_rows) == (3, 1)
    assert places(report) == [(3, "birth_date", "not a day of the calendar")]


def test_lines_count_quoted_line_breaks(catalogue: Catalogue) -> None:
    text = format_records([example(catalogue, "a"), example(catalogue, "b")])
    header, first, second = text.splitlines()
    report = parse(catalogue, "\n".join([header, first.replace("Jiwoo", '"Ji\nwoo"'), second.replace("KR-11", "")]))
    assert places(report) == [(2, "given_name", "not a text, empty or too long")]


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda t: t.replace("subject_id", "id", 1), (1, "subject_id", "a mandatory column is missing")),
        (lambda t: t.replace("nationality", "nation", 1), (1, "nation", "no such claim in this agency's types")),
        (lambda t: t.replace("nationality", "name", 1), (1, "name", "the column stands twice")),
        (lambda t: t.replace("\np1,", "\n한지우,"), (2, "subject_id", "not a subject id")),
        (lambda t: t.replace(",drivers-licence,", ",passport,"), (2, "type", "not a type of this agency")),
        (lambda t: t + "p2,short\n", (3, "", "it has not as many cells as the header")),
        (lambda t: t + t.splitlines()[1] + "\n", (3, "subject_id", "an earlier row is about the same person")),
        (lambda t: t.replace(";2종 원동기", "; 버스"), (2, "licence_classes.2", "not one of the allowed values")),
        (lambda t: t.replace(",99-19-123456-78,", ",,"), (2, "document_number", "a mandatory value is missing")),
        (lambda t: t + '"open', (3, "", "it is not CSV, and reading stopped here")),
        (lambda t: t + "\x00", (1, "", "it is not a text file")),
    ],
)  # fmt: skip
def test_each_fault_is_placed(catalogue: Catalogue, edit: object, place: tuple[int, str, str]) -> None:
    text = edit(format_records([example(catalogue)]))  # type: ignore[operator]
    assert place in places(parse(catalogue, text))


@pytest.mark.parametrize("broken", ['p5,"a"b', '"open'])
def test_a_file_that_stops_being_csv_counts_what_was_read(catalogue: Catalogue, broken: str) -> None:
    header, *rows = format_records([example(catalogue, f"p{number}") for number in range(10)]).splitlines()
    rows[0] = rows[0].replace("Jiwoo", "")
    rows[4] = broken
    report = parse(catalogue, "\n".join([header, *rows]))
    assert [each.subject_id for each in report.records] == ["p1", "p2", "p3"]
    assert (report.rows, report.bad_rows) == (5, 2)
    assert places(report) == [
        (2, "given_name", "a mandatory value is missing"),
        (6, "", "it is not CSV, and reading stopped here"),
    ]


def test_a_header_that_is_no_csv(catalogue: Catalogue) -> None:
    report = parse(catalogue, '"subject_id"x,type\np1,drivers-licence\n')
    assert (report.rows, report.records) == (0, ())
    assert places(report) == [(1, "", "it is not CSV, and reading stopped here")]


def test_a_missing_value_of_a_container_is_named_by_its_columns(catalogue: Catalogue) -> None:
    types = (catalogue.types["resident-certificate"],)
    record = types[0].example_record
    for name, missing in (
        ("address", ["address.full", "address.sido", "address.sigungu"]),
        ("resident_of", ["resident_of.sido_code", "resident_of.sigungu_code"]),
        ("household", ["household"]),
    ):
        text = format_records([Record(2, "p1", types[0].id, {k: v for k, v in record.items() if k != name})])
        report = parse_records(text.encode(), types, today=TODAY)
        assert places(report) == [(2, each, "a mandatory value is missing") for each in missing]
        assert not set(missing) - set(format_template(types).partition("\n")[0].split(","))
    assert "household.1.name" in report.problems[0].cure.ko
    assert "[]" in report.problems[0].cure.ko


def test_a_word_in_place_of_a_code_is_told_the_codes(catalogue: Catalogue) -> None:
    licence = catalogue.types["drivers-licence"]
    report = parse(catalogue, format_records([Record(2, "p1", licence.id, {**licence.example_record, "sex": "여자"})]))
    (problem,) = report.problems
    assert (problem.column, problem.reason.ko) == ("sex", "정해진 값 가운데 하나가 아니에요")
    assert "1 (남), 2 (여)" in problem.cure.ko
    assert "1 (male), 2 (female)" in problem.cure.en


def test_a_template_has_every_column_and_an_example(catalogue: Catalogue) -> None:
    for agency in {each.agency for each in catalogue.types.values()}:
        types = catalogue.issued_by(agency)
        text = format_template(types)
        left = parse_records(text.encode(), types, today=TODAY)
        assert places(left) == [
            (line, "subject_id", "the example row of the template") for line in range(2, len(types) + 2)
        ]
        filled = parse_records(text.replace("(예시)", "p1").encode(), types, today=TODAY)
        assert not filled.problems
        assert [each.claims for each in filled.records] == [each.example_record for each in types]


def test_a_template_takes_what_a_record_can_hold_and_no_computed_value(catalogue: Catalogue) -> None:
    header = format_template([catalogue.types["resident-certificate"]]).partition("\n")[0].split(",")
    assert header[:2] == ["subject_id", "type"]
    assert len(header) == len(set(header))
    assert {"address.full", "address.detail", "household.1.resident_number", "minor_children.1.name"} <= set(header)
    assert not {"address", "resident_of.sido"} & set(header)


def test_another_encoding_is_named(catalogue: Catalogue) -> None:
    text = format_records([example(catalogue)])
    assert places(parse(catalogue, text.encode("cp949", errors="replace")))[0][2] == "it is CP949, not UTF-8"


def test_a_gap_in_a_list_is_named(catalogue: Catalogue) -> None:
    types = (catalogue.types["resident-certificate"],)
    text = format_records([Record(2, "p1", types[0].id, types[0].example_record)])
    report = parse_records(text.replace("household.3.", "household.9.").encode(), types, today=TODAY)
    assert (2, "household.9.name", "an earlier element is empty") in places(report)


@pytest.mark.parametrize("number", ["0", "00", "9" * 5000])
def test_an_element_with_a_number_that_is_none(catalogue: Catalogue, number: str) -> None:
    types = (catalogue.types["resident-certificate"],)
    text = format_records([Record(2, "p1", types[0].id, types[0].example_record)])
    report = parse_records(text.replace("household.1.", f"household.{number}.").encode(), types, today=TODAY)
    assert not report.records
    assert (1, f"household.{number}.name", "no such claim in this agency's types") in places(report)


def test_a_huge_file_is_refused(catalogue: Catalogue) -> None:
    assert places(parse(catalogue, b"x" * (MAX_BYTES + 1))) == [(1, "", "the file is too large")]


def test_faults_repeat_no_value(catalogue: Catalogue) -> None:
    text = format_records([example(catalogue)]).replace("99-19-123456-78", "SECRET")
    report = parse(catalogue, text)
    assert report.problems
    assert "SECRET" not in str(report.problems)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_get_a_report(catalogue: Catalogue, data: bytes) -> None:
    assert parse(catalogue, data).records == ()


@given(st.data())
def test_any_change_of_a_good_file_gets_a_report(catalogue: Catalogue, data: st.DataObject) -> None:
    text = format_records([example(catalogue)])
    at = data.draw(st.integers(0, len(text)))
    parse(catalogue, text[:at] + data.draw(st.text()) + text[at + data.draw(st.integers(0, 5)) :])
