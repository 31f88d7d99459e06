"""Whatever a query asks and a wallet holds: what is approved satisfies the verifier, and nothing else is sent."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocol.openid4vp.test_partial_answers import POLICE, WORLD, validate
from tests.support.presentations import NOW
from wallet_core.encoding import base64url
from wallet_core.encoding.claims_path import value_at
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.protocols.openid4vp.candidates import candidate_of
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Selection, approve, match, overlap, select
from wallet_core.protocols.openid4vp.pending import ResolvedRequest, VerifierIdentity
from wallet_core.protocols.openid4vp.wallet import create_presentation

TYPE, DOCTYPE, NAMESPACE = "urn:example:card:1", "org.example.card", "org.example"
SCALARS = st.one_of(st.integers(0, 2), st.booleans(), st.sampled_from(["x", "y"]))
ELEMENTS = st.dictionaries(st.sampled_from("abcd"), SCALARS, min_size=1)
NESTED = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.sampled_from("pq"), SCALARS, min_size=1, max_size=2)
)
CLAIMS = st.dictionaries(st.sampled_from("abcd"), NESTED, min_size=1)
EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def paths_below(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    wild = [(*path, None)] if isinstance(value, list) and value else []
    return [path, *wild, *(each for part, child in children for each in paths_below(child, (*path, part)))]


@st.composite
def hidden_paths(draw, claims):
    """What of an SD-JWT hides by itself: any element, null for all elements of an array."""
    every = [each for name, value in claims.items() for each in paths_below(value, (name,))]
    usable = [path for path in every if not isinstance(path[-1], int) and not (None in path and path[-1] is not None)]
    return draw(st.lists(st.sampled_from(usable), unique=True))


@st.composite
def claims_queries(draw, paths):
    """Claims that mostly exist, with any value, the right one, or another."""
    chosen = draw(st.lists(st.sampled_from(paths), min_size=1, max_size=4, unique=True))
    wanted = [draw(st.none() | st.lists(SCALARS, min_size=1, max_size=3)) for _ in chosen]
    claims: list[dict[str, Any]] = [
        {"id": f"c{number}", "path": [*path], **({} if values is None else {"values": values})}
        for number, (path, values) in enumerate(zip(chosen, wanted, strict=True))
    ]
    members: dict[str, Any] = {"claims": claims}
    if draw(st.booleans()):
        ids = [claim["id"] for claim in claims]
        members["claim_sets"] = draw(
            st.lists(st.lists(st.sampled_from(ids), min_size=1, unique=True), min_size=1, max_size=3)
        )
    return members


@st.composite
def worlds(draw):
    """Two held credentials of both formats, a query for up to three, and what the holder picks."""
    claims, elements = draw(CLAIMS), draw(ELEMENTS)
    hidden = draw(hidden_paths(claims))
    json_paths = [("nothing",), *(each for name, value in claims.items() for each in paths_below(value, (name,)))]
    mdoc_paths = [(NAMESPACE, "nothing"), *((NAMESPACE, name) for name in elements)]
    sd_jwt = {"format": "dc+sd-jwt", "meta": {"vct_values": [TYPE]}}
    mdoc = {"format": "mso_mdoc", "meta": {"doctype_value": DOCTYPE}}
    queries = []
    for number in range(draw(st.integers(1, 3))):
        is_mdoc = draw(st.booleans())
        members = draw(claims_queries(mdoc_paths if is_mdoc else json_paths)) if draw(st.integers(0, 4)) else {}
        waived = {} if draw(st.booleans()) else {"require_cryptographic_holder_binding": False}
        queries.append({"id": f"q{number}", **(mdoc if is_mdoc else sd_jwt), **members, **waived})
    dcql: dict[str, Any] = {"credentials": queries}
    if draw(st.booleans()):
        ids = [each["id"] for each in queries]
        options = st.lists(st.lists(st.sampled_from(ids), min_size=1, unique=True), min_size=1, max_size=2)
        sets = st.lists(st.fixed_dictionaries({"options": options, "required": st.booleans()}), min_size=1, max_size=2)
        dcql["credential_sets"] = draw(sets)
    return claims, hidden, elements, dcql, draw(st.booleans()), draw(st.integers(0, 2))


def choice_for(matches, number):
    """Everything of every set that can be answered, with the given option of each match."""
    wanted = {
        query_id for found in matches.sets if found.options for query_id in found.options[number % len(found.options)]
    }
    return {
        query_id: [Selection(one.candidate.id, number % len(one.options))]
        for query_id in wanted
        for one in matches.by_query[query_id][:1]
    }


def shown_paths(format_: str, text: str) -> set[tuple[Any, ...]]:
    """What a presentation opens of what could stay hidden."""
    if format_ == "mso_mdoc":
        (document,) = parse_device_response(base64url.decode(text)).documents
        return {(name, item.element) for name, items in document.issuer_signed.items.items() for item in items}
    return set(index_sd_jwt(text.rpartition("~")[0] + "~").paths)


@pytest.mark.clause("dcql-6.4-only-asked-wallet", "dcql-6.4.1-checked", "dcql-6.4.2-required", "dcql-6.4-only-asked")
@EXAMPLES
@given(worlds())
def test_what_is_approved_satisfies_the_verifier_and_is_what_was_asked(drawn) -> None:
    claims, hidden, elements, dcql, bound, number = drawn
    held = {
        "card": index_sd_jwt(
            WORLD.agency.issue(WORLD.holder if bound else None, claims, vct=TYPE, selectively_disclosable=hidden)
        ),
        "mdoc": POLICE.held(WORLD.holder, doc_type=DOCTYPE, name_spaces={NAMESPACE: elements}),
    }
    request = WORLD.request(dcql)
    candidates = {name: candidate_of(name, each) for name, each in held.items()}
    matches = match(parse_dcql_query(dcql), candidates.values())
    if not matches.satisfiable:
        return
    required = any(found.required for found in matches.sets)
    for choice in (*([None] if required else []), choice_for(matches, number)):
        approved = approve(matches, choice)
        resolved = ResolvedRequest(request, VerifierIdentity(request.client_id.full, "verifier.example", None, None))
        items = create_presentation(resolved, approved, held, now=NOW).items
        vp_token: dict[str, list[str]] = {}
        for one, item in zip(approved.credentials, items, strict=True):
            signature = None if item.signing_input is None else WORLD.holder.sign(item.signing_input)
            text = item.attach(signature)
            vp_token.setdefault(item.query_id, []).append(text)
            query, candidate = request.dcql_query.credential(one.query_id), candidates[one.credential_id]
            assert query is not None
            asked = {path for claim in query.claims for path in select(claim, candidate.claims)}
            assert set(one.selected) <= asked
            if query.format == "mso_mdoc":
                assert shown_paths(query.format, text) == set(one.selected)
            else:
                # What is opened is what was asked for, what it hangs from, or what is inside of it.
                opened = one.disclosed
                assert len(shown_paths(query.format, text)) == len(opened)
                assert all(any(overlap(path, other) for other in asked) for path in opened)
        validated = validate(request, vp_token)
        assert {query_id: len(several) for query_id, several in validated.credentials.items()} == {
            query_id: len(several) for query_id, several in vp_token.items()
        }
        assert all(check.ok for check in validated.checks)
        for one in approved.credentials:
            (presented,) = validated.credentials[one.query_id]
            for path in one.selected:
                if not any(isinstance(part, int) for part in path):
                    kept = value_at(presented.claims, path)
                    assert isinstance(kept, dict | list) or kept == value_at(candidates[one.credential_id].claims, path)
