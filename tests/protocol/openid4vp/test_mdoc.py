"""mdocs in OpenID4VP: the wallet shows what was agreed to, the verifier believes nothing else."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.mdoc_presentations import CLASSES, NAME, MdocAgency, mdoc_query, new_iaca
from tests.support.presentations import NOW, world
from wallet_core.encoding import base64url
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    MalformedError,
    QueryNotSatisfied,
    UntrustedError,
    VerificationError,
)
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.candidates import candidate_of
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.pending import MdocItem, PresentationToSign, ResolvedRequest, VerifierIdentity
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.request import parse_request_members
from wallet_core.protocols.openid4vp.validation import ValidatedResponse, validate_vp_token
from wallet_core.protocols.openid4vp.vp_formats import vp_formats_supported
from wallet_core.protocols.openid4vp.wallet import create_presentation
from wallet_core.spec_versions import NAMESPACE_MDL
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain

WORLD = world()
POLICE = MdocAgency()
HELD = POLICE.held(WORLD.holder)
ASKED = [NAME, CLASSES]


def request_for(dcql=None, *, encrypted=True):
    return WORLD.request(dcql or mdoc_query(*ASKED), encrypted=encrypted)


def pending_for(request, held=HELD) -> PresentationToSign:
    approved = approve(match(request.dcql_query, [candidate_of("card", held)]))
    resolved = ResolvedRequest(request, VerifierIdentity(request.client_id.full, "verifier.example", None, None))
    return create_presentation(resolved, approved, {"card": held}, now=NOW)


def present(request, held=HELD, signer=WORLD.holder) -> str:
    (item,) = pending_for(request, held).items
    return item.attach(signer.sign(item.signing_input))


def validate(request, text, *, agency=POLICE, now=NOW, **changes) -> ValidatedResponse:
    def chain(certificates, at):
        return verify_chain(certificates, agency.anchors, purpose=AnchorPurpose.MDL_ISSUER, at=at)

    arguments = {
        "query": request.dcql_query,
        "client_id": request.client_id.full,
        "nonce": request.nonce,
        "verify_chain": chain,
        "verify_mdoc_chain": chain,
        "session_transcript": request_transcript(request),
        **changes,
    }
    return validate_vp_token({"mdl": [text]}, Expectation(**arguments), now=now)


def refused_at(step, request, text, kind=VerificationError, **changes) -> None:
    with pytest.raises(kind) as caught:
        validate(request, text, **changes)
    assert caught.value.step == step


def test_a_good_answer() -> None:
    request = request_for()
    (credential,) = validate(request, present(request)).credentials["mdl"]
    assert credential.type == "org.iso.18013.5.1.mDL"
    shown = credential.claims[NAMESPACE_MDL]
    assert set(shown) == {"family_name", "driving_privileges"}
    assert shown["driving_privileges"][0]["issue_date"] == "2020-05-11"
    assert (credential.issuer, credential.issuer_name) == (None, POLICE.name)
    assert credential.holder_bound


def test_without_claims_nothing_is_shown() -> None:
    request = request_for(mdoc_query())
    (credential,) = validate(request, present(request)).credentials["mdl"]
    assert credential.claims == {}


def test_a_value_is_compared_as_json() -> None:
    born = {"path": [NAMESPACE_MDL, "birth_date"], "values": ["1990-02-28"]}
    request = request_for(mdoc_query(born))
    validate(request, present(request))
    other = request_for(mdoc_query({**born, "values": ["1990-03-01"]}))
    with pytest.raises(QueryNotSatisfied):
        pending_for(other)


def test_a_paused_answer_survives_a_restart() -> None:
    request = request_for()
    stored = json.loads(json.dumps(pending_for(request).to_json()))
    (item,) = PresentationToSign.from_json(stored).items
    assert isinstance(item, MdocItem)
    validate(request, item.attach(WORLD.holder.sign(item.signing_input)))
    with pytest.raises(TypeError):
        item.attach(None)


def test_what_is_stored_instead_is_malformed() -> None:
    stored = pending_for(request_for()).to_json()
    stored["items"][0]["start"] = "***"
    with pytest.raises(MalformedError):
        PresentationToSign.from_json(stored)


# --- the handover binds the answer to this request, for this verifier, under this key ---
@pytest.mark.clause("vp-B.2.6.1-handover")
@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, nonce="n-another-one-0123456789"),
        lambda request: replace(request, response_uri="https://verifier.example/elsewhere"),
        lambda request: replace(request, encryption=None),
        lambda request: replace(request, client_id=replace(request.client_id, rest="another")),
    ],
    ids=["nonce", "response_uri", "encryption key", "client_id"],
)
def test_an_answer_to_another_request(change) -> None:
    request = request_for()
    refused_at(CheckStep.HOLDER_PRESENT, request, present(change(request)), HolderBindingError)


def test_a_device_that_does_not_hold_the_key() -> None:
    request = request_for()
    text = present(request, signer=SoftwareSigner.generate())
    refused_at(CheckStep.HOLDER_PRESENT, request, text, HolderBindingError)


# --- issuer, content, validity ---
@pytest.mark.clause("mdoc-18013.9.3.1-chain")
def test_an_issuer_nobody_vouches_for() -> None:
    request = request_for()
    refused_at(CheckStep.ISSUER_TRUSTED, request, present(request), UntrustedError, agency=MdocAgency())


def test_without_anchors_for_mdocs_nobody_is_trusted() -> None:
    request = request_for()
    expected = Expectation(
        request.dcql_query,
        request.client_id.full,
        request.nonce,
        lambda *_: None,
        session_transcript=request_transcript(request),
    )
    with pytest.raises(UntrustedError):
        validate_vp_token({"mdl": [present(request)]}, expected, now=NOW)


def test_a_licence_of_another_country_than_its_signer() -> None:
    abroad = MdocAgency(new_iaca("UT"))
    request = request_for(mdoc_query((NAMESPACE_MDL, "issuing_country")))
    text = present(request, abroad.held(WORLD.holder))
    refused_at(CheckStep.ISSUER_TRUSTED, request, text, UntrustedError, agency=abroad)


def test_a_signature_of_another_issuer() -> None:
    request = request_for()
    forged = MdocAgency(POLICE.iaca).held(WORLD.holder, x5chain=POLICE.chain())
    refused_at(CheckStep.ISSUER_SIGNED, request, present(request, forged))


def test_a_changed_element() -> None:
    request = request_for()
    data = base64url.decode(present(request))
    assert data.count(b"SIHEOM") == 1
    refused_at(CheckStep.CONTENT_UNCHANGED, request, base64url.encode(data.replace(b"SIHEOM", b"SIHEON")))


def test_an_expired_mdoc() -> None:
    request = request_for()
    refused_at(CheckStep.WITHIN_VALIDITY, request, present(request), Expired, now=NOW + timedelta(days=31))


@pytest.mark.parametrize("text", ["", "***", "oA", base64url.encode(b"\xa1\x01\x02")])
def test_what_is_no_device_response(text) -> None:
    refused_at(CheckStep.ANSWER_FITS_REQUEST, request_for(), text)


def test_a_status_that_cannot_be_looked_up() -> None:
    request = request_for()
    status = {"status_list": {"idx": 1, "uri": "https://issuer.example/lists/1"}}
    text = present(request, POLICE.held(WORLD.holder, status=status))
    refused_at(CheckStep.NOT_WITHDRAWN, request, text)


# --- the query ---
@pytest.mark.clause("dcql-6.4-only-asked")
def test_an_element_that_was_not_asked_for() -> None:
    request = request_for(mdoc_query(NAME))
    more = replace(request_for(), dcql_query=parse_dcql_query(mdoc_query(*ASKED)))
    refused_at(CheckStep.ONLY_WHAT_WAS_ASKED, request, present(more), QueryNotSatisfied)


def test_an_element_that_is_missing() -> None:
    request, less = request_for(), request_for(mdoc_query(NAME))
    refused_at(CheckStep.QUERY_ANSWERED, request, present(less), QueryNotSatisfied)


def test_another_document_type() -> None:
    request = request_for()
    other = POLICE.held(WORLD.holder, doc_type="org.iso.7367.1.mVRC")
    assert match(request.dcql_query, [candidate_of("card", other)]).by_query["mdl"] == ()
    text = present(request_for(mdoc_query(*ASKED, meta={"doctype_value": "org.iso.7367.1.mVRC"})), other)
    refused_at(CheckStep.ANSWER_FITS_REQUEST, request, text)


def test_the_authority_of_the_signer_is_recognised() -> None:
    held = candidate_of("card", HELD)
    ((kind, value),) = held.authorities
    wanted = [{"type": kind, "values": [value]}]
    assert match(parse_dcql_query(mdoc_query(NAME, trusted_authorities=wanted)), [held]).satisfiable
    strange = [{"type": kind, "values": ["AAAA"]}]
    assert not match(parse_dcql_query(mdoc_query(NAME, trusted_authorities=strange)), [held]).satisfiable


def test_everything_in_an_mdoc_can_stay_hidden() -> None:
    approved = approve(match(parse_dcql_query(mdoc_query(NAME)), [candidate_of("card", HELD)]))
    (one,) = approved.credentials
    assert one.always_shown == ()
    assert len(one.disclosed) == 1


# --- what the verifier says it takes ---
def test_both_formats_are_offered() -> None:
    formats = vp_formats_supported()
    assert formats["mso_mdoc"]["issuerauth_alg_values"][:2] == [-7, -9]
    assert set(formats) == {"dc+sd-jwt", "mso_mdoc"}


@pytest.mark.clause("vp-B.3.4-algorithms", "vp-B.3.4-holder-algorithms")
@pytest.mark.parametrize("name", ["issuerauth_alg_values", "deviceauth_alg_values"])
@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ([-7], True),
        ([-9], True),
        ([-257, -9], True),
        ([-257], False),
        ([-35, -51], False),
        ([], False),
        ("ES256", False),
    ],
)
def test_an_mdoc_answers_where_its_algorithms_are_taken(name, values, fits) -> None:
    members = request_for().to_json()
    members["client_metadata"]["vp_formats_supported"] = {"mso_mdoc": {name: values}}
    request = parse_request_members(members)
    assert match(request.dcql_query, [candidate_of("card", HELD)], request.formats).satisfiable is fits


@pytest.mark.clause("vp-B.3.4-algorithms")
def test_a_number_that_names_the_curve_is_no_general_one() -> None:
    # B.2.2: the number in the header itself, or a fully-specified one that it fulfils with its curve.
    specific = candidate_of("card", replace(HELD, algorithm=-9))
    assert specific.issuer_algorithms == {-9}
    assert candidate_of("card", replace(HELD, algorithm=-8)).issuer_algorithms == {-8, -19}
    assert candidate_of("card", replace(HELD, algorithm=-257)).issuer_algorithms == {-257}
    assert candidate_of("card", replace(HELD, algorithm=None)).issuer_algorithms == frozenset()


@pytest.mark.clause("vp-5.1-formats-asked")
def test_a_format_that_the_verifier_does_not_name_finds_no_match() -> None:
    members = request_for().to_json()
    members["client_metadata"]["vp_formats_supported"] = {"dc+sd-jwt": {}}
    request = parse_request_members(members)
    assert not match(request.dcql_query, [candidate_of("card", HELD)], request.formats).satisfiable


@pytest.mark.parametrize("formats", [None, [], "all", {"mso_mdoc": {}}, {"mso_mdoc": 5, "ldp_vc": {}}])
def test_what_a_verifier_does_not_restrict_is_open(formats) -> None:
    members = request_for().to_json()
    members["client_metadata"]["vp_formats_supported"] = formats
    if formats is None:
        del members["client_metadata"]["vp_formats_supported"]
    request = parse_request_members(members)
    assert match(request.dcql_query, [candidate_of("card", HELD)], request.formats).satisfiable
    # What a wallet keeps between two steps says the same.
    assert parse_request_members(request.to_json()) == request


def test_a_verifier_that_takes_mdocs_only() -> None:
    members = request_for().to_json()
    members["client_metadata"]["vp_formats_supported"] = {"mso_mdoc": {}}
    parse_request_members(members)
