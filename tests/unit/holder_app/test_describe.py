"""Cards and claims in words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from holder_app.accounts.ports import AccountId
from holder_app.credentials.describe import (
    CardState,
    Field,
    card_name,
    describe_card,
    describe_claims,
    published_display,
)
from holder_app.credentials.ports import Card, CardCopy
from holder_app.presentation import describe
from holder_app.presentation.choices import create_groups
from tests.support.presentations import NOW, world
from tests.support.wallets import CATALOGUE, LICENCE
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp import matching
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, match
from wallet_core.protocols.openid4vp.pending import ResolvedRequest, VerifierIdentity
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId

STRANGER: dict[str, Any] = {
    "credential_metadata": {
        "display": [{"name": "Bibliotheksausweis", "locale": "de"}, {"name": "Library card", "locale": "en-GB"}],
        "claims": [
            {"path": ["number"], "display": [{"name": "Number", "locale": "en"}]},
            {"path": ["member", "since"], "display": [{"name": "Member since", "locale": "en"}]},
            {"path": "broken"},
        ],
    }
}


def card(vct: str, **changes: Any) -> Card:
    members: dict[str, Any] = {
        "id": "card",
        "account_id": AccountId("jiwoo"),
        "configuration_id": CredentialConfigurationId("any"),
        "format": "dc+sd-jwt",
        "type": vct,
        "issuer": CredentialIssuerId("https://library.example"),
        "issuer_name": "도서관 (시험용)",
        "received_at": NOW,
        "expires_at": NOW + timedelta(days=90),
        "display": published_display(STRANGER),
        "copies": (CardCopy("copy", "not read here", SoftwareSigner.generate()),),
    }
    return Card(**{**members, **changes})


def test_a_card_that_the_catalogue_does_not_know_is_named_by_its_issuer() -> None:
    claims: dict[str, Any] = {"vct": "urn:other:1", "iss": "x", "cnf": {}, "number": "12", "shelf": [1, 2]}
    view = describe_card(card("urn:other:1"), claims, CATALOGUE, NOW)
    assert view.name == {"ko": "Library card", "en": "Library card"}
    assert [(field.path, field.label["en"]) for field in view.fields] == [
        (("number",), "Number"),
        (("shelf",), "shelf"),
    ]


@pytest.mark.parametrize("document", [{}, {"credential_metadata": 1}, {"credential_metadata": {"display": [1, {}]}}])
def test_an_issuer_that_names_nothing(document: dict[str, Any]) -> None:
    display = published_display(document)
    assert card_name(None, display, "dc+sd-jwt")["en"] == "Card without a name"
    assert [field.path for field in describe_claims({"a": 1}, None, display)] == [("a",)]


def test_elements_of_a_list_are_told_apart() -> None:
    family = CATALOGUE.types["resident-certificate"]
    claims = family.prepare_claims(family.example_record, today=NOW.date())
    labels = [field.label["ko"] for field in describe_claims(claims, family, {})]
    assert len(set(labels)) == len(labels)


def test_every_claim_of_every_type_has_one_line_and_a_label() -> None:
    for known in CATALOGUE.types.values():
        claims = known.prepare_claims(known.example_record, today=NOW.date())
        fields = describe_claims(claims, known, {})
        assert {field.path[0] for field in fields} == set(claims), known.id
        assert all(field.label["ko"] and field.label["en"] for field in fields), known.id
        assert len({field.path for field in fields}) == len(fields), known.id


@pytest.mark.parametrize(
    ("days", "state", "left"),
    [(90, CardState.USABLE, 90), (13, CardState.ENDS_SOON, 13), (0, CardState.EXPIRED, 0), (-3, CardState.EXPIRED, 0)],
)
def test_how_long_a_card_lasts(days: int, state: CardState, left: int) -> None:
    view = describe_card(card(LICENCE.vct, expires_at=NOW + timedelta(days=days)), {}, CATALOGUE, NOW)
    assert (view.state, view.days_left) == (state, left)


def test_a_year_is_no_amount_and_a_yes_is_no_year() -> None:
    label = {"ko": "해", "en": "Year"}
    assert Field(("age_birth_year",), label, 1993).words == {"ko": "1993", "en": "1993"}
    assert Field(("adult_by_year",), label, value=True).words is None
    assert Field(("age_in_years",), label, 33).words is None


def test_a_receipt_keeps_no_picture() -> None:
    kept = Field(("portrait",), {"ko": "사진", "en": "Photo"}, "data:image/jpeg;base64,AAAA", is_image=True).to_json()
    assert kept["value"] is None


@pytest.mark.parametrize(
    ("sets", "option", "extras"),
    [
        ([["a", "b"], ["a"]], 1, [[("b",)]]),
        ([["a"], ["a", "b"]], 0, [[("b",)]]),
        ([["a"], ["b"]], 0, []),
        ([["a", "b"], ["b"], ["a"]], 1, [[("a",)]]),
    ],
)
def test_the_least_is_the_default(sets: list[list[str]], option: int, extras: list[Any]) -> None:
    source: dict[str, Any] = {
        "credentials": [
            {
                "id": "q",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["t"]},
                "claims": [{"id": name, "path": [name]} for name in ("a", "b")],
                "claim_sets": sets,
            }
        ]
    }
    held = Candidate("card", "dc+sd-jwt", "t", {"a": 1, "b": 2}, frozenset({("a",), ("b",)}))
    [group] = create_groups(match(parse_dcql_query(source), [held]))
    [[pick]] = group.alternatives
    assert pick.option == option
    assert [list(extra.adds) for extra in pick.extras] == extras


def alike_cards(count: int) -> list[Candidate]:
    claims, hidden = {"a": 1, "b": 2, "c": 3}, frozenset({("a",), ("b",), ("c",)})
    return [Candidate(f"card-{number}", "dc+sd-jwt", "t", claims, hidden) for number in range(count)]


def busy_query(count: int) -> dict[str, Any]:
    """Each of ``count`` queries is named by each of as many options of as many sets, in another order each."""
    names = [f"q{number}" for number in range(count)]
    claims = [{"id": name, "path": [name]} for name in ("a", "b", "c")]
    meta = {"vct_values": ["t"]}
    sets = [["a"], ["b"], ["a", "b"], ["b", "a"], ["a", "b"], ["a", "a"]]
    return {
        "credentials": [
            {"id": name, "format": "dc+sd-jwt", "meta": meta, "claims": claims, "claim_sets": sets} for name in names
        ],
        "credential_sets": [
            {"options": [[names[(start + step) % count], names[start]] for step in range(count)]}
            for start in range(count)
        ],
    }


def test_each_card_is_weighed_once_however_many_queries_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[object] = []
    real = matching._Scale
    monkeypatch.setattr(matching, "_Scale", lambda one: weighed.append(one.id) or real(one))
    found = match(parse_dcql_query(busy_query(8)), alike_cards(5))
    assert len(create_groups(found)) == 8
    assert sorted(weighed, key=str) == [f"card-{number}" for number in range(5)]
    weighed.clear()
    matching.default_choice(found)
    assert len(weighed) == 5


@pytest.mark.parametrize(("parts", "ways"), [(1, 12), (21, 12), (32, 8), (64, 4)])
def test_a_request_with_many_parts_shows_fewer_alternatives(parts: int, ways: int) -> None:
    query = busy_query(parts)
    del query["credential_sets"]
    query["credentials"] = [{**one, "multiple": True} for one in query["credentials"]]
    [group] = create_groups(match(parse_dcql_query(query), alike_cards(20)))
    assert [len(picks) for picks in group.alternatives] == [parts] * ways
    assert {len(pick.others) for picks in group.alternatives for pick in picks} == {ways}


def test_each_card_is_put_into_words_once(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[object] = []
    real = describe.divide_fields
    monkeypatch.setattr(describe, "divide_fields", lambda *each: described.append(each) or real(*each))
    request = replace(world().request(), dcql_query=parse_dcql_query(busy_query(8)))
    asks = VerifierIdentity(ClientId("x509_hash:a"), "verifier.example", None, None)
    held = Candidate("card", "dc+sd-jwt", "t", {"a": 1, "b": 2}, frozenset({("a",), ("b",)}))
    view = describe.describe_request(
        ResolvedRequest(request, asks), match(request.dcql_query, [held]), {"card": card("t")}, CATALOGUE, NOW
    )
    assert sum(len(picks) for group in view.groups for picks in group.alternatives) > 60
    assert len(described) == 8


def test_cards_that_may_go_along_are_put_into_words_once_for_each_query(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[object] = []
    real = describe.divide_fields
    monkeypatch.setattr(describe, "divide_fields", lambda *each: described.append(each) or real(*each))
    query = busy_query(8)
    query["credentials"] = [{**one, "multiple": True} for one in query["credentials"]]
    request = replace(world().request(), dcql_query=parse_dcql_query(query))
    asks = VerifierIdentity(ClientId("x509_hash:a"), "verifier.example", None, None)
    held = alike_cards(3)
    view = describe.describe_request(
        ResolvedRequest(request, asks),
        match(request.dcql_query, held),
        {one.id: card("t", id=one.id) for one in held},
        CATALOGUE,
        NOW,
    )
    assert {len(pick.others) for group in view.groups for picks in group.alternatives for pick in picks} == {2}
    # Of each query, each card as an answer, and as one that goes along with another.
    assert len(described) == 8 * (3 + 3)
