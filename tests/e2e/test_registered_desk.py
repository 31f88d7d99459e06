"""The desk of a party that is registered for some checks: those first, and a warning before the others are asked."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.test_verifier_console import PAGE, POLICY, TAX, Staff, signed_in
from tests.support.presentations import NOW
from tests.support.registering import PARTY_ID, register
from tests.support.verifying import HOST, PARTY, VerifierUnderTest
from verifier.relying_parties.ports import registration_of
from wallet_core.protocols.openid4vp.registration import create_registration_certificate, registration_of_policy

REGISTERED, OVER = "parcel-pickup", "hotel-check-in"
REGISTER = register()
WARNING = "등록한 것보다 더 물어요"


def file(under_test: VerifierUnderTest, policy: str, *, days: int) -> None:
    """Keep a registration of the party for a policy that ends after so many days."""
    made = registration_of_policy(
        under_test.verifier.catalogue.policies[policy],
        identifier=PARTY_ID,
        registry_uri="https://registrar.example",
        privacy_policy="https://shop.example/privacy",
        support="https://shop.example/help",
        issued_at=NOW - timedelta(days=30),
        expires_at=NOW + timedelta(days=days),
    )
    token = create_registration_certificate(made, REGISTER.registrar)
    under_test.verifier.keys.add_statement(PARTY, registration_of(policy), token)


@pytest.fixture
def stranger(sqlite_verifier: VerifierUnderTest) -> Iterator[Staff]:
    """Staff of a party without any registration, signed in."""
    with signed_in(sqlite_verifier) as found:
        yield found


@pytest.fixture
def staff(stranger: Staff) -> Staff:
    """Staff of a party with one registration that holds and one that is over."""
    file(stranger.under_test, REGISTERED, days=30)
    file(stranger.under_test, OVER, days=-1)
    return stranger


def ask(staff: Staff, policy: str, **fields: Any) -> Any:
    return staff.post("/console/checks", f"/console/ask?policy={policy}", policy=policy, **fields)


@pytest.mark.parametrize("path", ["/console", "/console/policies"])
def test_what_is_registered_comes_first_and_the_others_are_marked(staff: Staff, path: str) -> None:
    page = staff.get(path)
    listed = re.findall(r'(?:name="policy" value="|href="/console/policies/)([\w-]+)"', page)
    assert listed[0] == REGISTERED
    assert (page.count("등록하지 않음"), page.count("등록 끝남")) == (len(listed) - 2, 1)
    assert "Not registered" in staff.get(f"{path}?lang=en")


def test_a_check_that_is_registered_is_asked_as_ever(staff: Staff) -> None:
    assert WARNING not in staff.get(f"/console/ask?policy={REGISTERED}")
    answer = ask(staff, REGISTERED)
    assert answer.headers["location"].startswith("/console/checks/")
    assert 'name="warned"' not in staff.get(answer.headers["location"])


@pytest.mark.parametrize(("policy", "says"), [(POLICY, "등록하지 않은 곳이에요"), (OVER, "등록 기간이 끝난 곳이에요")])
def test_a_check_that_is_not_registered_is_asked_only_after_a_yes(staff: Staff, policy: str, says: str) -> None:
    page = staff.get(f"/console/ask?policy={policy}")
    assert WARNING in page
    assert says in page
    refused = ask(staff, policy)
    assert refused.status_code == 400
    assert "계속하려면" in refused.text
    assert 'class="row"' not in re.sub(r"<(nav|details).*?</\1>", "", staff.get("/console/checks"), flags=re.DOTALL)
    made = ask(staff, policy, warned="on").headers["location"]
    # A new code in its place needs no second yes.
    shown = staff.get(made)
    fields = dict(re.findall(r'<input type="hidden" name="(instead|policy|warned)" value="([^"]+)"', shown))
    assert fields["warned"] == "on"
    assert staff.post("/console/checks", made, **fields).status_code == 303


def test_a_new_code_that_needs_a_yes_meanwhile_still_ends_the_old_one(staff: Staff) -> None:
    page = ask(staff, REGISTERED).headers["location"]
    form = dict(re.findall(r'<input type="hidden" name="(csrf_token|instead|policy)" value="([^"]+)"', staff.get(page)))
    # The registration ends while the customer is waited for.
    file(staff.under_test, REGISTERED, days=-1)
    refused = staff.client.post(f"{HOST}/console/checks", data=form, headers={**PAGE, "Origin": HOST})
    assert refused.status_code == 400
    names = "csrf_token|instead|policy"
    form = dict(re.findall(rf'<input type="hidden" name="({names})" value="([^"]+)"', refused.text))
    made = staff.client.post(
        f"{HOST}/console/checks",
        data={**form, "warned": "on"},
        headers={**PAGE, "Origin": HOST},
        follow_redirects=False,
    )
    assert made.headers["location"] != page
    assert staff.state(page) == "expired"


def test_no_other_page_makes_such_a_code_without_a_yes(staff: Staff) -> None:
    detail = staff.get(f"/console/policies/{POLICY}")
    assert WARNING in detail
    assert f'href="/console/ask?policy={POLICY}"' in detail
    assert 'action="/console/checks"' not in detail
    assert WARNING in staff.get(f"/console/counter?policy={POLICY}")
    # No registration covers a query of its own.
    assert WARNING in staff.get("/console/try")


def test_what_was_filled_in_stays_while_the_yes_is_missing(staff: Staff) -> None:
    refused = ask(staff, TAX, **{"bill-payment.amount": "184,000"})
    assert refused.status_code == 400
    assert 'value="184,000"' in refused.text


@pytest.mark.parametrize("kept", [b"\xff\xfe", b"nothing of the kind"], ids=["no-text", "no-token"])
def test_a_registration_that_cannot_be_read_is_in_no_other_page_s_way(staff: Staff, kept: bytes) -> None:
    folder = staff.under_test.verifier.settings.key_store
    assert folder
    (path,) = folder.glob(f"{PARTY}.{registration_of(OVER)}.*")
    path.write_bytes(kept)
    page = staff.get("/console?lang=en")
    assert (page.count("Registration unreadable"), page.count("Registration ended")) == (1, 0)
    for other in (
        "/console/checks",
        "/console/file",
        f"/console/ask?policy={REGISTERED}",
        f"/console/ask?policy={OVER}",
    ):
        staff.get(other)
    assert ask(staff, REGISTERED).status_code == 303


def test_a_party_without_any_registration_sees_no_warning(stranger: Staff) -> None:
    assert "등록하지 않음" not in stranger.get("/console")
    for page in (f"/console/ask?policy={POLICY}", "/console/try"):
        assert WARNING not in stranger.get(page)
    assert ask(stranger, POLICY).status_code == 303
