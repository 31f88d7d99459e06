"""What a wallet shows, what it hides, and what it refuses to send."""

import pytest

from tests.support.presentations import CLAIMS, VCT, query, world
from wallet_core.errors import QueryNotSatisfied
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import (
    ApprovedDisclosure,
    Candidate,
    Selection,
    approve,
    default_choice,
    match,
)

WORLD = world()
HELD = WORLD.held()
CARD = sd_jwt_candidate("card", HELD)


def matches(dcql, *candidates):
    return match(parse_dcql_query(dcql), candidates or (CARD,))


def only(approved):
    (credential,) = approved.credentials
    return credential


@pytest.mark.clause("dcql-6.4.1-no-claims", "dcql-6.4.1-all-claims")
def test_consent_knows_what_is_shown_and_what_stays_hidden() -> None:
    credential = only(approve(matches(query(("name",), ("address", "region")))))
    assert credential.selected == (("name",), ("address", "region"))
    assert set(credential.disclosed) == {("name",), ("address",), ("address", "region")}
    assert credential.always_shown == (("country",),)
    assert ("licence_no",) in credential.hidden
    assert ("address", "street") in credential.hidden
    assert not set(credential.hidden) & set(credential.disclosed)
    shown = index_sd_jwt(HELD.select(credential.selected)).claims
    assert shown["address"] == {"region": CLAIMS["address"]["region"]}
    assert "licence_no" not in shown


def test_an_asked_object_is_shown_whole() -> None:
    credential = only(approve(matches(query(("address",)))))
    assert set(credential.disclosed) == {("address",), ("address", "region"), ("address", "street")}


@pytest.mark.clause("dcql-6.4.1-no-claims")
def test_without_claims_nothing_hideable_is_shown() -> None:
    credential = only(approve(matches(query())))
    assert (credential.selected, credential.disclosed) == ((), ())
    assert set(credential.hidden) == set(HELD.paths)


@pytest.mark.clause("dcql-6.4.1-value-filter")
def test_only_the_array_elements_with_a_wanted_value_are_shown() -> None:
    credential = only(approve(matches(query({"path": ["classes", None], "values": ["2종 소형"]}))))
    assert credential.selected == (("classes", 1),)
    assert ("classes", 0) in credential.hidden


@pytest.mark.clause("dcql-6.4.1-all-claims", "dcql-6.4.1-value-filter", "dcql-6.3-exact")
@pytest.mark.parametrize(
    "claims",
    [
        [("nothing",)],
        [("name", "first")],
        [("classes", 7)],
        [("classes", "a")],
        [{"path": ["age_over_19"], "values": [False]}],
        [{"path": ["age_over_19"], "values": [1]}],
        [{"path": ["age_over_19"], "values": ["true"]}],
    ],
)
def test_a_claim_that_is_not_there_is_no_match(claims) -> None:
    found = matches(query(*claims))
    assert not found.satisfiable
    with pytest.raises(QueryNotSatisfied):
        default_choice(found)


def test_the_first_claim_set_that_fits_is_the_default_and_others_can_be_chosen() -> None:
    dcql = query(
        {"id": "x", "path": ["nothing"]},
        {"id": "a", "path": ["age_over_19"]},
        {"id": "n", "path": ["name"]},
        claim_sets=[["x"], ["a"], ["a", "n"]],
    )
    found = matches(dcql)
    assert only(approve(found)).selected == (("age_over_19",),)
    chosen = approve(found, {"licence": [Selection("card", option=1)]})
    assert only(chosen).selected == (("age_over_19",), ("name",))
    with pytest.raises(QueryNotSatisfied):
        approve(found, {"licence": [Selection("card", option=2)]})


@pytest.mark.clause("dcql-B.3.5-type-wallet", "dcql-6.1-holder-binding")
def test_another_type_format_or_binding_is_no_match() -> None:
    assert not matches(query(), Candidate("a", "dc+sd-jwt", "other", {})).satisfiable
    assert not matches(query(), Candidate("a", "mso_mdoc", VCT, {})).satisfiable
    unbound = Candidate("a", "dc+sd-jwt", VCT, {}, holder_bound=False)
    assert not matches(query(), unbound).satisfiable
    assert matches(query(require_cryptographic_holder_binding=False), unbound).satisfiable


@pytest.mark.clause("dcql-6.1.1-authorities")
def test_trusted_authorities_by_authority_key_identifier() -> None:
    ((_, identifier),) = CARD.authorities
    named = {"type": "aki", "values": ["AAAA", identifier]}
    assert matches(query(trusted_authorities=[named])).satisfiable
    assert matches(query(trusted_authorities=[{"type": "etsi_tl", "values": ["x"]}, named])).satisfiable
    assert not matches(query(trusted_authorities=[{"type": "aki", "values": ["AAAA"]}])).satisfiable
    assert not matches(query(trusted_authorities=[{"type": "other", "values": [identifier]}])).satisfiable


def two_sets():
    first, second = query(("name",))["credentials"][0], query(("licence_no",))["credentials"][0]
    return {
        "credentials": [first, {**second, "id": "number"}, {**second, "id": "extra"}],
        "credential_sets": [
            {"options": [["number", "extra"], ["licence"]]},
            {"options": [["extra"]], "required": False},
        ],
    }


def test_an_optional_set_is_sent_only_when_chosen() -> None:
    dcql = {**two_sets(), "credential_sets": [{"options": [["licence"]]}, {"options": [["extra"]], "required": False}]}
    found = matches(dcql)
    assert [one.query_id for one in approve(found).credentials] == ["licence"]
    chosen = approve(found, {"licence": [Selection("card")], "extra": [Selection("card")]})
    assert [one.query_id for one in chosen.credentials] == ["licence", "extra"]


@pytest.mark.clause("dcql-6.4-only-asked-wallet", "dcql-6.4.2-required-wallet", "dcql-8.1-single-wallet")
@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"extra": [Selection("card")]},
        {"licence": [Selection("other")]},
        {"licence": [Selection("card", option=-1)]},
        {"unknown": [Selection("card")]},
        {"licence": [Selection("card"), Selection("card")]},
        {"licence": [Selection("card")], "number": [Selection("card")]},
    ],
)
def test_a_choice_that_does_not_answer_the_query_is_refused(choice) -> None:
    with pytest.raises(QueryNotSatisfied):
        approve(matches(two_sets()), choice)


@pytest.mark.clause("dcql-8.1-single-wallet")
def test_several_credentials_only_where_the_query_takes_them() -> None:
    other = sd_jwt_candidate("other", WORLD.held())
    both = [Selection("card"), Selection("other")]
    with pytest.raises(QueryNotSatisfied):
        approve(matches(query(("name",)), CARD, other), {"licence": both})
    chosen = approve(matches(query(("name",), multiple=True), CARD, other), {"licence": both})
    assert [one.credential_id for one in chosen.credentials] == ["card", "other"]


def test_nobody_else_makes_an_approval() -> None:
    with pytest.raises(TypeError):
        ApprovedDisclosure((), object())
