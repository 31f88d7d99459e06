"""Webhooks: what a relying party's server hears, how often, and what happens where it does not."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.e2e.test_verifier_console import PAGE, opened
from tests.support.openapi_client import GeneratedClient
from tests.support.presentations import CLAIMS, query
from tests.support.verifying import BACK, HOST, PARTY, VerifierUnderTest, response_code
from verifier import cli
from verifier.app import create_app, create_webhook_worker
from verifier.client import verify_webhook
from verifier.presentations.use_cases.requests import start_check
from verifier.presentations.use_cases.results import move_on_in_time
from verifier.tables import APP_TABLES, table_of
from verifier.webhooks.repository import QUEUE
from verifier.webhooks.tables import WebhookDeliveryRow, WebhookRow
from verifier.webhooks.use_cases import OVERLAP, send_again, set_webhook
from wallet_core.adapters.jobs.queue import claim
from wallet_core.errors import FetchError, NotFound
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.protocols.webhooks import RETRIES

HOOK = "https://shop.example/hook"
OWN = "https://shop.example/this-one"
DELIVERY = table_of(WebhookDeliveryRow)


@dataclass
class Receiver:
    """A relying party's server: what it heard, and what it answers next."""

    under_test: VerifierUnderTest
    secret: str
    answers: list[Any] = field(default_factory=list)
    heard: list[HttpRequest] = field(default_factory=list)

    def send(self, request: HttpRequest) -> HttpResponse:
        self.heard.append(request)
        answer = self.answers.pop(0) if self.answers else HttpResponse(204)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def work(self) -> None:
        """Let a worker do what is due, whenever it is due."""
        with self.under_test.verifier.database.unit() as unit:
            unit.connection.execute(update(APP_TABLES.job).where(APP_TABLES.job.c.queue == QUEUE).values(due=0.0))
        create_webhook_worker(self.under_test.verifier).run_due()

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and presentation of everything heard, once for each id."""
        bodies = {each.headers["webhook-id"]: json.loads(each.body) for each in self.heard}
        return [(body["type"], body["data"]["id"]) for body in bodies.values()]

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.heard]

    def accepts(self, request: HttpRequest, secret: str = "") -> bool:
        """What a receiver checks, written down from the specification alone."""
        key = base64.b64decode((secret or self.secret).removeprefix("whsec_"))
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        mine = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{mine}" in request.headers["webhook-signature"].split(" ")


def connect(under_test: VerifierUnderTest, url: str | None = HOOK) -> Receiver:
    verifier = under_test.verifier
    storage = verifier.webhook_storage(verifier.database.unit())
    endpoint, _ = set_webhook(
        storage, PARTY, url=url, rotate=False, random=verifier.webhooks.random, now=under_test.clock.now()
    )
    receiver = Receiver(under_test, endpoint.secret)
    under_test.verifier = replace(verifier, webhooks=replace(verifier.webhooks, send=receiver.send))
    under_test.app = create_app(under_test.verifier)
    under_test.client = TestClient(under_test.app, base_url=HOST, follow_redirects=False)
    return receiver


@pytest.fixture
def receiver(sqlite_verifier: VerifierUnderTest) -> Receiver:
    return connect(sqlite_verifier)


def deliveries(verifier: VerifierUnderTest) -> list[Any]:
    with verifier.verifier.database.reader() as unit:
        return list(unit.connection.execute(select(DELIVERY).order_by(DELIVERY.c.id)))


def waiting_jobs(verifier: VerifierUnderTest) -> int:
    job = APP_TABLES.job
    with verifier.verifier.database.reader() as unit:
        count = select(func.count()).select_from(job).where(job.c.name == "webhooks.deliver")
        return unit.connection.execute(count).scalar_one()


def failed(verifier: VerifierUnderTest, party: str = PARTY) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {verifier.api_keys[party]}"}
    answer = verifier.client.get(f"{HOST}/api/v1/webhooks/failed", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["webhooks"]
    return found


def test_a_verified_presentation_is_told_of_signed_and_without_a_claim(verifier: VerifierUnderTest) -> None:
    receiver = connect(verifier)
    made = verifier.ask()
    verifier.resolve(made["authorization_request"])
    receiver.work()
    assert receiver.heard == []
    verifier.present(made["authorization_request"])
    receiver.work()
    (heard,) = receiver.heard
    assert heard.url == HOOK
    assert receiver.accepts(heard)
    # The one-file client that we hand out takes it too.
    at = heard.headers["webhook-timestamp"]
    assert verify_webhook(receiver.secret, heard.headers, heard.body, now=float(at))["data"]["id"] == made["id"]
    body = json.loads(heard.body)
    assert body["type"] == "presentation.verified"
    assert body["timestamp"].endswith("Z")
    assert body["data"] == {"id": made["id"], "state": "verified", "policy": None}
    assert CLAIMS["name"] not in heard.body.decode()
    assert (deliveries(verifier), waiting_jobs(verifier)) == ([], 0)


@pytest.mark.clause("webhook-1-heard")
def test_what_was_heard_is_not_said_again(receiver: Receiver) -> None:
    verifier = receiver.under_test
    verifier.present(verifier.ask()["authorization_request"])
    for _ in range(3):
        receiver.work()
    assert len(receiver.heard) == 1


def test_every_end_and_the_answer_are_told_once(receiver: Receiver) -> None:
    verifier = receiver.under_test
    refused, same = verifier.ask(), verifier.ask(flow="same_device", redirect_uri=BACK)
    pending = verifier.prepare(verifier.resolve(refused["authorization_request"]))
    forged = {"licence": [verifier.vp_token(pending)["licence"][0][:-3] + "AAA"]}
    assert verifier.post(pending.resolved, forged).status_code == 400
    code = response_code(verifier.present(same["authorization_request"]).redirect_uri)
    receiver.work()
    # Before the code is redeemed nobody reads a claim: the answer is told, no more.
    # Several are sent at the same time, so their order says nothing.
    first = {("presentation.refused", refused["id"]), ("presentation.answered", same["id"])}
    assert sorted(receiver.events) == sorted(first)
    assert all(CLAIMS["name"] not in each.body.decode() for each in receiver.heard)
    verifier.api("POST", f"/{same['id']}/redeem", json={"response_code": "wrong"})
    verifier.api("POST", f"/{same['id']}/redeem", json={"response_code": code})
    nobody = verifier.ask()
    verifier.clock.advance(301)
    with verifier.verifier.database.unit() as unit:
        move_on_in_time(verifier.verifier.storage(unit), now=verifier.clock.now())
    receiver.work()
    second = {("presentation.verified", same["id"]), ("presentation.expired", nobody["id"])}
    assert sorted(receiver.events) == sorted(first | second)


def test_a_request_may_name_its_own_address_and_pages_of_ours_tell_nobody(receiver: Receiver) -> None:
    verifier = receiver.under_test
    verifier.present(verifier.ask(webhook=OWN)["authorization_request"])
    party = verifier.verifier.party(PARTY)
    started = start_check(
        verifier.verifier.presentations, party, "adult-check", session_digest=b"s" * 32, return_uri=f"{HOST}/back"
    )
    verifier.held = verifier.world.held(claims={"adult_by_year": True}, selectively_disclosable=[("adult_by_year",)])
    verifier.present(started.qr.authorization_request)
    receiver.work()
    assert [each.url for each in receiver.heard] == [OWN]


@pytest.mark.clause("webhook-1-signed")
def test_without_a_secret_nothing_is_sent(sqlite_verifier: VerifierUnderTest) -> None:
    body = {"dcql_query": query(("name",)), "webhook": OWN}
    assert sqlite_verifier.api("POST", json=body).status_code == 400
    sqlite_verifier.present(sqlite_verifier.ask()["authorization_request"])
    assert deliveries(sqlite_verifier) == []
    receiver = connect(sqlite_verifier, url=None)
    # A secret alone names no default.
    sqlite_verifier.present(sqlite_verifier.ask()["authorization_request"])
    sqlite_verifier.present(sqlite_verifier.ask(webhook=OWN)["authorization_request"])
    receiver.work()
    assert [each.url for each in receiver.heard] == [OWN]


@pytest.mark.clause("webhook-1-https")
@pytest.mark.parametrize("url", ["http://shop.example/hook", "ftp://shop.example", "https://u:p@shop.example", "x"])
def test_an_address_that_is_not_https_is_refused(receiver: Receiver, url) -> None:
    body = {"dcql_query": query(("name",)), "webhook": url}
    assert receiver.under_test.api("POST", json=body).status_code == 400
    too_long = {**body, "webhook": f"https://shop.example/{'x' * 2000}"}
    assert receiver.under_test.api("POST", json=too_long).status_code == 400


FAILURES = [
    HttpResponse(500),
    HttpResponse(302, {"location": "https://elsewhere.example"}),
    FetchError("no answer in time"),
]


def test_a_try_that_fails_in_a_way_nobody_foresaw_is_put_off_and_listed(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [UnicodeError("label too long")]
    made = verifier.ask()
    verifier.present(made["authorization_request"])
    with capture_logs() as lines:
        receiver.work()
    (told,) = failed(verifier)
    assert (told["tries"], told["problem"]) == (1, "it could not be sent (UnicodeError)")
    # Whoever has to mend it finds where it happened.
    (line,) = [line for line in lines if line["event"] == "a webhook could not be sent"]
    assert isinstance(line["exc_info"], UnicodeError)
    assert waiting_jobs(verifier) == 1
    receiver.work()
    assert deliveries(verifier) == []


def test_a_secret_that_cannot_be_opened_puts_a_try_off(receiver: Receiver) -> None:
    verifier, webhook = receiver.under_test, table_of(WebhookRow)
    made = verifier.ask()
    verifier.present(made["authorization_request"])
    with verifier.verifier.database.unit() as unit:
        kept = unit.connection.execute(select(webhook.c.sealed_secret)).scalar_one()
        unit.connection.execute(update(webhook).values(sealed_secret=b"\x00\x00\x00\x09 under a key that is away"))
    receiver.work()
    (told,) = failed(verifier)
    assert (told["tries"], told["problem"]) == (1, "a sealed value cannot be opened")
    with verifier.verifier.database.unit() as unit:
        unit.connection.execute(update(webhook).values(sealed_secret=kept))
    receiver.work()
    assert (len(receiver.heard), deliveries(verifier)) == (1, [])


@pytest.mark.clause("webhook-1-heard")
def test_failures_are_tried_again_under_one_id_later_and_later(verifier: VerifierUnderTest) -> None:
    receiver = connect(verifier)
    receiver.answers = list(FAILURES)
    verifier.present(verifier.ask()["authorization_request"])
    begun = verifier.clock.now()
    for number, problem in enumerate(["answered 500", "answered 302", "no answer in time"]):
        receiver.work()
        (stored,) = deliveries(verifier)
        assert (stored.tries, stored.problem, stored.dead_at) == (number + 1, problem, None)
        assert begun + RETRIES[number] <= stored.next_at <= begun + RETRIES[number] * 1.1
        assert waiting_jobs(verifier) == 1
        (told,) = failed(verifier)
        assert (told["state"], told["problem"]) == ("waiting", problem)
    verifier.clock.advance(60)
    receiver.work()
    # No redirect was followed, and the time of each try is its own.
    assert [each.url for each in receiver.heard] == [HOOK] * 4
    assert len(set(receiver.ids)) == 1
    assert receiver.heard[3].headers["webhook-timestamp"] != receiver.heard[0].headers["webhook-timestamp"]
    assert all(receiver.accepts(each) for each in receiver.heard)
    assert deliveries(verifier) == []
    assert failed(verifier) == []


def test_after_three_days_it_is_dead_and_can_be_sent_again(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(500)] * (len(RETRIES) + 2)
    verifier.present(verifier.ask()["authorization_request"])
    for _ in range(len(RETRIES) + 5):
        receiver.work()
    assert len(receiver.heard) == len(RETRIES) + 1
    document = verifier.client.get(f"{HOST}/openapi.json").json()
    client = GeneratedClient(document, verifier.api_keys[PARTY], verifier.client.request)
    (dead,) = client.list_failed_webhooks(cursor="").body["webhooks"]
    assert (dead["state"], dead["next_try_at"], dead["status"]) == ("dead", None, 500)
    assert waiting_jobs(verifier) == 0
    assert failed(verifier, "dodam-bank") == []
    assert client.send_webhook_again(webhook_id=dead["id"]).status == 202
    receiver.work()
    (waiting,) = failed(verifier)
    assert (waiting["state"], waiting["tries"]) == ("waiting", 1)
    receiver.work()
    assert len(set(receiver.ids)) == 1
    assert failed(verifier) == []
    assert client.send_webhook_again(webhook_id=dead["id"]).status == 404


def test_a_receiver_that_is_gone_is_left_alone(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(410)]
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    assert [(each["state"], each["tries"]) for each in failed(verifier)] == [("dead", 1)]


@pytest.mark.clause("webhook-1-own")
def test_nobody_sends_what_is_anothers(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(500)]
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    (stored,) = deliveries(verifier)
    with pytest.raises(NotFound):
        send_again(
            verifier.verifier.webhook_storage(verifier.verifier.database.unit()),
            "dodam-bank",
            stored.id,
            now=verifier.clock.now(),
        )
    assert deliveries(verifier)[0].turn == stored.turn


def test_sent_again_by_hand_while_a_try_is_due_it_is_sent_once(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(500)]
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    (stored,) = deliveries(verifier)
    storage = verifier.verifier.webhook_storage(verifier.verifier.database.unit())
    send_again(storage, PARTY, stored.id, now=verifier.clock.now())
    assert waiting_jobs(verifier) == 2
    receiver.work()
    assert len(receiver.heard) == 2
    assert (deliveries(verifier), waiting_jobs(verifier)) == ([], 0)


def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(verifier: VerifierUnderTest) -> None:
    receiver = connect(verifier)
    verifier.present(verifier.ask()["authorization_request"])
    # It claims and sends, and never comes to write that down.
    with verifier.verifier.database.unit() as unit:
        (job,) = claim(unit.connection, APP_TABLES, QUEUE, limit=1, lease=timedelta(seconds=10))
    from verifier.webhooks.tasks import tasks

    tasks(verifier.verifier)["webhooks.deliver"].prepare(job)
    assert len(receiver.heard) == 1
    create_webhook_worker(verifier.verifier).run_due()
    assert len(receiver.heard) == 1  # its lease still holds
    receiver.work()
    assert len(receiver.heard) == 2
    assert len(set(receiver.ids)) == 1
    assert deliveries(verifier) == []


def test_the_move_and_its_webhook_are_one_transaction(receiver: Receiver, monkeypatch) -> None:
    verifier = receiver.under_test
    made = verifier.ask()
    pending = verifier.prepare(verifier.resolve(made["authorization_request"]))
    with monkeypatch.context() as broken:

        def fail(*_args, **_options):
            raise KeyError("no room")

        broken.setattr("verifier.webhooks.repository.enqueue", fail)
        assert verifier.post(pending.resolved, verifier.vp_token(pending)).status_code == 500
    assert verifier.result(made["id"])["state"] == "retrieved"
    assert deliveries(verifier) == []


@pytest.mark.clause("webhook-1-rotation")
def test_while_a_secret_is_rotated_both_hold_and_then_the_new_one_alone(receiver: Receiver) -> None:
    verifier = receiver.under_test
    storage = verifier.verifier.webhook_storage(verifier.verifier.database.unit())
    random, now = verifier.verifier.webhooks.random, verifier.clock.now()
    endpoint, new = set_webhook(storage, PARTY, url=None, rotate=True, random=random, now=now)
    assert new
    assert endpoint.url == HOOK
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    assert receiver.accepts(receiver.heard[0])
    assert receiver.accepts(receiver.heard[0], endpoint.secret)
    verifier.clock.advance(OVERLAP.total_seconds())
    verifier.present(verifier.ask()["authorization_request"], verifier.world.held())
    receiver.work()
    assert not receiver.accepts(receiver.heard[1])
    assert receiver.accepts(receiver.heard[1], endpoint.secret)


def test_secrets_lie_sealed_in_the_database(receiver: Receiver) -> None:
    row = table_of(WebhookRow)
    with receiver.under_test.verifier.database.reader() as unit:
        stored = unit.connection.execute(select(row)).one()
    assert receiver.secret.encode() not in stored.sealed_secret


def test_an_address_inside_our_own_network_is_not_called(sqlite_verifier: VerifierUnderTest) -> None:
    honest = sqlite_verifier.verifier.webhooks.send
    receiver = connect(sqlite_verifier, url="https://127.0.0.1:1/hook")
    sqlite_verifier.verifier = replace(
        sqlite_verifier.verifier, webhooks=replace(sqlite_verifier.verifier.webhooks, send=honest)
    )
    sqlite_verifier.present(sqlite_verifier.ask()["authorization_request"])
    receiver.work()
    (stored,) = deliveries(sqlite_verifier)
    assert stored.problem == "the host of a URL has an address that is not allowed"
    assert stored.status is None


def test_one_that_fails_spoils_no_other_of_its_batch(receiver: Receiver) -> None:
    verifier = receiver.under_test
    made = [verifier.ask() for _ in range(3)]
    for one in made:
        verifier.present(one["authorization_request"])

    def send(request: HttpRequest) -> HttpResponse:
        receiver.heard.append(request)
        return HttpResponse(500 if json.loads(request.body)["data"]["id"] == made[1]["id"] else 200)

    verifier.verifier = replace(verifier.verifier, webhooks=replace(verifier.verifier.webhooks, send=send))
    receiver.work()
    assert [each.presentation_id for each in deliveries(verifier)] == [made[1]["id"]]


def test_what_is_dead_is_forgotten_after_its_days(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(410)]
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    from verifier.webhooks.tasks import FORGET, tasks

    forget = tasks(verifier.verifier)[FORGET].run
    for days, left in ((29, 1), (2, 0)):
        verifier.clock.advance(days * 86_400)
        with verifier.verifier.database.unit() as unit:
            forget(None, unit, None)
        assert len(deliveries(verifier)) == left


def test_what_is_dead_is_forgotten_in_parts(receiver: Receiver, monkeypatch) -> None:
    for module in ("use_cases", "tasks"):
        monkeypatch.setattr(f"verifier.webhooks.{module}.BATCH", 2)
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(410)] * 3
    for _ in range(3):
        verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    verifier.clock.advance(31 * 86_400)
    from verifier.webhooks.tasks import FORGET, tasks

    forget = tasks(verifier.verifier)[FORGET].run
    for left in (1, 0):
        with verifier.verifier.database.unit() as unit:
            unit.connection.execute(delete(APP_TABLES.job))
            forget(None, unit, None)
            queued = unit.connection.execute(select(APP_TABLES.job.c.name, APP_TABLES.job.c.queue)).all()
        assert len(deliveries(verifier)) == left
        # More is due: the next part follows at once.
        assert queued == ([(FORGET, QUEUE)] if left else [])


def test_a_party_whose_webhook_was_removed_is_told_nothing(receiver: Receiver, monkeypatch) -> None:
    verifier = receiver.under_test
    monkeypatch.setattr("verifier.webhooks.cli._verifier", lambda: verifier.verifier)
    verifier.present(verifier.ask()["authorization_request"])
    run = CliRunner().invoke
    assert run(cli.app, ["party", "webhook", PARTY, "--remove", "--json"]).exit_code == 0
    receiver.work()
    assert receiver.heard == []
    assert failed(verifier)[0]["problem"] == "the relying party has no secret any more"
    made = run(cli.app, ["party", "webhook", PARTY, "--url", OWN, "--json"])
    answer = json.loads(made.stdout)
    assert answer["url"] == OWN
    assert answer["secret"].startswith("whsec_")
    same = json.loads(run(cli.app, ["party", "webhook", PARTY, "--url", HOOK, "--json"]).stdout)
    assert same == {"id": PARTY, "url": HOOK, "secret": None}
    rotated = json.loads(run(cli.app, ["party", "webhook", PARTY, "--rotate", "--json"]).stdout)
    assert rotated["secret"] not in {None, answer["secret"]}
    assert isinstance(run(cli.app, ["party", "webhook", "nobody", "--json"]).exception, NotFound)


def test_staff_see_what_was_not_heard_and_send_it_again(receiver: Receiver) -> None:
    verifier = receiver.under_test
    receiver.answers = [HttpResponse(500)]
    verifier.present(verifier.ask()["authorization_request"])
    receiver.work()
    staff = opened(verifier, demo=True)
    staff.get("/console/webhooks", 303)
    staff.sign_in()
    (stored,) = deliveries(verifier)
    assert stored.id in staff.get("/console/webhooks")
    again = f"/console/webhooks/{stored.id}/send-again"
    # Without the token of the page nothing happens.
    assert staff.client.post(HOST + again, headers={**PAGE, "Origin": HOST}).status_code == 403
    page = staff.post(again, "/console/webhooks").headers["location"]
    assert "다시 보내고 있어요" in staff.get(page)
    receiver.work()
    assert "모두 전했어요" in staff.get("/console/webhooks")
    assert len(receiver.heard) == 2
    staff.client.close()
