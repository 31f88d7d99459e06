"""Replacing what was issued: refills, a change of data, a lost device, and many people at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from issuer.app import create_worker
from issuer.issuance.use_cases import bulk_reissuance, credential, reissuance
from tests.e2e.test_status import fetch
from tests.support.issuing import NOW, IssuerUnderTest, add_document_signer
from tests.support.mdoc_presentations import new_iaca
from tests.support.reissuing import TYPE, claim, put_on_record, receive, statuses
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.trust.status_list.reference import parse_status


@pytest.fixture
def people(issuer: IssuerUnderTest) -> IssuerUnderTest:
    """Two people on record."""
    put_on_record(issuer, "p-1", "p-2")
    return issuer


def reissue(issuer: IssuerUnderTest, subject: str = "p-1", **members: Any) -> Any:
    body = {"credential_type": TYPE, "reason": "new address", **members}
    return issuer.api("POST", f"/subjects/{subject}/reissue", json=body)


def published(issuer: IssuerUnderTest, text: str) -> int:
    """What the status list says of a copy."""
    reference = parse_status(parse_sd_jwt(text).issuer_jws.claims()["status"])
    return fetch(issuer, reference.uri).status(reference)


@pytest.mark.clause("vci-M9-earlier-copies-stay")
def test_a_wallet_asks_again_and_gets_todays_data_and_keeps_what_it_has(people: IssuerUnderTest) -> None:
    wallet = receive(people, "p-1")
    put_on_record(people, "p-1", name="한새봄")
    more = wallet.ask(3)
    assert claim(wallet.copies[0], "name") == "한지우"
    assert {claim(text, "name") for text in more} == {"한새봄"}
    assert statuses(people, "p-1") == ["valid"] * 5
    assert not set(more) & set(wallet.copies)


@pytest.mark.clause("vci-M9-earlier-copies-stay")
def test_after_a_change_the_new_copies_end_the_old_ones_of_that_wallet(people: IssuerUnderTest) -> None:
    wallet, other_wallet, other_person = (receive(people, each) for each in ("p-1", "p-1", "p-2"))
    put_on_record(people, "p-1", name="한새봄")
    marked = reissue(people).json()
    assert marked == {"copies": 4, "replace_by": (people.clock.now() + timedelta(days=14)).isoformat()}
    # Until new ones are fetched, the old ones are as good as before.
    assert statuses(people, "p-1") == ["valid"] * 4
    new = wallet.ask(2)
    assert claim(new[0], "name") == "한새봄"
    assert [published(people, text) for text in wallet.copies] == [1, 1]
    assert [published(people, text) for text in (*new, *other_wallet.copies, *other_person.copies)] == [0] * 6
    # The next request ends nothing more, and the other wallet's turn comes when it asks.
    wallet.ask(1)
    assert [published(people, text) for text in new] == [0, 0]
    other_wallet.ask(1)
    assert [published(people, text) for text in other_wallet.copies] == [1, 1]


def test_the_history_of_a_replaced_copy_says_why(people: IssuerUnderTest) -> None:
    wallet = receive(people, "p-1", copies=1)
    reissue(people)
    wallet.ask(1)
    (first, _) = people.api("GET", "/credentials", params={"subject_id": "p-1"}).json()["credentials"]
    found = people.api("GET", f"/credentials/{first['credential_id']}").json()
    (change,) = found["history"]
    assert (change["after"], change["changed_by"]) == ("invalid", "re-issuance")
    assert change["reason"] == "the wallet fetched new copies: new address"


def test_what_no_wallet_replaced_is_revoked_at_the_deadline(people: IssuerUnderTest) -> None:
    wallet = receive(people, "p-1")
    reissue(people, grace_seconds=3600)
    create_worker(people.issuer).run_due()
    assert statuses(people, "p-1") == ["valid"] * 2
    people.clock.advance(3601)
    unit = people.issuer.database.unit()
    assert reissuance.revoke_overdue(people.issuer.issuance, people.issuer.storage(unit)) == 2
    assert statuses(people, "p-1") == ["invalid"] * 2
    assert [published(people, text) for text in wallet.copies] == [1, 1]
    unit = people.issuer.database.unit()
    assert reissuance.revoke_overdue(people.issuer.issuance, people.issuer.storage(unit)) == 0


def test_without_grace_they_end_at_once(people: IssuerUnderTest) -> None:
    receive(people, "p-1")
    assert reissue(people, grace_seconds=0).json()["copies"] == 2
    assert statuses(people, "p-1") == ["invalid"] * 2


def test_marking_again_moves_the_end_only_nearer(people: IssuerUnderTest) -> None:
    receive(people, "p-1")
    reissue(people, grace_seconds=3600)
    reissue(people, grace_seconds=7200)
    people.clock.advance(3601)
    unit = people.issuer.database.unit()
    assert reissuance.revoke_overdue(people.issuer.issuance, people.issuer.storage(unit)) == 2


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"credential_type": "passport"}, 404, "does not issue"),
        ({"credential_type": "x" * 200}, 400, ""),
        ({"reason": ""}, 400, ""),
        ({"reason": "x" * 501}, 400, ""),
        ({"grace_seconds": -1}, 400, ""),
        ({"grace_seconds": 10**9}, 400, ""),
        ({"more": 1}, 400, ""),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(people: IssuerUnderTest, change: Any, status: int, words: str) -> None:
    receive(people, "p-1")
    answer = reissue(people, **change)
    assert answer.status_code == status
    assert words in answer.text
    assert statuses(people, "p-1") == ["valid"] * 2


def test_a_person_without_copies_has_nothing_to_replace(people: IssuerUnderTest) -> None:
    assert reissue(people).status_code == 404
    assert reissue(people, subject="a b").status_code in {400, 404}
    assert people.api("POST", "/subjects/p-1/lost-device", json={"reason": "lost"}).status_code == 404


def test_a_request_that_read_the_old_data_begins_again(people: IssuerUnderTest, monkeypatch: Any) -> None:
    """The agency's change comes between the reading of the record and the commit of the copies."""
    wallet = receive(people, "p-1", copies=1)
    ports, moments = people.issuer.issuance, []

    def random(size: int) -> bytes:
        if not moments:
            moments.append(1)
            put_on_record(people, "p-1", name="한새봄")
            assert reissue(people).status_code == 200
        return ports.random(size)

    real = credential.sign_copies

    def sign(*arguments: Any) -> Any:
        random(1)
        return real(*arguments)

    monkeypatch.setattr(credential, "sign_copies", sign)
    (new,) = wallet.ask(1)
    assert claim(new, "name") == "한새봄"
    assert statuses(people, "p-1") == ["invalid", "valid"]


