"""ISO/IEC 18013-5 Annex D: engagement, session, request, reader authentication; and both machines over the bytes."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support import vectors
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.formats.mdoc.device_request import parse_device_request, reader_authentication_bytes
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.verifier import DeviceAuth, verify_document
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.iso18013 import device, ephemeral, reader, session
from wallet_core.protocols.iso18013.engagement import (
    DeviceEngagement,
    format_qr,
    parse_device_engagement,
    parse_qr,
)
from wallet_core.protocols.iso18013.ephemeral import EphemeralPrivateKey
from wallet_core.protocols.iso18013.reader import ReceivedResponse
from wallet_core.protocols.iso18013.reader_auth import (
    VerifiedReader,
    create_device_request,
    verify_reader,
)
from wallet_core.protocols.iso18013.session import SecureChannel, SessionStatus
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors, parse_trust_anchors
from wallet_core.types import DocType

FILE = vectors.load("iso18013_5", "annex_d.json")
PUBLISHED = {name: bytes.fromhex(value) for name, value in FILE["vectors"].items()}
DERIVED = {name: bytes.fromhex(value) for name, value in FILE["derived_vectors"]["values"].items()}
NOW = datetime(2020, 10, 15, tzinfo=UTC)
MDL = "org.iso.18013.5.1"
ASKED = {
    "family_name": True,
    "document_number": True,
    "driving_privileges": True,
    "issue_date": True,
    "expiry_date": True,
    "portrait": False,
}


def private_key(name: str) -> EphemeralPrivateKey:
    number = int.from_bytes(PUBLISHED[f"{name}_d"], "big")
    return EphemeralPrivateKey(ec.derive_private_key(number, ec.SECP256R1()))


DEVICE_KEY, READER_KEY = private_key("ephemeral_device_key"), private_key("ephemeral_reader_key")
TRANSCRIPT = DERIVED["session_transcript"]


def reader_anchors() -> TrustAnchors:
    text = (vectors.DATA / "iso18013_5" / "annex_d_reader_root.pem").read_text()
    return parse_trust_anchors(text, purpose=AnchorPurpose.VERIFIER_ACCESS)


def nfc() -> tuple[DeviceEngagement, bytes]:
    """The engagement and the handover of the published transcript."""
    engagement, _, handover = cbor.loads(TRANSCRIPT)
    return parse_device_engagement(cbor.embedded(engagement, what="engagement")), cbor.dumps(handover)


def test_engagement_by_qr() -> None:
    engagement = parse_device_engagement(PUBLISHED["device_engagement"])
    assert engagement.version == "1.0"
    assert ephemeral.encode(engagement.e_device_key) == ephemeral.encode(DEVICE_KEY.public_key)
    assert cbor.embed(ephemeral.encode(engagement.e_device_key)) == PUBLISHED["e_device_key_bytes"]
    (ble,) = engagement.retrieval_methods
    assert (ble.type, ble.version) == (2, 1)
    assert parse_qr(format_qr(engagement)) == engagement


def test_engagement_is_written_as_published() -> None:
    engagement, _ = nfc()
    assert device.engage(DEVICE_KEY, now=NOW).engagement == engagement
    with_ble = parse_device_engagement(PUBLISHED["device_engagement"])
    again = device.engage(DEVICE_KEY, now=NOW, retrieval_methods=with_ble.retrieval_methods).engagement
    assert again.encoded == PUBLISHED["device_engagement"]


def test_session_keys() -> None:
    keys = session.derive_session_keys(DEVICE_KEY, READER_KEY.public_key, TRANSCRIPT)
    assert keys == session.derive_session_keys(READER_KEY, DEVICE_KEY.public_key, TRANSCRIPT)
    assert (keys.sk_reader, keys.sk_device) == (DERIVED["sk_reader"], DERIVED["sk_device"])
    assert ephemeral.agree(DEVICE_KEY, READER_KEY.public_key) == DERIVED["ephemeral_shared_secret"]
    assert cbor.embed(TRANSCRIPT) == PUBLISHED["session_transcript_bytes"]


def test_request_and_response_decrypt_and_are_encrypted_as_published() -> None:
    keys = session.derive_session_keys(DEVICE_KEY, READER_KEY.public_key, TRANSCRIPT)
    establishment = session.parse_session_establishment(PUBLISHED["session_establishment"])
    assert SecureChannel.of_device(keys).open(establishment.data)[1] == PUBLISHED["device_request"]
    data = session.parse_session_data(PUBLISHED["session_data"]).data
    assert SecureChannel.of_reader(keys).open(data)[1] == PUBLISHED["device_response"]
    assert SecureChannel.of_reader(keys).seal(PUBLISHED["device_request"])[1] == establishment.data
    assert SecureChannel.of_device(keys).seal(PUBLISHED["device_response"])[1] == data


def test_request() -> None:
    request = parse_device_request(PUBLISHED["device_request"])
    (doc_request,) = request.doc_requests
    assert doc_request.items_request_bytes == cbor.embed(PUBLISHED["items_request"])
    assert (doc_request.doc_type, doc_request.name_spaces) == (f"{MDL}.mDL", {MDL: ASKED})
    ours = create_device_request([(DocType(f"{MDL}.mDL"), {MDL: ASKED})], session_transcript=TRANSCRIPT)
    (unsigned,) = parse_device_request(ours).doc_requests
    assert unsigned.items_request_bytes == doc_request.items_request_bytes


def test_reader_authentication() -> None:
    (doc_request,) = parse_device_request(PUBLISHED["device_request"]).doc_requests
    content = reader_authentication_bytes(TRANSCRIPT, doc_request.items_request_bytes)
    assert content == DERIVED["reader_authentication_bytes"]
    assert doc_request.reader_auth == sign1.parse(PUBLISHED["reader_auth"], tagged=False)
    assert sign1.sig_structure(doc_request.reader_auth.protected_bytes, content) == DERIVED["reader_auth_sig_structure"]
    assert doc_request.reader_auth.x5chain() == (PUBLISHED["reader_cert"],)
    found = verify_reader(doc_request, session_transcript=TRANSCRIPT, anchors=reader_anchors(), now=NOW)
    assert found.name == "reader"


@pytest.mark.parametrize(
    ("name", "der"), [("annex_d_reader", "reader_cert"), ("annex_d_reader_root", "reader_root_cert")]
)
def test_certificates_as_files(name: str, der: str) -> None:
    text = (vectors.DATA / "iso18013_5" / f"{name}.pem").read_bytes()
    assert x509.load_pem_x509_certificate(text).public_bytes(Encoding.DER) == PUBLISHED[der]


def test_device_mac() -> None:
    """The key of the MAC comes from EReaderKey and the device's static key, with the salt of the session."""
    document = cbor.loads(PUBLISHED["device_response"])["documents"][0]
    device_mac = mac0.parse_value(document["deviceSigned"]["deviceAuth"]["deviceMac"])
    assert (
        mac0.mac_structure(device_mac.protected_bytes, DERIVED["device_authentication_bytes"])
        == (DERIVED["device_mac_structure"])
    )
    mac0.verify(device_mac, DERIVED["e_mac_key"], detached_payload=DERIVED["device_authentication_bytes"])
    static = private_key("static_device_key")
    assert ephemeral.agree(READER_KEY, static.public_key) == DERIVED["static_shared_secret"]


