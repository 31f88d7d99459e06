"""A verifier looks the status of what is presented up: fetched, kept, refused with its step, or said to be unknown."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from starlette.testclient import TestClient

from tests.simulators import run_flow
from tests.support.mdoc_presentations import MdocAgency
from tests.support.presentations import AGENCY, NOW, Agency, new_ca, query
from tests.support.verifying import HOST, VerifierUnderTest
from verifier.app import create_app
from verifier.presentations.tasks import FORGET_LISTS, tasks
from verifier.status.ports import StoredList
from verifier.status.tables import StatusListRow
from verifier.status.use_cases import StatusLists, delete_old_lists, look_until_known
from verifier.tables import APP_TABLES, table_of
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError, WalletError
from wallet_core.formats.sd_jwt.holder import HeldSdJwt
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.protocols.openid4vp.statuses import DEFAULT_RULE, StatusLook
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.status_list.array import new_array, with_statuses
from wallet_core.trust.status_list.cwt import create_status_list_cwt
from wallet_core.trust.status_list.judging import StatusFinding
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims
from wallet_core.trust.x509 import TrustedCertificate, verify_chain

URI = f"{AGENCY}/statuslists/1"
JWT, CWT = "application/statuslist+jwt", "application/statuslist+cwt"
SIZE = 64


@dataclass
class Provider:
    """Serves the agency's list as this test wants it: an HTTP client whose network is this object."""

    under_test: VerifierUnderTest
    statuses: dict[int, int] = field(default_factory=dict)
    signer: Agency | None = None
    down: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def arun(self, flow: Any) -> Any:
        return run_flow(flow, self.answer)

    def answer(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        if self.down:
            raise FetchError("the other server could not be reached")
        media_type = request.headers["Accept"]
        body = self.answers.get(request.url, self.token(request.url, media_type))
        return HttpResponse(200, {"content-type": media_type}, body)

    def token(self, uri: str, media_type: str = JWT) -> bytes:
        agency, now = self.signer or self.under_test.world.agency, self.under_test.clock.now()
        terms = {"uri": uri, "issued_at": now, "expires_at": now + timedelta(hours=20), "ttl": timedelta(seconds=60)}
        array = with_statuses(bytes(new_array(SIZE, 2)), 2, self.statuses)
        claims = status_list_claims(array, 2, **{**terms, **self.changes})
        if media_type == JWT:
            return create_status_list_jwt(claims, signer=agency.signer, x5c=agency.chain()).encode()
        return create_status_list_cwt(claims, signer=agency.signer, x5chain=agency.chain())


@pytest.fixture
def provider(verifier: VerifierUnderTest) -> Provider:
    """A provider, and the verifier that asks it. Once for each database engine."""
    return connect(verifier)


def connect(under_test: VerifierUnderTest) -> Provider:
    provider = Provider(under_test)
    verifier = replace(under_test.verifier, http=provider)
    under_test.verifier, under_test.app = verifier, create_app(verifier)
    under_test.client = TestClient(under_test.app, base_url=HOST, follow_redirects=False)
    return provider


@pytest.fixture
def sqlite_provider(sqlite_verifier: VerifierUnderTest) -> Provider:
    return connect(sqlite_verifier)


def card(provider: Provider, index: int = 3, uri: str = URI) -> HeldSdJwt:
    return provider.under_test.world.held(status=StatusReference(index, uri).to_json())


def check(provider: Provider, held: HeldSdJwt, **members: Any) -> dict[str, Any]:
    """Present a card and return what became of it; a refused answer is part of that."""
    made = provider.under_test.ask(**members)
    resolved = provider.under_test.resolve(made["authorization_request"])
    provider.under_test.post(resolved, provider.under_test.vp_token(provider.under_test.prepare(resolved, held)))
    return provider.under_test.result(made["id"])


def step(result: dict[str, Any], number: int = 7) -> dict[str, Any]:
    return result["checks"][number - 1]


@pytest.mark.clause("tsl-8.3-first-the-token")
def test_a_valid_card_is_accepted_and_the_answer_says_when_it_was_checked(provider: Provider) -> None:
    held = card(provider)
    result = check(provider, held)
    (credential,) = result["credentials"]["licence"]
    assert (result["state"], credential["status"]) == ("verified", "valid")
    assert credential["status_checked_at"] == NOW.isoformat()
    assert step(result) == {
        "step": 7,
        "name": "not_withdrawn",
        "clause": "OpenID4VP 8.6",
        "ok": True,
        "detail": "checked 0 s ago",
        "query_id": None,
    }
    provider.under_test.clock.advance(45)
    assert step(check(provider, held))["detail"] == "checked 45 s ago"
    assert provider.asked == [URI]


@pytest.mark.clause("tsl-8.3-status")
@pytest.mark.parametrize(("status", "words"), [(1, "was revoked"), (2, "is suspended"), (3, "is not known here")])
def test_a_withdrawn_card_is_refused_within_the_ttl(provider: Provider, status: int, words: str) -> None:
    held = card(provider)
    assert check(provider, held)["state"] == "verified"
    provider.statuses = {3: status}
    provider.under_test.clock.advance(59)
    assert check(provider, held)["state"] == "verified"
    provider.under_test.clock.advance(1)
    result = check(provider, held)
    assert (result["state"], result["error"]) == ("refused", "invalid_request")
    assert step(result)["ok"] is False
    assert words in step(result)["detail"]
    assert step(result, 8)["ok"] is None
    assert len(provider.asked) == 2
    # What was suspended can be valid again.
    provider.statuses = {}
    provider.under_test.clock.advance(61)
    assert check(provider, held)["state"] == "verified"


def test_another_worker_uses_the_copy_in_the_database(provider: Provider) -> None:
    held = card(provider)
    check(provider, held)
    other = connect(provider.under_test)
    # A worker of its own: nothing of the first one's memory.
    verifier = other.under_test.verifier
    lists = StatusLists(
        lambda: verifier.status_storage(verifier.database.unit()),
        lambda: verifier.status_storage(verifier.database.reader()),
        verifier.presentations.verify_chain,
        verifier.presentations.verify_mdoc_chain,
        verifier.clock,
    )
    other.under_test.app = create_app(replace(verifier, status_lists=lists))
    other.under_test.client = TestClient(other.under_test.app, base_url=HOST, follow_redirects=False)
    other.under_test.clock.advance(30)
    assert step(check(other, held))["detail"] == "checked 30 s ago"
    assert other.asked == []
    other.under_test.clock.advance(31)
    assert step(check(other, held))["detail"] == "checked 0 s ago"
    assert other.asked == [URI]


@pytest.mark.clause("vp-8.6-status-unknown")
def test_without_a_list_a_card_is_refused_unless_the_policy_accepts_it(sqlite_provider: Provider) -> None:
    provider = sqlite_provider
    provider.down = True
    held = card(provider)
    result = check(provider, held)
    assert (result["state"], step(result)["ok"]) == ("refused", False)
    assert "cannot be looked up" in step(result)["detail"]


def lenient_policy(provider: Provider) -> str:
    """Give the verifier a policy that accepts a card whose status is unknown, and return its id."""
    under_test = provider.under_test
    every = under_test.verifier.catalogue.policies.values()
    lenient = next(each for each in every if each.status.unknown == "accept_and_say_age")
    rule = replace(lenient, dcql_query=query(("name",), ("age_over_19",)), must_match=())
    ports = replace(under_test.verifier.presentations, policies={lenient.id: rule})
    under_test.verifier = replace(under_test.verifier, presentations=ports)
    under_test.app = create_app(under_test.verifier)
    under_test.client = TestClient(under_test.app, base_url=HOST, follow_redirects=False)
    return lenient.id


def test_a_policy_may_accept_a_card_whose_status_is_unknown_and_says_so(sqlite_provider: Provider) -> None:
    provider, policy = sqlite_provider, lenient_policy(sqlite_provider)
    provider.down = True
    held = card(provider)
    result = check(provider, held, policy=policy)
    (credential,) = result["credentials"]["licence"]
    assert (result["state"], credential["status"], credential["status_checked_at"]) == ("verified", "unknown", None)
    assert step(result)["detail"] == "the status could not be looked up; the policy accepts that"
    # A known refusal stays one, however lenient the policy.
    provider.down, provider.statuses = False, {3: 1}
    provider.under_test.clock.advance(6)
    assert check(provider, held, policy=policy)["state"] == "refused"


def test_an_issuer_that_is_down_is_not_missed_at_once(sqlite_provider: Provider) -> None:
    provider = sqlite_provider
    held = card(provider)
    check(provider, held)
    provider.down = True
    provider.under_test.clock.advance(600)
    assert step(check(provider, held))["detail"] == "checked 10 min ago"
    assert len(provider.asked) == 2
    # It is not asked again for every answer.
    provider.under_test.clock.advance(4)
    check(provider, held)
    assert len(provider.asked) == 2
    # Older than the rule allows: an hour, where no policy says.
    provider.under_test.clock.advance(3600)
    assert check(provider, held)["state"] == "refused"


@pytest.mark.clause("tsl-11.3-signer", "tsl-11.3-chain", "tsl-8.3-bad-list")
@pytest.mark.parametrize("who", ["another agency", "another ca", "nobody"])
def test_a_list_of_another_signer_is_refused(sqlite_provider: Provider, who: str) -> None:
    provider = sqlite_provider
    world = provider.under_test.world
    if who == "another agency":
        provider.signer = Agency(world.issuer_ca, issuer="https://issuer.example/agencies/other", now=NOW)
    elif who == "another ca":
        provider.signer = Agency(new_ca(now=NOW), now=NOW)
    else:
        token = jws.parse(provider.token(URI).decode())
        provider.answers[URI] = jws.sign({"typ": "statuslist+jwt"}, token.claims(), world.agency.signer).encode()
    result = check(provider, card(provider))
    assert (result["state"], step(result)["ok"]) == ("refused", False)


@pytest.mark.clause("tsl-8.3-bad-list")
@pytest.mark.parametrize(
    "changes",
    [
        {"uri": URI + "/other"},
        {"expires_at": NOW - timedelta(hours=1), "issued_at": NOW - timedelta(hours=2)},
        {"issued_at": NOW + timedelta(hours=1)},
    ],
)
def test_a_bad_list_is_refused_whatever_the_policy(sqlite_provider: Provider, changes: dict[str, Any]) -> None:
    policy = lenient_policy(sqlite_provider)
    sqlite_provider.changes = changes
    result = check(sqlite_provider, card(sqlite_provider), policy=policy)
    assert (result["state"], step(result)["ok"]) == ("refused", False)


def test_an_index_beyond_the_list_is_refused(sqlite_provider: Provider) -> None:
    result = check(sqlite_provider, card(sqlite_provider, index=SIZE))
    assert step(result)["detail"] == "the index is beyond the status list"


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"\xff", b"{}"])
def test_what_is_no_list_is_refused(sqlite_provider: Provider, body: bytes) -> None:
    sqlite_provider.answers[URI] = body
    assert check(sqlite_provider, card(sqlite_provider))["state"] == "refused"


