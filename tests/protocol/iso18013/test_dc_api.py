"""``org-iso-mdoc``: both sides of ISO/IEC TS 18013-7 annex C, and what each refuses."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import hpke as second
from tests.support.proximity import (
    ASKED,
    CHOICE,
    DEVICE_SIGNER,
    DOC_TYPE,
    ISSUER_SIGNER,
    MDOC,
    NAME_SPACE,
    NOW,
    READER,
    READER_NAME,
    certify,
    new_reader,
)
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import HolderBindingError, LocalProtocolError, MalformedError, VerificationError
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, verify_document
from wallet_core.keys import hpke
from wallet_core.keys.cose_key import cose_key
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.iso18013 import dc_api
from wallet_core.protocols.iso18013.reader_auth import UnknownReader, VerifiedReader
from wallet_core.types import SessionTranscript

ORIGIN = "https://verifier.example"
KEY = ec.generate_private_key(ec.SECP256R1())
NONCE = bytes(range(32))
INFO = dc_api.create_encryption_info(KEY.public_key(), NONCE)


def request(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "encryption_info": INFO,
        "origin": ORIGIN,
        "signer": READER.signer,
        "x5chain": [READER.certificate],
        **changes,
    }
    return dc_api.create_request_data([(DOC_TYPE, ASKED)], **arguments)


def read(data: Any, origin: str = ORIGIN) -> dc_api.AskedOverDcApi:
    return dc_api.parse_request_data(data, origin=origin, anchors=READER.anchors, now=NOW)


def answer(asked: dc_api.AskedOverDcApi, choice: Any = None) -> dict[str, Any]:
    approved = dc_api.approve(asked, CHOICE if choice is None else choice)
    documents = [
        each.attach_to_document(DEVICE_SIGNER.sign(each.signing_input))
        for each in dc_api.create_documents_to_sign(approved, {DOC_TYPE: MDOC})
    ]
    return dc_api.create_answer(asked, approved, documents)


def opened(data: Any, key: Any = KEY, info: str = INFO, origin: str = ORIGIN) -> tuple[bytes, SessionTranscript]:
    return dc_api.open_response_data(data, key, encryption_info=info, origin=origin)


def believed(device_response: bytes, transcript: SessionTranscript) -> VerifiedMdoc:
    (document,) = parse_device_response(device_response).documents
    return verify_document(document, issuer_key=ISSUER_SIGNER.public_key, session_transcript=transcript, now=NOW)


@pytest.mark.clause("dcapi-C.5-reader", "dcapi-C.4-info")
def test_a_request_and_its_answer() -> None:
    data = json.loads(json.dumps(request()))
    assert set(data) == {"deviceRequest", "encryptionInfo"}
    asked = read(data)
    (document,) = asked.asked
    assert (document.doc_type, document.name_spaces) == (DOC_TYPE, ASKED)
    assert isinstance(document.reader, VerifiedReader)
    assert document.reader.name == READER_NAME
    credential = json.loads(json.dumps(answer(asked)))
    assert credential["protocol"] == "org-iso-mdoc"
    device_response, transcript = opened(credential["data"])
    assert believed(device_response, transcript).claims == {NAME_SPACE: {"family_name": "시험", "age_over_19": True}}


def test_the_bytes_of_annex_c() -> None:
    key = {1: 2, -1: 1, **{label: cose_key(READER.signer.public_key)[label] for label in (-2, -3)}}
    recipient = READER.signer.public_key.raw
    assert isinstance(recipient, ec.EllipticCurvePublicKey)
    encoded = base64url.decode(dc_api.create_encryption_info(recipient, NONCE))
    assert encoded == cbor.dumps(["dcapi", {"nonce": NONCE, "recipientPublicKey": key}])
    asked = read(request())
    digest = hashlib.sha256(cbor.dumps([INFO, ORIGIN])).digest()
    assert asked.transcript == cbor.dumps([None, None, ["dcapi", digest]])
    # C.4: base mode, info is the transcript, no additional data; read by a second writing of RFC 9180.
    name, sealed = cbor.loads(base64url.decode(answer(asked)["data"]["response"]))
    assert (name, set(sealed), len(sealed["enc"])) == ("dcapi", {"enc", "cipherText"}, 65)
    plaintext = second.receiver(sealed["enc"], KEY, asked.transcript).open(sealed["cipherText"])
    assert parse_device_response(plaintext).documents[0].doc_type == DOC_TYPE


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"signer": SoftwareSigner.generate()}, ORIGIN),
        ({"x5chain": [new_reader().certificate]}, ORIGIN),
        ({"x5chain": [certify(READER, usages=None).certificate]}, ORIGIN),
        ({"origin": "https://evil.example"}, ORIGIN),
        ({}, "https://evil.example"),
    ],
    ids=["signature", "nobody", "usage", "signed for another page", "relayed to another page"],
)
def test_a_reader_that_did_not_sign_this_call_is_unknown_and_may_ask(changes: Any, origin: str) -> None:
    (document,) = read(request(**changes), origin).asked
    assert isinstance(document.reader, UnknownReader)


def test_another_encryption_info_is_another_call() -> None:
    other = dc_api.create_encryption_info(KEY.public_key(), bytes(32))
    (document,) = read({**request(), "encryptionInfo": other}).asked
    assert isinstance(document.reader, UnknownReader)


def info(**changes: Any) -> str:
    """``encryptionInfo`` of anybody's making; ``...`` takes a member out."""
    own = cose_key(SoftwareSigner.from_key(KEY).public_key)
    members = {"nonce": NONCE, "recipientPublicKey": own} | changes
    return base64url.encode(cbor.dumps(["dcapi", {k: v for k, v in members.items() if v is not ...}]))


