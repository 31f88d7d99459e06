"""No two verifiers get the same copy, unless the person was told and sent it all the same."""

import re
from typing import Any

import pytest

from holder_app.credentials.refreshing import HIDE_USE
from holder_app.presentation import sending, use_cases
from holder_app.presentation.sending import CopiesUsedUp, reuse_field
from holder_app.presentation.states import Answered, Failed, Presentation
from tests.simulators.verifier import SimulatedVerifier, refusal
from tests.support.browsing import browser
from tests.support.presentations import RESPONSE_URI
from tests.support.refreshing import refreshing, the_card, use
from tests.support.simultaneous import at_once
from tests.support.wallets import LICENCE, Town, agree, new_verifier, receive, reviewed, wait
from wallet_core.errors import FetchError, StateConflict
from wallet_core.protocols.openid4vp.response import PresentationResponse


def answer(town: Town, presentation: Presentation, **fields: str) -> Presentation:
    return agree(town, presentation, fields)


def shown(verifier: SimulatedVerifier) -> str:
    """The issuer-signed part of the licence that was sent."""
    received = verifier.received()
    assert isinstance(received, PresentationResponse)
    return received.vp_token["licence"][0].partition("~")[0]


@pytest.mark.clause("haip-4-copy-once")
def test_each_answer_shows_another_copy(town: Town) -> None:
    receive(town, LICENCE)
    verifier, seen = new_verifier(town), []
    for _ in range(3):
        answer(town, reviewed(town, verifier))
        seen.append(shown(verifier))
    assert len(set(seen)) == 3
    assert [copy.uses for copy in the_card(town).copies] == [1, 1, 1]


@pytest.mark.clause("haip-4-reuse-asked")
def test_when_all_are_used_the_person_is_asked_and_the_last_is_shown_again(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    use(town, 2)
    answer(town, reviewed(town, verifier))
    last = shown(verifier)
    presentation, sent = reviewed(town, verifier), len(verifier.seen)
    with pytest.raises(CopiesUsedUp):
        answer(town, presentation)
    assert len(verifier.seen) == sent
    done = answer(town, presentation, **{reuse_field(the_card(town).id): "on"})
    assert isinstance(done.state, Answered)
    assert shown(verifier) == last
    assert [copy.uses for copy in the_card(town).copies] == [1, 1, 2]


@pytest.mark.clause("haip-4-taken-once")
def test_simultaneous_answers_take_copies_of_their_own(town: Town) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    waiting = [reviewed(town, verifier) for _ in range(3)]
    verifier.seen.clear()
    queue = list(waiting)
    done = at_once(3, lambda: answer(town, queue.pop()))
    assert all(isinstance(each.state, Answered) for each in done)
    assert [copy.uses for copy in the_card(town).copies] == [1, 1, 1]
    posted = [request.body for request in verifier.seen if request.url == RESPONSE_URI]
    assert len(posted) == 3


@pytest.mark.clause("haip-4-taken-once")
def test_of_two_that_want_the_last_copy_one_is_asked(town: Town, monkeypatch: Any) -> None:
    receive(town, LICENCE)
    use(town, 2)
    verifier = new_verifier(town)
    presentation, real = reviewed(town, verifier), sending.held_cards

    def held(*arguments: Any) -> Any:
        found = real(*arguments)
        if the_card(town).unused:
            use(town, 1)
        return found

    monkeypatch.setattr(sending, "held_cards", held)
    with pytest.raises(CopiesUsedUp):
        answer(town, presentation)
    assert [copy.uses for copy in the_card(town).copies] == [1, 1, 1]


def test_a_wallet_that_loses_every_race_gives_up(town: Town, monkeypatch: Any) -> None:
    receive(town, LICENCE)
    presentation = reviewed(town, new_verifier(town))

    def take(*_: Any) -> None:
        raise sending.CopyTaken("taken")

    monkeypatch.setattr(sending, "_take", take)
    with pytest.raises(StateConflict, match="same card"):
        answer(town, presentation)
    assert [copy.uses for copy in the_card(town).copies] == [0, 0, 0]


@pytest.mark.parametrize("how", ["refused", "unreachable"])
def test_what_was_sent_counts_as_shown(town: Town, how: str) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town)
    presentation = reviewed(town, verifier)
    if how == "refused":
        verifier.answer = refusal(400, "invalid_request")
        assert isinstance(answer(town, presentation).state, Failed)
    else:

        def away(request: Any) -> Any:
            del request
            raise FetchError("gone")

        town.network.hosts["verifier.example"] = away
        with pytest.raises(FetchError):
            answer(town, presentation)
    assert [copy.uses for copy in the_card(town).copies] == [1, 0, 0]


