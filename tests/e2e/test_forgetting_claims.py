"""Claims deleted before their time, as policies promise: gone from the row, the API, the page and the record."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_verification_record import CONTRACT, audit, record_of, row, upkeep
from tests.e2e.test_verifier_console import PAGE, Staff, signed_in
from tests.support.html import assert_whole
from tests.support.simultaneous import at_once
from tests.support.verifying import BACK, HOST, VerifierUnderTest, response_code
from verifier.app import create_worker
from verifier.presentations.use_cases.results import forget_claims

POLICY = "mobile-contract"
NAME = CONTRACT["name"]


def verified(under_test: VerifierUnderTest, **members: Any) -> dict[str, Any]:
    """A presentation whose claims the policy keeps for half a year."""
    under_test.held = under_test.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    made = under_test.ask(policy=POLICY, **members)
    under_test.present(made["authorization_request"])
    return made


def forget(under_test: VerifierUnderTest, made: dict[str, Any], **options: Any) -> Any:
    return under_test.api("POST", f"/{made['id']}/forget-claims", **options)


def assert_gone(under_test: VerifierUnderTest, made: dict[str, Any]) -> None:
    """No claim is left, nor what opens one: in the row, in the API, beside the record."""
    stored = row(under_test, made)
    assert (stored.sealed_claims, stored.record_secrets, stored.sealed_key, stored.changes_at) == (None,) * 4
    assert NAME not in str(dict(stored._mapping))
    shown = under_test.api("GET", f"/{made['id']}")
    assert (shown.json()["state"], shown.json()["credentials"]) == ("verified", None)
    assert NAME not in shown.text
    assert NAME not in under_test.api("GET").text
    for query in ("", "?disclose=true"):
        record = record_of(under_test, made, query)
        # Nothing after the seal: no Disclosure lies beside it.
        assert record.count("~") == 1
        found = audit(under_test, record)
        assert found.refused_at is None, found.findings
        assert found.claims in ({}, {"licence": []}, {"licence": [{}]})


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not-sealed-yet"])
def test_claims_are_gone_and_the_record_stands(verifier: VerifierUnderTest, sealed) -> None:
    made = verified(verifier)
    if sealed:
        create_worker(verifier.verifier).run_due()
        before = record_of(verifier, made).split("~")[0]
    assert verifier.result(made["id"])["credentials"]
    verifier.clock.advance(60)
    answer = forget(verifier, made)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["state"], told["credentials"], len(told["checks"])) == ("verified", None, 10)
    # It says since when there are none, and until when the record stays.
    assert told["claims_until"] == verifier.clock.now().isoformat()
    assert told["record_until"] > told["claims_until"]
    assert told == verifier.result(made["id"])
    create_worker(verifier.verifier).run_due()
    assert_gone(verifier, made)
    if sealed:
        assert record_of(verifier, made).split("~")[0] == before


def test_a_repeat_changes_nothing(verifier: VerifierUnderTest) -> None:
    made, key = verified(verifier), {"Idempotency-Key": "the account was not opened"}
    first = forget(verifier, made, headers=key)
    version = row(verifier, made).version
    verifier.clock.advance(3600)
    for options in ({"headers": key}, {}):
        again = forget(verifier, made, **options)
        assert (again.status_code, again.json()) == (200, first.json())
    assert row(verifier, made).version == version
    # What time does later finds nothing to do.
    upkeep(verifier)
    assert row(verifier, made).version == version


def test_at_once_it_happens_once(verifier: VerifierUnderTest) -> None:
    made = verified(verifier)
    version, party = row(verifier, made).version, verifier.verifier.party(row(verifier, made).party_id)

    def once() -> None:
        storage = verifier.verifier.storage(verifier.verifier.database.unit())
        forget_claims(storage, party, made["id"], now=verifier.clock.now())

    # Nobody is refused: it is done, whoever did it.
    at_once(4, once)
    assert row(verifier, made).version == version + 1
    assert_gone(verifier, made)


def test_who_read_it_before_another_deleted_is_not_refused(verifier: VerifierUnderTest, monkeypatch) -> None:
    """As on PostgreSQL, where nobody waits before they read."""
    made = verified(verifier)
    storage = verifier.verifier.storage(verifier.verifier.database.unit())
    party, read = verifier.verifier.party(row(verifier, made).party_id), storage.presentations.by_id
    with storage.unit:
        before = [read(party.id, made["id"])]
    assert forget(verifier, made).status_code == 200
    version = row(verifier, made).version
    monkeypatch.setattr(storage.presentations, "by_id", lambda *names: before.pop() if before else read(*names))
    forget_claims(storage, party, made["id"], now=verifier.clock.now())
    assert row(verifier, made).version == version
    assert_gone(verifier, made)


def refusal(answer: Any) -> tuple[int, str, str]:
    assert answer.json()["trace_id"]
    return answer.status_code, answer.json()["error"], answer.json()["fault"]


def test_what_has_not_ended_has_nothing_to_delete(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(policy=POLICY, flow="same_device", redirect_uri=BACK)
    assert refusal(forget(sqlite_verifier, made)) == (409, "invalid_request", "you")
    # Answered, and not redeemed: it can still be opened.
    made = verified(sqlite_verifier, flow="same_device", redirect_uri=BACK)
    assert refusal(forget(sqlite_verifier, made)) == (409, "invalid_request", "you")
    assert sqlite_verifier.result(made["id"])["state"] == "answered"
    # Nobody came for it in time: it has ended, and holds nothing.
    sqlite_verifier.clock.advance(301)
    expired = forget(sqlite_verifier, made)
    assert (expired.status_code, expired.json()["state"], expired.json()["credentials"]) == (200, "expired", None)
    assert row(sqlite_verifier, made).sealed_claims is None


def test_a_redeemed_answer_is_forgotten_and_not_redeemed_again(sqlite_verifier: VerifierUnderTest) -> None:
    sqlite_verifier.held = sqlite_verifier.world.held(
        claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT]
    )
    made = sqlite_verifier.ask(policy=POLICY, flow="same_device", redirect_uri=BACK)
    code = {"response_code": response_code(sqlite_verifier.present(made["authorization_request"]).redirect_uri)}
    key = {"Idempotency-Key": "redeemed"}
    assert sqlite_verifier.api("POST", f"/{made['id']}/redeem", json=code, headers=key).json()["credentials"]
    assert forget(sqlite_verifier, made).status_code == 200
    # The repeat of the call that opened them opens nothing any more.
    assert sqlite_verifier.api("POST", f"/{made['id']}/redeem", json=code, headers=key).json()["credentials"] is None
    assert_gone(sqlite_verifier, made)


def test_only_whose_it_is_and_only_with_a_key_that_may(sqlite_verifier: VerifierUnderTest) -> None:
    made = verified(sqlite_verifier)
    assert refusal(forget(sqlite_verifier, made, party="dodam-bank")) == (404, "not_found", "you")
    assert refusal(forget(sqlite_verifier, {"id": "unheard-of"})) == (404, "not_found", "you")
    anonymous = {"Authorization": "Bearer jgk_" + "A" * 43}
    assert refusal(forget(sqlite_verifier, made, headers=anonymous))[0] == 401
    assert sqlite_verifier.result(made["id"])["credentials"]


# --- at the desk ------------------------------------------------------------------------------------------------------
@pytest.fixture
def staff(sqlite_verifier: VerifierUnderTest) -> Iterator[Staff]:
    """A browser of the party's staff, signed in."""
    with signed_in(sqlite_verifier) as found:
        yield found


