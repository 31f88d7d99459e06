"""Import of agencies' records: everything wrong is named, nothing is half-written."""

import json
from datetime import date
from pathlib import Path

import pytest

from issuer.agencies.use_cases import create_api_key
from issuer.records.ports import Citizen, SubjectRecord
from tests.support.commands import jigap
from tests.support.issuer_program import IssuerProgram
from tests.support.issuing import LICENCE, IssuerUnderTest
from wallet_core.adapters.config import load_catalogue
from wallet_core.catalogue.records import Record, format_records
from wallet_core.errors import PeerRefusal
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.types import AgencyId

KEY = SoftwareSigner.generate()
KIM = Citizen("시험용 김하나", date(1990, 1, 2))


def csv(issuer: IssuerUnderTest, *subjects: str) -> str:
    record = issuer.record()
    return format_records([Record(0, subject, "drivers-licence", record) for subject in subjects])


def send(issuer: IssuerUnderTest, data: bytes, *, dry_run: bool = False, **headers: str):
    return issuer.api("POST", f"/records?dry_run={str(dry_run).lower()}", content=data, headers=headers)


def count(issuer: IssuerUnderTest) -> int:
    unit = issuer.issuer.database.reader()
    with unit:
        return sum(issuer.issuer.records(unit).count("police").values())


def test_a_dry_run_stores_nothing_and_an_import_everything(issuer: IssuerUnderTest) -> None:
    data = csv(issuer, "p1", "p2", "p3").encode()
    report = send(issuer, data, dry_run=True)
    assert report.json() == {
        "rows": 3, "good_rows": 3, "bad_rows": 0, "imported": 0, "new": 3, "replaced": 0, "problems": []
    }  # fmt: skip
    assert count(issuer) == 0
    assert send(issuer, data).json()["imported"] == 3
    again = csv(issuer, "p3", "p4").encode()
    for dry_run in (True, False):
        told = send(issuer, again, dry_run=dry_run).json()
        assert (told["imported"], told["new"], told["replaced"]) == (0 if dry_run else 2, 1, 1)
    assert count(issuer) == 4


def test_a_record_becomes_a_credential(issuer: IssuerUnderTest) -> None:
    assert send(issuer, csv(issuer, "p1").encode()).status_code == 200
    made = issuer.offer(subject_id="p1")
    assert isinstance(issuer.receive(issuer.proofs(made["uri"], [KEY]), [KEY]), IssuedCredentials)
    listed = issuer.api("GET", "/credentials?subject_id=p1").json()["credentials"]
    assert [each["credential_configuration_id"] for each in listed] == [LICENCE]


def test_excel_writes_a_byte_order_mark(sqlite_issuer: IssuerUnderTest) -> None:
    assert send(sqlite_issuer, csv(sqlite_issuer, "p1").encode("utf-8-sig")).json()["imported"] == 1


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("cp949", "it is CP949, not UTF-8"),  # what Excel's "CSV" is in Korea
        ("utf-16", "it is UTF-16, not UTF-8"),  # Excel's "Unicode text"
        ("utf-16-le", "it is UTF-16, not UTF-8"),
        ("shift-jis", "it is not UTF-8"),
    ],
)
def test_wrong_encodings(sqlite_issuer: IssuerUnderTest, encoding: str, reason: str) -> None:
    text = csv(sqlite_issuer, "p1")
    data = text.encode(encoding, errors="replace") if encoding != "shift-jis" else b"\x81\xff\xfe," + text.encode()
    report = send(sqlite_issuer, data, dry_run=True).json()
    assert report["imported"] == 0
    (problem,) = report["problems"]
    assert problem["reason"]["en"] == reason
    assert "CSV UTF-8" in problem["cure"]["ko"]
    refused = send(sqlite_issuer, data)
    assert (refused.status_code, refused.json()["error"]) == (400, "bad_rows")
    assert count(sqlite_issuer) == 0


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_excel_s_own_files(sqlite_issuer: IssuerUnderTest, magic: bytes) -> None:
    (problem,) = send(sqlite_issuer, magic + b"zzzz\n1", dry_run=True).json()["problems"]
    assert (problem["line"], problem["column"]) == (1, "")
    assert problem["reason"]["ko"] == "엑셀 파일이에요"
    assert problem["cure"]["ko"] == "CSV UTF-8로 저장해 주세요"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end(sqlite_issuer: IssuerUnderTest, line_end: str) -> None:
    text = csv(sqlite_issuer, "p1", "p2").replace("\n", line_end)
    assert send(sqlite_issuer, text.encode()).json()["imported"] == 2


