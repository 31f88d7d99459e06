"""Staff compare the portrait with the person: what they say is noted with the check, and nothing else is."""

import html as html_module
import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.e2e.test_verification_record import CONTRACT, upkeep
from tests.e2e.test_verifier_console import POLICY, Staff, signed_in
from tests.support.verifying import HOST, VerifierUnderTest

WITH_PORTRAIT = "mobile-contract"
QUESTION = "사진과 손님 얼굴이 같은지 봐 주세요"


@pytest.fixture
def staff(verifier: VerifierUnderTest) -> Iterator[Staff]:
    with signed_in(verifier) as found:
        yield found


def answered(staff: Staff, policy: str = WITH_PORTRAIT) -> str:
    """The page of a check that a customer answered."""
    under_test = staff.under_test
    if policy == WITH_PORTRAIT:
        under_test.held = under_test.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    page = str(staff.post("/console/checks", f"/console/ask?policy={policy}", policy=policy).headers["location"])
    link = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", staff.get(page))
    assert link
    under_test.present(html_module.unescape(link[1]))
    return page


def say(staff: Staff, page: str, says: str) -> None:
    answer = staff.post(f"{page}/portrait", page, says=says)
    assert (answer.status_code, answer.headers["location"]) == (303, page)


def told(staff: Staff) -> dict[str, object]:
    """What the API tells of the newest presentation that was answered."""
    found = staff.under_test.api("GET").json()["presentations"]
    return next(each for each in found if each["state"] == "verified")


def test_another_face_is_no_passed_check(staff: Staff) -> None:
    page = answered(staff)
    asked = staff.get(page)
    assert QUESTION in asked
    assert "<h1>카드를 확인했어요</h1>" in asked
    before = told(staff)
    assert before["portrait_matches"] is None
    say(staff, page, "different")
    shown = staff.get(page)
    assert "<h1>확인하지 못했어요</h1>" in shown
    assert "사진과 손님 얼굴이 다르다고 했어요" in shown
    assert "모두 통과" not in shown
    assert QUESTION not in shown.partition("<details")[0]
    assert "얼굴이 달라요" in staff.get("/console/checks")
    # Nothing else has changed: what was shared is kept as long as before.
    assert told(staff) == {**before, "portrait_matches": False}


def test_the_same_face_completes_the_check(staff: Staff) -> None:
    page = answered(staff)
    say(staff, page, "same")
    shown = staff.get(page)
    assert "<h1>확인했어요</h1>" in shown
    assert "모두 통과" in shown
    assert told(staff)["portrait_matches"] is True
    assert "얼굴이 달라요" not in staff.get("/console/checks")


def test_who_pressed_the_wrong_button_looks_again(staff: Staff) -> None:
    page = answered(staff)
    say(staff, page, "different")
    say(staff, page, "same")
    assert "<h1>확인했어요</h1>" in staff.get(page)
    assert told(staff)["portrait_matches"] is True


def test_what_staff_said_outlives_the_portrait_but_cannot_be_said_later(staff: Staff) -> None:
    page = answered(staff)
    say(staff, page, "different")
    staff.under_test.api("POST", f"/{told(staff)['id']}/forget-claims")
    shown = staff.get(page)
    assert CONTRACT["portrait"] not in shown
    assert "<h1>확인하지 못했어요</h1>" in shown
    assert 'name="says"' not in shown
    answer = staff.post(f"{page}/portrait", f"/console/ask?policy={POLICY}", says="same")
    assert answer.status_code == 303
    assert told(staff)["portrait_matches"] is False


def test_a_check_without_a_portrait_asks_nothing(staff: Staff) -> None:
    page = answered(staff, POLICY)
    assert QUESTION not in staff.get(page)
    answer = staff.post(f"{page}/portrait", f"/console/ask?policy={POLICY}", says="different")
    assert answer.status_code == 303
    assert told(staff)["portrait_matches"] is None


def test_nobody_else_says_it(staff: Staff) -> None:
    page = answered(staff)
    unsigned = staff.client.post(f"{HOST}{page}/portrait", data={"says": "same"}, headers={"Origin": HOST})
    assert unsigned.status_code == 403
    assert staff.post(f"{page}/portrait", page, says="perhaps").status_code == 400
    staff.post("/console/sign-out", "/console")
    staff.sign_in("dodam-bank")
    answer = staff.post(f"{page}/portrait", f"/console/ask?policy={POLICY}", says="same")
    assert answer.status_code == 404
    assert told(staff)["portrait_matches"] is None


def test_the_word_goes_with_the_record(staff: Staff) -> None:
    page = answered(staff)
    say(staff, page, "different")
    until = datetime.fromisoformat(str(told(staff)["record_until"]))
    staff.under_test.clock.advance((until - staff.under_test.clock.now()).total_seconds())
    upkeep(staff.under_test)
    assert staff.under_test.api("GET").json()["presentations"] == []
