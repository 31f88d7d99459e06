"""Queries that break one rule of OpenID4VP 6 each."""

from contextlib import nullcontext
from copy import deepcopy

import pytest

from wallet_core.errors import InvalidRequest
from wallet_core.protocols.openid4vp.dcql import (
    MAX_ALL_CLAIM_SETS,
    MAX_ALL_CLAIMS,
    MAX_CLAIM_REFERENCES,
    MAX_CLAIMS,
    MAX_ENTRIES,
    MAX_KEPT_BYTES,
    MAX_SET_REFERENCES,
    parse_dcql_query,
    validate_own_query,
)

GOOD = {
    "credentials": [
        {
            "id": "licence",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["urn:jigap:vct:drivers-licence:1"]},
            "multiple": False,
            "require_cryptographic_holder_binding": True,
            "claims": [{"id": "a", "path": ["age_over_19"], "values": [True]}, {"id": "n", "path": ["name"]}],
            "claim_sets": [["a"], ["a", "n"]],
        },
        {"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"},
         "claims": [{"path": ["org.iso.18013.5.1", "family_name"]}]},
    ],
    "credential_sets": [{"options": [["licence"], ["mdl"]], "required": True}],
}  # fmt: skip


def refused(change) -> None:
    query = deepcopy(GOOD)
    parse_dcql_query(query)
    change(query, query["credentials"][0])
    with pytest.raises(InvalidRequest):
        parse_dcql_query(query)


@pytest.mark.clause("dcql-6-credentials")
def test_no_credentials() -> None:
    refused(lambda query, _: query.pop("credentials"))


@pytest.mark.clause("dcql-6-non-empty")
@pytest.mark.parametrize("member", ["claims", "claim_sets", "trusted_authorities"])
def test_an_empty_array(member) -> None:
    refused(lambda _, credential: credential.update({member: []}))


@pytest.mark.clause("dcql-6-non-empty")
@pytest.mark.parametrize("member", ["credentials", "credential_sets"])
def test_an_empty_array_at_the_top(member) -> None:
    refused(lambda query, _: query.update({member: []}))


@pytest.mark.clause("dcql-6.1-id")
@pytest.mark.parametrize("id_", ["", "a b", "가", "a.b", "a\n", None, 1])
def test_an_id_of_other_characters(id_) -> None:
    refused(lambda query, credential: (credential.update(id=id_), query.pop("credential_sets")))


@pytest.mark.clause("dcql-6.1-id-once")
def test_two_credential_queries_of_one_id() -> None:
    refused(lambda query, _: query["credentials"][1].update(id="licence") or query.pop("credential_sets"))


@pytest.mark.clause("dcql-6.1-boolean")
@pytest.mark.parametrize("member", ["multiple", "require_cryptographic_holder_binding"])
@pytest.mark.parametrize("value", ["false", 0, None])
def test_a_truth_value_of_another_type(member, value) -> None:
    refused(lambda _, credential: credential.update({member: value}))


@pytest.mark.clause("dcql-6.1-boolean")
def test_required_of_another_type() -> None:
    refused(lambda query, _: query["credential_sets"][0].update(required="no"))


@pytest.mark.clause("dcql-B.3.5-meta")
@pytest.mark.parametrize("meta", [{}, {"vct_values": []}, {"vct_values": "urn:x"}, {"doctype_value": "x"}])
def test_meta_without_types(meta) -> None:
    refused(lambda _, credential: credential.update(meta=meta))


@pytest.mark.clause("dcql-B.3.5-meta")
def test_meta_of_an_mdoc_without_its_doctype() -> None:
    with pytest.raises(InvalidRequest):
        parse_dcql_query({"credentials": [{"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": ["x"]}}]})


@pytest.mark.clause("dcql-B.2.3-intent")
@pytest.mark.parametrize("value", ["yes", 1, None])
def test_an_intent_to_retain_of_another_type(value) -> None:
    claim = {"path": ["org.iso.18013.5.1", "portrait"], "intent_to_retain": value}
    meta = {"doctype_value": "org.iso.18013.5.1.mDL"}
    with pytest.raises(InvalidRequest):
        parse_dcql_query({"credentials": [{"id": "mdl", "format": "mso_mdoc", "meta": meta, "claims": [claim]}]})


@pytest.mark.clause("dcql-6.2-options")
def test_a_credential_set_without_options() -> None:
    refused(lambda query, _: query["credential_sets"][0].pop("options"))


@pytest.mark.clause("dcql-6.2-known")
def test_an_option_that_names_no_credential_query() -> None:
    refused(lambda query, _: query["credential_sets"][0]["options"].append(["unknown"]))


@pytest.mark.clause("dcql-6.3-values")
@pytest.mark.parametrize("value", [1.5, None, {}, [], ""])
def test_a_value_of_another_type(value) -> None:
    refused(lambda _, credential: credential["claims"][0].update(values=[value]))


