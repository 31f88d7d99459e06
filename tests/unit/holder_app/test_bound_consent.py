"""An answer sends what the person saw, or nothing: cards change while somebody decides."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from holder_app.credentials.ports import CardStatus
from holder_app.credentials.use_cases import delete_card, list_history
from holder_app.presentation import sending, use_cases
from holder_app.presentation.choices import SHOWN_FIELD, create_groups, digest_of
from holder_app.presentation.describe import RequestView
from holder_app.presentation.sending import ShownChanged
from holder_app.presentation.states import Answered, Presentation, Reviewed
from tests.simulators.verifier import SimulatedVerifier
from tests.support.browsing import browser
from tests.support.refreshing import refresh, refreshing
from tests.support.wallets import CATALOGUE, LICENCE, Town, agree, new_verifier, receive, reviewed, wait
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, match

CARD = CATALOGUE.types["resident-card"]
EITHER: dict[str, Any] = {
    "credentials": [
        {
            "id": "card",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [LICENCE.vct, CARD.vct]},
            "claims": [{"path": ["name"]}],
        }
    ]
}


def view_of(town: Town, presentation: Presentation) -> RequestView:
    return use_cases.review_request(town.wallet.presentation_ports(), presentation)


def set_status(town: Town, card_id: str, status: CardStatus) -> None:
    ports = town.wallet.presentation_ports()
    with ports.unit:
        ports.cards.set_status(town.owner.id, card_id, status, checked_at=ports.clock.now())


def assert_nothing_left(town: Town, verifier: SimulatedVerifier, presentation: Presentation) -> None:
    """Only the request was fetched, nothing stands in the history, and it can still be decided."""
    assert len(verifier.seen) == 1
    assert {str(each.kind) for each in list_history(town.wallet.card_ports(), town.owner.id)} <= {
        "received",
        "updated",
        "deleted",
    }
    ports = town.wallet.presentation_ports()
    assert isinstance(use_cases.show_presentation(ports, town.owner.id, presentation.id).state, Reviewed)


def revoke(town: Town, view: RequestView) -> None:
    set_status(town, view.groups[0].alternatives[0][0].card_id, CardStatus.REVOKED)


def remove(town: Town, view: RequestView) -> None:
    delete_card(town.wallet.card_ports(), town.owner.id, view.groups[0].alternatives[0][0].card_id)


@pytest.mark.parametrize("change", [revoke, remove])
def test_a_place_in_the_list_means_the_card_that_stood_there(
    town: Town, change: Callable[[Town, RequestView], None]
) -> None:
    receive(town, LICENCE, CARD)
    verifier = new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)
    view = view_of(town, presentation)
    change(town, view)
    with pytest.raises(ShownChanged):
        agree(town, presentation, {SHOWN_FIELD: view.shown, "group-0": "1"})
    with pytest.raises(ShownChanged):
        agree(town, presentation, {SHOWN_FIELD: view.shown})
    assert_nothing_left(town, verifier, presentation)
    assert isinstance(agree(town, presentation).state, Answered)


def test_a_renewed_card_is_looked_at_again(town: Town) -> None:
    issuer = refreshing(town, LICENCE)
    verifier = new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)
    seen = view_of(town, presentation).shown
    refresh(town, asked=True)
    assert view_of(town, presentation).shown == seen
    issuer.said = {"name": "한새봄"}
    refresh(town, asked=True)
    with pytest.raises(ShownChanged):
        agree(town, presentation, {SHOWN_FIELD: seen})
    assert_nothing_left(town, verifier, presentation)
    assert isinstance(agree(town, presentation).state, Answered)


def test_what_is_signed_again_after_a_lost_race_is_still_what_was_shown(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = refreshing(town, LICENCE)
    verifier = new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)

    def renewed_first(*_: Any) -> None:
        raise sending.CopyTaken("replaced")

    real, signed = sending._sign, []

    def sign(*arguments: Any) -> Any:
        signed.append(1)
        if len(signed) == 2:
            monkeypatch.undo()
            issuer.said = {"name": "한새봄"}
            refresh(town, asked=True)
        return real(*arguments)

    monkeypatch.setattr(sending, "_take", renewed_first)
    monkeypatch.setattr(sending, "_sign", sign)
    with pytest.raises(ShownChanged):
        agree(town, presentation)
    assert len(signed) == 2
    assert_nothing_left(town, verifier, presentation)


@pytest.mark.parametrize("told", [{}, {SHOWN_FIELD: ""}, {SHOWN_FIELD: "0" * 64}])
def test_an_answer_that_names_nothing_shown_sends_nothing(town: Town, told: dict[str, str]) -> None:
    receive(town, LICENCE)
    verifier = new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)
    with pytest.raises(ShownChanged):
        wait(use_cases.answer_request(town.wallet.presentation_ports(), town.owner.id, presentation.id, told))
    assert_nothing_left(town, verifier, presentation)


def test_the_page_says_that_something_changed_and_shows_what_it_is_now(town: Town) -> None:
    receive(town, LICENCE, CARD)
    person, verifier = browser(town), new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)
    here = f"/requests/{presentation.id}"
    person.get(here)
    assert "그사이에" not in person.text
    revoke(town, view_of(town, presentation))
    person.post(f"{here}/answer", {"group-0": "1"})
    assert "그사이에 보낼 내용이 바뀌었어요" in person.text
    assert len(verifier.seen) == 1
    person.get(f"{here}?changed&lang=en")
    assert "What would be shared has changed meanwhile" in person.text
    person.post(f"{here}/answer", {"group-0": "0"})
    assert len(verifier.seen) == 2


def test_the_page_says_so_when_no_card_is_left(town: Town) -> None:
    receive(town, LICENCE)
    person, verifier = browser(town), new_verifier(town, EITHER)
    presentation = reviewed(town, verifier)
    person.get(f"/requests/{presentation.id}?lang=en")
    remove(town, view_of(town, presentation))
    person.post(f"/requests/{presentation.id}/answer")
    assert "No card here answers" in person.text
    assert len(verifier.seen) == 1


QUERY = {
    "credentials": [
        {
            "id": "q",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["t"]},
            "multiple": True,
            "claims": [{"id": name, "path": [name]} for name in ("a", "b")],
            "claim_sets": [["a"], ["a", "b"]],
        }
    ]
}
ONE = Candidate("one", "dc+sd-jwt", "t", {"a": 1, "b": 2, "c": 3, "d": 4}, frozenset({("a",), ("b",), ("d",)}))
TWO = replace(ONE, id="two")


def digest(*cards: Candidate, query: dict[str, Any] = QUERY, withdrawn: tuple[str, ...] = ()) -> str:
    found = match(parse_dcql_query(query), cards)
    return digest_of(create_groups(found, withdrawn), {card.id: card for card in cards}, withdrawn)


def test_everything_that_is_shown_counts_and_nothing_else() -> None:
    known = digest(ONE, TWO)
    assert digest(ONE, replace(TWO, claims={**TWO.claims, "d": 5, "exp": 6})) == known
    changed = [
        digest(ONE),
        digest(TWO, ONE),
        digest(ONE, replace(TWO, id="three")),
        digest(ONE, TWO, withdrawn=("two",)),
        digest(ONE, replace(TWO, claims={**TWO.claims, "a": 5})),
        digest(ONE, replace(TWO, claims={**TWO.claims, "b": 5})),
        digest(ONE, replace(TWO, claims={**TWO.claims, "c": 5})),
        digest(ONE, replace(TWO, claims={**TWO.claims, "a": "1"})),
        digest(ONE, replace(TWO, hideable=frozenset({("a",), ("b",)}))),
        digest(ONE, TWO, query={**QUERY, "credential_sets": [{"options": [["q"]], "required": False}]}),
        digest(ONE, TWO, query={"credentials": [{**QUERY["credentials"][0], "id": "r"}]}),
    ]
    assert len({known, *changed}) == len(changed) + 1