def verified_claims(received: ReceivedResponse) -> set[str]:
    """The elements that issuer and device vouch for, with the keys of the published certificate and session."""
    (document,) = parse_device_response(received.device_response).documents
    assert received.mac_key(document) == DERIVED["e_mac_key"]
    signer = x509.load_der_x509_certificate(document.issuer_signed.x5chain()[0])
    found = verify_document(
        document,
        issuer_key=PublicKey(signer.public_key()),
        session_transcript=received.transcript,
        now=NOW,
        mac_key=received.mac_key(document),
    )
    assert found.device_auth is DeviceAuth.MAC
    return set(found.claims[MDL])


def test_both_machines_speak_the_published_session() -> None:
    engagement, handover = nfc()
    scanned = reader.scan(engagement, READER_KEY, now=NOW, handover=handover)
    asked = reader.ask(scanned, PUBLISHED["device_request"], now=NOW)
    assert asked.send == PUBLISHED["session_establishment"]

    engaged = device.engage(DEVICE_KEY, now=NOW, handover=handover)
    waiting = device.receive(engaged, asked.send, anchors=reader_anchors(), now=NOW).state
    (document,) = waiting.asked
    assert isinstance(document.reader, VerifiedReader)
    assert waiting.session.transcript == TRANSCRIPT
    approved = device.approve(waiting, {0: {MDL: list(ASKED)}})
    answered = device.respond(waiting, approved, PUBLISHED["device_response"], now=NOW)
    assert answered.send == PUBLISHED["session_data"]

    received = reader.receive(asked.state, answered.send, now=NOW)
    assert received.response.device_response == PUBLISHED["device_response"]
    assert verified_claims(received.response) == set(ASKED)
    farewell = reader.end(received.state, now=NOW + timedelta(seconds=1))
    assert farewell.send == PUBLISHED["session_termination"]
    over = device.receive(answered.state, farewell.send, anchors=reader_anchors(), now=NOW).state
    assert over.reason == "ended_by_peer"


def test_termination() -> None:
    assert session.parse_session_data(PUBLISHED["session_termination"]).status == SessionStatus.TERMINATION
    assert session.create_session_data(status=SessionStatus.TERMINATION) == PUBLISHED["session_termination"]