@pytest.mark.parametrize("alone", [True, False], ids=["asked", "check"])
def test_staff_delete_after_reading_what_goes_and_what_stays(staff: Staff, alone) -> None:
    if alone:
        made = verified(staff.under_test)
        page = f"/console/asked/{made['id']}"
    else:
        page, across, _ = staff.start()
        staff.under_test.held = staff.under_test.world.held(
            claims={"adult_by_year": True}, selectively_disclosable=[("adult_by_year",)]
        )
        staff.under_test.present(across)
        listed = staff.under_test.api("GET").json()["presentations"]
        made = next(each for each in listed if each["state"] == "verified")
    confirm = f"/console/asked/{made['id']}/forget-claims"
    shown = staff.get(page)
    assert confirm in shown
    assert "지금 지우기" in shown
    question = staff.get(confirm)
    assert_whole(question)
    assert "남는 것" in question
    english = staff.get(f"{confirm}?lang=en")
    assert "Delete now" in english
    assert "sealed verification record stays until" in english
    # Asking deletes nothing.
    assert row(staff.under_test, made).sealed_claims
    answer = staff.post(confirm, confirm)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    later = staff.get(f"{page}?lang=ko")
    assert NAME not in later
    assert "받은 내용은 지웠어요" in later
    assert confirm not in later
    assert row(staff.under_test, made).sealed_claims is None
    # Opened again, the question leads to what is left.
    assert staff.client.get(HOST + confirm, headers=PAGE, follow_redirects=False).headers["location"] == page


def test_the_desk_deletes_nothing_of_others_and_nothing_without_its_token(staff: Staff) -> None:
    under_test = staff.under_test
    made = verified(under_test)
    confirm = f"/console/asked/{made['id']}/forget-claims"
    for headers in ({"Origin": HOST}, {"Origin": "https://elsewhere.example"}):
        assert staff.client.post(HOST + confirm, headers={**PAGE, **headers}).status_code == 403
    others = under_test.ask(party="dodam-bank", policy=POLICY)
    under_test.present(others["authorization_request"])
    theirs = f"/console/asked/{others['id']}/forget-claims"
    staff.get(theirs, 404)
    assert staff.post(theirs, confirm).status_code == 404
    assert row(under_test, made).sealed_claims
    assert row(under_test, others).sealed_claims
