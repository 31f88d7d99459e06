"""mdoc both ways with PyPI ``isomdoc`` and ``pymdoccbor``, COSE both ways with ``cwt``."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.bench.cases import ISSUER as CERTIFIED
from tests.bench.cases import X5C
from tests.interop.conftest import Peer
from tests.support import mdoc
from tests.support.mdoc import DEVICE, MDL, OTHER_TRANSCRIPT, SHOWN, TRANSCRIPT
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import base64url
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.mdoc.structures import parse_issuer_signed
from wallet_core.formats.mdoc.verifier import claims_to_json, verify_issuer_signed
from wallet_core.keys.cose_key import cose_key
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.spec_versions import NAMESPACE_MDL

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ELEMENTS = {NAMESPACE_MDL: {"family_name": "시험", "sex": 2, "age_over_19": True}}
SIGNERS = {
    "ES256": SoftwareSigner.generate(),
    "ES384": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())),
    "ES512": SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())),
    "EdDSA": SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()),
}
HELD = index_mdoc(mdoc.issue(signer=CERTIFIED, x5chain=X5C))
RESPONSE = mdoc.present(HELD)
TAMPERED = RESPONSE.replace(b"SIHEOM", b"MOHEIS")


def pem(signer: SoftwareSigner) -> str:
    return signer.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def private_jwk(signer: SoftwareSigner) -> dict[str, Any]:
    if isinstance(signer.private_key, ed25519.Ed25519PrivateKey):
        d = signer.private_key.private_bytes_raw()
    else:
        size = (signer.private_key.key_size + 7) // 8
        d = signer.private_key.private_numbers().private_value.to_bytes(size, "big")
    return {**public_jwk(signer.public_key), "d": base64url.encode(d)}


def coordinates(signer: SoftwareSigner) -> dict[str, str]:
    key: dict[int, Any] = cose_key(signer.public_key)
    return {"x": key[-2].hex(), "y": key[-3].hex()}


def test_they_verify_what_we_show(peer: Peer) -> None:
    task = {"do": "isomdoc_verify", "device_response": RESPONSE.hex(), "session_transcript": TRANSCRIPT.hex()}
    verified, other_session, tampered, valid, invalid = peer(
        task,
        {**task, "session_transcript": OTHER_TRANSCRIPT.hex()},
        {**task, "device_response": TAMPERED.hex()},
        {"do": "pymdoccbor_verify", "device_response": RESPONSE.hex()},
        {"do": "pymdoccbor_verify", "device_response": TAMPERED.hex()},
    )
    claims = verified["result"][MDL]
    assert {(name, element) for name, elements in claims.items() for element in elements} == set(SHOWN)
    ours = claims_to_json(mdoc.verify(RESPONSE, issuer_key=CERTIFIED.public_key).claims)
    assert claims == ours
    assert "error" in other_session
    assert "error" in tampered
    assert valid == {"result": True}
    assert invalid != {"result": True}


def test_we_verify_what_isomdoc_issues(peer: Peer) -> None:
    (issued,) = peer(
        {
            "do": "isomdoc_issue",
            "certificate": X5C[0].hex(),
            "issuer": pem(CERTIFIED),
            "device": DEVICE.public_key.raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "doc_type": MDL,
            "name_spaces": ELEMENTS,
            "at": "2026-11-27T12:00:00+00:00",
        }
    )
    data = bytes.fromhex(issued["result"])
    assert parse_issuer_signed(data).x5chain() == tuple(X5C)
    verified = verify_issuer_signed(parse_issuer_signed(data), issuer_key=CERTIFIED.public_key, doc_type=MDL, now=NOW)
    assert verified.claims == ELEMENTS
    assert verified.mso.validity.valid_until - verified.mso.validity.signed == timedelta(days=30)
    # Their credential, our wallet, their verification.
    response = mdoc.present(index_mdoc(data), [(NAMESPACE_MDL, "age_over_19")])
    (shown,) = peer({"do": "isomdoc_verify", "device_response": response.hex(), "session_transcript": TRANSCRIPT.hex()})
    assert shown["result"] == {MDL: {NAMESPACE_MDL: {"age_over_19": True}}}
    assert mdoc.verify(response, issuer_key=CERTIFIED.public_key, now=NOW).device_key == DEVICE.public_key


def test_we_verify_what_pymdoccbor_issues(peer: Peer) -> None:
    issuer = SoftwareSigner.generate()
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    d = issuer.private_key.private_numbers().private_value.to_bytes(32, "big").hex()
    (issued,) = peer(
        {
            "do": "pymdoccbor_issue",
            "issuer": {"d": d, **coordinates(issuer)},
            "device": coordinates(DEVICE),
            "doc_type": MDL,
            "name_spaces": ELEMENTS,
            "validity": {"issuance_date": "2026-11-26", "expiry_date": "2099-12-27"},
        }
    )
    data = bytes.fromhex(issued["result"])
    issuer_signed = parse_issuer_signed(data)
    at = index_mdoc(data).mso.validity.valid_from + timedelta(days=1)
    verified = verify_issuer_signed(issuer_signed, issuer_key=issuer.public_key, doc_type=MDL, now=at)
    assert verified.claims == ELEMENTS
    assert verified.mso.device_key == DEVICE.public_key
    # Their credential, our wallet, their verification.
    response = mdoc.present(index_mdoc(data), [(NAMESPACE_MDL, "sex")])
    assert peer({"do": "pymdoccbor_verify", "device_response": response.hex()}) == [{"result": True}]


@pytest.mark.parametrize("name", SIGNERS)
def test_cose_sign1_both_ways(peer: Peer, name: str) -> None:
    signer = SIGNERS[name]
    detached = sign1.to_sign(b"content", signer.algorithm, detached=True)
    read, read_detached, refused, made = peer(
        {
            "do": "cwt_verify",
            "message": sign1.sign(b"content", signer, tagged=True).hex(),
            "key": public_jwk(signer.public_key),
        },
        {
            "do": "cwt_verify",
            "message": detached.attach(signer.sign(detached.signing_input), tagged=True).hex(),
            "key": public_jwk(signer.public_key),
            "detached_payload": b"content".hex(),
        },
        {
            "do": "cwt_verify",
            "message": sign1.sign(b"content", signer, tagged=True).replace(b"content", b"Content").hex(),
            "key": public_jwk(signer.public_key),
        },
        {"do": "cwt_sign", "payload": b"theirs".hex(), "key": private_jwk(signer)},
    )
    assert read == read_detached == {"result": b"content".hex()}
    assert "error" in refused
    message = sign1.parse(bytes.fromhex(made["result"]), tagged=True)
    assert sign1.verify(message, signer.public_key).payload == b"theirs"
    with pytest.raises(WalletError):
        sign1.verify(message, SoftwareSigner.generate().public_key)


def test_cose_mac0_both_ways(peer: Peer) -> None:
    key = bytes(range(32))
    read, refused, made = peer(
        {"do": "cwt_verify", "message": mac0.create(b"content", key, tagged=True).hex(), "key": {"hmac": key.hex()}},
        {"do": "cwt_verify", "message": mac0.create(b"x", bytes(32), tagged=True).hex(), "key": {"hmac": key.hex()}},
        {"do": "cwt_sign", "payload": b"theirs".hex(), "key": {"hmac": key.hex()}},
    )
    assert read == {"result": b"content".hex()}
    assert "error" in refused
    assert mac0.verify(mac0.parse(bytes.fromhex(made["result"]), tagged=True), key) == b"theirs"
