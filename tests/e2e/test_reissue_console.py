"""The console's pages for replacing copies: what staff see and do, without a browser."""

import re
from collections.abc import Iterator

import pytest

from issuer.app import create_worker
from tests.e2e.test_issuer_console import Staff, opened
from tests.support.html import assert_whole
from tests.support.issuing import IssuerUnderTest
from tests.support.reissuing import TYPE, put_on_record, receive, statuses


@pytest.fixture
def staff(sqlite_issuer: IssuerUnderTest) -> Iterator[Staff]:
    """Someone at the console of an agency with two people who have cards."""
    put_on_record(sqlite_issuer, "p-1", "p-2")
    for subject in ("p-1", "p-2"):
        receive(sqlite_issuer, subject)
    found = opened(sqlite_issuer, demo=True)
    found.sign_in()
    yield found
    found.client.close()


def card_of(staff: Staff, subject: str) -> str:
    found = staff.under_test.api("GET", "/credentials", params={"subject_id": subject}).json()["credentials"]
    return f"/console/credentials/{found[0]['credential_id']}"


def test_everybodys_copies_are_counted_first_and_then_replaced(staff: Staff) -> None:
    assert "/console/reissuances" in staff.get("/console/credentials")
    assert "바꾼 적이 아직 없어요" in staff.get("/console/reissuances")
    fields = {"type": TYPE, "reason": "새 양식", "days": "0"}
    confirm = staff.post("/console/reissuances/confirm", "/console/reissuances/new", **fields)
    assert_whole(confirm.text)
    assert re.search(r"<dt>사람</dt><dd>2명</dd>", confirm.text)
    assert re.search(r"<dt>사본</dt><dd>4장</dd>", confirm.text)
    assert statuses(staff.under_test, "p-1") == ["valid"] * 2
    answer = staff.post("/console/reissuances", "/console/reissuances/new", **fields)
    page = answer.headers["location"]
    assert "하는 중" in staff.get(page)
    assert staff.post(f"{page}/pause", page).headers["location"] == page
    assert "멈춤" in staff.get(page)
    staff.post(f"{page}/resume", page)
    assert staff.client.get(f"https://issuer.example{page}/state").json() == {"state": "running-0"}
    create_worker(staff.under_test.issuer).run_due()
    assert "끝났어요" in staff.get(page)
    assert "끝났어요" in staff.get("/console/reissuances")
    assert statuses(staff.under_test, "p-2") == ["invalid"] * 2
    nobody = staff.post("/console/reissuances/confirm", "/console/reissuances/new", **fields)
    assert "가진 사람이 없어요" in nobody.text


def test_the_copies_of_one_person_are_replaced(staff: Staff) -> None:
    page = card_of(staff, "p-1")
    assert f"{page}/replace" in staff.get(page)
    assert "모두 바꿀까요?" in staff.get(f"{page}/replace")
    answer = staff.post(f"{page}/replace", f"{page}/replace", reason="주소 변경", days="14")
    assert answer.headers["location"] == page
    assert "사본을 바꿀 기한" in staff.get(page)
    assert "사본을 바꾸고 있어요" in staff.get(page)
    assert statuses(staff.under_test, "p-1") == ["valid"] * 2


def test_a_lost_device_is_reported(staff: Staff) -> None:
    page = card_of(staff, "p-1")
    assert "되돌릴 수 없어요" in staff.get(f"{page}/lost")
    staff.post(f"{page}/lost", f"{page}/lost", reason="휴대전화 분실")
    assert statuses(staff.under_test, "p-1") == ["invalid"] * 2
    assert statuses(staff.under_test, "p-2") == ["valid"] * 2
    assert f"{page}/replace" not in staff.get(page)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": TYPE, "reason": "", "days": "14"},
        {"type": TYPE, "reason": "x", "days": "-1"},
        {"type": TYPE, "reason": "x", "days": "1000"},
        {"type": "passport", "reason": "x", "days": "1"},
    ],
)
def test_nonsense_is_refused(staff: Staff, fields: dict[str, str]) -> None:
    for path in ("/console/reissuances/confirm", "/console/reissuances"):
        assert staff.post(path, "/console/reissuances/new", **fields).status_code in {400, 404}
    staff.get("/console/reissuances/nothing", status=404)
    staff.get(f"{card_of(staff, 'p-1')}/eat", status=400)
    assert statuses(staff.under_test, "p-1") == ["valid"] * 2