def test_a_line_end_inside_quotes_does_not_shift_the_lines(sqlite_issuer: IssuerUnderTest) -> None:
    record = {**sqlite_issuer.record(), "issuing_authority": "두 줄로\n쓴 기관"}
    text = format_records([Record(0, each, "drivers-licence", record) for each in ("p1", "p2")])
    problems = send(sqlite_issuer, text.encode(), dry_run=True).json()["problems"]
    assert [(each["line"], each["column"]) for each in problems] == [(2, "issuing_authority"), (4, "issuing_authority")]


def test_columns_that_are_missing_or_stand_twice(sqlite_issuer: IssuerUnderTest) -> None:
    header, row = csv(sqlite_issuer, "p1").splitlines()
    for head, column, reason in [
        (header.replace("subject_id", "subject", 1), "subject_id", "a mandatory column is missing"),
        (f"{header},name", "name", "the column stands twice"),
        (f"{header},", "", "no such claim in this agency's types"),
    ]:
        problems = send(sqlite_issuer, f"{head}\n{row},\n".encode(), dry_run=True).json()["problems"]
        found = {(each["column"], each["reason"]["en"]) for each in problems}
        assert (column, reason) in found
        assert len(problems) == len(found)
    assert count(sqlite_issuer) == 0


def test_wrong_columns(sqlite_issuer: IssuerUnderTest) -> None:
    text = csv(sqlite_issuer, "p1").replace("name", "nmae", 1)
    problems = send(sqlite_issuer, text.encode(), dry_run=True).json()["problems"]
    assert [(each["line"], each["column"]) for each in problems] == [(1, "nmae")]


def test_one_bad_row_stores_none_and_tells_nobodys_data(sqlite_issuer: IssuerUnderTest) -> None:
    header, good = csv(sqlite_issuer, "p1").splitlines()
    bad = csv(sqlite_issuer, "p2").splitlines()[1].replace(sqlite_issuer.record()["birth_date"], "31.12.1990")
    answer = send(sqlite_issuer, f"{header}\n{good}\n{bad}\n".encode())
    assert answer.status_code == 400
    assert "line 3" in answer.json()["error_description"]
    report = send(sqlite_issuer, f"{header}\n{good}\n{bad}\n".encode(), dry_run=True)
    assert (report.json()["good_rows"], report.json()["bad_rows"]) == (1, 1)
    assert report.json()["problems"][0]["column"] == "birth_date"
    assert "31.12.1990" not in answer.text + report.text
    assert count(sqlite_issuer) == 0


@pytest.mark.parametrize("data", [b"", b"\x00", b'"', b"subject_id\n", b"a,b\n1,2\n", b"\xff" * 100])
def test_what_is_no_csv(sqlite_issuer: IssuerUnderTest, data: bytes) -> None:
    assert send(sqlite_issuer, data, dry_run=True).status_code == 200
    assert count(sqlite_issuer) == 0


def test_a_file_that_is_too_large(sqlite_issuer: IssuerUnderTest) -> None:
    assert send(sqlite_issuer, b"x" * ((32 << 20) + 1)).status_code == 413


def test_a_repeated_import_is_answered_and_done_once(issuer: IssuerUnderTest) -> None:
    headers = {"Idempotency-Key": "file-1"}
    first = send(issuer, csv(issuer, "p1").encode(), **headers)
    assert send(issuer, csv(issuer, "p1").encode(), **headers).json() == first.json()
    assert send(issuer, csv(issuer, "p2").encode(), **headers).status_code == 422


def put(issuer: IssuerUnderTest, agency: str, type_id: str, *subjects: str) -> None:
    """Store records as they are, without a file."""
    rows = [SubjectRecord(each, issuer.record(), KIM) for each in subjects]
    unit = issuer.issuer.database.unit()
    with unit:
        issuer.issuer.records(unit).put(AgencyId(agency), type_id, rows, now=issuer.clock.now())


def knows(issuer: IssuerUnderTest, agency: str) -> str | None:
    """Under which subject id a login finds the person."""
    unit = issuer.issuer.database.reader()
    with unit:
        return issuer.issuer.records(unit).find_subject(AgencyId(agency), KIM)