def test_a_status_of_another_kind_is_refused(sqlite_provider: Provider) -> None:
    held = sqlite_provider.under_test.world.held(status={"identifier_list": {"id": "1", "uri": URI}})
    result = check(sqlite_provider, held)
    assert (result["state"], step(result)["ok"]) == ("refused", False)
    assert sqlite_provider.asked == []


@pytest.mark.clause("tsl-8.3-first-the-token")
def test_nothing_is_fetched_for_an_answer_that_is_refused_anyway(sqlite_provider: Provider) -> None:
    under_test, held = sqlite_provider.under_test, card(sqlite_provider)
    made = under_test.ask()
    resolved = under_test.resolve(made["authorization_request"])
    tokens = under_test.vp_token(under_test.prepare(resolved, held))
    (text,) = tokens["licence"]
    head, _, signature = text.rpartition(".")
    broken = base64url.encode(bytes(reversed(base64url.decode(signature))))
    under_test.post(resolved, {"licence": [f"{head}.{broken}"]})
    assert under_test.result(made["id"])["state"] == "refused"
    assert sqlite_provider.asked == []


def test_old_copies_are_deleted(sqlite_provider: Provider) -> None:
    check(sqlite_provider, card(sqlite_provider))
    verifier = sqlite_provider.under_test.verifier
    for days, gone in ((6, 0), (8, 1)):
        with (unit := verifier.database.unit()):
            now = NOW + timedelta(days=days)
            assert delete_old_lists(verifier.status_storage(unit), now=now) == gone