@pytest.mark.clause("dcql-6.3-claim-id-once")
def test_two_claims_of_one_id() -> None:
    refused(lambda _, credential: credential["claims"].append({"id": "a", "path": ["birth_date"]}))
    # Without claim_sets nobody needs an id, but two are still not the same.
    unnamed = deepcopy(GOOD)
    del unnamed["credentials"][0]["claim_sets"]
    for claims, good in (
        ([{"path": ["a"]}, {"path": ["b"]}], True),
        ([{"id": "a", "path": [each]} for each in "ab"], False),
    ):
        unnamed["credentials"][0].update(claims=claims)
        with nullcontext() if good else pytest.raises(InvalidRequest):
            parse_dcql_query(unnamed)


@pytest.mark.clause("dcql-6.3-claim-ids")
def test_a_claim_without_id_beside_claim_sets() -> None:
    refused(lambda _, credential: credential["claims"].append({"path": ["licence_no"]}))


@pytest.mark.clause("dcql-6.3-claim-ids")
def test_claim_sets_without_claims() -> None:
    refused(lambda _, credential: credential.pop("claims"))


@pytest.mark.clause("dcql-6.3-claim-sets-known")
def test_a_claim_set_that_names_no_claim() -> None:
    refused(lambda _, credential: credential["claim_sets"].append(["unknown"]))


@pytest.mark.clause("dcql-7.2-mdoc")
@pytest.mark.parametrize("path", [["family_name"], ["a", "b", "c"], ["a", 1], ["a", None], ["", "b"]])
def test_an_mdoc_path_that_is_not_namespace_and_element(path) -> None:
    refused(lambda query, _: query["credentials"][1]["claims"][0].update(path=path))


@pytest.mark.clause("dcql-6.1-same-claim")
def test_our_own_query_asks_for_a_claim_twice() -> None:
    query = deepcopy(GOOD)
    validate_own_query(parse_dcql_query(query), formats=("dc+sd-jwt", "mso_mdoc"))
    query["credentials"][0]["claims"][1]["path"] = ["age_over_19"]
    with pytest.raises(InvalidRequest):
        validate_own_query(parse_dcql_query(query), formats=("dc+sd-jwt", "mso_mdoc"))


@pytest.mark.clause("dcql-6-non-empty")
@pytest.mark.parametrize(
    "change",
    [
        lambda query, _: query.update(credentials=[{**GOOD["credentials"][1], "id": f"q{n}"} for n in range(65)]),
        lambda _, credential: credential.update(claims=[{"id": f"c{n}", "path": [f"c{n}"]} for n in range(10_000)]),
        lambda _, credential: credential["claims"].extend({"id": f"c{n}", "path": [f"c{n}"]} for n in range(255)),
        lambda _, credential: credential.update(claim_sets=[["a"]] * 65),
        lambda _, credential: credential.update(claim_sets=[["a"] * 257]),
        lambda _, credential: credential.update(
            claims=[{"id": f"c{n}", "path": [f"c{n}"]} for n in range(MAX_CLAIMS)],
            claim_sets=[[f"c{n}" for n in range(MAX_CLAIMS) if n != left] for left in range(17)],
        ),
        lambda query, _: query.update(credential_sets=[{"options": [["licence"]]}] * 65),
        lambda query, _: query["credential_sets"][0].update(options=[["licence"]] * 65),
        lambda query, _: query["credential_sets"][0].update(options=[["licence"] * 65]),
        lambda _, credential: credential["claims"][0].update(values=[True] * 65),
        lambda _, credential: credential["meta"].update(vct_values=["t"] * 65),
        lambda _, credential: credential.update(trusted_authorities=[{"type": "aki", "values": ["x"]}] * 65),
        lambda _, credential: credential.update(trusted_authorities=[{"type": "aki", "values": ["x"] * 65}]),
    ],
)
def test_a_query_with_more_than_anybody_asks(change) -> None:
    refused(change)


def test_a_query_for_everything_of_an_mdl() -> None:
    query = deepcopy(GOOD)
    query["credentials"][1]["claims"] = [
        {"id": f"c{n}", "path": ["org.iso.18013.5.1", f"element_{n}"]} for n in range(MAX_CLAIMS)
    ]
    query["credentials"][1]["claim_sets"] = [[f"c{n}" for n in range(MAX_CLAIMS)]] * 16
    parsed = parse_dcql_query(query)
    assert len(parsed.credentials[1].claims) == MAX_CLAIMS
    validate_own_query(parsed)


