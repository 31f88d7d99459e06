"""What the Verifier believes, and at which of its numbered checks it refuses."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.presentations import CLAIMS, HIDEABLE, NOW, VCT, Agency, new_ca, new_world, query, world
from tests.support.trust import listed, new_list
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    NotYetValid,
    QueryNotSatisfied,
    StatusUnknown,
    UntrustedError,
    VerificationError,
)
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.checks import CheckStep, failed_checks
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.presented import Expectation, PresentedCredential, validate_permitted
from wallet_core.protocols.openid4vp.validation import ValidatedResponse, validate_vp_token
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor
from wallet_core.trust.policy import create_issuer_policy
from wallet_core.trust.trust_list import Period
from wallet_core.trust.x509 import verify_chain

WORLD = world()
AUDIENCE = "x509_hash:abc"
NONCE = "n-0123456789abcdef"
ASKED = [("name",), ("age_over_19",)]


def expectation(dcql=None, **changes):
    def chain(certificates, now):
        return verify_chain(certificates, WORLD.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)

    arguments = {
        "query": parse_dcql_query(dcql or query(*ASKED)),
        "client_id": AUDIENCE,
        "nonce": NONCE,
        "verify_chain": chain,
        **changes,
    }
    return Expectation(**arguments)


def present(disclose=ASKED, *, text=None, signer=None, at=NOW, audience=AUDIENCE, nonce=NONCE, **issue):
    held = index_sd_jwt(text or WORLD.agency.issue(WORLD.holder, **issue))
    unsigned = create_key_binding(
        held, disclose, audience=audience, nonce=nonce, issued_at=at, algorithm=SignatureAlgorithm.ES256
    )
    return unsigned.attach((signer or WORLD.holder).sign(unsigned.signing_input))


def refused_at(step, vp_token, kind=VerificationError, expected=None, now=NOW):
    with pytest.raises(kind) as caught:
        validate_vp_token(vp_token, expected or expectation(), now=now)
    assert caught.value.step == step
    checks = failed_checks(caught.value)
    assert [check.step for check in checks] == list(range(1, 11))
    assert [check.ok for check in checks] == [True] * (step - 1) + [False] + [None] * (10 - step)
    assert checks[step - 1].detail
    return caught.value


def test_a_good_answer() -> None:
    validated = validate_vp_token({"licence": [present()]}, expectation(), now=NOW)
    (credential,) = validated.credentials["licence"]
    assert credential.claims == {"name": CLAIMS["name"], "age_over_19": True}
    assert credential.issuer == WORLD.agency.issuer
    assert credential.issuer_name == WORLD.agency.name
    assert credential.holder_bound
    assert credential.valid_until == NOW + timedelta(days=365)
    assert [check.ok for check in validated.checks] == [True] * 10


def test_what_was_not_asked_for_is_not_kept_even_if_it_cannot_be_hidden() -> None:
    validated = validate_vp_token({"licence": [present([])]}, expectation(query()), now=NOW)
    assert validated.credentials["licence"][0].claims == {}


def test_nobody_else_makes_a_validated_response() -> None:
    with pytest.raises(TypeError):
        ValidatedResponse({}, (), object())


# --- 1: the answer fits the request -----------------------------------------------------------------------------------
@pytest.mark.clause("vp-8.1-asked-and-single")
@pytest.mark.parametrize(
    "vp_token",
    [
        {"other": ["x"]},
        {"licence": ["a~", "b~"]},
        {"licence": ["not an sd-jwt"]},
        {"licence": ["a.b.c~"]},
        {"licence": ["é~"]},
    ],
)
def test_an_answer_of_the_wrong_shape(vp_token) -> None:
    refused_at(CheckStep.ANSWER_FITS_REQUEST, vp_token)


@pytest.mark.clause("vp-8.1-asked-and-single")
def test_two_presentations_for_multiple() -> None:
    two = {"licence": [present(), present()]}
    refused_at(CheckStep.ANSWER_FITS_REQUEST, two)
    validated = validate_vp_token(two, expectation(query(*ASKED, multiple=True)), now=NOW)
    assert len(validated.credentials["licence"]) == 2


# --- 2: the issuer is trusted -----------------------------------------------------------------------------------------
@pytest.mark.clause("vp-8.6-issuer")
def test_an_issuer_nobody_vouches_for() -> None:
    stranger = Agency(new_ca("모르는 인증기관"))
    error = refused_at(2, {"licence": [present(text=stranger.issue(WORLD.holder))]}, UntrustedError)
    assert stranger.name not in error.description


def test_a_certificate_for_verifiers_issues_nothing() -> None:
    imposter = Agency(WORLD.verifier_ca)
    refused_at(2, {"licence": [present(text=imposter.issue(WORLD.holder))]}, UntrustedError)


@pytest.mark.clause("vp-8.6-speaks-for", "sdjwtvc-3.5-issuer-name")
def test_an_agency_cannot_speak_for_another() -> None:
    text = WORLD.agency.issue(WORLD.holder, issuer="https://issuer.example/agencies/tax")
    refused_at(2, {"licence": [present(text=text)]}, UntrustedError)


def test_an_expired_certificate_of_the_issuer() -> None:
    late = NOW + timedelta(days=370)
    text = WORLD.agency.issue(WORLD.holder, expires_at=NOW + timedelta(days=400))
    refused_at(2, {"licence": [present(text=text, at=late)]}, Expired, now=late)


@pytest.mark.clause("sdjwtvc-3.5-x5c")
def test_a_credential_without_certificate() -> None:
    header, rest = WORLD.agency.issue(WORLD.holder).split(".", 1)
    plain = base64url.encode(strict_json.dumps({"alg": "ES256", "typ": "dc+sd-jwt"}))
    assert header != plain
    refused_at(2, {"licence": [present(text=f"{plain}.{rest}")]}, UntrustedError)


# --- 3, 4: signed by the issuer, unchanged ----------------------------------------------------------------------------
def test_a_changed_signature() -> None:
    issuer_jwt, rest = present().split("~", 1)
    head, _, signature = issuer_jwt.rpartition(".")
    changed = base64url.encode(bytes(b ^ 1 for b in base64url.decode(signature)))
    refused_at(3, {"licence": [f"{head}.{changed}~{rest}"]})


def test_a_changed_payload() -> None:
    issuer_jwt, rest = present().split("~", 1)
    header, payload, signature = issuer_jwt.split(".")
    claims = {**strict_json.loads_object(base64url.decode(payload)), "country": "XX"}
    refused_at(3, {"licence": [f"{header}.{base64url.encode(strict_json.dumps(claims))}.{signature}~{rest}"]})


def test_another_key_under_the_issuers_certificate() -> None:
    thief = SoftwareSigner.generate()
    refused_at(3, {"licence": [present(signer=None, text=WORLD.agency.issue(WORLD.holder, signer=thief))]})


def test_a_changed_claim() -> None:
    parts = present([("age_over_19",)]).split("~")
    salt, name, value = strict_json.loads(base64url.decode(parts[1]))
    assert (name, value) == ("age_over_19", True)
    parts[1] = base64url.encode(strict_json.dumps([salt, name, False]))
    refused_at(4, {"licence": ["~".join(parts)]}, expected=expectation(query(("age_over_19",))))


def test_a_disclosure_of_nowhere() -> None:
    parts = present().split("~")
    parts.insert(1, base64url.encode(strict_json.dumps(["salt", "vip", True])))
    refused_at(4, {"licence": ["~".join(parts)]})


def test_a_disclosure_twice() -> None:
    parts = present().split("~")
    parts.insert(1, parts[1])
    refused_at(4, {"licence": ["~".join(parts)]})


# --- 5: within validity -----------------------------------------------------------------------------------------------
def test_an_expired_credential() -> None:
    expired = present(issued_at=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1))
    refused_at(5, {"licence": [expired]}, Expired)


def test_a_credential_of_tomorrow() -> None:
    refused_at(5, {"licence": [present(not_before=NOW + timedelta(days=1))]}, NotYetValid)


@pytest.mark.clause("jose-7519.4.1.3-aud")
def test_a_credential_that_its_issuer_made_for_somebody_else() -> None:
    hidden = [("name",), ("age_over_19",)]
    for audience in ("https://other.example", ["https://other.example"], [], None, 7):
        text = present(claims={**CLAIMS, "aud": audience}, selectively_disclosable=hidden)
        refused_at(5, {"licence": [text]})
    for audience in (AUDIENCE, ["https://other.example", AUDIENCE]):
        text = present(claims={**CLAIMS, "aud": audience}, selectively_disclosable=hidden)
        assert validate_vp_token({"licence": [text]}, expectation(), now=NOW)


# --- 6: the holder, for this request ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "abc"},
        {"audience": "x509_hash:abd"},
        {"audience": "origin:https://verifier.example"},
        {"nonce": "n-of-another-request"},
        {"signer": SoftwareSigner.generate()},
        {"at": NOW - timedelta(days=365)},
        {"at": NOW + timedelta(days=365)},
        {"at": NOW - timedelta(minutes=10)},
    ],
)
def test_a_proof_made_for_something_else(changes) -> None:
    refused_at(6, {"licence": [present(**changes)]}, HolderBindingError)


@pytest.mark.clause("rfc9901-7.3-policy", "rfc9901-7.3-required")
def test_a_presentation_without_proof() -> None:
    refused_at(6, {"licence": [present().rpartition("~")[0] + "~"]}, HolderBindingError)


def test_a_disclosure_removed_after_signing() -> None:
    parts = present().split("~")
    del parts[1]
    refused_at(6, {"licence": ["~".join(parts)]}, HolderBindingError)


def test_the_proof_of_another_presentation() -> None:
    other = present([("name",)])
    mixed = present().rpartition("~")[0] + "~" + other.rpartition("~")[2]
    refused_at(6, {"licence": [mixed]}, HolderBindingError)


@pytest.mark.clause("rfc9901-7.3-policy")
def test_without_holder_binding_only_if_the_query_says_so() -> None:
    held = index_sd_jwt(WORLD.agency.issue(None))
    unbound = held.select(ASKED)
    refused_at(6, {"licence": [unbound]}, HolderBindingError)
    waived = expectation(query(*ASKED, require_cryptographic_holder_binding=False))
    validated = validate_vp_token({"licence": [unbound]}, waived, now=NOW)
    assert not validated.credentials["licence"][0].holder_bound
    # A proof that came all the same must be right.
    refused_at(6, {"licence": [present(nonce="n-other")]}, HolderBindingError, waived)


# --- 7: not withdrawn -------------------------------------------------------------------------------------------------
@pytest.mark.clause("sdjwtvc-2.2.2.3-status")
def test_a_status_that_cannot_be_looked_up() -> None:
    issuer_jwt, _, disclosures = WORLD.agency.issue(WORLD.holder).partition("~")
    issued = jws.parse(issuer_jwt)
    status = {"status_list": {"idx": 1, "uri": "https://issuer.example/status/1"}}
    again = jws.sign(issued.header, {**issued.claims(), "status": status}, WORLD.agency.signer)
    refused_at(7, {"licence": [present(text=f"{again}~{disclosures}")]}, StatusUnknown)


# --- 8: only what was asked -------------------------------------------------------------------------------------------
@pytest.mark.clause("dcql-6.4-only-asked")
def test_a_claim_nobody_asked_for() -> None:
    refused_at(8, {"licence": [present([*ASKED, ("licence_no",)])]}, QueryNotSatisfied)


@pytest.mark.clause("dcql-6.4-only-asked")
def test_a_sibling_of_what_was_asked_for() -> None:
    asked = expectation(query(("address", "region")))
    validated = validate_vp_token({"licence": [present([("address", "region")])]}, asked, now=NOW)
    assert validated.credentials["licence"][0].claims == {"address": {"region": CLAIMS["address"]["region"]}}
    refused_at(8, {"licence": [present([("address",)])]}, QueryNotSatisfied, asked)


def test_what_another_query_for_the_same_credential_asked_for() -> None:
    dcql = query(("name",))
    dcql["credentials"].append({**query(("licence_no",))["credentials"][0], "id": "number"})
    text = WORLD.agency.issue(WORLD.holder)
    both = present([("name",), ("licence_no",)], text=text)
    validated = validate_vp_token({"licence": [both], "number": [both]}, expectation(dcql), now=NOW)
    assert validated.credentials["licence"][0].claims == {"name": CLAIMS["name"]}
    assert validated.credentials["number"][0].claims == {"licence_no": CLAIMS["licence_no"]}


# --- 9: the query is answered -----------------------------------------------------------------------------------------
@pytest.mark.clause("dcql-6.4.1-checked")
def test_a_missing_claim() -> None:
    refused_at(9, {"licence": [present([("name",)])]}, QueryNotSatisfied)


@pytest.mark.clause("dcql-6.4.1-checked", "dcql-6.3-exact")
def test_a_value_that_was_not_asked_for() -> None:
    asked = expectation(query({"path": ["age_over_19"], "values": [True]}))
    assert validate_vp_token({"licence": [present([("age_over_19",)])]}, asked, now=NOW)
    minor = present([("age_over_19",)], claims={**CLAIMS, "age_over_19": False}, selectively_disclosable=HIDEABLE)
    refused_at(9, {"licence": [minor]}, QueryNotSatisfied, asked)
    # 6.3: the type matches too: 1 is not true.
    one = present([("age_over_19",)], claims={**CLAIMS, "age_over_19": 1}, selectively_disclosable=HIDEABLE)
    refused_at(9, {"licence": [one]}, QueryNotSatisfied, asked)


@pytest.mark.clause("dcql-B.3.5-type")
def test_a_credential_of_another_type() -> None:
    refused_at(9, {"licence": [present(vct="urn:jigap:vct:other:1")]}, QueryNotSatisfied)


@pytest.mark.clause("dcql-6.4.2-required")
def test_a_required_credential_is_missing() -> None:
    dcql = query(*ASKED)
    dcql["credentials"].append({**query()["credentials"][0], "id": "second"})
    refused_at(9, {"licence": [present()]}, QueryNotSatisfied, expectation(dcql))
    optional = {
        **dcql,
        "credential_sets": [{"options": [["licence"]]}, {"options": [["second"]], "required": False}],
    }
    assert validate_vp_token({"licence": [present()]}, expectation(optional), now=NOW)


def test_any_claim_set_will_do() -> None:
    dcql = query({"id": "a", "path": ["age_over_19"]}, {"id": "n", "path": ["name"]}, claim_sets=[["a"], ["n"]])
    validated = validate_vp_token({"licence": [present([("name",)])]}, expectation(dcql), now=NOW)
    assert validated.credentials["licence"][0].claims == {"name": CLAIMS["name"]}


def test_what_answers_an_id_is_found_by_the_index_that_was_signed() -> None:
    asked = expectation(query({"id": "second", "path": ["classes", 1]}, {"id": "named", "path": ["name"]}))
    shown = present([("classes", 1), ("name",)])
    (credential,) = validate_vp_token({"licence": [shown]}, asked, now=NOW).credentials["licence"]
    assert credential.claims == {"classes": [CLAIMS["classes"][1]], "name": CLAIMS["name"]}
    assert credential.answers == {"second": (CLAIMS["classes"][1],), "named": (CLAIMS["name"],)}


def test_an_index_is_that_of_the_signed_array() -> None:
    asked = expectation(query(("classes", 1)))
    second = present([("classes", 1)])
    validated = validate_vp_token({"licence": [second]}, asked, now=NOW)
    assert validated.credentials["licence"][0].claims == {"classes": ["2종 소형"]}
    # The first element under the same index: withheld elements leave no hole, but the index still tells.
    refused_at(8, {"licence": [present([("classes", 0)])]}, QueryNotSatisfied, asked)
    every = validate_vp_token({"licence": [present([("classes",)])]}, expectation(query(("classes", None))), now=NOW)
    assert every.credentials["licence"][0].claims == {"classes": CLAIMS["classes"]}


def test_a_format_that_is_not_verified_here() -> None:
    dcql = {
        "credentials": [{"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}}],
    }
    refused_at(1, {"mdl": ["AAAA"]}, VerificationError, expectation(dcql))


def test_two_worlds_do_not_trust_each_other() -> None:
    other = new_world()
    text = other.agency.issue(WORLD.holder, vct=VCT, random=secrets.token_bytes)
    refused_at(2, {"licence": [present(text=text)]}, UntrustedError)


# --- 10: the issuer may issue this type -------------------------------------------------------------------------------
def permitting(*types, **changes):
    root = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    made = new_list(NOW, root, agencies=(listed(WORLD.agency.issuer, *types, **changes),))
    return expectation(may_issue=create_issuer_policy(WORLD.anchors, [made], closed=True).validate_may_issue)


def test_a_listed_issuer_of_this_type() -> None:
    validated = validate_vp_token({"licence": [present()]}, permitting(VCT), now=NOW)
    assert validated.checks[-1].detail == "시험경찰청 (시험용)"
    without = validate_vp_token({"licence": [present()]}, expectation(), now=NOW)
    assert without.checks[-1].detail == "no list used"


@pytest.mark.clause("vp-8.6-permitted", "tl-4-type")
def test_an_issuer_outside_its_types() -> None:
    error = refused_at(10, {"licence": [present()]}, UntrustedError, permitting("urn:jigap:vct:other:1"))
    assert error.description == "the issuer may not issue this type"
    refused_at(10, {"licence": [present()]}, UntrustedError, permitting(VCT, format="mso_mdoc"))


@pytest.mark.clause("vp-8.6-permitted", "tl-4-agency-period")
def test_an_issuer_whose_time_is_over() -> None:
    refused_at(10, {"licence": [present()]}, UntrustedError, permitting(VCT, period=Period(None, NOW)))


@pytest.mark.clause("vp-8.6-permitted")
def test_a_list_out_of_date() -> None:
    old = new_list(NOW - timedelta(days=3), agencies=(listed(WORLD.agency.issuer, VCT),))
    root = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
    policy = create_issuer_policy(WORLD.anchors, [replace(old, authorities=(root,))], closed=True)
    refused_at(10, {"licence": [present()]}, Expired, expectation(may_issue=policy.validate_may_issue))


@pytest.mark.clause("vp-8.6-permitted")
def test_what_nobody_vouches_for_is_not_permitted() -> None:
    with pytest.raises(VerificationError) as caught:
        validate_permitted(PresentedCredential("f", "t", {}, None, "", None, True), expectation().may_issue, NOW)
    assert caught.value.step == 10