def test_old_copies_are_deleted_in_parts(sqlite_provider: Provider, monkeypatch) -> None:
    monkeypatch.setattr("verifier.status.use_cases.BATCH", 2)
    monkeypatch.setattr("verifier.presentations.tasks.LISTS", 2)
    verifier = sqlite_provider.under_test.verifier
    with (unit := verifier.database.unit()):
        for number in range(3):
            verifier.status_storage(unit).lists.put(StoredList(f"{URI}/{number}", JWT, b"token", NOW))
    sqlite_provider.under_test.clock.advance(8 * 86_400)
    forget = tasks(verifier)[FORGET_LISTS].run
    for left, queued in ((1, [FORGET_LISTS]), (0, [])):
        with (unit := verifier.database.unit()):
            unit.connection.execute(delete(APP_TABLES.job))
            forget(None, unit, None)
            assert (
                unit.connection.execute(select(func.count()).select_from(table_of(StatusListRow))).scalar_one() == left
            )
            assert unit.connection.execute(select(APP_TABLES.job.c.name)).scalars().all() == queued


@pytest.mark.clause("tsl-5.2-mdoc")
@pytest.mark.parametrize(("bits", "status", "words"), [(1, 0, ""), (1, 1, "was revoked"), (2, 0, "not one for mdocs")])
def test_an_mdoc_is_looked_up_in_the_other_form(sqlite_provider: Provider, bits: int, status: int, words: str) -> None:
    """The same check for a Mobile Security Object: its lists are CWT, expire and have one bit."""
    provider, police, now = sqlite_provider, MdocAgency(), NOW
    terms = {"uri": URI, "issued_at": now, "expires_at": now + timedelta(hours=1), "ttl": timedelta(seconds=60)}
    array = with_statuses(bytes(new_array(SIZE, bits)), bits, {3: status})
    claims = status_list_claims(array, bits, **terms)
    token = create_status_list_cwt(claims, signer=police.signer, x5chain=police.chain())
    provider.answers[URI] = token
    verifier = provider.under_test.verifier

    def trust(chain: Sequence[bytes], at: datetime) -> TrustedCertificate:
        return verify_chain(chain, police.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=at)

    verifier.status_lists._verify_chain[CWT] = trust
    issuer = trust(police.chain(), now)

    def look(current: StatusLook) -> StatusFinding | WalletError:
        try:
            return current.under(DEFAULT_RULE)(StatusReference(3, URI).to_json(), issuer, CWT, now)
        except WalletError as error:
            return error

    found = asyncio.run(
        look_until_known(verifier.status_lists, provider, look, is_refused=lambda one: isinstance(one, WalletError))
    )
    if words:
        assert isinstance(found, WalletError)
        assert words in found.description
    else:
        assert found == StatusFinding("valid", now)


def test_answers_that_come_together_fetch_a_list_once(sqlite_provider: Provider) -> None:
    lists, name = sqlite_provider.under_test.verifier.status_lists, (URI, JWT)

    class Slow:
        async def arun(self, flow: Any) -> Any:
            await asyncio.sleep(0.05)
            return await sqlite_provider.arun(flow)

    async def together() -> None:
        await asyncio.gather(*(lists.fetch(name, Slow()) for _ in range(5)))

    asyncio.run(together())
    assert sqlite_provider.asked == [URI]


def test_a_worker_holds_only_so_many_bytes_ready(sqlite_provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = sqlite_provider.under_test.verifier.status_lists
    monkeypatch.setattr("verifier.status.use_cases.MAX_KNOWN_BYTES", 100)
    names = [(f"{AGENCY}/statuslists/{number}", JWT) for number in range(8)]

    async def fetch() -> None:
        for name in names:
            await lists.fetch(name, sqlite_provider)

    asyncio.run(fetch())
    assert 0 < len(lists._known) < 8
    # What is not held any more is in the database.
    assert lists.look(names[0], now=NOW) is not None
    assert len(sqlite_provider.asked) == 8
