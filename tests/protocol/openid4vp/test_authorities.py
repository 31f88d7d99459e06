"""Who certifies the issuer: what a wallet matches, and what a verifier checks for itself."""

from dataclasses import replace

import pytest

from tests.protocol.openid4vp.test_validation import ASKED, WORLD, expectation, present, refused_at
from tests.support.mdoc_presentations import MdocAgency
from tests.support.presentations import NOW, VCT, Agency, new_ca, query
from tests.support.trust import listed, new_list
from wallet_core.errors import InvalidRequest, QueryNotSatisfied
from wallet_core.protocols.openid4vp.authorities import authorities_of
from wallet_core.protocols.openid4vp.candidates import Knowledge, mdoc_candidate, sd_jwt_candidate
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.matching import match
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor
from wallet_core.trust.policy import create_issuer_policy

((_, OURS),) = authorities_of(WORLD.agency.chain())
((_, THEIRS),) = authorities_of(Agency(new_ca("다른 인증기관")).chain())
ROOT = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
OPERATOR = new_list(NOW).operator


def asking(*authorities, **members):
    named = [{"type": type_, "values": [*values]} for type_, values in authorities]
    return query(*ASKED, trusted_authorities=named, **members)


def lists_of(made):
    policy = create_issuer_policy(WORLD.anchors, [made])
    return lambda certificate, at: policy.lists_of(certificate)


@pytest.mark.clause("dcql-6.1.1-authorities-checked")
@pytest.mark.parametrize(
    ("authorities", "good"),
    [
        ([("aki", [OURS])], True),
        ([("aki", [THEIRS, OURS])], True),
        ([("aki", [f"{OURS}="])], True),
        ([("aki", [THEIRS]), ("aki", [OURS])], True),
        ([("openid_federation", ["https://a.example"]), ("aki", [OURS])], True),
        ([("aki", [THEIRS])], False),
        ([("aki", [OURS.lower()])], False),
        ([("etsi_tl", [OURS])], False),
        ([("openid_federation", ["https://a.example"])], False),
    ],
)
def test_the_verifier_checks_the_authority_itself(authorities, good) -> None:
    expected = expectation(asking(*authorities))
    if good:
        assert validate_vp_token({"licence": [present()]}, expected, now=NOW)
    else:
        refused_at(9, {"licence": [present()]}, QueryNotSatisfied, expected)


@pytest.mark.clause("dcql-6.1.1.2-list", "dcql-6.1.1-authorities-checked")
def test_a_trust_list_that_is_loaded_counts_and_no_other() -> None:
    asked, presented = asking(("etsi_tl", [OPERATOR])), {"licence": [present()]}
    here = new_list(NOW, ROOT, agencies=(listed(WORLD.agency.issuer, VCT),))
    assert validate_vp_token(presented, expectation(asked, trust_lists=lists_of(here)), now=NOW)
    # Never loaded, another list, or a list on which the issuer does not stand.
    refused_at(9, presented, QueryNotSatisfied, expectation(asked))
    elsewhere = replace(here, operator="https://lists.example/other")
    refused_at(9, presented, QueryNotSatisfied, expectation(asked, trust_lists=lists_of(elsewhere)))
    without = new_list(NOW, TrustAnchor(new_ca("다른 인증기관").certificate, AnchorPurpose.CREDENTIAL_ISSUER))
    refused_at(9, presented, QueryNotSatisfied, expectation(asked, trust_lists=lists_of(without)))


@pytest.mark.clause("dcql-6.1.1-authorities")
def test_the_wallet_answers_for_the_lists_it_knows() -> None:
    held, asked = WORLD.held(), parse_dcql_query(asking(("etsi_tl", [OPERATOR])))
    known = Knowledge(trust_lists=lambda _, __: frozenset({OPERATOR}))
    assert match(asked, [sd_jwt_candidate("card", held, known)]).satisfiable
    assert not match(asked, [sd_jwt_candidate("card", held)]).satisfiable
    assert not match(
        asked, [sd_jwt_candidate("card", held, Knowledge(trust_lists=lambda _, __: frozenset({"x"})))]
    ).satisfiable


def test_any_certificate_of_the_chain_counts_and_one_that_does_not_parse_is_none() -> None:
    mdoc = MdocAgency()
    both = (*WORLD.agency.chain(), *mdoc.chain())
    assert {OURS} < {value for _, value in authorities_of(both)}
    assert authorities_of((b"no certificate",)) == frozenset()
    ((type_, _),) = mdoc_candidate("mdl", mdoc.held(WORLD.holder)).authorities
    assert type_ == "aki"


def test_a_verifier_of_ours_names_only_authorities_that_it_can_check() -> None:
    validate_own_query(parse_dcql_query(asking(("aki", [OURS]), ("etsi_tl", [OPERATOR]))))
    with pytest.raises(InvalidRequest, match="authority"):
        validate_own_query(parse_dcql_query(asking(("aki", [OURS]), ("openid_federation", ["https://a.example"]))))


# --- types that extend others: B.3.5 ----------------------------------------------------------------------------------
@pytest.mark.clause("dcql-B.3.5-type")
def test_a_type_that_extends_an_asked_one_by_our_own_metadata() -> None:
    taxi = "urn:jigap:vct:taxi-licence:1"
    supertypes = {taxi: frozenset({VCT})}
    (credential,) = validate_vp_token(
        {"licence": [present(vct=taxi)]}, expectation(supertypes=supertypes), now=NOW
    ).credentials["licence"]
    assert credential.type == taxi
    refused_at(9, {"licence": [present(vct=taxi)]}, QueryNotSatisfied)
    refused_at(
        9,
        {"licence": [present(vct="urn:jigap:vct:other:1", claims={"name": "a", "age_over_19": True, "extends": VCT})]},
        QueryNotSatisfied,
        expectation(supertypes=supertypes),
    )
    # What the extended type was asked for is no more than that.
    refused_at(
        8,
        {"licence": [present([*ASKED, ("licence_no",)], vct=taxi)]},
        QueryNotSatisfied,
        expectation(supertypes=supertypes),
    )