def alike(queries, claims, sets=None):
    """As many queries, with as many claims each and the claim sets that ``sets`` makes of their ids."""
    ids = [f"c{n}" for n in range(claims)]
    asked = {"claims": [{"id": id_, "path": [id_]} for id_ in ids], "claim_sets": sets(ids) if sets else [ids]}
    return {"credentials": [{**GOOD["credentials"][0], **asked, "id": f"q{number}"} for number in range(queries)]}


def turned(names, turns):
    return [[*names[turn:], *names[:turn]] for turn in range(turns)]


def one_more_claim(query) -> None:
    query["credentials"][0]["claims"].append({"id": "more", "path": ["more"]})


def one_more_set(query) -> None:
    query["credentials"][0]["claim_sets"].append(["c1"])


def one_more_option(query) -> None:
    query["credential_sets"].append({"options": [["q1"]]})


ALL = alike(MAX_ENTRIES, 1)
ALL["credential_sets"] = [{"options": turned([f"q{n}" for n in range(MAX_ENTRIES)], MAX_SET_REFERENCES // MAX_ENTRIES)}]


@pytest.mark.parametrize(
    ("query", "more", "text"),
    [
        (alike(MAX_ENTRIES, MAX_ALL_CLAIMS // MAX_ENTRIES), one_more_claim, f"{MAX_ALL_CLAIMS} claims"),
        (
            alike(MAX_ENTRIES, 4, lambda ids: turned(ids, MAX_ALL_CLAIM_SETS // MAX_ENTRIES)),
            one_more_set,
            f"{MAX_ALL_CLAIM_SETS} claim sets",
        ),
        (
            alike(2, MAX_CLAIMS, lambda ids: turned(ids, MAX_CLAIM_REFERENCES // MAX_CLAIMS // 2)),
            one_more_set,
            f"{MAX_CLAIM_REFERENCES} claims in claim_sets",
        ),
        (ALL, one_more_option, f"{MAX_SET_REFERENCES} Credential Queries in credential_sets"),
    ],
    ids=["claims", "claim sets", "claims in them", "options"],
)
def test_a_query_whose_parts_are_too_many_together(query, more, text) -> None:
    parse_dcql_query(query)
    query = deepcopy(query)
    more(query)
    with pytest.raises(InvalidRequest, match=f"more than {text} in all"):
        parse_dcql_query(query)


@pytest.mark.clause("dcql-6.1-authorities-shape")
@pytest.mark.parametrize(
    "authority",
    [None, "aki", {}, {"type": "aki"}, {"values": ["x"]}, {"type": "", "values": ["x"]}, {"type": 1, "values": ["x"]},
     {"type": "aki", "values": []}, {"type": "aki", "values": "x"}, {"type": "aki", "values": [1]},
     {"type": "aki", "values": [""]}],
)  # fmt: skip
def test_an_authority_of_another_shape(authority) -> None:
    refused(lambda _, credential: credential.update(trusted_authorities=[authority]))


def test_unknown_members_and_kinds_are_ignored() -> None:
    # 6: "Implementations MUST ignore any unknown properties."
    query = deepcopy(GOOD)
    for place in (query, query["credentials"][0], query["credentials"][0]["claims"][0], query["credential_sets"][0]):
        place["purpose"] = {"of": ["a later", 7, None]}
    query["credentials"][0]["trusted_authorities"] = [{"type": "later", "values": ["x"], "more": 1}]
    parsed = parse_dcql_query(query)
    assert [one.id for one in parsed.credentials] == ["licence", "mdl"]
    assert parsed.credentials[0].trusted_authorities[0].type == "later"


@pytest.mark.clause("dcql-7-path")
@pytest.mark.parametrize("path", [None, [], "name", {"a": 1}, ["a"] * 1000])
def test_a_path_that_is_no_array_of_some(path) -> None:
    refused(lambda _, credential: credential["claims"][0].update(path=path))


@pytest.mark.clause("dcql-7-component")
@pytest.mark.parametrize("part", [-1, True, 1.5, ["a"], {}])
def test_a_path_with_another_component(part) -> None:
    refused(lambda _, credential: credential["claims"][0].update(path=["a", part]))


def test_what_is_kept_of_a_query_is_found_by_all_of_its_text() -> None:
    def asking(path: object) -> dict[str, object]:
        claims = [{"path": [path]}]
        return {"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["x"]}, "claims": claims}]}

    assert parse_dcql_query(asking("b")) is parse_dcql_query(asking("b"))
    assert parse_dcql_query(asking(0)).credentials[0].claims[0].path == (0,)
    long = asking("b" * MAX_KEPT_BYTES)
    assert parse_dcql_query(long) == parse_dcql_query(long)
    assert parse_dcql_query(long) is not parse_dcql_query(long)
    with pytest.raises(InvalidRequest):
        parse_dcql_query(asking(True))
    with pytest.raises(InvalidRequest):
        parse_dcql_query(asking(1 << 80) | {"credential_sets": []})
