"""What a wallet shows, what it hides, and what it refuses to send."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.presentations import CLAIMS, VCT, query, world
from wallet_core.errors import QueryNotSatisfied
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.protocols.openid4vp import matching
from wallet_core.protocols.openid4vp.candidates import Knowledge, sd_jwt_candidate
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import (
    ApprovedDisclosure,
    Candidate,
    ClaimOption,
    Selection,
    approve,
    default_choice,
    index_candidates,
    match,
    shown_besides,
    weight,
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


@pytest.mark.clause("dcql-6.4.1-value-filter")
def test_only_the_array_elements_with_a_wanted_value_are_shown() -> None:
    credential = only(approve(matches(query({"path": ["classes", None], "values": ["2종 소형"]}))))
    assert credential.selected == (("classes", 1),)
    assert ("classes", 0) not in credential.disclosed


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


def test_what_a_query_names_twice_is_there_once_in_its_order() -> None:
    claims = [{"id": name, "path": [name]} for name in ("name", "licence_no")]
    sets = [["licence_no", "name"], ["name"], ["name", "licence_no"], ["name"], ["name", "name"]]
    number = query(*claims, claim_sets=sets)["credentials"][0]
    one = {"options": [["licence"], ["b", "b"], ["licence"], ["b"]]}
    parsed = parse_dcql_query({"credentials": [number, {**number, "id": "b"}], "credential_sets": [one, one]})
    assert [credential_set.options for credential_set in parsed.credential_sets] == [(("licence",), ("b",))]
    assert [[claim.id for claim in each] for each in parsed.credentials[0].claim_sets] == [
        ["licence_no", "name"],
        ["name"],
        ["name", "licence_no"],
    ]
    [found] = match(parsed, (CARD,)).by_query["b"]
    assert [option.selected for option in found.options] == [(("licence_no",), ("name",)), (("name",),)]


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
    # 6.1.1.1: the raw bytes count.
    assert matches(query(trusted_authorities=[{"type": "aki", "values": [f"{identifier}=="]}])).satisfiable
    assert matches(query(trusted_authorities=[named])).satisfiable
    assert matches(query(trusted_authorities=[{"type": "etsi_tl", "values": ["x"]}, named])).satisfiable
    assert not matches(query(trusted_authorities=[{"type": "aki", "values": ["AAAA"]}])).satisfiable
    assert not matches(query(trusted_authorities=[{"type": "other", "values": [identifier]}])).satisfiable


def test_a_claim_that_is_asked_for_twice_is_shown_once() -> None:
    credential = only(approve(matches(query(("name",), ("name",)))))
    assert (credential.selected, credential.disclosed) == ((("name",),), (("name",),))


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


# --- what one Disclosure holds is shown together ----------------------------------------------------------------------
WHOLE = {
    "name": "홍시험",
    "address": {"country": "KR", "street": "시험로 1", "resident_number": "000000-0000000"},
    "children": [{"name": "홍하나", "born": 2020}, {"name": "홍두리", "born": 2022}],
    "place": {"city": "제주", "zip": "63000"},
    "nested": {"open": 1, "box": {"a": 1, "b": {"c": 2}, "d": 3}},
}
WHOLES = [("name",), ("address",), ("children",), ("nested", "box"), ("nested", "box", "d")]


def leaves(value, path=()):
    if not isinstance(value, dict | list) or not value:
        return {path}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {leaf for part, child in parts for leaf in leaves(child, (*path, part))}


@pytest.mark.parametrize(
    "asked",
    [
        (),
        (("name",),),
        (("address", "country"), ("children", 0, "name")),
        (("address",),),
        (("children", None, "name"),),
        (("place", "zip"),),
        (("nested", "box", "b", "c"),),
        (("nested", "box", "d"),),
        (("nested", "open"),),
    ],
)
def test_consent_knows_everything_that_becomes_readable(asked) -> None:
    held = WORLD.held(claims=WHOLE, selectively_disclosable=WHOLES)
    candidate = sd_jwt_candidate("card", held)
    credential = only(approve(matches(query(*asked), candidate)))
    sent = index_sd_jwt(held.select(credential.selected)).claims
    readable = {leaf for leaf in leaves(sent) if leaf[0] in WHOLE}
    said = (*credential.selected, *credential.always_shown)
    assert {leaf for leaf in leaves(WHOLE) if any(leaf[: len(path)] == path for path in said)} == readable
    # None of it is said twice.
    assert not any(one[: len(other)] == other for one in credential.always_shown for other in said if one != other)
    assert weight(candidate, ClaimOption(credential.selected)) == (0, len(readable))
    for path in candidate.hideable.difference(credential.disclosed):
        assert not any(leaf[: len(path)] == path for leaf in readable)


def paths_in(value, path=()):
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for part, child in parts for found in ((*path, part), *paths_in(child, (*path, part)))]


VALUES = st.recursive(
    st.integers(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), st.dictionaries(st.sampled_from(["a", "b", "exp", "status"]), VALUES, min_size=1))
def test_what_is_said_to_be_shown_is_what_is_weighed(data, claims) -> None:
    some = st.lists(st.sampled_from(paths_in(claims)), max_size=4)
    special = frozenset(tuple(None if isinstance(part, int) else part for part in path) for path in data.draw(some))
    card = Candidate("card", "dc+sd-jwt", VCT, claims, frozenset(data.draw(some)), special=special)
    selected = tuple(data.draw(some))
    said = (*selected, *shown_besides(card, selected))
    shown = {leaf for leaf in leaves(claims) if any(leaf[: len(path)] == path for path in said)}
    general = [tuple(None if isinstance(part, int) else part for part in leaf) for leaf in shown]
    most = sum(any(leaf[: len(path)] == path for path in special) for leaf in general)
    assert weight(card, ClaimOption(selected)) == (most, len(shown))


def test_of_a_claim_about_the_card_only_what_was_opened_for_another_is_said() -> None:
    status = {"list": 1, "more": {"asked": 1, "beside": 2}}
    card = Candidate("card", "dc+sd-jwt", VCT, {"status": status, "exp": 1}, frozenset({("status", "more")}))
    credential = only(approve(matches(query(("status", "more", "asked")), card)))
    assert credential.always_shown == (("status", "more", "beside"),)


# --- the least disclosing answer is proposed --------------------------------------------------------------------------
def two_claims(*sets):
    claims = [{"id": name, "path": [name]} for name in ("name", "licence_no", "address")]
    return query(*claims, claim_sets=[*sets])


@pytest.mark.parametrize(
    ("sets", "shown"),
    [
        ([["name", "licence_no"], ["licence_no"], ["name"]], ("licence_no",)),
        ([["licence_no"], ["name"]], ("licence_no",)),
        # An address has two values, so a number says less.
        ([["address"], ["licence_no"]], ("licence_no",)),
        ([["address"], ["name", "licence_no"]], ("address",)),
    ],
)
def test_the_option_with_the_fewest_values_then_the_first(sets, shown) -> None:
    assert only(approve(matches(two_claims(*sets)))).selected == (shown,)


def test_one_special_claim_says_more_than_many_others() -> None:
    special = replace(CARD, special=frozenset({("licence_no",)}))
    dcql = two_claims(["licence_no"], ["name", "address"])
    assert only(approve(matches(dcql, special))).selected == (("name",), ("address",))
    assert only(approve(matches(dcql))).selected == (("licence_no",),)
    everywhere = replace(CARD, special=frozenset({("classes", None), ("address",)}))
    dcql = query({"id": "c", "path": ["classes", 0]}, {"id": "n", "path": ["name"]}, claim_sets=[["c"], ["n"]])
    assert only(approve(matches(dcql, everywhere))).selected == (("name",),)


def test_of_two_cards_the_one_that_shows_less_besides() -> None:
    plain = Candidate(
        "plain", "dc+sd-jwt", VCT, {"name": "a", "street": "b", "tags": [], "exp": 1}, frozenset({("name",)})
    )
    bare = Candidate("bare", "dc+sd-jwt", VCT, {"name": "a", "street": "b"}, frozenset({("name",), ("street",)}))
    assert only(approve(matches(query(("name",)), plain, bare))).credential_id == "bare"
    assert weight(plain, ClaimOption((("name",),))) == (0, 3)
    assert weight(bare, ClaimOption((("name",),))) == (0, 1)
    twin = replace(bare, id="twin")
    assert only(approve(matches(query(("name",)), twin, bare))).credential_id == "twin"


def test_a_card_that_opens_more_than_was_asked_for_says_more() -> None:
    claims = {"address": {"country": "KR", "street": "b"}}
    whole = Candidate("whole", "dc+sd-jwt", VCT, claims, frozenset({("address",)}))
    parts = Candidate("parts", "dc+sd-jwt", VCT, claims, frozenset({("address", "country"), ("address", "street")}))
    assert only(approve(matches(query(("address", "country")), whole, parts))).credential_id == "parts"


def test_of_two_options_of_a_set_the_one_that_shows_less() -> None:
    assert [one.query_id for one in approve(matches(two_sets())).credentials] == ["licence"]
    dcql = two_sets()
    dcql["credential_sets"][0]["options"] = [["extra"], ["licence"]]
    assert [one.query_id for one in approve(matches(dcql)).credentials] == ["extra"]


def test_with_optional_sets_only_something_is_sent_or_nothing() -> None:
    dcql = {**query(("name",)), "credential_sets": [{"options": [["licence"]], "required": False}]}
    assert matches(dcql).satisfiable
    assert not matches(dcql, Candidate("a", "dc+sd-jwt", "other", {})).satisfiable
    with pytest.raises(QueryNotSatisfied):
        approve(matches(dcql))
    assert only(approve(matches(dcql), {"licence": [Selection("card")]})).query_id == "licence"


# --- types that extend others -----------------------------------------------------------------------------------------
@pytest.mark.clause("dcql-B.3.5-extends-wallet")
def test_a_type_that_extends_the_asked_one() -> None:
    held = WORLD.held(vct="urn:jigap:vct:taxi-licence:1")
    knowledge = Knowledge(supertypes={"urn:jigap:vct:taxi-licence:1": frozenset({VCT, "urn:jigap:vct:paper:1"})})
    asked = parse_dcql_query(query(("name",)))
    assert match(asked, [sd_jwt_candidate("taxi", held, knowledge)]).satisfiable
    assert not match(asked, [sd_jwt_candidate("taxi", held)]).satisfiable
    # Not the other way round, and never on the credential's own word.
    taxi = parse_dcql_query(query(("name",), meta={"vct_values": ["urn:jigap:vct:taxi-licence:1"]}))
    assert not match(taxi, [sd_jwt_candidate("card", HELD, knowledge)]).satisfiable
    boasting = WORLD.held(claims={"name": "a", "extends": VCT}, vct="urn:jigap:vct:other:1")
    assert not match(asked, [sd_jwt_candidate("other", boasting, knowledge)]).satisfiable
    assert knowledge.asked_types(asked) == {("dc+sd-jwt", VCT), ("dc+sd-jwt", "urn:jigap:vct:taxi-licence:1")}


def test_candidates_of_several_asked_types_keep_their_order_and_come_once() -> None:
    cards = [
        Candidate("b", "dc+sd-jwt", "child", {}, supertypes=frozenset({"parent"})),
        Candidate("a", "dc+sd-jwt", "parent", {}),
        Candidate("other", "dc+sd-jwt", "strange", {}),
        Candidate("mdoc", "mso_mdoc", "parent", {}),
    ]
    found = matches(query(meta={"vct_values": ["parent", "child", "parent"]}), *cards)
    assert [one.candidate.id for one in found.by_query["licence"]] == ["b", "a"]
    again = match(found.query, index_candidates(cards))
    assert again.by_query == found.by_query


# --- hostile queries cost little --------------------------------------------------------------------------------------
@pytest.fixture
def looked(monkeypatch):
    """Paths that were looked for, one for each look into a card."""
    seen = []

    def watch(name):
        real = getattr(matching, name)
        monkeypatch.setattr(matching, name, lambda claim, claims: seen.append(claim.path) or real(claim, claims))

    watch("_is_there")
    watch("select")
    return seen


def many_sets():
    """Three claims, one of them with a wildcard, all and by twos in every order."""
    paths = {"n": ["name"], "c": ["classes", None], "a": ["age_over_19"]}
    claims = [{"id": name, "path": path} for name, path in paths.items()]
    orders = [[*order] for order in permutations("nca")]
    return query(*claims, claim_sets=[*orders, *(order[:2] for order in orders)])


def test_each_claim_is_looked_for_once_in_each_card_however_many_sets_name_it(looked) -> None:
    cards = [replace(CARD, id=f"card-{number}") for number in range(5)]
    found = matches(many_sets(), *cards)
    assert [len(one.options) for one in found.by_query["licence"]] == [4] * 5
    assert sorted(looked, key=str) == sorted([("name",), ("classes", None), ("age_over_19",)] * 5, key=str)


def test_a_card_without_the_claim_that_each_set_begins_with_is_left_at_once(looked) -> None:
    claims = [{"id": name, "path": [name]} for name in ("nothing", "name", "licence_no", "age_over_19")]
    sets = [["nothing", *rest] for rest in permutations(["name", "licence_no", "age_over_19"], 2)]
    assert not matches(query(*claims, claim_sets=sets)).satisfiable
    assert looked == [("nothing",)]