@pytest.mark.clause("vci-M9-lost-device")
def test_a_lost_device_loses_everything_and_asks_for_nothing_more(people: IssuerUnderTest) -> None:
    add_document_signer(people.issuer.keys, new_iaca(now=NOW), "police")
    wallets = [receive(people, "p-1"), receive(people, "p-1", configuration="drivers-licence-mdoc")]
    waiting, other = people.offer(subject_id="p-1"), receive(people, "p-2")
    answer = people.api("POST", "/subjects/p-1/lost-device", json={"reason": "phone lost"})
    assert answer.json() == {"revoked": 4, "grants_ended": 3}
    assert statuses(people, "p-1") == ["invalid"] * 4
    assert [wallet.request().status_code for wallet in (*wallets, other)] == [401, 401, 200]
    assert people.api("GET", f"/offers/{waiting['id']}").json()["state"] == "refused"
    assert statuses(people, "p-2") == ["valid"] * 3
    # The person's next device gets a card as before.
    assert receive(people, "p-1").ask(1)


@pytest.mark.clause("vci-M9-lost-device")
def test_of_two_devices_one_may_be_lost(people: IssuerUnderTest) -> None:
    lost, kept = receive(people, "p-1"), receive(people, "p-1")
    first = people.api("GET", "/credentials", params={"subject_id": "p-1"}).json()["credentials"][0]
    body = {"reason": "phone lost", "credential_id": first["credential_id"]}
    assert people.api("POST", "/subjects/p-2/lost-device", json=body).status_code == 404
    assert people.api("POST", "/subjects/p-1/lost-device", json=body).json() == {"revoked": 2, "grants_ended": 1}
    assert [published(people, text) for text in (*lost.copies, *kept.copies)] == [1, 1, 0, 0]
    assert (lost.request().status_code, kept.request().status_code) == (401, 200)


# --- many people ------------------------------------------------------------------------------------------------------


def order(issuer: IssuerUnderTest, *, dry_run: bool = False, **members: Any) -> Any:
    body = {"credential_type": TYPE, "reason": "new form", **members}
    return issuer.api("POST", "/reissuances", params={"dry_run": dry_run}, json=body)


