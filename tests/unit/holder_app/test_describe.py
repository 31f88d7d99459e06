"""Cards and claims in words."""

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
from holder_app.presentation.choices import create_groups
from tests.support.presentations import NOW
from tests.support.wallets import CATALOGUE, LICENCE
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, match
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId

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
