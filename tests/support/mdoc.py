"""Sample mdocs: an issuer, a device, a session, and how to change one thing of a response."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from tests.support.keys import fixed_signer
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import HeldMdoc, create_document, index_mdoc
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.session_transcript import openid4vp_transcript
from wallet_core.formats.mdoc.structures import KeyAuthorizations, ValidityInfo
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, verify_device_response
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.spec_versions import DOCTYPE_MDL, NAMESPACE_MDL, NAMESPACE_MDL_KR
from wallet_core.types import ClientId, DocType, Nonce

ISSUER, DEVICE, STRANGER = fixed_signer("mdoc issuer"), fixed_signer("mdoc device"), fixed_signer("stranger")
MDL = DocType(DOCTYPE_MDL)
NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
VALIDITY = ValidityInfo(
    datetime(2026, 11, 27, 12, tzinfo=UTC),
    datetime(2026, 11, 27, 12, tzinfo=UTC),
    datetime(2026, 12, 27, 12, tzinfo=UTC),
)
SIGNER_VALIDITY = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
PORTRAIT = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
NAME_SPACES: dict[str, dict[str, Any]] = {
    NAMESPACE_MDL: {
        "family_name": "SIHEOM",
        "given_name": "HANA",
        "birth_date": cbor.full_date(date(1990, 2, 28)),
        "issue_date": cbor.full_date(date(2020, 5, 11)),
        "expiry_date": cbor.full_date(date(2030, 12, 31)),
        "issuing_country": "KR",
        "issuing_authority": "Seoul Metropolitan Police Agency",
        "document_number": "11-90-123456-01",
        "portrait": PORTRAIT,
        "driving_privileges": [
            {"vehicle_category_code": "B", "issue_date": cbor.full_date(date(2020, 5, 11)), "codes": [{"code": "78"}]}
        ],
        "un_distinguishing_sign": "ROK",
        "sex": 2,
        "nationality": "KR",
        "issuing_jurisdiction": "KR-11",
        "resident_address": "12 Siheom-ro, Siheom-gu, Seoul",
        "age_over_18": True,
        "age_over_19": True,
        "family_name_national_character": "시험",
        "given_name_national_character": "하나",
    },
    NAMESPACE_MDL_KR: {"name": "시험하나"},
}
SHOWN = [
    (NAMESPACE_MDL, "family_name"),
    (NAMESPACE_MDL, "birth_date"),
    (NAMESPACE_MDL, "driving_privileges"),
    (NAMESPACE_MDL, "age_over_19"),
    (NAMESPACE_MDL_KR, "name"),
]
TRANSCRIPT = openid4vp_transcript(
    client_id=ClientId("x509_san_dns:verifier.example"),
    nonce=Nonce("n-0S6_WzA2Mj-0123456789"),
    response_uri="https://verifier.example/response",
    jwk_thumbprint=None,
)
OTHER_TRANSCRIPT = openid4vp_transcript(
    client_id=ClientId("x509_san_dns:verifier.example"),
    nonce=Nonce("n-0S6_WzA2Mj-0123456780"),
    response_uri="https://verifier.example/response",
    jwk_thumbprint=None,
)
AUTHORIZED = KeyAuthorizations(frozenset({"kr.example"}), frozenset({(NAMESPACE_MDL, "height")}))


def issue(**changes: Any) -> bytes:
    """Return an encoded IssuerSigned with these arguments changed."""
    arguments: dict[str, Any] = {
        "doc_type": MDL,
        "name_spaces": NAME_SPACES,
        "device_key": DEVICE.public_key,
        "validity": VALIDITY,
        "signer": ISSUER,
        "x5chain": [b"leaf"],
        "random": os.urandom,
    }
    return issue_mdoc(**{**arguments, **changes})


def present(held: HeldMdoc, shown: Any = SHOWN, *, device: SoftwareSigner = DEVICE, **changes: Any) -> bytes:
    """Return an encoded DeviceResponse."""
    arguments: dict[str, Any] = {"session_transcript": TRANSCRIPT, "algorithm": device.algorithm}
    pending = create_document(held, shown, **{**arguments, **changes})
    return pending.attach(device.sign(pending.signing_input))


ISSUER_SIGNED = issue()
HELD = index_mdoc(ISSUER_SIGNED)
RESPONSE = present(HELD)


def verify(response: bytes, **changes: Any) -> VerifiedMdoc:
    """Parse and verify a DeviceResponse for the sample session."""
    arguments: dict[str, Any] = {
        "doc_type": MDL,
        "issuer_key": ISSUER.public_key,
        "session_transcript": TRANSCRIPT,
        "now": NOW,
        "signer_validity": SIGNER_VALIDITY,
    }
    return verify_device_response(parse_device_response(response), **{**arguments, **changes})


def changed(response: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a DeviceResponse whose one document was changed by ``change``; nothing is signed anew."""
    parsed = cbor.loads(response)
    change(parsed["documents"][0])
    return cbor.dumps(parsed)


def resigned(change: Callable[[dict[str, Any]], object], signer: SoftwareSigner = ISSUER) -> bytes:
    """Return an IssuerSigned whose MSO was changed by ``change`` and signed again."""
    parsed = cbor.loads(ISSUER_SIGNED)
    protected, unprotected, payload, _ = parsed["issuerAuth"]
    mso = cbor.loads(cbor.loads(payload).value)
    change(mso)
    data = cbor.embed(cbor.dumps(mso))
    signature = signer.sign(sign1.sig_structure(protected, data))
    return cbor.dumps({**parsed, "issuerAuth": [protected, unprotected, data, signature]})


def item(encoded: Any) -> dict[str, Any]:
    """Return the members of an IssuerSignedItem in its tag."""
    members: dict[str, Any] = cbor.loads(encoded.value)
    return members


def with_item(encoded: Any, **members: Any) -> Tagged:
    """Return an IssuerSignedItem in its tag, with members changed."""
    return Tagged(24, cbor.dumps({**item(encoded), **members}))
