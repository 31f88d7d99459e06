"""An answer that is good in part: what fails for itself is discarded, what was made for another request refuses all."""

from datetime import timedelta

import pytest

from tests.support.mdoc_presentations import NAME, MdocAgency, mdoc_query
from tests.support.presentations import NOW, Agency, new_ca, query, world
from wallet_core.errors import HolderBindingError, MalformedError, QueryNotSatisfied, VerificationError
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.protocols.openid4vp.candidates import candidate_of
from wallet_core.protocols.openid4vp.checks import failed_checks
from wallet_core.protocols.openid4vp.matching import Selection, approve, match
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.pending import ResolvedRequest, VerifierIdentity
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.protocols.openid4vp.wallet import create_presentation
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain

WORLD = world()
POLICE = MdocAgency()
STRANGER, STRANGE_POLICE = Agency(new_ca("모르는 인증기관")), MdocAgency()


def dcql(*, required=("licence",), multiple=False):
    """Three queries; those that are not required stand in optional sets of their own."""
    licence = query(("name",), multiple=multiple)["credentials"][0]
    asked = [licence, {**licence, "id": "second", "multiple": False}, mdoc_query(NAME)["credentials"][0]]
    optional = [each["id"] for each in asked if each["id"] not in required]
    sets = [{"options": [[*required]]}, *({"options": [[each]], "required": False} for each in optional)]
    return {"credentials": asked, "credential_sets": sets}


def request_for(**changes):
    return WORLD.request(dcql(**changes))


def shown(request, *, agency=WORLD.agency, nonce=None, disclose=(("name",),), audience=None, **issue):
    held = index_sd_jwt(agency.issue(WORLD.holder, **issue))
    unsigned = create_key_binding(
        held,
        disclose,
        audience=audience or request.client_id.full,
        nonce=nonce or request.nonce,
        issued_at=NOW,
        algorithm=WORLD.holder.algorithm,
    )
    return unsigned.attach(WORLD.holder.sign(unsigned.signing_input))


def shown_mdoc(request, *, agency=POLICE, **issue):
    held = agency.held(WORLD.holder, **issue)
    approved = approve(match(WORLD.request(mdoc_query(NAME)).dcql_query, [candidate_of("card", held)]))
    resolved = ResolvedRequest(request, VerifierIdentity(request.client_id.full, "verifier.example", None, None))
    (item,) = create_presentation(resolved, approved, {"card": held}, now=NOW).items
    return item.attach(WORLD.holder.sign(item.signing_input))


def validate(request, vp_token, **changes):
    def chain(purpose, anchors):
        return lambda certificates, at: verify_chain(certificates, anchors, purpose=purpose, at=at)

    arguments = {
        "query": request.dcql_query,
        "client_id": request.client_id.full,
        "nonce": request.nonce,
        "verify_chain": chain(AnchorPurpose.CREDENTIAL_ISSUER, WORLD.anchors),
        "verify_mdoc_chain": chain(AnchorPurpose.MDL_ISSUER, POLICE.anchors),
        "session_transcript": request_transcript(request),
        **changes,
    }
    return validate_vp_token(vp_token, Expectation(**arguments), now=NOW)


def refused(request, vp_token, kind=VerificationError):
    with pytest.raises(kind) as caught:
        validate(request, vp_token)
    return caught.value


OLD = {"issued_at": NOW - timedelta(days=2), "expires_at": NOW - timedelta(days=1)}
FAILURES = {
    "untrusted": (2, {"agency": STRANGER}),
    "expired": (5, OLD),
    "for_others": (5, {"claims": {"name": "홍시험", "aud": "https://other.example"}}),
    "too_much": (8, {"disclose": (("name",), ("licence_no",))}),
    "too_little": (9, {"disclose": ()}),
    "other_type": (9, {"vct": "urn:jigap:vct:other:1"}),
}


@pytest.mark.clause("vp-8.6-discarded")
@pytest.mark.parametrize("name", FAILURES)
def test_an_optional_credential_that_fails_is_discarded_and_its_check_is_shown(name) -> None:
    step, changes = FAILURES[name]
    request = request_for()
    validated = validate(request, {"licence": [shown(request)], "second": [shown(request, **changes)]})
    assert set(validated.credentials) == {"licence"}
    assert [check.ok for check in validated.checks] == [True] * 10 + [False]
    assert (validated.checks[-1].step, validated.checks[-1].query_id) == (step, "second")
    assert validated.checks[-1].detail


@pytest.mark.clause("vp-8.6-discarded", "dcql-6.4.2-required")
@pytest.mark.parametrize("name", FAILURES)
def test_a_required_credential_that_fails_refuses_the_answer(name) -> None:
    step, changes = FAILURES[name]
    request = request_for(required=("licence", "second"))
    error = refused(request, {"licence": [shown(request)], "second": [shown(request, **changes)]})
    assert (error.step, error.query_id) == (step, "second")
    checks = failed_checks(error)
    assert [check.ok for check in checks] == [True] * (step - 1) + [False] + [None] * (10 - step)
    assert checks[step - 1].query_id == "second"


@pytest.mark.clause("vp-8.6-discarded")
def test_another_option_of_the_same_set_will_do() -> None:
    request = WORLD.request({**dcql(), "credential_sets": [{"options": [["licence"], ["mdl"]]}]})
    validated = validate(request, {"licence": [shown(request, **OLD)], "mdl": [shown_mdoc(request)]})
    assert set(validated.credentials) == {"mdl"}
    assert validated.checks[-1].query_id == "licence"


@pytest.mark.clause("vp-8.6-discarded")
def test_of_several_presentations_for_one_query_the_good_ones_count() -> None:
    request = request_for(multiple=True)
    validated = validate(request, {"licence": [shown(request, **OLD), shown(request), shown(request, agency=STRANGER)]})
    assert len(validated.credentials["licence"]) == 1
    assert [(check.step, check.query_id) for check in validated.checks[10:]] == [(5, "licence"), (2, "licence")]


