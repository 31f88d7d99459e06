"""Giving up at the desk: "stop" and "new code" end what a customer could still answer, on both engines."""

import html as html_module
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.e2e.test_verifier_console import PAGE, POLICY, Staff, signed_in
from tests.support.browsing import Person, browser
from tests.support.verifying import HOST, PARTY, VerifierUnderTest
from tests.support.wallets import LICENCE, Town, new_town, receive
from verifier.presentations.use_cases.stopping import stop_check
from wallet_core.errors import PeerRefusal


@pytest.fixture
def staff(verifier: VerifierUnderTest) -> Iterator[Staff]:
    """A browser of the party's staff, signed in."""
    with signed_in(verifier) as found:
        yield found


@pytest.fixture
def town(staff: Staff, tmp_path: Path) -> Iterator[Town]:
    """Our wallet with a licence, which reaches the verifier."""
    (tmp_path / "wallet").mkdir()
    made = new_town(tmp_path / "wallet", staff.under_test.world)
    made.network.hosts["verifier.example"] = staff.under_test.send
    receive(made, LICENCE)
    yield made
    made.wallet.database.close()


def stop(staff: Staff, page: str) -> None:
    answer = staff.post(f"{page}/stop", page)
    assert (answer.status_code, answer.headers["location"]) == (303, page)


def renew(staff: Staff, page: str) -> str:
    """Ask for a new code as the form on the page does; return where that leads."""
    fields = dict(re.findall(r'<input type="hidden" name="(instead|policy)" value="([^"]+)"', staff.get(page)))
    assert fields == {"instead": page.rpartition("/")[2], "policy": POLICY}
    return str(staff.post("/console/checks", page, **fields).headers["location"])


def nothing_is_stored(staff: Staff, page: str) -> bool:
    """Whether no claim of the check is kept, and no key that would open an answer."""
    with staff.under_test.verifier.database.reader() as unit:
        rows = unit.connection.execute(
            text("SELECT sealed_claims, sealed_key, record_notes FROM verifier_presentation WHERE check_id = :check"),
            {"check": page.rpartition("/")[2]},
        ).all()
    return len(rows) == 3 and not any(any(row) for row in rows)


def test_a_stopped_request_is_given_to_nobody(staff: Staff) -> None:
    page, across, beside = staff.start()
    stop(staff, page)
    assert staff.state(page) == "expired"
    for link in (across, beside):
        with pytest.raises(PeerRefusal) as refusal:
            staff.under_test.resolve(link)
        assert refusal.value.status == 409
    shown = staff.get(page)
    assert "묻기를 그만뒀어요" in shown
    assert "openid4vp://" not in shown
    assert "You stopped asking" in staff.get(f"{page}?lang=en")
    assert "그만뒀어요" in staff.get("/console/checks?lang=ko")


@pytest.mark.parametrize("which", [1, 2], ids=["another device", "this device"])
def test_an_answer_to_a_stopped_request_is_refused_and_not_kept(staff: Staff, which: int) -> None:
    started = staff.start()
    page, resolved = started[0], staff.under_test.resolve(started[which])
    pending = staff.under_test.prepare(resolved)
    stop(staff, page)
    refused = staff.under_test.post(resolved, staff.under_test.vp_token(pending))
    assert refused.status_code == 409
    assert "stopped" in refused.json()["error_description"]
    assert staff.state(page) == "expired"
    assert nothing_is_stored(staff, page)


def test_an_answer_that_came_first_stays(staff: Staff) -> None:
    page, across, _ = staff.start()
    token = staff.get(page)
    staff.under_test.present(across)
    fields = {"csrf_token": re.findall(r'name="csrf_token" value="([^"]+)"', token)[0]}
    for path, more in (
        (f"{page}/stop", {}),
        ("/console/checks", {"policy": POLICY, "instead": page.rpartition("/")[2]}),
    ):
        answer = staff.client.post(
            HOST + path, data=fields | more, headers={**PAGE, "Origin": HOST}, follow_redirects=False
        )
        assert answer.headers["location"] == page
    assert staff.state(page) == "verified"
    assert "모두 통과" in staff.get(page)
    assert staff.get("/console/checks").count('href="/console/checks/') == 1


