"""An answer that was verified, and its verification record, for tests: invented, with keys made here (시험용)."""

import copy
import json
from dataclasses import replace
from datetime import timedelta

from tests.support.presentations import AGENCY, NOW, VCT, world
from tests.support.trust import ListOperator, listed, new_list
from wallet_core.encoding import base64url
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.jose import jws
from wallet_core.keys.algorithms import SignatureAlgorithm
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp import record as records
from wallet_core.protocols.openid4vp import validation
from wallet_core.protocols.openid4vp.presentation import PresentationFlow, Requested, Terms
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.spec_versions import TYP_VERIFICATION_RECORD
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.status_list.judging import StatusEvidence, StatusFinding
from wallet_core.trust.trust_list import verify_trust_list
from wallet_core.trust.x509 import format_x5c, verify_chain

WORLD = world()
KEY = CertifiedSigner(WORLD.verifier_signer, WORLD.verifier_chain)
SEED = bytes(range(records.SEED_BYTES))
LATER = NOW + timedelta(days=3650)
LIST = "https://issuer.example/agencies/police/statuslists/1"
RULE = {"max_age_hours": 1, "unknown": "refuse"}
OPERATOR = ListOperator(NOW)
ISSUERS = TrustAnchor(WORLD.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)
TRUST_LIST = OPERATOR.sign(new_list(NOW, ISSUERS, agencies=(listed(AGENCY, VCT),)))
ROOTS = WORLD.anchors + OPERATOR.anchors
LISTED = verify_trust_list(TRUST_LIST, ROOTS, at=NOW)
ACCESS_ONLY = TrustAnchors([each for each in WORLD.anchors.anchors if each.purpose is AnchorPurpose.VERIFIER_ACCESS])
CIRCUMSTANCES = {
    "program": "jigap 0",
    "trust": {
        "anchors_sha256": base64url.encode(WORLD.anchors.fingerprint),
        "list": {"sequence_number": LISTED.content.sequence_number, "sha256": base64url.encode(LISTED.digest)},
    },
    "policy": None,
    "extends": {},
    "status_rule": RULE,
}


class Answer:
    """One answer that was verified, and its record."""

    def __init__(self, dcql=None, *, disclose=(("name",), ("age_over_19",)), status=None, also="") -> None:
        self.request = WORLD.request(dcql)
        self.terms = Terms(
            self.request,
            PresentationFlow.CROSS_DEVICE,
            "get",
            None,
            created_at=NOW - timedelta(seconds=30),
            expires_at=NOW + timedelta(minutes=5),
            keep_for=timedelta(minutes=5),
        )
        held = index_sd_jwt(WORLD.agency.issue(WORLD.holder))
        unsigned = create_key_binding(
            held,
            disclose,
            audience=self.request.client_id.full,
            nonce=self.request.nonce,
            issued_at=NOW,
            algorithm=SignatureAlgorithm.ES256,
        )
        self.text = unsigned.attach(WORLD.holder.sign(unsigned.signing_input))
        self.vp_token = {"licence": [self.text]} | ({also: [self.text]} if also else {})
        validated = validate_vp_token(self.vp_token, self.expected(), now=NOW)
        if status is not None:
            credential = replace(validated.credentials["licence"][0], status=status)
            validated = replace_credentials(validated, {"licence": (credential,)})
        self.validated = validated
        self.notes = records.note_answer(
            b"vp_token=posted", self.vp_token, validated, CIRCUMSTANCES, seed=SEED, now=NOW
        )
        open_state = Requested(self.terms)
        self.state = states.answer(open_state, validated, response_code_digest=b"", now=NOW)

    def expected(self) -> Expectation:
        def chain(certificates, now):
            return verify_chain(certificates, WORLD.anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)

        return Expectation(self.request.dcql_query, self.request.client_id.full, self.request.nonce, chain)

    def record(self, state=None, notes=None, key=KEY) -> str:
        return records.seal_record(
            "p-1", "baram", state or self.state, (notes or self.notes).body, key, now=NOW + timedelta(seconds=5)
        )

    def disclosures(self):
        return records.disclosures(dict(self.validated.credentials), self.notes.secrets)


def replace_credentials(validated, credentials):
    return validation.ValidatedResponse(credentials, validated.checks, validation._SEAL)


EVIDENCE = StatusEvidence(LIST, 7, NOW - timedelta(minutes=2), NOW + timedelta(hours=1), b"\1" * 32)
GOOD_STATUS = StatusFinding("valid", NOW - timedelta(minutes=1), EVIDENCE)
ANSWER = Answer(status=GOOD_STATUS)
RECORD = ANSWER.record()
PAYLOAD = json.loads(jws.parse(RECORD.rstrip("~")).payload)


def resealed(payload, *, key=KEY, typ=TYP_VERIFICATION_RECORD, disclosed="") -> str:
    """A record of this payload: what somebody makes who has the party's key."""
    return f"{jws.sign({'typ': typ, 'x5c': format_x5c(key.chain)}, payload, key.signer)}~{disclosed}"


def changed(change, *, of=PAYLOAD, disclosed="", **options) -> str:
    payload = copy.deepcopy(of)
    change(payload)
    return resealed(payload, disclosed=disclosed, **options)