@pytest.mark.clause("vp-14.1.2-nonce-rejects-all")
@pytest.mark.parametrize("changes", [{}, {"agency": STRANGER}, OLD, {"vct": "urn:jigap:vct:other:1"}])
def test_a_wrong_nonce_refuses_everything_whatever_else_is_wrong(changes) -> None:
    request = request_for()
    vp_token = {"licence": [shown(request)], "second": [shown(request, nonce="n-of-another-request", **changes)]}
    error = refused(request, vp_token, HolderBindingError)
    assert (error.step, error.query_id) == (6, "second")


@pytest.mark.clause("vp-14.1.2-nonce-rejects-all")
@pytest.mark.parametrize("changes", [{}, {"agency": STRANGE_POLICE}])
def test_an_mdoc_of_another_session_refuses_everything(changes) -> None:
    request, other = request_for(), WORLD.request(dcql(), state="request-2", encrypted=False)
    validated = validate(request, {"licence": [shown(request)], "mdl": [shown_mdoc(request)]})
    assert set(validated.credentials) == {"licence", "mdl"}
    error = refused(request, {"licence": [shown(request)], "mdl": [shown_mdoc(other, **changes)]}, HolderBindingError)
    assert (error.step, error.query_id) == (6, "mdl")


@pytest.mark.clause("vp-8.6-discarded")
def test_an_mdoc_of_a_stranger_made_for_this_request_is_discarded() -> None:
    request = request_for()
    validated = validate(request, {"licence": [shown(request)], "mdl": [shown_mdoc(request, agency=STRANGE_POLICE)]})
    assert (validated.checks[-1].step, validated.checks[-1].query_id) == (2, "mdl")


@pytest.mark.clause("vp-14.1.2-nonce-rejects-all")
def test_a_presentation_without_any_proof_refuses_everything() -> None:
    request = request_for()
    bare = shown(request, agency=STRANGER).rpartition("~")[0] + "~"
    assert refused(request, {"licence": [shown(request)], "second": [bare]}, HolderBindingError).query_id == "second"


@pytest.mark.clause("vp-8.6-discarded")
def test_a_proof_that_was_waived_is_not_missed() -> None:
    asked = dcql()
    asked["credentials"][1]["require_cryptographic_holder_binding"] = False
    request = WORLD.request(asked)
    bare = shown(request, agency=STRANGER).rpartition("~")[0] + "~"
    validated = validate(request, {"licence": [shown(request)], "second": [bare]})
    assert (validated.checks[-1].step, validated.checks[-1].query_id) == (2, "second")


@pytest.mark.parametrize("text", ["not a presentation", "a.b.c~", "~"])
def test_what_is_no_presentation_refuses_everything(text) -> None:
    request = request_for()
    error = refused(request, {"licence": [shown(request)], "second": [text], "mdl": [shown_mdoc(request)]})
    assert (error.step, error.query_id) == (1, "second")


def test_the_checks_say_what_each_credential_failed_and_claim_nothing_more() -> None:
    request = request_for(required=("licence", "second"))
    error = refused(request, {"licence": [shown(request, **OLD)], "second": [shown(request, agency=STRANGER)]})
    assert (error.step, error.query_id) == (2, "second")
    checks = failed_checks(error)
    # Nobody came past the second check with both, so only the first one passed.
    assert [check.ok for check in checks] == [True, False, None, None, False, None, None, None, None, None]
    assert {check.query_id for check in checks if check.ok is False} == {"licence", "second"}


def test_an_optional_failure_is_not_blamed_for_a_missing_credential() -> None:
    request = request_for()
    error = refused(request, {"second": [shown(request, agency=STRANGER)]}, QueryNotSatisfied)
    assert (error.step, error.query_id, error.description) == (9, None, "a required credential is missing")
    checks = failed_checks(error)
    assert [check.ok for check in checks] == [True, False, None, None, None, None, None, None, False, None]


def test_ten_thousand_hidden_claims_are_refused_on_both_sides() -> None:
    many = {"name": "홍시험", **{f"c{number}": number for number in range(10_000)}}
    text = WORLD.agency.issue(WORLD.holder, many, selectively_disclosable=[(name,) for name in many])
    with pytest.raises(MalformedError, match="longer than"):
        index_sd_jwt(text)
    request = request_for()
    error = refused(request, {"licence": [shown(request)], "second": [text]})
    assert (error.step, error.query_id) == (1, "second")


def test_a_thousand_hidden_claims_are_matched_and_all_of_them_at_once_are_too_many() -> None:
    many = {"name": "홍시험", **{f"c{number}": number for number in range(999)}}
    hidden = [(name,) for name in many]
    request = request_for()
    held = index_sd_jwt(WORLD.agency.issue(WORLD.holder, many, selectively_disclosable=hidden))
    approved = approve(match(request.dcql_query, [candidate_of("card", held)]), {"licence": [Selection("card")]})
    assert approved.credentials[0].disclosed == (("name",),)
    issued = {"claims": many, "selectively_disclosable": hidden}
    validated = validate(request, {"licence": [shown(request, **issued)]})
    assert validated.credentials["licence"][0].claims == {"name": "홍시험"}
    assert refused(request, {"licence": [shown(request, disclose=hidden, **issued)]}).step == 8


def test_a_query_for_ten_thousand_presentations_is_not_answered_with_them() -> None:
    request = request_for()
    one = shown(request)
    assert refused(request, {"licence": [one] * 10_000}).step == 1
    assert refused(request, {f"q{number}": [one] for number in range(10_000)}).step == 1
