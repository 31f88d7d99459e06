"""A printed link at a counter: for good the same, and a request of its own for each customer (static requests)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.e2e.test_verifier_console import PAGE, POLICY, WALLET, Staff, opened, signed_in
from tests.support.html import assert_whole
from tests.support.presentations import CLAIMS, NOW
from tests.support.verifying import HOST, PARTY, VerifierUnderTest
from verifier.console import counter_pages
from verifier.console.counter import SPOKEN_FOR, is_spoken, spoken_code
from wallet_core.adapters.web import limits

LINK = f"{HOST}/counter/{PARTY}/{POLICY}"
SECRET = b"s" * 32


@pytest.fixture
def staff(sqlite_verifier: VerifierUnderTest) -> Iterator[Staff]:
    """A clerk who has signed in."""
    with signed_in(sqlite_verifier) as found:
        yield found


def spoken(staff: Staff) -> str:
    """What the clerk reads on the desk."""
    page = staff.get(f"/console/counter?policy={POLICY}")
    assert LINK in page
    code = re.search(r'class="match"><b>(\d{6})</b>', page)
    assert code
    return code[1]


class Customer:
    """A browser that opened the printed link."""

    def __init__(self, staff: Staff, address: str = "198.51.100.1") -> None:
        self.client = TestClient(staff.client.app, base_url=HOST, follow_redirects=False, client=(address, 1))

    def token(self) -> str:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(LINK, headers=PAGE).text)
        assert token
        return token[1]

    def type(self, code: str, link: str = LINK):
        fields = {"csrf_token": self.token(), "code": code}
        return self.client.post(link, data=fields, headers={**PAGE, "Origin": HOST})

    def begin(self, code: str) -> str:
        """Type the code and return the link to the wallet."""
        answer = self.type(code)
        assert (answer.status_code, answer.headers["location"]) == (303, "/counter/check")
        page = self.get("/counter/check")
        link = re.search(rf'href="({WALLET}/authorize[^"]+)"', page)
        assert link
        return unescape(link[1])

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path, headers=PAGE)
        assert answer.status_code == status, answer.text
        if status == 200:
            assert_whole(answer.text)
        return str(answer.text)


def test_each_customer_gets_a_request_of_their_own(staff: Staff) -> None:
    code, first, second = spoken(staff), Customer(staff), Customer(staff)
    asked = [staff.under_test.resolve(each.begin(code)).request for each in (first, second)]
    assert len({request.nonce for request in asked}) == 2
    assert len({request.state for request in asked}) == 2
    assert len({str(request.encryption) for request in asked}) == 2
    # Opening the link makes nothing.
    before = staff.get("/console/checks").count('class="row"')
    Customer(staff).get(LINK)
    assert staff.get("/console/checks").count('class="row"') == before


@pytest.mark.clause("vp-13.3-opened")
def test_the_answer_comes_back_and_the_clerk_sees_it(staff: Staff) -> None:
    customer = Customer(staff)
    sent = staff.under_test.present(customer.begin(spoken(staff)))
    assert sent.redirect_uri
    assert customer.client.get("/counter/check/state").json() == {"state": "answered"}
    # A browser that only looks ahead spends nothing.
    assert customer.client.get(sent.redirect_uri, headers={**PAGE, "Sec-Purpose": "prefetch"}).status_code == 403
    back = customer.client.get(sent.redirect_uri, headers=PAGE)
    assert (back.status_code, back.headers["location"]) == (303, "/counter/check")
    done = customer.get("/counter/check")
    assert "창구 화면에 결과가 나와요" in done
    # The customer's own browser is told nothing that it could show as a proof.
    assert CLAIMS["name"] not in done
    page = re.search(r'href="(/console/checks/[^"]+)"', staff.get("/console/checks"))
    assert page
    assert "모두 통과" in staff.get(page[1])


def test_a_link_that_was_passed_on_comes_back_in_the_wrong_browser(staff: Staff) -> None:
    attacker, victim = Customer(staff), Customer(staff)
    sent = staff.under_test.present(attacker.begin(spoken(staff)))
    stranger = victim.client.get(str(sent.redirect_uri), headers=PAGE)
    assert stranger.status_code == 403
    assert "끝나지 않았어요" in attacker.get("/counter/check")


@pytest.mark.parametrize("wrong", ["", "0", "12345678", "abcd"])
def test_without_the_clerks_number_nothing_is_made(staff: Staff, wrong: str) -> None:
    customer = Customer(staff)
    right = spoken(staff)
    assert customer.type(wrong or f"{(int(right) + 1) % 1_000_000:06d}").status_code == 403
    assert staff.get("/console/checks").count('class="row"') == 6  # the menu
    customer.get("/counter/check", 404)
    customer.get("/counter/return?response_code=x", 404)


def test_guessing_is_rationed(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FAILURES_AT_ONCE", 3)
    customer = Customer(staff)
    assert customer.type("nonsense").status_code == 403
    tries = [customer.client.post(LINK, data={"code": "x"}, headers={**PAGE, "Origin": HOST}) for _ in range(20)]
    assert 429 in {answer.status_code for answer in tries}


def test_guessing_from_everywhere_is_rationed_too(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_pages, "WRONG_AT_ONCE", 3)
    right = spoken(staff)
    # One more than at once: the first is given back in part by then.
    tries = [Customer(staff, f"198.51.100.{number}").type("nonsense").status_code for number in range(6)]
    assert tries == [403] * 4 + [429] * 2
    # Nor does the right one say that it is right, until the wait is over; other counters go on.
    late = Customer(staff, "198.51.100.9")
    assert late.type(right).status_code == 429
    assert late.type("nonsense", LINK.replace(POLICY, "car-rental")).status_code == 403
    web = staff.client.app.state.web
    with web.database.unit() as unit:
        unit.connection.execute(update(web.tables.rate).values(next_at=web.tables.rate.c.next_at - 60))
    assert late.type(right).status_code == 303


def test_what_the_open_page_asks_is_no_guess(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FAILURES_AT_ONCE", 3)
    customer = Customer(staff)
    assert {customer.client.get("/counter/check/state").status_code for _ in range(10)} == {404}


def test_where_no_desk_is_open_there_is_no_counter(sqlite_verifier: VerifierUnderTest) -> None:
    closed = opened(sqlite_verifier, demo=False)
    code = spoken_code(closed.under_test.verifier.sealer.derive(counter_pages._SECRET), PARTY, POLICY, now=NOW)
    assert closed.client.get(LINK, headers=PAGE).status_code == 404
    token = Customer(opened(sqlite_verifier, demo=True))
    token.get(LINK)
    closed.client.cookies = token.client.cookies
    fields = {"csrf_token": token.token(), "code": code}
    assert closed.client.post(LINK, data=fields, headers={**PAGE, "Origin": HOST}).status_code == 404
    closed.client.close()


def test_what_is_asked_nowhere(staff: Staff) -> None:
    customer = Customer(staff)
    for path in (f"/counter/{PARTY}/unheard-of", f"/counter/nobody/{POLICY}", f"/counter/{PARTY}/issuer-login"):
        customer.get(path, 404)
    for page in ("counter", "ask"):
        assert staff.client.get(f"/console/{page}?policy=issuer-login", headers=PAGE).status_code == 404


def test_a_number_is_one_counters_for_some_minutes() -> None:
    code = spoken_code(SECRET, "shop", "adult-check", now=NOW)
    assert re.fullmatch(r"\d{6}", code)
    for seconds in (0, SPOKEN_FOR.total_seconds()):
        assert is_spoken(SECRET, "shop", "adult-check", f" {code} ", now=NOW + timedelta(seconds=seconds))
    assert not is_spoken(SECRET, "shop", "adult-check", code, now=NOW + 2 * SPOKEN_FOR)
    assert not is_spoken(SECRET, "shop", "adult-check", code, now=NOW - SPOKEN_FOR)
    others = [("bank", "adult-check", SECRET), ("shop", "car-rental", SECRET), ("shop", "adult-check", b"t" * 32)]
    assert sum(spoken_code(secret, party, policy, now=NOW) == code for party, policy, secret in others) < 2