def key_of(curve: ec.EllipticCurve) -> Any:
    return cose_key(SoftwareSigner.from_key(ec.generate_private_key(curve)).public_key)


BAD_INFO = {
    "missing": None,
    "number": 7,
    "no base64url": "====",
    "padded": INFO + "=",
    "no CBOR": base64url.encode(b"\xff"),
    "another protocol": base64url.encode(cbor.dumps(["other", {}])),
    "three parts": base64url.encode(cbor.dumps(["dcapi", {}, 1])),
    "no map": base64url.encode(cbor.dumps(["dcapi", 1])),
    "no nonce": info(nonce=...),
    "text as nonce": info(nonce="a" * 32),
    "short nonce": info(nonce=bytes(15)),
    "no key": info(recipientPublicKey=...),
    "key on P-384": info(recipientPublicKey=key_of(ec.SECP384R1())),
    "Ed25519": info(recipientPublicKey={1: 1, -1: 6, -2: bytes(32)}),
    "off the curve": info(recipientPublicKey={1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}),
    "private key": info(recipientPublicKey={1: 2, -1: 1, -2: bytes(32), -3: bytes(32), -4: bytes(32)}),
    "too long": info(more=bytes(2000)),
}


@pytest.mark.clause("dcapi-C.2-dcapi", "dcapi-C.2-nonce", "dcapi-C.4-suite")
@pytest.mark.parametrize("name", BAD_INFO)
def test_encryption_info_that_is_none(name: str) -> None:
    assert dc_api.parse_encryption_info(info()).nonce == NONCE
    with pytest.raises(MalformedError):
        read({**request(), "encryptionInfo": BAD_INFO[name]})


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"encryptionInfo": INFO}, {**request(), "deviceRequest": 1}, {**request(), "deviceRequest": "oA"}],
)
def test_a_request_that_is_none(data: Any) -> None:
    with pytest.raises(MalformedError):
        read(data)


def test_without_an_origin_there_is_no_request() -> None:
    with pytest.raises(MalformedError, match="origin"):
        read(request(), "")


@pytest.mark.clause("dcapi-C.2-fresh-nonce")
def test_our_own_nonce_is_long_enough() -> None:
    with pytest.raises(ValueError, match="nonce"):
        dc_api.create_encryption_info(KEY.public_key(), bytes(15))


@pytest.mark.clause("dcapi-C.4-bound")
def test_an_answer_opens_only_for_its_call() -> None:
    data = answer(read(request()))["data"]
    other_key, other_info = (
        ec.generate_private_key(ec.SECP256R1()),
        dc_api.create_encryption_info(KEY.public_key(), bytes(32)),
    )
    for changes in (
        {"key": other_key},
        {"info": other_info},
        {"origin": "https://evil.example"},
        {"origin": f"{ORIGIN}/"},
    ):
        with pytest.raises(VerificationError):
            opened(data, **changes)
    assert opened({"Response": data["response"]}) == opened(data)


def test_a_device_that_signed_elsewhere_is_not_believed() -> None:
    # Sealed again for this call by whoever stands between; the device signed for another page.
    elsewhere = read(request(), "https://evil.example")
    device_response, _ = opened(answer(elsewhere)["data"], origin="https://evil.example")
    here = read(request())
    sealed = hpke.seal(device_response, KEY.public_key(), info=here.transcript)
    data = {"response": base64url.encode(cbor.dumps(["dcapi", {"enc": sealed.enc, "cipherText": sealed.ciphertext}]))}
    with pytest.raises(HolderBindingError):
        believed(*opened(data))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"response": 1},
        {"response": "*"},
        {"response": base64url.encode(cbor.dumps(["dcapi", {}]))},
        {"response": base64url.encode(cbor.dumps(["dcapi", {"enc": "x", "cipherText": b""}]))},
        {"response": base64url.encode(cbor.dumps(["other", {"enc": b"", "cipherText": b""}]))},
    ],
)
def test_an_answer_that_is_none(data: Any) -> None:
    with pytest.raises(MalformedError):
        opened(data)


def test_only_what_the_person_approved_of_this_call_is_sent() -> None:
    asked = read(request())
    with pytest.raises(LocalProtocolError):
        answer(asked, {0: {NAME_SPACE: ["age_over_65", "birth_date"]}})
    with pytest.raises(LocalProtocolError):
        answer(asked, {0: {}})
    approved = dc_api.approve(asked, CHOICE)
    more = dc_api.approve(asked, {0: {NAME_SPACE: ["family_name", "age_over_19", "portrait"]}})
    documents = [
        each.attach_to_document(DEVICE_SIGNER.sign(each.signing_input))
        for each in dc_api.create_documents_to_sign(more, {DOC_TYPE: MDOC})
    ]
    with pytest.raises(LocalProtocolError):
        dc_api.create_answer(asked, approved, documents)
    with pytest.raises(LocalProtocolError):
        dc_api.create_answer(replace(asked, origin="https://evil.example"), more, documents)