def work(issuer: IssuerUnderTest) -> None:
    create_worker(issuer.issuer).run_due()


def test_a_dry_run_counts_and_changes_nothing(people: IssuerUnderTest) -> None:
    receive(people, "p-1")
    receive(people, "p-2")
    counted = order(people, dry_run=True)
    assert counted.status_code == 200
    assert (counted.json()["subjects"], counted.json()["copies"]) == (2, 4)
    assert people.api("GET", "/reissuances").json() == {"reissuances": []}


def test_everybodys_copies_are_marked_person_by_person(people: IssuerUnderTest, monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk_reissuance, "CHUNK", 1)
    wallets = [receive(people, each) for each in ("p-1", "p-2")]
    made = order(people, grace_seconds=3600)
    assert made.status_code == 201
    assert made.json()["state"] == "running"
    work(people)
    found = people.api("GET", f"/reissuances/{made.json()['id']}").json()
    assert found["state"] == "done"
    assert (found["subjects"], found["subjects_done"], found["copies"], found["copies_done"]) == (2, 2, 4, 4)
    wallets[0].ask(1)
    assert (statuses(people, "p-1"), statuses(people, "p-2")) == (["invalid"] * 2 + ["valid"], ["valid"] * 2)
    people.clock.advance(3601)
    unit = people.issuer.database.unit()
    assert reissuance.revoke_overdue(people.issuer.issuance, people.issuer.storage(unit)) == 2


def test_an_order_is_paused_resumed_and_cancelled(people: IssuerUnderTest, monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk_reissuance, "CHUNK", 1)
    receive(people, "p-1")
    receive(people, "p-2")
    made = order(people).json()
    move = lambda name: people.api("POST", f"/reissuances/{made['id']}/{name}")  # noqa: E731
    assert move("pause").json()["state"] == "paused"
    work(people)
    assert people.api("GET", f"/reissuances/{made['id']}").json()["subjects_done"] == 0
    assert move("resume").json()["state"] == "running"
    assert move("resume").json()["state"] == "running"
    assert move("cancel").json()["state"] == "cancelled"
    work(people)
    assert people.api("GET", f"/reissuances/{made['id']}").json()["subjects_done"] == 0
    assert [move(name).status_code for name in ("pause", "resume", "cancel")] == [409, 409, 200]
    assert move("stop").status_code in {400, 404}
    again = order(people).json()
    move_again = people.api("POST", f"/reissuances/{again['id']}/pause")
    assert move_again.json()["state"] == "paused"
    people.api("POST", f"/reissuances/{again['id']}/resume")
    work(people)
    assert people.api("GET", f"/reissuances/{again['id']}").json()["state"] == "done"


def test_a_worker_that_dies_in_a_chunk_leaves_it_to_the_next(people: IssuerUnderTest, monkeypatch: Any) -> None:
    receive(people, "p-1")
    made = order(people).json()

    def die(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bulk_reissuance, "replace_for", die)
        with pytest.raises(KeyboardInterrupt):
            work(people)
    assert people.api("GET", f"/reissuances/{made['id']}").json()["subjects_done"] == 0
    with people.issuer.database.unit() as unit:
        unit.connection.exec_driver_sql("UPDATE issuer_job SET due = 0")
    work(people)
    assert people.api("GET", f"/reissuances/{made['id']}").json()["subjects_done"] == 1


def test_an_order_for_nobody_is_refused_and_one_of_another_agency_is_unknown(people: IssuerUnderTest) -> None:
    assert order(people).status_code == 400
    receive(people, "p-1")
    made = order(people).json()
    assert people.api("GET", f"/reissuances/{made['id']}", agency="city-tax").status_code == 404
    assert people.api("POST", f"/reissuances/{made['id']}/cancel", agency="city-tax").status_code == 404
    assert people.api("GET", "/reissuances/%00").status_code == 404


def test_while_wallets_fetch_an_agency_marks_and_nothing_is_lost(people: IssuerUnderTest) -> None:
    """Requests, orders and the sweep at once: each old copy ends, the last new ones are good."""
    wallet = receive(people, "p-1", copies=1)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(wallet.request, 1) for _ in range(4)]
        marked = [pool.submit(reissue, people) for _ in range(2)]
        results = [each.result().status_code for each in (*asked, *marked)]
    assert results.count(200) == 6
    reissue(people)
    wallet.ask(1)
    found = statuses(people, "p-1")
    assert found[-1] == "valid"
    assert found.count("valid") == 1
