"""The single-threaded cases of mdoc: an mDL of 20 elements with a portrait of 2 kB."""

import os
from datetime import date
from typing import Any

from tests.bench.cases import ANCHORS, AUDIENCE, CACHE, EXPIRES, HOLDER, HOUR, ISSUER, NONCE, NOW, X5C
from tests.bench.measure import Case
from wallet_core.encoding import cbor
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import create_document, index_mdoc
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.session_transcript import openid4vp_transcript
from wallet_core.formats.mdoc.structures import ValidityInfo
from wallet_core.formats.mdoc.verifier import only_document, verify_device_response
from wallet_core.spec_versions import DOCTYPE_MDL, NAMESPACE_MDL
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import verify_chain
from wallet_core.types import ClientId, DocType

MDL = DocType(DOCTYPE_MDL)
ELEMENTS: dict[str, Any] = {
    "family_name": "SIHEOM",
    "given_name": "HANA",
    "birth_date": cbor.full_date(date(1990, 2, 28)),
    "issue_date": cbor.full_date(date(2020, 5, 11)),
    "expiry_date": cbor.full_date(date(2030, 12, 31)),
    "issuing_country": "KR",
    "issuing_authority": "Seoul Metropolitan Police Agency",
    "document_number": "11-90-123456-01",
    "portrait": b"\xff\xd8\xff\xe0" + bytes(2044),
    "driving_privileges": [
        {
            "vehicle_category_code": "B",
            "issue_date": cbor.full_date(date(2020, 5, 11)),
            "expiry_date": cbor.full_date(date(2030, 12, 31)),
        }
    ],
    "un_distinguishing_sign": "ROK",
    "sex": 2,
    "nationality": "KR",
    "issuing_jurisdiction": "KR-11",
    "resident_address": "12 Siheom-ro, Siheom-gu, Seoul",
    "resident_country": "KR",
    "age_over_18": True,
    "age_over_19": True,
    "family_name_national_character": "시험",
    "given_name_national_character": "하나",
}
SHOWN = [
    (NAMESPACE_MDL, element)
    for element in ("family_name", "given_name", "birth_date", "driving_privileges", "age_over_19")
]
VALIDITY = ValidityInfo(HOUR, HOUR, EXPIRES)
TRANSCRIPT = openid4vp_transcript(
    client_id=ClientId(AUDIENCE), nonce=NONCE, response_uri="https://verifier.example/response", jwk_thumbprint=None
)


def issue() -> bytes:
    """Issue an mDL of 20 elements."""
    return issue_mdoc(
        doc_type=MDL,
        name_spaces={NAMESPACE_MDL: ELEMENTS},
        device_key=HOLDER.public_key,
        validity=VALIDITY,
        signer=ISSUER,
        x5chain=X5C,
        random=os.urandom,
    )


HELD = index_mdoc(issue())


def present_indexed() -> bytes:
    """Show 5 of the 20 elements of an mdoc the wallet holds indexed."""
    to_sign = create_document(HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=HOLDER.algorithm)
    return to_sign.attach(HOLDER.sign(to_sign.signing_input))


RESPONSE = present_indexed()


def verify(trusted: Any) -> object:
    """Verify the response under the certificate it carries; ``trusted`` checks the chain."""
    response = parse_device_response(RESPONSE)
    chain = only_document(response, MDL).issuer_signed.x5chain()
    certificate = trusted(chain, ANCHORS, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)
    return verify_device_response(
        response,
        doc_type=MDL,
        issuer_key=certificate.public_key,
        session_transcript=TRANSCRIPT,
        now=NOW,
        signer_validity=(certificate.valid_from, certificate.valid_until),
    )


MDOC_CASES = (
    Case("issue mDL: 20 elements, portrait of 2 kB", "s", issue, 0.18, 0.24),
    Case("device response: 5 of 20 elements, indexed", "s", present_indexed, 0.40, 0.50),
    Case("verify device response, signer's verdict cached", "v", lambda: verify(CACHE.verify_chain), 0.25, 0.30),
    Case("verify device response, cold x5chain and CA link", "v", lambda: verify(verify_chain)),
)