def test_a_request_that_was_declined_uses_nothing(town: Town) -> None:
    receive(town, LICENCE)
    presentation = reviewed(town, new_verifier(town))
    wait(use_cases.decline_request(town.wallet.presentation_ports(), town.owner.id, presentation.id))
    assert [copy.uses for copy in the_card(town).copies] == [0, 0, 0]


def test_before_they_run_out_new_ones_are_due(town: Town) -> None:
    refreshing(town, LICENCE)
    verifier = new_verifier(town)
    far = the_card(town).refresh_at
    answer(town, reviewed(town, verifier))
    assert the_card(town).refresh_at == far
    answer(town, reviewed(town, verifier))
    now = town.clock.now()
    at = the_card(town).refresh_at
    assert at is not None
    assert now <= at <= now + HIDE_USE
    answer(town, reviewed(town, verifier))
    assert the_card(town).refresh_at == now


def test_the_pages_warn_and_fetch_new_copies(town: Town) -> None:
    refreshing(town, LICENCE)
    use(town, 3)
    card, person, verifier = the_card(town), browser(town), new_verifier(town)
    person.get(f"/cards/{card.id}")
    assert "3장 가운데 0장 남음" in person.text
    assert "사본을 다 썼어요" in person.text
    presentation = reviewed(town, verifier)
    person.get(f"/requests/{presentation.id}")
    assert "이 카드의 사본을 다 썼어요" in person.text
    assert reuse_field(card.id) in person.page.text
    person.post(f"/requests/{presentation.id}/refresh/{card.id}")
    assert person.path == f"/requests/{presentation.id}"
    assert "사본을 다 썼어요" not in person.text
    assert reuse_field(card.id) not in person.page.text
    person.post(f"/requests/{presentation.id}/answer")
    person.get(f"/cards/{card.id}?lang=en")
    assert "9 of 10 left" in person.text
    person.post(f"/cards/{card.id}/refresh")
    assert "New copies are here" in person.text
    person.get(f"/cards/{card.id}?refreshed=nonsense")
    assert person.page.status_code == 200


def test_the_page_says_so_when_the_last_copy_was_just_used(town: Town) -> None:
    receive(town, LICENCE)
    person, presentation = browser(town), reviewed(town, new_verifier(town))
    person.get(f"/requests/{presentation.id}?lang=en")
    assert "have been used" not in person.text
    use(town, 3)
    person.post(f"/requests/{presentation.id}/answer")
    assert "The last copy was just used" in person.text
    assert "All copies of this card have been used" in person.text
    fields = dict(re.findall(r'name="(reuse-[^"]+)" value="([^"]+)"', person.page.text))
    person.post(f"/requests/{presentation.id}/answer", fields)
    assert [copy.uses for copy in the_card(town).copies] == [1, 1, 2]


def test_a_change_stands_in_the_history(town: Town) -> None:
    issuer, person = refreshing(town, LICENCE), browser(town)
    issuer.said = {"name": "한새봄"}
    card = the_card(town)
    person.get(f"/cards/{card.id}?lang=en")
    person.post(f"/cards/{card.id}/refresh")
    assert "The content changed" in person.text
    assert "Changed: Mobile driver" in person.text
    person.get("/history")
    assert "(Name)" in person.text
    # Both lines are of one moment here, so either may come first.
    rows = re.findall(r'href="(/history/[0-9a-f]+)"(.*?)</a>', person.page.text, re.DOTALL)
    person.get(next(link for link, row in rows if "Changed" in row))
    assert "What changed Name" in re.sub(r"\s+", " ", person.text)
