"""A new code where one has run out: for the same person and cards, and only one of the two is ever good."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from issuer.issuance.ports import RENEWAL_TIME
from issuer.issuance.use_cases.expiry import expire_offers
from issuer.issuance.use_cases.offers import offer_status, renew_offer
from tests.e2e.test_issuer_console import Staff, import_one, opened
from tests.support.issuing import HOST, IssuerUnderTest
from tests.support.simultaneous import at_once
from wallet_core.errors import PeerRefusal, StateConflict
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.issuance import OFFER_LIFETIME
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.types import AgencyId

KEY = SoftwareSigner.generate()


@pytest.fixture
def staff(issuer: IssuerUnderTest) -> Iterator[Staff]:
    found = opened(issuer, demo=True, wallet="https://wallet.example")
    found.sign_in()
    yield found
    found.client.close()


def make(staff: Staff, **fields: str) -> str:
    """The page of a new offer of a licence."""
    import_one(staff)
    fields = {"type": "drivers-licence", "subject": "p-1", **fields}
    made = staff.post("/console/offers", "/console/offers/new", **fields)
    assert made.status_code == 303
    return str(made.headers["location"])


def renew(staff: Staff, page: str) -> str:
    answer = staff.post(f"{page}/renew", "/console/offers/new")
    assert answer.status_code == 303
    return str(answer.headers["location"])


def code(staff: Staff, page: str) -> tuple[str, str]:
    """The link of an offer, and its transaction code."""
    html = staff.get(page)
    link = re.search(r"<code[^>]*>(openid-credential-offer://[^<]+)</code>", html)
    number = re.search(r'class="txcode">(\d{6})<', html)
    assert link
    assert number
    return link[1], number[1]


def state(staff: Staff, page: str) -> str:
    return str(staff.client.get(f"{HOST}{page}/state").json()["state"])


def pass_by(staff: Staff, duration: timedelta) -> None:
    """Let time pass, with what jobs do in it."""
    issuer = staff.under_test.issuer
    staff.under_test.clock.advance(duration.total_seconds())
    with issuer.database.unit() as unit:
        expire_offers(issuer.storage(unit), now=staff.under_test.clock.now())


def offer_id(page: str) -> str:
    return page.rpartition("/")[2]


@pytest.mark.parametrize("late", [True, False], ids=["run-out", "still-open"])
def test_a_new_code_is_for_the_same_person_and_the_old_one_ends(staff: Staff, late) -> None:
    old = make(staff)
    link, number = code(staff, old)
    if late:
        pass_by(staff, OFFER_LIFETIME)
        shown = staff.get(old)
        assert "같은 사람에게 같은 카드로 새 코드를 만들 수 있어요" in shown
        assert number not in shown
    assert f'action="{old}/renew"' in staff.get(old)
    new, _, told = renew(staff, old).partition("?")
    assert (new != old, told) == (True, "renewed=new")
    assert "새 코드를 만들었어요" in staff.get(f"{new}?{told}")
    assert "한*우" in staff.get(new)
    assert state(staff, old) == ("expired" if late else "withdrawn")
    assert ("기관에서 끝낸 제안이에요" in staff.get(old)) != late
    # Of the two codes one is good, and the person gets the card with it.
    with pytest.raises(PeerRefusal, match="the offer is over"):
        staff.under_test.proofs(link, [KEY], number)
    fresh_link, fresh_number = code(staff, new)
    pending = staff.under_test.proofs(fresh_link, [KEY], fresh_number)
    assert isinstance(staff.under_test.receive(pending, [KEY]), IssuedCredentials)
    assert state(staff, new) == "sent"


def test_a_code_that_a_wallet_has_redeemed_is_not_renewed(staff: Staff) -> None:
    page = make(staff)
    link, number = code(staff, page)
    pending = staff.under_test.proofs(link, [KEY], number)
    assert renew(staff, page) == f"{page}?renewed=over"
    told = staff.get(f"{page}?renewed=over")
    assert "벌써 지갑이 가져간 코드예요" in told
    # Nothing is lost: the wallet goes on.
    assert isinstance(staff.under_test.receive(pending, [KEY]), IssuedCredentials)
    assert renew(staff, page) == f"{page}?renewed=over"
    assert staff.get("/console/offers").count('href="/console/offers/0') == 1


def test_who_asks_twice_gets_one_new_code(staff: Staff) -> None:
    page = make(staff)
    assert renew(staff, page).endswith("?renewed=new")
    assert renew(staff, page) == f"{page}?renewed=over"
    assert "이미 끝난 제안이에요" in staff.get(f"{page}?renewed=over")
    assert staff.get("/console/offers").count('href="/console/offers/0') == 2


def test_at_once_there_is_one_new_code(staff: Staff) -> None:
    page = make(staff)
    issuer = staff.under_test.issuer
    agency = issuer.agency(AgencyId("police"))
    made: list[str] = []

    def once() -> None:
        with suppress(StateConflict):
            made.append(renew_offer(issuer.issuance, issuer.issuance.storage(), agency, offer_id(page)).id)

    at_once(4, once)
    assert len(made) == 1
    assert staff.get("/console/offers").count('href="/console/offers/0') == 2


def test_where_the_record_is_gone_the_old_code_stays(staff: Staff) -> None:
    page = make(staff)
    issuer = staff.under_test.issuer
    with issuer.database.unit() as unit:
        issuer.records(unit).delete(issuer.agency(AgencyId("police")).id, "p-1")
    assert renew(staff, page) == f"{page}?renewed=data"
    assert "앞의 제안은 그대로예요" in staff.get(f"{page}?renewed=data")
    assert state(staff, page) == "offered"


def test_once_nobody_knows_whose_it_was_a_new_offer_is_made(staff: Staff) -> None:
    page = make(staff)
    pass_by(staff, OFFER_LIFETIME + RENEWAL_TIME + timedelta(seconds=1))
    shown = staff.get(page)
    assert f'action="{page}/renew"' not in shown
    assert "누구의 제안인지는 지웠으니" in shown
    assert renew(staff, page) == f"{page}?renewed=over"


@pytest.mark.parametrize("fields", [{"grant": "login"}, {"when": "deferred"}, {}], ids=["login", "deferred", "code"])
def test_the_new_offer_is_of_the_same_kind(staff: Staff, fields: dict[str, str]) -> None:
    page = make(staff, **fields)
    issuer = staff.under_test.issuer
    new = renew(staff, page).partition("?")[0]
    shown = staff.get(new)
    assert ('class="txcode"' in shown) == ("grant" not in fields)
    agency = issuer.agency(AgencyId("police"))
    before, after = (offer_status(issuer.issuance, agency, offer_id(each)) for each in (page, new))
    assert (after.configuration_ids, after.subject_id) == (before.configuration_ids, "p-1")
    assert (before.subject_id, before.renewable, after.renewable) == (None, False, True)
    if fields == {"when": "deferred"}:
        link, number = code(staff, new)
        staff.under_test.receive(staff.under_test.proofs(link, [KEY], number), [KEY])
        assert state(staff, new) == "deferred"


def test_what_came_with_the_offer_goes_on_with_it(staff: Staff) -> None:
    made: dict[str, Any] = staff.under_test.offer()
    page = f"/console/offers/{made['id']}"
    new = renew(staff, page).partition("?")[0]
    assert 'class="txcode"' not in staff.get(new)
    link = re.search(r"<code[^>]*>(openid-credential-offer://[^<]+)</code>", staff.get(new))
    assert link
    # A wallet that had read the old code gets nothing for it.
    (grant,) = made["credential_offer"]["grants"].values()
    refused = staff.under_test.client.post(
        f"{HOST}/agencies/police/oauth/token",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code",
            "pre-authorized_code": grant["pre-authorized_code"],
        },
    )
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    found = staff.under_test.receive(staff.under_test.proofs(link[1], [KEY]), [KEY])
    assert isinstance(found, IssuedCredentials)


def test_nobody_else_renews_it(staff: Staff) -> None:
    page = make(staff)
    assert staff.client.post(f"{HOST}{page}/renew", headers={"Origin": HOST}).status_code == 403
    assert staff.post("/console/offers/" + "0" * 44 + "/renew", "/console/offers/new").status_code == 404
    other = next(key for name, key in staff.under_test.api_keys.items() if name != "police")
    staff.post("/console/sign-out", "/console")
    staff.post("/console/sign-in", "/console/sign-in", api_key=other)
    assert staff.post(f"{page}/renew", "/console/offers/new").status_code == 404
