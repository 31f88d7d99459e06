"""mdocs as the standard and other people's issuers and wallets write them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import vectors
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import HolderBindingError, MalformedError
from wallet_core.formats.mdoc.device_request import (
    encode_device_request,
    encode_items_request,
    parse_device_request,
    reader_authentication_bytes,
    verify_reader_auth,
)
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import create_document, create_maced_document, index_mdoc
from wallet_core.formats.mdoc.session_transcript import (
    device_authentication_bytes,
    mac_key,
    openid4vp_dc_api_transcript,
    openid4vp_transcript,
    qr_transcript,
    session_transcript_bytes,
)
from wallet_core.formats.mdoc.structures import UnverifiedIssuerSigned, parse_issuer_signed
from wallet_core.formats.mdoc.verifier import DeviceAuth, verify_device_response, verify_document, verify_issuer_signed
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.keys.jwk import parse_key_members, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import ClientId, DocType, Nonce, SessionTranscript

ANNEX_D = vectors.load("iso18013_5", "annex_d.json")
RAW = {name: bytes.fromhex(value) for name, value in ANNEX_D["vectors"].items()}
DERIVED = {name: bytes.fromhex(value) for name, value in ANNEX_D["derived_vectors"]["values"].items()}
TRANSCRIPT = SessionTranscript(DERIVED["session_transcript"])
MDL = DocType("org.iso.18013.5.1.mDL")
AT = datetime(2020, 10, 15, tzinfo=UTC)
HANDOVERS = {case["id"]: case for case in vectors.load("openid4vp", "handover_transcripts.json")["vectors"]}
PRESENTATIONS = {case["id"]: case for case in vectors.load("openid4vp", "mdoc_presentation.json")["vectors"]}


def key_of(certificate: bytes) -> PublicKey:
    raw = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(raw, ec.EllipticCurvePublicKey)
    return PublicKey(raw)


def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(RAW[f"{name}_d"], "big"), ec.SECP256R1())


def inner(data: bytes) -> bytes:
    return cbor.embedded(cbor.loads(data), what="vector")


def test_annex_d_session_transcript() -> None:
    assert session_transcript_bytes(TRANSCRIPT) == RAW["session_transcript_bytes"]
    engagement, reader_key, handover = cbor.loads(TRANSCRIPT)
    assert reader_key.value == inner(cbor.dumps(cbor.loads(RAW["session_establishment"])["eReaderKey"]))
    # The example began by NFC; with no handover it would be the transcript of a QR code.
    assert handover is not None
    by_qr = qr_transcript(device_engagement=engagement.value, e_reader_key=reader_key.value)
    assert by_qr == cbor.dumps([engagement, reader_key, None])


def test_annex_d_device_response() -> None:
    document = parse_device_response(RAW["device_response"]).documents[0]
    assert document.issuer_signed.x5chain() == (RAW["ds_cert"],)
    shared = private_key("ephemeral_reader_key").exchange(ec.ECDH(), private_key("static_device_key").public_key())
    assert shared == DERIVED["static_shared_secret"]
    assert mac_key(shared, TRANSCRIPT) == DERIVED["e_mac_key"]
    verified = verify_document(
        document,
        issuer_key=key_of(RAW["ds_cert"]),
        session_transcript=TRANSCRIPT,
        mac_key=mac_key(shared, TRANSCRIPT),
        signer_validity=(datetime(2020, 10, 1, tzinfo=UTC), datetime(2021, 10, 1, tzinfo=UTC)),
        now=AT,
    )
    assert verified.device_auth is DeviceAuth.MAC
    assert verified.doc_type == ANNEX_D["mso"]["doc_type"]
    times = ANNEX_D["mso"]["validity_info"]
    assert verified.validity.signed.isoformat() == times["signed"]
    assert verified.validity.valid_until.isoformat() == times["validUntil"]
    claims = verified.claims["org.iso.18013.5.1"]
    assert claims["portrait"] == RAW["device_response_portrait_data"]
    assert list(claims) == [item["element_identifier"] for item in ANNEX_D["items"]]


@pytest.mark.parametrize("case", ANNEX_D["items"], ids=lambda case: case["element_identifier"])
def test_annex_d_item(case: dict[str, Any]) -> None:
    document = parse_device_response(RAW["device_response"]).documents[0]
    items = {item.element: item for item in document.issuer_signed.items[case["namespace"]]}
    item = items[case["element_identifier"]]
    assert cbor.embed(item.inner).hex() == case["issuer_signed_item_bytes_hex"]
    assert item.digest_id == case["digest_id"]


def test_annex_d_signed_bytes() -> None:
    document = parse_device_response(RAW["device_response"]).documents[0]
    auth = document.issuer_signed.issuer_auth
    assert auth.payload == DERIVED["mobile_security_object_bytes"]
    assert sign1.sig_structure(auth.protected_bytes, auth.payload) == DERIVED["issuer_auth_sig_structure"]
    authentication = device_authentication_bytes(TRANSCRIPT, MDL, document.device_signed.name_spaces_bytes)
    assert authentication == DERIVED["device_authentication_bytes"]
    mac = document.device_signed.mac
    assert mac is not None
    assert mac0.mac_structure(mac.protected_bytes, authentication) == DERIVED["device_mac_structure"]


def test_annex_d_made_again_by_our_wallet() -> None:
    held = index_mdoc(DERIVED["issuer_signed"])
    shown = [(item["namespace"], item["element_identifier"]) for item in ANNEX_D["items"]]
    document = create_maced_document(held, shown, session_transcript=TRANSCRIPT, mac_key=DERIVED["e_mac_key"])
    assert document == cbor.dumps(cbor.loads(RAW["device_response"])["documents"][0])


def test_annex_d_device_request() -> None:
    request = parse_device_request(RAW["device_request"]).doc_requests[0]
    assert request.doc_type == MDL
    assert inner(request.items_request_bytes) == RAW["items_request"]
    assert request.name_spaces == cbor.loads(RAW["items_request"])["nameSpaces"]
    authentication = reader_authentication_bytes(TRANSCRIPT, request.items_request_bytes)
    assert authentication == DERIVED["reader_authentication_bytes"]
    assert request.reader_auth is not None
    assert (
        sign1.sig_structure(request.reader_auth.protected_bytes, authentication) == DERIVED["reader_auth_sig_structure"]
    )
    assert request.reader_auth.x5chain() == (RAW["reader_cert"],)
    verify_reader_auth(request, reader_key=key_of(RAW["reader_cert"]), transcript=TRANSCRIPT)
    again = encode_items_request(request.doc_type, request.name_spaces)
    assert encode_device_request([(again, RAW["reader_auth"])]) == RAW["device_request"]


@pytest.mark.parametrize("case", vectors.cases("iso18013_5", "third_party_mdocs.json", "vectors"))
def test_third_party_mdoc(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    # Two of the files are Annex D again.
    at = datetime.fromisoformat(case["verify_at"]).replace(tzinfo=UTC) if "verify_at" in case else AT
    found = (
        [parse_issuer_signed(data)]
        if case["structure"] == "IssuerSigned"
        else [document.issuer_signed for document in parse_device_response(data).documents]
    )
    for issuer_signed, expected in zip(found, case["documents"], strict=True):
        chain = issuer_signed.x5chain()
        assert len(chain) == expected["x5chain_len"]
        assert sum(map(len, issuer_signed.items.values())) == expected["items"]
        issuer_data(issuer_signed, DocType(expected["doc_type"]), at)


def issuer_data(issuer_signed: UnverifiedIssuerSigned, doc_type: DocType, at: datetime) -> None:
    leaf = issuer_signed.x5chain()[0]
    verified = verify_issuer_signed(issuer_signed, issuer_key=key_of(leaf), doc_type=doc_type, now=at)
    assert {name: len(elements) for name, elements in verified.claims.items()} == {
        name: len(items) for name, items in issuer_signed.items.items()
    }


@pytest.mark.parametrize("case", vectors.cases("openid4vp", "mdoc_vp_tokens.json", "vectors", "name"))
def test_vp_token(case: dict[str, Any]) -> None:
    data = base64url.decode(case["vp_token_b64url"])
    assert data == bytes.fromhex(case["device_response_hex"])
    document = parse_device_response(data).documents[0]
    assert document.doc_type == case["doc_type"]
    assert (document.device_signed.signature is not None) == ("deviceSignature" in case["device_auth_members"])
    leaf = document.issuer_signed.x5chain()[0]
    assert leaf.hex() == case["ds_certificate_hex"]
    validity = cbor.loads(cbor.loads(document.issuer_signed.issuer_auth.payload).value)["validityInfo"]
    at = cbor.parse_tdate(validity["validFrom"], what="validFrom")
    issuer_data(document.issuer_signed, document.doc_type, at)


def test_a_vp_token_with_two_kinds_of_device_authentication_is_refused() -> None:
    case = {case["name"]: case for case in vectors.load("openid4vp", "mdoc_vp_tokens.json")["vectors"]}["mdoc-animo"]
    with pytest.raises(MalformedError, match="one signature or one MAC"):
        parse_device_response(bytes.fromhex(case["device_response_hex"]))


def transcript_of(case: dict[str, Any]) -> SessionTranscript:
    inputs = case["inputs"]
    jwk = inputs["verifier_encryption_jwk"]
    used = thumbprint(parse_key_members(jwk)) if jwk else None
    if case["handover"] == "OpenID4VPHandover":
        return openid4vp_transcript(
            client_id=ClientId(inputs["client_id"]),
            nonce=Nonce(inputs["nonce"]),
            response_uri=inputs["response_uri"],
            jwk_thumbprint=used,
        )
    return openid4vp_dc_api_transcript(origin=inputs["origin"], nonce=Nonce(inputs["nonce"]), jwk_thumbprint=used)


@pytest.mark.clause("mdoc-VPB.2.6-hash")
@pytest.mark.parametrize("case", vectors.cases("openid4vp", "handover_transcripts.json", "vectors"))
def test_handover_transcript(case: dict[str, Any]) -> None:
    transcript = transcript_of(case)
    assert transcript.hex() == case["session_transcript_hex"]
    assert session_transcript_bytes(transcript).hex() == case["session_transcript_bytes_hex"]


@pytest.mark.clause("mdoc-18013.9.1.3.4-transcript")
@pytest.mark.parametrize("case", vectors.cases("openid4vp", "mdoc_presentation.json", "vectors"))
@pytest.mark.parametrize("other", PRESENTATIONS)
def test_presentation(case: dict[str, Any], other: str) -> None:
    response = parse_device_response(base64url.decode(case["vp_token"]))
    transcript = transcript_of(HANDOVERS[other])

    def verified() -> DeviceAuth:
        return verify_device_response(
            response,
            doc_type=MDL,
            issuer_key=key_of(response.documents[0].issuer_signed.x5chain()[0]),
            session_transcript=transcript,
            now=AT,
        ).device_auth

    if other == case["id"]:
        assert verified() is DeviceAuth.SIGNATURE
    else:
        with pytest.raises(HolderBindingError):
            verified()


@pytest.mark.parametrize("case", vectors.cases("openid4vp", "mdoc_presentation.json", "vectors"))
def test_presentation_made_again_by_our_wallet(case: dict[str, Any]) -> None:
    held = index_mdoc(DERIVED["issuer_signed"])
    transcript = SessionTranscript(bytes.fromhex(case["session_transcript_hex"]))
    pending = create_document(held, list(held.items), session_transcript=transcript, algorithm=SignatureAlgorithm.ES256)
    assert pending.signing_input.hex() == case["sig_structure_hex"]
    authentication = device_authentication_bytes(transcript, MDL)
    assert authentication.hex() == case["device_authentication_bytes_hex"]
    published = bytes.fromhex(case["device_signature_hex"])
    assert pending.attach(published).hex() == case["device_response_hex"]
    # The signature of our own signer is another one (ECDSA is random), over the same bytes.
    signer = SoftwareSigner.from_key(private_key("static_device_key"))
    held.mso.device_key.verify(signer.sign(pending.signing_input), pending.signing_input)
    held.mso.device_key.verify(published, pending.signing_input)
