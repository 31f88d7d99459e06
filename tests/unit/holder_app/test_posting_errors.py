"""What a verifier hears besides answers, and when: nothing of the person, and nothing before the person acted."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from holder_app.presentation import use_cases
from holder_app.presentation.states import Blocked, Declined, Presentation
from tests.simulators.verifier import refusal
from tests.support.browsing import browser
from tests.support.presentations import RESPONSE_URI, World, query
from tests.support.transactions import encoded, transaction
from tests.support.wallets import LICENCE, Town, agree, new_town, new_verifier, policy_query, receive, reviewed, wait
from wallet_core.errors import StateConflict
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix
from wallet_core.protocols.openid4vp.reporting import reply_address

BROKEN: dict[str, dict[str, Any]] = {
    "invalid_request": {"claims": {"redirect_uri": "https://verifier.example/"}},
    "invalid_transaction_data": {"claims": {"transaction_data": [encoded(transaction() | {"type": "other"})]}},
    "vp_formats_not_supported": {"claims": {"client_metadata": {"vp_formats_supported": {"ldp_vc": {}}}}},
}


def decline(town: Town, presentation: Presentation) -> Presentation:
    return wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))


def report(town: Town, presentation: Presentation) -> Presentation:
    return wait(use_cases.report_error(town.wallet.presentation_ports(), town.owner.id, presentation.id))


def with_errors(town: Town, posting: str) -> Town:
    settings = type(town.wallet.settings)(**{**dict(town.wallet.settings), "post_errors": posting})
    town.wallet = replace(town.wallet, settings=settings)
    return town


def seen_by_a_verifier(requests: list[HttpRequest]) -> list[tuple[str, str, list[tuple[str, str]], list[str], int]]:
    """What an observer at the verifier can compare: order, addresses, headers, names of fields, sizes."""
    return [
        (each.method, each.url, sorted(each.headers.items()), sorted(parse_qs(each.body.decode())), len(each.body))
        for each in requests
    ]


@pytest.mark.clause("vp-15.4.1-values", "vp-15.1-acted-first")
@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("asked", ["another card", "another value"])
def test_no_match_and_no_are_the_same_to_the_verifier(
    tmp_path: Path,
    world: World,
    encrypted: bool,  # noqa: FBT001
    asked: str,
) -> None:
    """The same request to a wallet that cannot answer and to one whose person says no (OpenID4VP 15.4.1)."""
    claim = {"path": ["name"], "values": ["nobody's name"]}
    vct = LICENCE.vct if asked == "another value" else "urn:example:other"
    unmet = query(claim, meta={"vct_values": [vct]})
    met = query(("name",), meta={"vct_values": [LICENCE.vct]})
    heard = []
    for name, dcql in (("lacks", unmet), ("refuses", met)):
        (tmp_path / name).mkdir()
        town = new_town(tmp_path / name, world)
        receive(town, LICENCE)
        verifier = new_verifier(town, dcql)
        if not encrypted:
            verifier.request = replace(verifier.request, encryption=None)
        presentation = reviewed(town, verifier)
        view = use_cases.review_request(town.wallet.presentation_ports(), presentation)
        assert view.satisfiable == (name == "refuses")
        # Looking is not acting: nothing is posted by itself in either case.
        assert [request.method for request in verifier.seen] == ["GET"]
        assert isinstance(decline(town, presentation).state, Declined)
        heard.append((seen_by_a_verifier(verifier.seen), verifier.received()))
        town.wallet.database.close()
    assert heard[0] == heard[1]
    assert heard[0][1].error == "access_denied"


@pytest.mark.clause("vp-8.2-invalid-request", "vp-8.2-report-address")
@pytest.mark.parametrize("error", BROKEN)
def test_a_broken_rule_is_told_if_the_wallet_is_set_so_and_the_person_agrees(town: Town, error: str) -> None:
    verifier = new_verifier(with_errors(town, "all"), **BROKEN[error])
    blocked = reviewed(town, verifier)
    assert isinstance(blocked.state, Blocked)
    assert len(verifier.seen) == 1
    told = report(town, blocked)
    assert verifier.seen[-1].url == RESPONSE_URI
    assert parse_qs(verifier.seen[-1].body.decode()) == {"error": [error], "state": ["request-1"]}
    assert isinstance(told.state, Blocked)
    assert (told.state.report, told.state.redirect_uri) == (None, "https://verifier.example/back")
    with pytest.raises(StateConflict):
        report(town, blocked)
    assert len(verifier.seen) == 2


@pytest.mark.clause("vp-8.2-invalid-request")
def test_a_request_without_state_is_answered_without(town: Town) -> None:
    broken = BROKEN["invalid_request"]
    verifier = new_verifier(with_errors(town, "all"), **broken | {"without": (*broken.get("without", ()), "state")})
    report(town, reviewed(town, verifier))
    assert parse_qs(verifier.seen[-1].body.decode()) == {"error": ["invalid_request"]}


@pytest.mark.parametrize("posting", ["never", "declined"])
def test_otherwise_a_broken_rule_is_told_to_nobody(town: Town, posting: str) -> None:
    verifier = new_verifier(with_errors(town, posting), **BROKEN["invalid_request"])
    blocked = reviewed(town, verifier)
    with pytest.raises(StateConflict):
        report(town, blocked)
    assert len(verifier.seen) == 1


@pytest.mark.clause("vp-8.2-report-address")
@pytest.mark.parametrize(
    "misbehave",
    [
        {"change_token": lambda token: token[:-4] + "AAAA"},
        {"header": {"typ": "JWT"}},
        {"claims": {"aud": "https://other.example", "scope": "x"}},
        {"claims": {"response_uri": "http://verifier.example/p"}},
        {"claims": {"response_uri": 7}},
        {"without": ("response_uri",)},
    ],
)
def test_what_nobody_proved_to_have_sent_is_answered_to_nobody(town: Town, misbehave: dict[str, Any]) -> None:
    blocked = reviewed(town, new_verifier(with_errors(town, "all"), **misbehave))
    assert isinstance(blocked.state, Blocked)
    assert blocked.state.report is None


def test_a_wallet_that_never_posts_errors_posts_no_refusal(town: Town) -> None:
    receive(with_errors(town, "never"), LICENCE)
    verifier = new_verifier(town)
    assert isinstance(decline(town, reviewed(town, verifier)).state, Declined)
    assert [request.method for request in verifier.seen] == ["GET"]


def test_a_verifier_that_will_not_hear_is_not_asked_again(town: Town) -> None:
    verifier = new_verifier(with_errors(town, "all"), answer=refusal(500, "server_error"), **BROKEN["invalid_request"])
    told = report(town, reviewed(town, verifier))
    assert isinstance(told.state, Blocked)
    assert (told.state.report, told.state.redirect_uri) == (None, None)


@pytest.mark.clause("vp-14-no-redirects")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_a_verifier_is_followed(town: Town, status: int) -> None:
    elsewhere = HttpResponse(status, {"location": "https://evil.example/"}, b"")
    receive(town, LICENCE)
    moved = new_verifier(town, status=status)
    assert isinstance(reviewed(town, moved).state, Blocked)
    assert len(moved.seen) == 1
    answering = new_verifier(town, policy_query("account-opening"), answer=elsewhere)
    presentation = reviewed(town, answering)
    failed = agree(town, presentation)
    assert type(failed.state).__name__ == "Failed"
    assert {request.url.split("/")[2] for request in town.network.seen} <= {"verifier.example", "issuer.example"}


def test_the_page_asks_before_it_tells(town: Town) -> None:
    verifier = new_verifier(with_errors(town, "all"), **BROKEN["invalid_request"])
    person = browser(town)
    person.get("/scan")
    person.post("/scan", {"link": verifier.link})
    person.post(f"{person.path}/fetch")
    assert "보낸 곳에 알리기" in person.text
    assert len(verifier.seen) == 1
    person.post(f"{person.path}/report")
    assert len(verifier.seen) == 2
    assert "보낸 곳에 알리기" not in person.text
    assert 'href="https://verifier.example/back"' in person.page.text


def test_a_code_of_a_kind_that_this_wallet_has_not(town: Town) -> None:
    person = browser(town)
    person.get("/scan")
    page = person.post("/scan", {"link": "mdoc:owBjMS4wAYIB"})
    assert page.status_code == 400
    assert "이 지갑에서 쓸 수 없어요" in person.text


@pytest.mark.clause("vp-8.2-report-address")
def test_only_who_proved_to_ask_is_answered() -> None:
    uri = {"response_uri": RESPONSE_URI, "state": "s"}
    proven = ClientIdentifier(ClientIdPrefix.X509_SAN_DNS, "verifier.example")
    assert reply_address(proven, uri) == (RESPONSE_URI, "s")
    # Nobody signed this one: anybody's link can name that address.
    assert reply_address(ClientIdentifier(ClientIdPrefix.REDIRECT_URI, RESPONSE_URI), uri) is None
