"""Verification records: what they hold, what they do not, and at which step an audit refuses a false one."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.presentations import AGENCY, CLAIMS, NOW, VCT, new_ca, query
from tests.support.registering import OTHER_ID, PARTY_ID, Register
from tests.support.trust import listed, new_list
from tests.support.verification_records import (
    ACCESS_ONLY,
    ANSWER,
    CIRCUMSTANCES,
    EVIDENCE,
    GOOD_STATUS,
    ISSUERS,
    KEY,
    LATER,
    OPERATOR,
    PAYLOAD,
    RECORD,
    ROOTS,
    SEED,
    TRUST_LIST,
    WORLD,
    Answer,
    changed,
    replace_credentials,
    resealed,
)
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError, QueryNotSatisfied, StateConflict
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp import record as records
from wallet_core.protocols.openid4vp.presentation import PresentationFlow, Requested
from wallet_core.protocols.openid4vp.record_audit import AuditStep, Brought, audit_record
from wallet_core.protocols.openid4vp.stored import credentials_of, credentials_to_json, state_from_json, state_to_json
from wallet_core.spec_versions import TYP_REQUEST_OBJECT
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.status_list.judging import NO_STATUS, StatusFinding
from wallet_core.trust.trust_list import verify_trust_list
from wallet_core.trust.x509 import format_x5c


def audit(text, anchors=ROOTS, *, now=LATER, **brought):
    return audit_record(text, Brought(anchors, **brought), now=now)


def refused_at(step, text, **options):
    found = audit(text, **options)
    assert found.refused_at is not None, [one.detail for one in found.findings]
    assert found.refused_at.step is step, found.refused_at
    assert found.refused_at.detail
    assert [one.step for one in found.findings] == list(AuditStep)
    return found


def test_a_record_stands_ten_years_later_with_the_roots_of_access_certificates_alone() -> None:
    found = audit(RECORD, ACCESS_ONLY)
    assert found.refused_at is None
    assert {one.step for one in found.findings if one.ok is None} == {
        AuditStep.ISSUERS,
        AuditStep.SHOWN_CLAIMS,
        AuditStep.TRUST_LIST,
        AuditStep.PRESENTATIONS,
    }


def test_with_everything_that_can_be_brought_every_step_is_looked_into() -> None:
    text = records.with_disclosures(RECORD, ANSWER.disclosures())
    found = audit(text, trust_lists=[TRUST_LIST], presentations=[ANSWER.text])
    assert [one.ok for one in found.findings] == [True] * len(AuditStep), found.findings
    assert found.claims == {"licence": [{"name": CLAIMS["name"], "age_over_19": True}]}


def test_no_claim_stands_in_a_record_without_its_disclosure() -> None:
    assert CLAIMS["name"] not in json.dumps(PAYLOAD, ensure_ascii=False)
    name = next(one for one in ANSWER.disclosures() if one.path == ("name",))
    found = audit(records.with_disclosures(RECORD, [name]))
    assert found.refused_at is None
    assert found.claims == {"licence": [{"name": CLAIMS["name"]}]}


def test_the_place_in_the_status_list_is_hidden_like_a_claim() -> None:
    assert "idx" not in json.dumps(PAYLOAD["credentials"])
    (index,) = [one for one in ANSWER.disclosures() if one.is_index]
    assert json.loads(base64url.decode(index.text))[1:] == ["idx", 7]
    assert audit(records.with_disclosures(RECORD, [index])).refused_at is None


def test_salts_differ_for_every_claim_and_every_record() -> None:
    salts = [json.loads(base64url.decode(one.text))[0] for one in ANSWER.disclosures()]
    assert len(set(salts)) == len(salts) == 3
    other = records.note_answer(b"", ANSWER.vp_token, ANSWER.validated, {}, seed=b"x" * 32, now=NOW)
    texts = {one.text for one in records.disclosures(dict(ANSWER.validated.credentials), other.secrets)}
    assert texts.isdisjoint(one.text for one in ANSWER.disclosures())


def test_salts_differ_for_two_credentials_that_answer_one_query() -> None:
    one = ANSWER.validated.credentials["licence"][0]
    credentials = {"licence": (one, one), "other": (one,)}
    validated = replace_credentials(ANSWER.validated, credentials)
    notes = records.note_answer(b"", ANSWER.vp_token, validated, {}, seed=SEED, now=NOW)
    opened = records.disclosures(credentials, notes.secrets)
    assert len({json.loads(base64url.decode(each.text))[0] for each in opened}) == len(opened) == 9


def test_a_credential_that_hides_nothing_has_a_record() -> None:
    credential = replace(ANSWER.validated.credentials["licence"][0], claims={"n": {"_sd": ["x"]}}, status=NO_STATUS)
    credentials = {"licence": (credential,)}
    validated = replace_credentials(ANSWER.validated, credentials)
    notes = records.note_answer(b"", ANSWER.vp_token, validated, CIRCUMSTANCES, seed=SEED, now=NOW)
    assert records.disclosures(credentials, notes.secrets) == []
    assert audit(ANSWER.record(notes=notes)).refused_at is None


def test_claims_that_were_stored_and_read_again_still_open_the_record() -> None:
    dcql = query(("address", "region"), ("address", "street"), ("name",))
    answer = Answer(dcql, disclose=[("address", "region"), ("address", "street"), ("name",)], status=GOOD_STATUS)
    claims = strict_json.loads_object(strict_json.dumps(credentials_to_json(dict(answer.validated.credentials))))
    read = credentials_of(state_from_json(answer.state.kind, state_to_json(answer.state), claims))
    opened = records.disclosures(read, answer.notes.secrets)
    assert opened == answer.disclosures()
    assert audit(records.with_disclosures(answer.record(), opened)).refused_at is None


def test_a_record_from_before_salts_were_drawn_in_one_go_still_opens(monkeypatch) -> None:
    credentials = dict(ANSWER.validated.credentials)
    paths = [[], *([name] for name in credentials["licence"][0].claims)]

    def by_path(secret, place, _count):
        drawn = [hmac.digest(secret, strict_json.dumps([*place, *path]), "sha256") for path in paths]
        return [base64url.encode(each[:18]) for each in drawn]

    with monkeypatch.context() as patch:
        patch.setattr(records, "_salts", by_path)
        notes = records.note_answer(b"", ANSWER.vp_token, ANSWER.validated, CIRCUMSTANCES, seed=SEED, now=NOW)
    opened = records.disclosures(credentials, notes.secrets.replace(b'"seed"', b'"salt"'))
    assert len(opened) == 3
    assert audit(records.with_disclosures(ANSWER.record(notes=notes), opened)).refused_at is None
    # What does not belong to the record does not leave: it could tell the salt of another claim.
    with pytest.raises(ValueError, match="does not belong"):
        records.with_disclosures(RECORD, opened[:1])


def test_nested_claims_are_disclosed_one_by_one() -> None:
    dcql = query(("address", "region"), ("address", "street"), ("classes", None))
    answer = Answer(dcql, disclose=[("address", "region"), ("address", "street"), ("classes", 0), ("classes", 1)])
    classes, region, street = sorted(answer.disclosures(), key=lambda one: one.path[::-1])
    assert [one.path for one in (region, street, classes)] == [
        ("address", "region"),
        ("address", "street"),
        ("classes",),
    ]
    found = audit(records.with_disclosures(answer.record(), [region]))
    assert found.refused_at is None
    assert found.claims == {"licence": [{"address": {"region": CLAIMS["address"]["region"]}}]}
    assert audit(records.with_disclosures(answer.record(), [street, classes])).refused_at is None


def test_claims_with_names_that_mean_something_else_here_are_left_out() -> None:
    credential = replace(ANSWER.validated.credentials["licence"][0], claims={"n": {"_sd": ["x"]}})
    validated = replace_credentials(ANSWER.validated, {"licence": (credential,)})
    notes = records.note_answer(b"", ANSWER.vp_token, validated, CIRCUMSTANCES, seed=SEED, now=NOW)
    assert json.loads(notes.body)["credentials"]["licence"][0]["claims"] is None
    assert audit(ANSWER.record(notes=notes)).refused_at is None


def test_a_refusal_has_a_record_too() -> None:
    error = QueryNotSatisfied("a required credential is missing", step=9)
    notes = records.note_answer(b"", ANSWER.vp_token, None, CIRCUMSTANCES, seed=SEED, now=NOW)
    refused = states.refuse(Requested(ANSWER.terms), error, now=NOW)
    found = audit(ANSWER.record(refused, notes))
    assert found.refused_at is None
    assert [one.detail for one in found.findings if one.step is AuditStep.CHECKS] == ["refused at check 9"]
    assert notes.secrets is None


@pytest.mark.clause("record-4-declined")
def test_a_citizen_who_said_no_leaves_a_record_without_presentations() -> None:
    notes = records.note_answer(b"error=access_denied", None, None, CIRCUMSTANCES, seed=SEED, now=NOW)
    declined = states.decline(Requested(ANSWER.terms), "access_denied", now=NOW)
    text = ANSWER.record(declined, notes)
    assert audit(text).refused_at is None
    payload = json.loads(jws.parse(text.rstrip("~")).payload)
    assert payload["result"]["error"] == "access_denied"
    assert "presentations" not in payload["answer"]
    # Without checks nothing can have been looked at.
    refused_at(
        AuditStep.CHECKS, changed(lambda made: made["answer"].update(presentations={"licence": ["x"]}), of=payload)
    )


def test_nothing_is_sealed_before_the_end() -> None:
    same_device = replace(ANSWER.terms, flow=PresentationFlow.SAME_DEVICE)
    answered = states.answer(Requested(same_device), ANSWER.validated, response_code_digest=b"", now=NOW)
    with pytest.raises(ValueError, match="has not ended"):
        ANSWER.record(answered)
    expired = states.observe(answered, now=NOW + timedelta(hours=1))
    assert audit(ANSWER.record(expired), now=NOW + timedelta(hours=2)).refused_at is not None  # sealed before it ended
    later = records.seal_record("p", "b", expired, ANSWER.notes.body, KEY, now=NOW + timedelta(hours=1))
    assert audit(later).refused_at is None


# --- 1: the form ------------------------------------------------------------------------------------------------------
@pytest.mark.clause("record-2-version")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "text",
        RECORD.rstrip("~"),
        f"{RECORD}unfinished",
        RECORD.replace(".", ""),
        "x" * (records.MAX_RECORD_CHARACTERS + 1),
        RECORD + "a~" * (records.MAX_RECORD_DISCLOSURES + 1),
        changed(lambda made: made.update(version=2)),
        changed(lambda made: made.update(_sd_alg="sha-1")),
        changed(lambda made: made.pop("request")),
        changed(lambda made: made.update(iat="now")),
        changed(lambda made: made.update(iat=True)),
        changed(lambda made: made.update(credentials=[])),
        changed(lambda made: made["answer"].update(presentations=[])),
        changed(lambda made: made["answer"].update(presentations={"licence": [1]})),
        changed(lambda made: made["credentials"].update(licence=["x"])),
        changed(lambda made: made["request"]["parameters"].update(dcql_query={})),
    ],
    ids=range(18),
)
def test_what_is_no_record_is_refused_at_step_1(text) -> None:
    found = refused_at(AuditStep.FORM, text)
    assert {one.ok for one in found.findings[1:]} == {None}


# --- 2: the seal ------------------------------------------------------------------------------------------------------
@pytest.mark.clause("record-4-seal")
def test_one_changed_byte_is_refused() -> None:
    token = RECORD.rstrip("~")
    header, payload, signature = token.split(".")
    other = base64url.encode(strict_json.dumps({**PAYLOAD, "party": "other"}))
    refused_at(AuditStep.SEAL, f"{header}.{other}.{signature}~")
    for position in (3, len(signature) // 2):
        letter = "A" if signature[position] != "A" else "B"
        refused_at(AuditStep.SEAL, f"{header}.{payload}.{signature[:position]}{letter}{signature[position + 1 :]}~")
    # A Request Object of the same party is signed by the same key.
    refused_at(AuditStep.SEAL, resealed(PAYLOAD, typ=TYP_REQUEST_OBJECT))
    refused_at(AuditStep.SEAL, resealed(PAYLOAD, key=CertifiedSigner(SoftwareSigner.generate(), KEY.chain)))


def test_a_seal_under_roots_that_are_not_the_auditors_is_refused() -> None:
    stranger = TrustAnchors([TrustAnchor(new_ca().certificate, AnchorPurpose.VERIFIER_ACCESS)])
    refused_at(AuditStep.SEAL, RECORD, anchors=stranger)
    issuers = TrustAnchors([each for each in WORLD.anchors.anchors if each.purpose is AnchorPurpose.CREDENTIAL_ISSUER])
    refused_at(AuditStep.SEAL, RECORD, anchors=issuers)


@pytest.mark.clause("record-4-certificate-then")
def test_a_certificate_that_was_not_in_force_when_the_answer_came_is_refused() -> None:
    early = int((NOW - timedelta(days=10)).timestamp())

    def long_ago(made):
        made["request"]["asked_at"] = made["answer"]["received_at"] = made["result"]["at"] = early

    refused_at(AuditStep.SEAL, changed(long_ago))
    refused_at(AuditStep.SEAL, changed(lambda made: made.update(iat=early)))


@pytest.mark.clause("record-4-future")
def test_a_record_from_the_future_is_refused() -> None:
    refused_at(AuditStep.SEAL, RECORD, now=NOW - timedelta(hours=1))
    assert audit(RECORD, now=NOW).refused_at is None


# --- 3 to 8 -----------------------------------------------------------------------------------------------------------
@pytest.mark.clause("record-4-who-asked")
def test_a_question_of_another_party_is_refused() -> None:
    refused_at(
        AuditStep.WHO_ASKED, changed(lambda made: made["request"]["parameters"].update(client_id="x509_hash:other"))
    )
    refused_at(
        AuditStep.WHO_ASKED,
        changed(lambda made: made["request"]["parameters"].update(client_id="x509_san_dns:other.example")),
    )
    named = changed(lambda made: made["request"]["parameters"].update(client_id="x509_san_dns:verifier.example"))
    assert audit(named).refused_at is None
    assert audit(changed(lambda made: made["request"]["parameters"].pop("client_id"))).refused_at is None


@pytest.mark.clause("record-4-attested-number")
def test_a_question_under_the_attestation_of_another_number_is_refused() -> None:
    register = Register()
    brought = Brought(ROOTS + register.anchors)

    def asked_as(number, key):
        client_id = f"verifier_attestation:{number}"
        record = changed(lambda made: made["request"]["parameters"].update(client_id=client_id), key=key)
        return audit_record(record, brought, now=LATER)

    assert asked_as(PARTY_ID, register.verifier).refused_at is None
    refused = asked_as(OTHER_ID, register.verifier).refused_at
    assert refused is not None
    assert refused.step is AuditStep.WHO_ASKED
    # A certificate without a number cannot contradict the attestation.
    assert asked_as(OTHER_ID, register.access(None)).refused_at is None


def test_names_that_begin_with_a_dash_leave_no_step_open() -> None:
    register = Register()

    def renamed(made):
        made["request"]["parameters"].update(client_id=f"verifier_attestation:{PARTY_ID}")
        made["credentials"]["licence"][0]["issuer_name"] = "- 도청"

    record = changed(renamed, key=register.access(PARTY_ID, "-Bank"))
    found = {one.step: one for one in audit(record, ROOTS + register.anchors).findings}
    assert found[AuditStep.WHO_ASKED].ok is True
    assert found[AuditStep.WHO_ASKED].detail.startswith("-Bank asked as ")
    assert found[AuditStep.ISSUERS].ok is True
    assert found[AuditStep.ISSUERS].detail == "- 도청"


@pytest.mark.clause("record-4-times")
@pytest.mark.parametrize(
    ("part", "member", "seconds"),
    [("request", "asked_at", 60), ("request", "expires_at", -400), ("answer", "received_at", 4), ("result", "at", 60)],
)
def test_times_that_do_not_follow_each_other_are_refused(part, member, seconds) -> None:
    def later(made):
        made[part][member] += seconds

    refused_at(AuditStep.TIMES, changed(later))


@pytest.mark.clause("record-4-every-check")
@pytest.mark.parametrize("number", [0, 6, 9])
def test_a_missing_check_is_refused(number) -> None:
    refused_at(AuditStep.CHECKS, changed(lambda made: made["checks"].pop(number)))
    refused_at(AuditStep.CHECKS, changed(lambda made: made["checks"].append(made["checks"][number])))
    refused_at(AuditStep.CHECKS, changed(lambda made: made["checks"][number].update(name="other")))
    refused_at(AuditStep.CHECKS, changed(lambda made: made.update(checks=[])))


@pytest.mark.clause("record-4-transaction")
def test_what_was_to_be_agreed_to_was_checked() -> None:
    def with_transaction(made):
        made["request"]["parameters"]["transaction_data"] = ["eyJ0eXBlIjoieCJ9"]

    refused_at(AuditStep.CHECKS, changed(with_transaction))

    def agreed(made):
        with_transaction(made)
        made["checks"].append({**made["checks"][9], "step": 11, "name": "transaction_data_agreed"})

    assert audit(changed(agreed)).refused_at is None


@pytest.mark.clause("record-4-checks-agree")
def test_a_check_that_was_passed_over_is_refused() -> None:
    refused_at(AuditStep.CHECKS, changed(lambda made: made["checks"][3].update(ok=None)))

    def after_a_failure(made):
        made["result"].update(state="refused", error="invalid_request")
        made["checks"][3]["ok"] = False

    refused_at(AuditStep.CHECKS, changed(after_a_failure))


@pytest.mark.clause("record-4-result")
def test_a_result_that_the_checks_do_not_bear_is_refused() -> None:
    refused_at(AuditStep.CHECKS, changed(lambda made: made["checks"][9].update(ok=False)))
    refused_at(AuditStep.CHECKS, changed(lambda made: made["result"].update(state="refused", error="invalid_request")))
    elsewhere = changed(lambda made: made["result"].update(state="refused", error="access_denied"))
    assert audit(elsewhere).refused_at is None


@pytest.mark.clause("record-4-nothing-verified")
def test_a_verified_record_without_a_credential_is_refused() -> None:
    refused_at(AuditStep.QUESTION_ANSWERED, changed(lambda made: made.pop("credentials")))


@pytest.mark.clause("record-4-asked-for")
def test_a_credential_that_was_not_asked_for_is_refused() -> None:
    def renamed(made):
        made["credentials"]["other"] = made["credentials"].pop("licence")

    refused_at(AuditStep.QUESTION_ANSWERED, changed(renamed))
    refused_at(
        AuditStep.QUESTION_ANSWERED, changed(lambda made: made["credentials"]["licence"][0].update(type="urn:other"))
    )
    refused_at(
        AuditStep.QUESTION_ANSWERED, changed(lambda made: made["credentials"]["licence"][0].update(format="mso_mdoc"))
    )

    def extending(made):
        made["credentials"]["licence"][0]["type"] = "urn:other"
        made["extends"] = {"urn:other": [VCT]}

    assert audit(changed(extending)).refused_at is None


@pytest.mark.clause("record-4-holder")
def test_a_credential_that_nobody_proved_to_hold_is_refused() -> None:
    refused_at(
        AuditStep.QUESTION_ANSWERED,
        changed(lambda made: made["credentials"]["licence"][0].update(holder_bound=False)),
    )


@pytest.mark.clause("record-4-every-credential")
def test_fewer_presentations_than_credentials_are_refused() -> None:
    refused_at(AuditStep.QUESTION_ANSWERED, changed(lambda made: made["answer"]["presentations"].pop("licence")))
    # One that was discarded leaves its digest and its line.

    def discarded(made):
        made["answer"]["presentations"]["licence"].append("x")
        made["checks"].append({**made["checks"][2], "ok": False})

    assert audit(changed(discarded)).refused_at is None


@pytest.mark.clause("record-4-satisfied")
def test_an_answer_that_lacks_a_required_credential_is_refused() -> None:
    def another(made):
        asked = made["request"]["parameters"]["dcql_query"]["credentials"]
        asked.append({**asked[0], "id": "second"})

    refused_at(AuditStep.QUESTION_ANSWERED, changed(another))


@pytest.mark.clause("record-4-same-anchor")
def test_an_issuer_below_another_root_is_refused() -> None:
    refused_at(AuditStep.ISSUERS, changed(lambda made: made["credentials"]["licence"][0].update(anchor_sha256="AAAA")))
    stranger = format_x5c(replace(WORLD.agency, ca=new_ca()).chain())
    refused_at(AuditStep.ISSUERS, changed(lambda made: made["credentials"]["licence"][0].update(x5c=stranger)))
    refused_at(AuditStep.ISSUERS, changed(lambda made: made["credentials"]["licence"][0].pop("x5c")))


@pytest.mark.clause("record-4-status-age")
@pytest.mark.parametrize(("member", "seconds"), [("fetched_at", -3700), ("fetched_at", 120), ("iat", 600)])
def test_a_status_list_that_was_too_old_or_not_there_yet_is_refused(member, seconds) -> None:
    def moved(made):
        status = made["credentials"]["licence"][0]["status"]
        (status["list"] if member == "iat" else status)[member] += seconds

    refused_at(AuditStep.STATUS, changed(moved))


@pytest.mark.parametrize("hours", [-1, 366 * 24 + 1, 10**8])
def test_a_rule_of_more_than_a_year_is_refused(hours) -> None:
    refused_at(AuditStep.STATUS, changed(lambda made: made["status_rule"].update(max_age_hours=hours)))


@pytest.mark.clause("record-4-status-ended")
def test_a_status_list_that_had_ended_is_refused() -> None:
    def ended(made):
        made["credentials"]["licence"][0]["status"]["list"]["exp"] = int(NOW.timestamp())

    refused_at(AuditStep.STATUS, changed(ended))


@pytest.mark.clause("record-4-unknown-status")
def test_an_unknown_status_stands_only_where_the_policy_accepts_it() -> None:
    text = Answer(status=StatusFinding("unknown", NOW - timedelta(days=2), EVIDENCE)).record()
    refused_at(AuditStep.STATUS, text)
    payload = json.loads(jws.parse(text.rstrip("~")).payload)
    accepted = changed(lambda made: made["status_rule"].update(unknown="ask_the_clerk"), of=payload)
    assert audit(accepted).refused_at is None
    refused_at(
        AuditStep.STATUS,
        changed(lambda made: made["credentials"]["licence"][0]["status"].update(status="invalid")),
    )


# --- 9: what is shown -------------------------------------------------------------------------------------------------
@pytest.mark.clause("record-4-disclosures")
def test_a_claim_of_another_record_is_refused() -> None:
    foreign = records.disclosures(
        dict(ANSWER.validated.credentials),
        records.note_answer(b"", ANSWER.vp_token, ANSWER.validated, {}, seed=b"x" * 32, now=NOW).secrets,
    )
    refused_at(AuditStep.SHOWN_CLAIMS, f"{RECORD}{foreign[0].text}~")
    ours = ANSWER.disclosures()
    refused_at(AuditStep.SHOWN_CLAIMS, records.with_disclosures(RECORD, [ours[0], ours[0]]))
    salt, name, _ = json.loads(base64url.decode(ours[0].text))
    forged = base64url.encode(strict_json.dumps([salt, name, "다른 이름"]))
    refused_at(AuditStep.SHOWN_CLAIMS, f"{RECORD}{forged}~")


@pytest.mark.parametrize(
    "secrets",
    [
        b"",
        b"[]",
        b"{}",
        b'{"salt":"AAAA"}',
        b'{"seed":1,"idx":{}}',
        b'{"seed":"AAAA"}',
        b'{"seed":"A","idx":{}}',
    ],
)
def test_secrets_of_another_form_open_nothing(secrets) -> None:
    with pytest.raises(MalformedError):
        records.disclosures(dict(ANSWER.validated.credentials), secrets)


@pytest.mark.clause("record-4-shown-asked")
def test_a_shown_claim_that_was_not_asked_for_is_refused() -> None:
    def narrower(made):
        made["request"]["parameters"]["dcql_query"]["credentials"][0]["claims"].pop(0)

    disclosed = "".join(f"{one.text}~" for one in ANSWER.disclosures())
    refused_at(AuditStep.SHOWN_CLAIMS, changed(narrower, disclosed=disclosed))


@pytest.mark.clause("record-4-shown-value")
def test_a_shown_value_that_was_not_asked_for_is_refused() -> None:
    def exact(made):
        made["request"]["parameters"]["dcql_query"]["credentials"][0]["claims"][1]["values"] = [False]

    disclosed = "".join(f"{one.text}~" for one in ANSWER.disclosures())
    refused_at(AuditStep.SHOWN_CLAIMS, changed(exact, disclosed=disclosed))


# --- 10 and 11: what is brought ---------------------------------------------------------------------------------------
@pytest.mark.clause("record-4-same-list")
def test_another_trust_list_is_refused() -> None:
    other = OPERATOR.sign(new_list(NOW, sequence_number=99))
    refused_at(AuditStep.TRUST_LIST, RECORD, trust_lists=[other])
    without = changed(lambda made: made["trust"].update(list=None))
    refused_at(AuditStep.TRUST_LIST, without, trust_lists=[TRUST_LIST])
    no_digest = changed(lambda made: made["trust"]["list"].update(sha256={"": None}))
    refused_at(AuditStep.TRUST_LIST, no_digest, trust_lists=[TRUST_LIST])
    assert audit(without).refused_at is None


@pytest.mark.clause("record-4-permitted")
def test_an_issuer_that_the_list_does_not_permit_is_refused() -> None:
    def with_list(text):
        digest = base64url.encode(verify_trust_list(text, ROOTS, at=NOW).digest)
        return changed(lambda made: made["trust"]["list"].update(sha256=digest))

    other = OPERATOR.sign(new_list(NOW, ISSUERS, agencies=(listed(AGENCY, "urn:other"),)))
    refused_at(AuditStep.TRUST_LIST, with_list(other), trust_lists=[other])
    assert audit(with_list(TRUST_LIST), trust_lists=[TRUST_LIST]).refused_at is None


@pytest.mark.clause("record-4-same-presentation")
def test_a_presentation_of_another_answer_is_refused() -> None:
    refused_at(AuditStep.PRESENTATIONS, RECORD, presentations=[Answer().text])
    assert audit(RECORD, ACCESS_ONLY, presentations=[ANSWER.text]).refused_at is None


def test_a_presentation_that_answered_two_queries_is_verified_again_for_both() -> None:
    (licence,) = query(("name",), ("age_over_19",))["credentials"]
    answer = Answer({"credentials": [licence, {**licence, "id": "again"}]}, also="again")
    record = answer.record()
    found = audit(record, presentations=[answer.text])
    assert found.refused_at is None, found.findings
    assert found.findings[-1].detail == "1 presentation(s) of this answer, verified again"


@pytest.mark.clause("record-4-verified-again")
def test_a_presentation_that_does_not_hold_for_this_question_is_refused() -> None:
    refused_at(
        AuditStep.PRESENTATIONS,
        changed(lambda made: made["request"]["parameters"].update(nonce="another-nonce-0123456789")),
        presentations=[ANSWER.text],
    )


def test_notes_that_cannot_be_read_are_not_sealed() -> None:
    with pytest.raises(MalformedError):
        records.seal_record("p", "b", ANSWER.state, b"{", KEY, now=NOW)
    with pytest.raises(MalformedError):
        records.disclosures({}, b"[]")


def test_a_presentation_is_answered_once_so_there_is_one_record() -> None:
    with pytest.raises(StateConflict):
        states.answer(ANSWER.state, ANSWER.validated, response_code_digest=b"", now=NOW)
