"""What a wallet says became of its credentials reaches the agency: in the API, once, and counted."""

from typing import Any

import pytest

from tests.simulators import run_flow
from tests.support.issuing import HOST, IssuerUnderTest
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.messages import NotificationEvent, create_notification_request
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.protocols.openid4vci.wallet import notify

CI = f"{HOST}/agencies/police"
KEYS = [SoftwareSigner.generate() for _ in range(2)]


def issued(issuer: IssuerUnderTest) -> tuple[str, IssuedCredentials]:
    made = issuer.offer()
    found = issuer.receive(issuer.proofs(made["uri"], KEYS), KEYS)
    assert isinstance(found, IssuedCredentials)
    return made["id"], found


def say(issuer: IssuerUnderTest, found: IssuedCredentials, event: NotificationEvent, description: str = "") -> Any:
    request = create_notification_request(
        f"{CI}/notification",
        found.token.access_token,
        notification_id=found.batches[0].notification_id or "",
        event=event,
        description=description,
    )
    return issuer.send(request)


def failed(issuer: IssuerUnderTest) -> int:
    storage = issuer.issuer.issuance.reading()
    with storage.unit:
        return storage.credentials.count_failed(issuer.issuer.agency("police").id)


@pytest.mark.clause("vci-11.1-idempotent")
@pytest.mark.parametrize("event", NotificationEvent)
def test_every_event_reaches_the_agency_and_counts_once(issuer: IssuerUnderTest, event: NotificationEvent) -> None:
    offer_id, found = issued(issuer)
    issuer.clock.advance(1)
    _, untold = issued(issuer)
    for _ in range(3):
        assert say(issuer, found, event, "could not store it").status == 204
    status = issuer.api("GET", f"/offers/{offer_id}").json()["issued"][0]
    assert (status["event"], status["event_description"]) == (event, "could not store it")
    listed = issuer.api("GET", "/credentials").json()["credentials"]
    assert [each["event"] for each in listed] == [event, event, None, None]
    assert failed(issuer) == (event is NotificationEvent.CREDENTIAL_FAILURE)
    assert untold.batches[0].notification_id != found.batches[0].notification_id


def test_the_last_word_counts(sqlite_issuer: IssuerUnderTest) -> None:
    offer_id, found = issued(sqlite_issuer)
    run_flow(notify(found, NotificationEvent.CREDENTIAL_FAILURE), sqlite_issuer.send)
    run_flow(notify(found, NotificationEvent.CREDENTIAL_ACCEPTED), sqlite_issuer.send)
    assert sqlite_issuer.api("GET", f"/offers/{offer_id}").json()["issued"][0]["event"] == "credential_accepted"
    assert failed(sqlite_issuer) == 0


def test_what_is_refused_changes_nothing(sqlite_issuer: IssuerUnderTest) -> None:
    offer_id, found = issued(sqlite_issuer)
    _, other = issued(sqlite_issuer)
    headers = {"Authorization": f"Bearer {found.token.access_token}"}
    known = found.batches[0].notification_id
    strange = other.batches[0].notification_id
    for body, code in (
        ({"notification_id": known, "event": "credential_failure", "event_description": "실패"}, "request"),
        ({"notification_id": known, "event": "credential_failure", "event_description": 'a "mark"'}, "request"),
        ({"notification_id": known, "event": "failure"}, "request"),
        ({"event": "credential_failure"}, "request"),
        ({"notification_id": strange, "event": "credential_failure"}, "id"),
        ({"notification_id": "unknown", "event": "credential_failure"}, "id"),
    ):
        answer = sqlite_issuer.client.post(f"{CI}/notification", json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, f"invalid_notification_{code}")
        assert set(answer.json()) == {"error", "error_description"}
    assert sqlite_issuer.client.post(f"{CI}/notification", json={}).status_code == 401
    assert sqlite_issuer.api("GET", f"/offers/{offer_id}").json()["issued"][0]["event"] is None
    assert failed(sqlite_issuer) == 0