def test_an_answer_that_waits_for_its_browser_stays(staff: Staff) -> None:
    page, _, beside = staff.start()
    sent = staff.under_test.present(beside)
    shown = staff.get(page)
    assert "그만하기" not in shown
    assert "새 코드 만들기" not in shown
    stop(staff, page)
    assert staff.state(page) == "answered"
    assert sent.redirect_uri
    assert staff.client.get(sent.redirect_uri, headers=PAGE, follow_redirects=False).headers["location"] == page
    assert "모두 통과" in staff.get(page)


def test_a_new_code_ends_the_old_one(staff: Staff) -> None:
    page, across, _ = staff.start()
    resolved = staff.under_test.resolve(across)
    pending = staff.under_test.prepare(resolved)
    new = renew(staff, page)
    assert new != page
    assert staff.under_test.post(resolved, staff.under_test.vp_token(pending)).status_code == 409
    assert "묻기를 그만뒀어요" in staff.get(page)
    link = re.search(r"<code[^>]*>(openid4vp://[^<]+)</code>", staff.get(new))
    assert link
    staff.under_test.present(html_module.unescape(link[1]))
    assert staff.state(new) == "verified"


def test_a_new_code_after_the_time_ran_out(staff: Staff) -> None:
    page, _, _ = staff.start()
    shown = staff.get(page)
    staff.under_test.clock.advance(3600)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', shown)[0]
    fields = {"csrf_token": token, "policy": POLICY, "instead": page.rpartition("/")[2]}
    answer = staff.client.post(
        f"{HOST}/console/checks", data=fields, headers={**PAGE, "Origin": HOST}, follow_redirects=False
    )
    assert answer.headers["location"] != page
    # Nobody stopped it: it ran out.
    assert "답이 오지 않았어요" in staff.get(page)


def test_nobody_stops_the_check_of_another_party(staff: Staff) -> None:
    page, across, _ = staff.start()
    staff.post("/console/sign-out", "/console")
    staff.sign_in("dodam-bank")
    assert staff.post(f"{page}/stop", "/console").status_code == 404
    foreign = {"policy": POLICY, "instead": page.rpartition("/")[2]}
    assert staff.post("/console/checks", f"/console/ask?policy={POLICY}", **foreign).status_code == 404
    staff.under_test.present(across)
    staff.post("/console/sign-out", "/console")
    staff.sign_in(PARTY)
    assert staff.state(page) == "verified"


def test_who_looked_before_another_stopped_it_is_not_refused(staff: Staff, monkeypatch) -> None:
    """As on PostgreSQL, where nobody waits before they read; a new code would end in the page of the old one."""
    page, _, _ = staff.start()
    verifier, check_id = staff.under_test.verifier, page.rpartition("/")[2]
    storage = verifier.storage(verifier.database.unit())
    with storage.unit:
        before = storage.presentations.of_check(check_id)
    stop(staff, page)
    monkeypatch.setattr(storage.presentations, "of_check", lambda _: before)
    stop_check(storage, verifier.party(PARTY), check_id, now=verifier.clock.now())
    assert "묻기를 그만뒀어요" in staff.get(page)
    assert nothing_is_stored(staff, page)


def test_stopping_needs_the_token_of_the_page(staff: Staff) -> None:
    page, across, _ = staff.start()
    assert staff.client.post(f"{HOST}{page}/stop", headers={**PAGE, "Origin": HOST}).status_code == 403
    assert staff.client.get(f"{HOST}{page}/stop", headers=PAGE).status_code == 405
    staff.under_test.present(across)


def opens(town: Town, link: str) -> Person:
    """Open a request in the wallet, up to the page that asks for consent, or says why not."""
    person = browser(town)
    address = f"/authorize?{urlsplit(link).query}"
    person.get(address)
    person.post("/requests", {"link": address})
    return person


def test_what_our_wallet_says_of_a_stopped_request(staff: Staff, town: Town) -> None:
    page, _, beside = staff.start()
    deciding = opens(town, beside)
    stop(staff, page)
    late = opens(town, beside)
    assert "이 요청은 끝났어요" in late.text
    assert "물어본 곳이 그만뒀어요" in late.text
    assert "아무것도 보내지 않았어요" in late.text
    # Who was looking at it already is told that it was not taken.
    deciding.post(f"{deciding.path}/answer")
    assert "그사이 묻기를 그만뒀을 수도 있어요" in deciding.text
    assert nothing_is_stored(staff, page)