def test_a_persons_records_are_deleted_and_nobody_elses(issuer: IssuerUnderTest) -> None:
    put(issuer, "police", "drivers-licence", "p1", "p2")
    put(issuer, "police", "another-type", "p1")
    put(issuer, "city-tax", "drivers-licence", "p1")
    issued = issuer.offer(subject_id="p1")
    issuer.receive(issuer.proofs(issued["uri"], [KEY]), [KEY])
    assert knows(issuer, "police") is None  # two people of one name and birthday
    answer = issuer.api("DELETE", "/records/p1")
    assert (answer.status_code, answer.json()) == (200, {"deleted": 2})
    assert (knows(issuer, "police"), knows(issuer, "city-tax"), count(issuer)) == ("p2", "p1", 1)
    refused = issuer.api("POST", "/offers", json={"credential_configuration_ids": [LICENCE], "subject_id": "p1"})
    assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    # What was issued is another matter: it stays on record, and good.
    (credential,) = issuer.api("GET", "/credentials?subject_id=p1").json()["credentials"]
    assert credential["status"] == "valid"


def test_an_open_offer_of_a_deleted_person_gives_nothing(issuer: IssuerUnderTest) -> None:
    put(issuer, "police", "drivers-licence", "p1")
    pending = issuer.proofs(issuer.offer(subject_id="p1")["uri"], [KEY])
    assert issuer.api("DELETE", "/records/p1").status_code == 200
    with pytest.raises(PeerRefusal) as refusal:
        issuer.receive(pending, [KEY])
    assert refusal.value.error == "credential_request_denied"


def test_deleting_again_and_whom_nobody_knows(sqlite_issuer: IssuerUnderTest) -> None:
    put(sqlite_issuer, "police", "drivers-licence", "p1")
    headers = {"Idempotency-Key": "gone-1"}
    first = sqlite_issuer.api("DELETE", "/records/p1", headers=headers)
    assert sqlite_issuer.api("DELETE", "/records/p1", headers=headers).json() == first.json() == {"deleted": 1}
    for subject in ("p1", "nobody", "%00", "p%201", "x" * 65):
        refused = sqlite_issuer.api("DELETE", f"/records/{subject}")
        assert (refused.status_code, refused.json()["error"]) == (404, "not_found")


def test_another_agencys_key_deletes_nothing(sqlite_issuer: IssuerUnderTest) -> None:
    put(sqlite_issuer, "police", "drivers-licence", "p1")
    stranger = {"Authorization": f"Bearer {sqlite_issuer.api_keys['city-tax']}"}
    reader = {"Authorization": f"Bearer {key_for(sqlite_issuer, 'offers:write')}"}
    for headers in (stranger, reader, {"Authorization": "Bearer none"}):
        assert sqlite_issuer.api("DELETE", "/records/p1", headers=headers).status_code in {401, 403}
    assert count(sqlite_issuer) == 1


def key_for(issuer: IssuerUnderTest, scope: str) -> str:
    """A key of the police that is good for one thing only."""
    app, agency = issuer.issuer, issuer.issuer.agency("police")
    unit = app.database.unit()
    return create_api_key(unit, app.api_keys(unit), agency, label="", scopes=[scope], now=issuer.clock.now())[1]


def test_a_command_deletes_a_persons_records_and_asks_before(tmp_path: Path) -> None:
    program = IssuerProgram(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
    program.prepare("police")
    csv, record = tmp_path / "one.csv", load_catalogue().types["drivers-licence"].example_record
    csv.write_text(format_records([Record(2, "p1", "drivers-licence", record)]))
    program.run("issuer", "records", "import", str(csv), "--agency", "police")
    command = ["issuer", "records", "delete", "--agency", "police", "--subject", "p1"]
    for answer in (b"n\n", b""):
        assert jigap([*command, "--json"], environment=program.environment, given=answer).returncode == 1
    agreed = jigap([*command, "--json"], environment=program.environment, given=b"y\n")
    assert json.loads(agreed.stdout) == {"deleted": 1}
    assert program.run(*command, "--yes", code=1)["error"] == "not_found"


def test_records_lie_sealed(sqlite_issuer: IssuerUnderTest, tmp_path) -> None:
    send(sqlite_issuer, csv(sqlite_issuer, "p1").encode())
    sqlite_issuer.offer()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("issuer.db*"))
    assert b"drivers-licence" in stored
    assert sqlite_issuer.record()["name"].encode() not in stored
