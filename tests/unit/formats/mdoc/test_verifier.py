"""Verifying an mdoc: each rule broken once, refused at the step that states it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.support import mdoc
from tests.support.mdoc import (
    DEVICE,
    HELD,
    ISSUER,
    ISSUER_SIGNED,
    MDL,
    NAME_SPACES,
    NOW,
    OTHER_TRANSCRIPT,
    RESPONSE,
    SHOWN,
    STRANGER,
    TRANSCRIPT,
    VALIDITY,
    changed,
    issue,
    item,
    present,
    resigned,
    verify,
    with_item,
)
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    VerificationError,
    WalletError,
)
from wallet_core.formats.mdoc.document import encode_device_response, parse_device_response
from wallet_core.formats.mdoc.holder import create_document, create_maced_document, index_mdoc
from wallet_core.formats.mdoc.structures import DIGEST_ALGORITHMS, parse_issuer_signed, parse_mso
from wallet_core.formats.mdoc.verifier import (
    DeviceAuth,
    claims_to_json,
    verify_document,
    verify_issuer_signed,
)
from wallet_core.keys.cose_key import cose_key
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.spec_versions import NAMESPACE_MDL, NAMESPACE_MDL_KR

MAC_KEY = bytes(range(32))
Change = Callable[[dict[str, Any]], object]


def refusal(response: bytes, **changes: Any) -> VerificationError:
    with pytest.raises(VerificationError) as refused:
        verify(response, **changes)
    return refused.value


def malformed(data: bytes) -> MalformedError:
    with pytest.raises(MalformedError) as refused:
        parse_device_response(data)
    return refused.value


def items_of(document: dict[str, Any], name_space: str = NAMESPACE_MDL) -> list[Any]:
    found: list[Any] = document["issuerSigned"]["nameSpaces"][name_space]
    return found


def shown_by(change: Change) -> bytes:
    """Return a response for the credential whose MSO was changed and signed again."""
    return present(index_mdoc(resigned(change)))


def test_what_is_shown() -> None:
    verified = verify(RESPONSE)
    assert verified.doc_type == MDL
    assert {(name, element) for name, elements in verified.claims.items() for element in elements} == set(SHOWN)
    assert verified.claims[NAMESPACE_MDL]["birth_date"] == Tagged(1004, "1990-02-28")
    assert verified.validity == VALIDITY
    assert verified.device_key == DEVICE.public_key
    assert verified.device_auth is DeviceAuth.SIGNATURE
    assert verified.device_claims == {}
    assert verified.status is None


def test_claims_as_json() -> None:
    found = claims_to_json(verify(RESPONSE).claims)
    assert found[NAMESPACE_MDL]["birth_date"] == "1990-02-28"
    assert found[NAMESPACE_MDL]["driving_privileges"] == [
        {"vehicle_category_code": "B", "issue_date": "2020-05-11", "codes": [{"code": "78"}]}
    ]
    assert found[NAMESPACE_MDL_KR] == {"name": "시험하나"}


def test_nothing_is_shown() -> None:
    response = present(HELD, [])
    assert "nameSpaces" not in cbor.loads(response)["documents"][0]["issuerSigned"]
    assert verify(response).claims == {}


def test_an_empty_map_of_others_is_read() -> None:
    response = changed(present(HELD, []), lambda document: document["issuerSigned"].update(nameSpaces={}))
    assert verify(response).claims == {}


def test_a_large_portrait() -> None:
    held = index_mdoc(issue(name_spaces={NAMESPACE_MDL: {"portrait": bytes(60_000), "sex": 1}}))
    assert verify(present(held, list(held.items))).claims[NAMESPACE_MDL] == {"portrait": bytes(60_000), "sex": 1}


@pytest.mark.parametrize("algorithm", DIGEST_ALGORITHMS)
def test_every_digest_algorithm(algorithm: str) -> None:
    assert verify(present(index_mdoc(issue(digest_algorithm=algorithm)))).claims[NAMESPACE_MDL]["age_over_19"] is True


@pytest.mark.parametrize(
    "signer",
    [
        SoftwareSigner.from_key(ec.generate_private_key(ec.SECP384R1())),
        SoftwareSigner.from_key(ec.generate_private_key(ec.SECP521R1())),
        SoftwareSigner.from_key(ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=lambda signer: signer.algorithm.value,
)
def test_every_algorithm(signer: SoftwareSigner) -> None:
    held = index_mdoc(issue(signer=signer, device_key=signer.public_key))
    assert verify(present(held, device=signer), issuer_key=signer.public_key).device_key == signer.public_key


def test_fully_specified_identifiers_are_accepted() -> None:
    # M28: -9 says the same as -7 for a P-256 key, in IssuerAuth and in DeviceSignature.
    parsed = cbor.loads(ISSUER_SIGNED)
    _, unprotected, payload, _ = parsed["issuerAuth"]
    protected = cbor.dumps({1: -9})
    auth = [protected, unprotected, payload, ISSUER.sign(sign1.sig_structure(protected, payload))]
    held = index_mdoc(cbor.dumps({**parsed, "issuerAuth": auth}))
    pending = create_document(held, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm)
    signed = cbor.loads(pending.signing_input)
    signature = [protected, {}, None, DEVICE.sign(sign1.sig_structure(protected, signed[3]))]

    def change(document: dict[str, Any]) -> None:
        document["deviceSigned"]["deviceAuth"] = {"deviceSignature": signature}

    assert verify(changed(present(held), change)).device_auth is DeviceAuth.SIGNATURE


@pytest.mark.clause("mdoc-18013.9.1.2.4-x5chain")
@pytest.mark.parametrize("protected", [True, False])
def test_x5chain_in_either_header(protected: bool) -> None:  # noqa: FBT001
    parsed = cbor.loads(ISSUER_SIGNED)
    payload, chain = parsed["issuerAuth"][2], sign1.x5chain_header([b"leaf", b"intermediate"])
    where = {"protected" if protected else "unprotected": chain}
    data = sign1.sign(payload, ISSUER, **where)
    issuer_signed = parse_issuer_signed(cbor.dumps({**parsed, "issuerAuth": cbor.loads(data)}))
    assert issuer_signed.x5chain() == (b"leaf", b"intermediate")
    assert verify_issuer_signed(issuer_signed, issuer_key=ISSUER.public_key, doc_type=MDL, now=NOW).claims


# --- step 0 -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("mdoc-18013.8.3.2.1-status-ok")
def test_an_error_status() -> None:
    refused = refusal(cbor.dumps({"version": "1.0", "status": 10}))
    assert refused.step == 0
    assert "error" in refused.description


@pytest.mark.clause("mdoc-HAIP5.3.1-one-document")
@pytest.mark.parametrize("count", [0, 2])
def test_not_exactly_one_document(count: int) -> None:
    pending = create_document(HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm)
    document = pending.attach_to_document(DEVICE.sign(pending.signing_input))
    assert refusal(encode_device_response([document] * count)).step == 0


@pytest.mark.clause("mdoc-18013.8.3.2.1-asked-type")
def test_a_document_of_another_type_than_asked() -> None:
    assert refusal(RESPONSE, doc_type="org.example.other").step == 0


# --- step 1 -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("mdoc-18013.9.3.1-issuer-auth")
def test_a_foreign_issuer() -> None:
    refused = refusal(RESPONSE, issuer_key=STRANGER.public_key)
    assert isinstance(refused, InvalidSignature)
    assert refused.step == 1


@pytest.mark.parametrize("place", [0, 2, 3], ids=["protected", "payload", "signature"])
def test_one_bit_of_issuer_auth(place: int) -> None:
    def change(document: dict[str, Any]) -> None:
        auth = document["issuerSigned"]["issuerAuth"]
        auth[place] = auth[place][:-1] + bytes([auth[place][-1] ^ 1])

    with pytest.raises(WalletError):
        verify(changed(RESPONSE, change))


def test_a_critical_header() -> None:
    parsed = cbor.loads(ISSUER_SIGNED)
    data = sign1.sign(parsed["issuerAuth"][2], ISSUER, protected={2: [99], 99: 1})
    held = index_mdoc(cbor.dumps({**parsed, "issuerAuth": cbor.loads(data)}))
    assert refusal(present(held)).step == 1


def test_a_detached_mso() -> None:
    def change(document: dict[str, Any]) -> None:
        document["issuerSigned"]["issuerAuth"][2] = None

    assert refusal(changed(RESPONSE, change)).step == 1


# --- step 2 -----------------------------------------------------------------------------------------------------------


def bad_mso(change: Change) -> VerificationError:
    """Return how a response with this MSO, signed by the issuer, is refused."""
    issuer_signed = parse_issuer_signed(resigned(change))
    with pytest.raises(VerificationError) as refused:
        verify_issuer_signed(issuer_signed, issuer_key=ISSUER.public_key, doc_type=MDL, now=NOW)
    return refused.value


@pytest.mark.clause(
    "mdoc-18013.9.1.2.4-version",
    "mdoc-18013.9.1.2.5-digest-algorithm",
    "mdoc-18013.9.1.2.4-value-digests",
    "mdoc-18013.9.1.2.4-key-authorizations",
    "mdoc-18013.8.3-types",
)
@pytest.mark.parametrize(
    "change",
    [
        lambda mso: mso.update(version="2.0"),
        lambda mso: mso.pop("version"),
        lambda mso: mso.update(version=1),
        lambda mso: mso.update(digestAlgorithm="SHA-1"),
        lambda mso: mso.update(digestAlgorithm=None),
        lambda mso: mso.update(docType=b"x"),
        lambda mso: mso.update(valueDigests=[]),
        lambda mso: mso.update(valueDigests={1: {}}),
        lambda mso: mso.update(valueDigests={NAMESPACE_MDL: {0: b"short"}}),
        lambda mso: mso.update(valueDigests={NAMESPACE_MDL: {"0": bytes(32)}}),
        lambda mso: mso.update(valueDigests={NAMESPACE_MDL: {-1: bytes(32)}}),
        lambda mso: mso.update(valueDigests={NAMESPACE_MDL: {True: bytes(32)}}),
        lambda mso: mso.update(valueDigests={NAMESPACE_MDL: []}),
        lambda mso: mso.pop("deviceKeyInfo"),
        lambda mso: mso["deviceKeyInfo"].pop("deviceKey"),
        lambda mso: mso["deviceKeyInfo"]["deviceKey"].update({-4: bytes(32)}),
        lambda mso: mso["deviceKeyInfo"]["deviceKey"].update({-2: bytes(32)}),
        lambda mso: mso["deviceKeyInfo"]["deviceKey"].update({-1: 8}),
        lambda mso: mso["deviceKeyInfo"].update(keyAuthorizations=[]),
        lambda mso: mso["deviceKeyInfo"].update(keyAuthorizations={"nameSpaces": "x"}),
        lambda mso: mso["deviceKeyInfo"].update(keyAuthorizations={"nameSpaces": [1]}),
        lambda mso: mso["deviceKeyInfo"].update(keyAuthorizations={"dataElements": {"x": "y"}}),
        lambda mso: mso["deviceKeyInfo"].update(keyAuthorizations={"dataElements": {"x": [[]]}}),
        lambda mso: mso.update(validityInfo=None),
        lambda mso: mso["validityInfo"].pop("signed"),
        lambda mso: mso["validityInfo"].update(validUntil="2026-12-27T12:00:00Z"),
        lambda mso: mso["validityInfo"].update(validUntil=Tagged(0, "2026-12-27T12:00:00+09:00")),
        lambda mso: mso["validityInfo"].update(validUntil=Tagged(0, ["2026"])),
        lambda mso: mso["validityInfo"].update(validUntil=Tagged(1, 1_800_000_000)),
        lambda mso: mso["validityInfo"].update(expectedUpdate=5),
        lambda mso: mso.update(status="x"),
    ],
)
def test_an_mso_that_is_none(change: Change) -> None:
    assert bad_mso(change).step == 2


@pytest.mark.clause("mdoc-18013.9.1.2.4-mso-bytes")
def test_an_mso_in_one_layer_only() -> None:
    parsed = cbor.loads(ISSUER_SIGNED)
    mso = cbor.loads(parsed["issuerAuth"][2]).value
    data = sign1.sign(mso, ISSUER)
    issuer_signed = parse_issuer_signed(cbor.dumps({**parsed, "issuerAuth": cbor.loads(data)}))
    with pytest.raises(VerificationError) as refused:
        verify_issuer_signed(issuer_signed, issuer_key=ISSUER.public_key, doc_type=MDL, now=NOW)
    assert refused.value.step == 2
    with pytest.raises(MalformedError, match="no payload"):
        parse_mso(None)


# --- step 3 -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("mdoc-18013.9.3.1-digest")
@pytest.mark.parametrize(
    "members",
    [
        {"elementValue": "SOMEBODY"},
        {"elementIdentifier": "given_name"},
        {"random": bytes(24)},
        {"digestID": 19},
        {"extra": 1},
    ],
)
def test_one_member_of_an_item(members: dict[str, Any]) -> None:
    def change(document: dict[str, Any]) -> None:
        items = items_of(document)
        items[0] = with_item(items[0], **members)

    assert refusal(changed(RESPONSE, change)).step == 3


def test_an_item_encoded_in_another_order() -> None:
    def change(document: dict[str, Any]) -> None:
        items = items_of(document)
        items[0] = Tagged(24, cbor.dumps(dict(reversed(item(items[0]).items()))))

    assert refusal(changed(RESPONSE, change)).step == 3


def test_items_that_swap_their_values() -> None:
    def change(document: dict[str, Any]) -> None:
        items = items_of(document)
        one, other = item(items[0]), item(items[1])
        items[0] = with_item(items[0], elementValue=other["elementValue"])
        items[1] = with_item(items[1], elementValue=one["elementValue"])

    assert refusal(changed(RESPONSE, change)).step == 3


def test_an_item_in_another_namespace() -> None:
    def change(document: dict[str, Any]) -> None:
        items_of(document, NAMESPACE_MDL_KR).append(items_of(document).pop())

    assert refusal(changed(RESPONSE, change)).step == 3


def test_an_item_in_a_namespace_without_digests() -> None:
    def change(document: dict[str, Any]) -> None:
        document["issuerSigned"]["nameSpaces"]["kr.example"] = [items_of(document).pop()]

    assert refusal(changed(RESPONSE, change)).step == 3


def test_an_item_of_another_mdoc() -> None:
    other = cbor.loads(present(index_mdoc(issue())))["documents"][0]

    def change(document: dict[str, Any]) -> None:
        items_of(document)[0] = items_of(other)[0]

    assert refusal(changed(RESPONSE, change)).step == 3


@pytest.mark.clause("mdoc-18013.9.1.2.4-digest-id-once")
def test_an_item_twice() -> None:
    refused = refusal(changed(RESPONSE, lambda document: items_of(document).append(items_of(document)[0])))
    assert refused.step == 3
    assert "digestID" in refused.description


@pytest.mark.clause("mdoc-18013.8.3.2.1-element-once")
def test_an_element_twice_with_two_digests() -> None:
    # Two items of the issuer for one element: which of them a reader takes must not be left to chance.
    first = {"digestID": 0, "random": bytes(16), "elementIdentifier": "a", "elementValue": 1}
    items = [cbor.dumps({**first, "digestID": number, "elementValue": number}) for number in (0, 1)]
    digests = {number: DIGEST_ALGORITHMS["SHA-256"](cbor.embed(each)).digest() for number, each in enumerate(items)}
    parsed = cbor.loads(resigned(lambda mso: mso.update(valueDigests={"kr.example": digests})))
    data = cbor.dumps({**parsed, "nameSpaces": {"kr.example": [Tagged(24, each) for each in items]}})
    with pytest.raises(VerificationError, match="element occurs twice") as refused:
        verify_issuer_signed(parse_issuer_signed(data), issuer_key=ISSUER.public_key, doc_type=MDL, now=NOW)
    assert refused.value.step == 3


def test_an_item_whose_length_is_longer_than_necessary() -> None:
    # Its digest is over the bytes that came; the issuer digested the same content with the same long head.
    inner = cbor.dumps({"digestID": 0, "random": bytes(16), "elementIdentifier": "a", "elementValue": 1})
    long = b"\xd8\x18\x59" + len(inner).to_bytes(2, "big") + inner
    digest = DIGEST_ALGORITHMS["SHA-256"](long).digest()
    parsed = cbor.loads(resigned(lambda mso: mso.update(valueDigests={"x": {0: digest}})))
    data = cbor.dumps({**parsed, "nameSpaces": {"x": [Tagged(24, inner)]}}).replace(cbor.embed(inner), long)
    verified = verify_issuer_signed(parse_issuer_signed(data), issuer_key=ISSUER.public_key, doc_type=MDL, now=NOW)
    assert verified.claims == {"x": {"a": 1}}
    held = index_mdoc(data)
    assert long in present(held, [("x", "a")])
    assert verify(present(held, [("x", "a")])).claims == {"x": {"a": 1}}


# --- steps 4 to 6 -----------------------------------------------------------------------------------------------------


@pytest.mark.clause("mdoc-18013.9.3.1-doc-type")
def test_an_mso_of_another_document_type() -> None:
    refused = refusal(changed(present(index_mdoc(issue(doc_type="org.example"))), lambda d: d.update(docType=MDL)))
    assert refused.step == 4


@pytest.mark.clause("mdoc-18013.9.3.1-signed")
@pytest.mark.parametrize(
    "validity",
    [
        (datetime(2026, 11, 27, 13, tzinfo=UTC), datetime(2027, 11, 27, tzinfo=UTC)),
        (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 11, 27, 11, tzinfo=UTC)),
    ],
    ids=["signer not valid yet", "signer expired"],
)
def test_signed_outside_the_validity_of_the_signer(validity: tuple[datetime, datetime]) -> None:
    assert refusal(RESPONSE, signer_validity=validity).step == 5


@pytest.mark.clause("mdoc-18013.9.3.1-valid-from")
def test_not_valid_yet() -> None:
    at = VALIDITY.valid_from - timedelta(minutes=2)
    refused = refusal(RESPONSE, now=at)
    assert isinstance(refused, NotYetValid)
    assert refused.step == 6
    assert verify(RESPONSE, now=at, leeway=timedelta(minutes=2)).validity == VALIDITY


@pytest.mark.clause("mdoc-18013.9.3.1-valid-until")
def test_expired() -> None:
    at = VALIDITY.valid_until + timedelta(minutes=2)
    refused = refusal(RESPONSE, now=at)
    assert isinstance(refused, Expired)
    assert refused.step == 6
    assert verify(RESPONSE, now=at, leeway=timedelta(minutes=2)).validity == VALIDITY


# --- steps 7 and 8 ----------------------------------------------------------------------------------------------------


@pytest.mark.clause("mdoc-18013.9.1.3.6-device-signature")
@pytest.mark.parametrize(
    "response",
    [present(HELD, session_transcript=OTHER_TRANSCRIPT), present(HELD, device=STRANGER)],
    ids=["a transcript of another session", "a foreign device key"],
)
def test_another_device_or_session(response: bytes) -> None:
    refused = refusal(response)
    assert isinstance(refused, HolderBindingError)
    assert refused.step == 8


def test_a_device_signature_of_another_document_type() -> None:
    other = present(index_mdoc(issue(doc_type="org.example.other")))
    auth = cbor.loads(other)["documents"][0]["deviceSigned"]
    assert refusal(changed(RESPONSE, lambda document: document.update(deviceSigned=auth))).step == 8


def test_the_device_key_comes_from_the_mso_alone() -> None:
    # A stranger's signature with its certificate beside it proves nothing.
    def change(document: dict[str, Any]) -> None:
        document["deviceSigned"]["deviceAuth"]["deviceSignature"][1] = {33: b"leaf", 4: b"kid"}

    assert refusal(changed(present(HELD, device=STRANGER), change)).step == 8
    assert verify(changed(RESPONSE, change)).device_key == DEVICE.public_key


def test_a_device_signature_with_its_payload_inside() -> None:
    def change(document: dict[str, Any]) -> None:
        document["deviceSigned"]["deviceAuth"]["deviceSignature"][2] = b"payload"

    assert refusal(changed(RESPONSE, change)).step == 8


def authorized() -> Any:
    return index_mdoc(issue(key_authorizations=mdoc.AUTHORIZED))


def test_elements_the_device_signs() -> None:
    verified = verify(present(authorized(), device_signed={"kr.example": {"seen": 1}, NAMESPACE_MDL: {"height": 170}}))
    assert verified.device_claims == {"kr.example": {"seen": 1}, NAMESPACE_MDL: {"height": 170}}
    assert "height" not in verified.claims[NAMESPACE_MDL]


@pytest.mark.clause("mdoc-18013.9.1.2.4-authorized")
@pytest.mark.parametrize("signed", [{"other": {"seen": 1}}, {NAMESPACE_MDL: {"weight": 60}}])
def test_elements_the_device_may_not_sign(signed: dict[str, Any]) -> None:
    held = authorized()
    with pytest.raises(ValueError, match="not authorize"):
        present(held, device_signed=signed)
    payload = cbor.embed(cbor.dumps(signed))
    pending = create_document(held, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm)
    authentication = cbor.dumps(["DeviceAuthentication", cbor.loads(TRANSCRIPT), MDL, cbor.loads(payload)])
    signature = DEVICE.sign(sign1.sig_structure(pending.device_signature.protected_bytes, cbor.embed(authentication)))

    def change(document: dict[str, Any]) -> None:
        document["deviceSigned"]["nameSpaces"] = cbor.loads(payload)
        document["deviceSigned"]["deviceAuth"]["deviceSignature"][3] = signature

    refused = refusal(changed(present(held), change))
    assert isinstance(refused, HolderBindingError)
    assert refused.step == 7


def maced(mac_key: bytes = MAC_KEY, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {"session_transcript": TRANSCRIPT, "mac_key": mac_key}
    return encode_device_response([create_maced_document(HELD, SHOWN, **{**arguments, **changes})])


def verify_maced(response: bytes, mac_key: bytes | None) -> DeviceAuth:
    return verify_document(
        parse_device_response(response).documents[0],
        issuer_key=ISSUER.public_key,
        session_transcript=TRANSCRIPT,
        mac_key=mac_key,
        now=NOW,
    ).device_auth


@pytest.mark.clause("mdoc-18013.9.1.3.5-device-mac", "mdoc-18013.9.1.3.5-mac-key")
def test_a_device_mac() -> None:
    assert verify_maced(maced(), MAC_KEY) is DeviceAuth.MAC
    for response, key in (
        (maced(), None),
        (maced(), bytes(32)),
        (maced(mac_key=bytes(32)), MAC_KEY),
        (maced(session_transcript=OTHER_TRANSCRIPT), MAC_KEY),
    ):
        with pytest.raises(HolderBindingError) as refused:
            verify_maced(response, key)
        assert refused.value.step == 8
    # OpenID4VP has no reader key, so there can be no MAC.
    assert refusal(maced()).step == 8


def test_a_device_mac_with_another_algorithm() -> None:
    protected = cbor.dumps({1: 4})
    payload = cbor.loads(
        create_document(HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm).signing_input
    )[3]
    tag = mac0._tag(MAC_KEY, mac0.mac_structure(protected, payload))

    def change(document: dict[str, Any]) -> None:
        document["deviceSigned"]["deviceAuth"]["deviceMac"] = [protected, {}, None, tag]

    with pytest.raises(HolderBindingError):
        verify_maced(changed(maced(), change), MAC_KEY)


# --- what does not even parse -----------------------------------------------------------------------------------------


def test_truncated() -> None:
    for length in range(0, len(RESPONSE), 7):
        malformed(RESPONSE[:length])


def test_trailing_bytes() -> None:
    malformed(RESPONSE + b"\x00")
    inner = cbor.loads(RESPONSE)["documents"][0]

    def change(document: dict[str, Any]) -> None:
        items_of(document)[0] = Tagged(24, items_of(inner)[0].value + b"\x00")

    malformed(changed(RESPONSE, change))


def test_bytes_moved_from_one_item_to_the_next() -> None:
    def change(document: dict[str, Any]) -> None:
        items = items_of(document)
        one, other = items[0].value, items[1].value
        items[0], items[1] = Tagged(24, one + other[:5]), Tagged(24, other[5:])

    malformed(changed(RESPONSE, change))


@pytest.mark.parametrize("bit", range(0, 8 * len(RESPONSE), 97))
def test_one_bit(bit: int) -> None:
    flipped = bytearray(RESPONSE)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        verified = verify(bytes(flipped))
    except WalletError:
        return
    # What no signature covers may change: an unprotected header, a name that nobody knows then, so that less is shown.
    honest = verify(RESPONSE)
    assert replace(verified, claims=honest.claims) == honest
    for name_space, elements in verified.claims.items():
        assert elements.items() <= honest.claims[name_space].items() or elements == honest.claims[name_space]


def test_indefinite_lengths() -> None:
    body = RESPONSE[1:]
    malformed(b"\xbf" + body + b"\xff")
    item_bytes = cbor.loads(RESPONSE)["documents"][0]["issuerSigned"]["nameSpaces"][NAMESPACE_MDL][0].value

    def change(document: dict[str, Any]) -> None:
        items_of(document)[0] = Tagged(24, b"\xbf" + item_bytes[1:] + b"\xff")

    malformed(changed(RESPONSE, change))


def test_a_key_twice() -> None:
    malformed(b"\xa4" + RESPONSE[1:] + cbor.text("status") + b"\x00")
    item_bytes = cbor.loads(RESPONSE)["documents"][0]["issuerSigned"]["nameSpaces"][NAMESPACE_MDL][0].value

    def change(document: dict[str, Any]) -> None:
        items_of(document)[0] = Tagged(24, b"\xa5" + item_bytes[1:] + cbor.text("digestID") + b"\x00")

    malformed(changed(RESPONSE, change))


@pytest.mark.parametrize("tag", [23, 25, 22, 0, 55799])
def test_an_item_with_another_tag(tag: int) -> None:
    def change(document: dict[str, Any]) -> None:
        items = items_of(document)
        items[0] = Tagged(tag, items[0].value)

    malformed(changed(RESPONSE, change))


@pytest.mark.parametrize("path", ["issuerAuth", "deviceSignature"])
def test_a_tagged_cose_structure(path: str) -> None:
    # Trap 45: COSE inside an mdoc is untagged.
    def change(document: dict[str, Any]) -> None:
        where = document["issuerSigned"] if path == "issuerAuth" else document["deviceSigned"]["deviceAuth"]
        where[path] = Tagged(18, where[path])

    malformed(changed(RESPONSE, change))


@pytest.mark.clause(
    "mdoc-18013.8.3.2.1-version",
    "mdoc-18013.8.3.2.1-status",
    "mdoc-18013.8.3.2.1-items",
    "mdoc-18013.8.3.2.1-item",
    "mdoc-18013.9.1.2.5-random",
    "mdoc-18013.8.3.2.1-device-name-spaces",
    "mdoc-18013.9.1.3-one-kind",
    "mdoc-18013.8.3.2.1-errors",
    "mdoc-18013.8.3-types",
)
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("docType"),
        lambda d: d.update(docType=5),
        lambda d: d.pop("issuerSigned"),
        lambda d: d["issuerSigned"].pop("issuerAuth"),
        lambda d: d["issuerSigned"].update(nameSpaces=[]),
        lambda d: d["issuerSigned"].update(nameSpaces={NAMESPACE_MDL: []}),
        lambda d: d["issuerSigned"].update(nameSpaces={5: items_of(d)}),
        lambda d: d["issuerSigned"].update(nameSpaces={NAMESPACE_MDL: items_of(d)[0]}),
        lambda d: items_of(d).append(b"item"),
        lambda d: items_of(d).append(Tagged(24, cbor.dumps([]))),
        lambda d: items_of(d).append(with_item(items_of(d)[0], digestID=-1)),
        lambda d: items_of(d).append(with_item(items_of(d)[0], digestID=True)),
        lambda d: items_of(d).append(with_item(items_of(d)[0], digestID="0")),
        lambda d: items_of(d).append(with_item(items_of(d)[0], elementIdentifier=0)),
        lambda d: items_of(d).append(with_item(items_of(d)[0], random=bytes(15))),
        lambda d: items_of(d).append(with_item(items_of(d)[0], random="r" * 24)),
        lambda d: items_of(d).append(Tagged(24, cbor.dumps({"digestID": 0, "random": bytes(16)}))),
        lambda d: d.pop("deviceSigned"),
        lambda d: d["deviceSigned"].pop("nameSpaces"),
        lambda d: d["deviceSigned"].update(nameSpaces={}),
        lambda d: d["deviceSigned"].update(nameSpaces=Tagged(24, cbor.dumps([]))),
        lambda d: d["deviceSigned"].update(nameSpaces=Tagged(24, cbor.dumps({1: {}}))),
        lambda d: d["deviceSigned"].update(nameSpaces=Tagged(24, cbor.dumps({"x": {1: 1}}))),
        lambda d: d["deviceSigned"].update(nameSpaces=Tagged(24, cbor.dumps({"x": 1}))),
        lambda d: d["deviceSigned"].pop("deviceAuth"),
        lambda d: d["deviceSigned"].update(deviceAuth={}),
        lambda d: d["deviceSigned"]["deviceAuth"].update(deviceMac=[b"", {}, None, b""]),
        lambda d: d["deviceSigned"]["deviceAuth"].update(deviceSignature=[]),
        lambda d: d.update(errors=[]),
        lambda d: d.update(errors={"x": 1}),
        lambda d: d.update(errors={"x": {"y": "z"}}),
    ],
)
def test_a_document_that_is_none(change: Change) -> None:
    malformed(changed(RESPONSE, change))


@pytest.mark.clause("mdoc-18013.8.3.2.1-version", "mdoc-18013.8.3.2.1-status", "mdoc-18013.8.3.2.1-document-errors")
@pytest.mark.parametrize(
    "members",
    [
        {"version": "2.0"},
        {"version": None},
        {"status": None},
        {"status": True},
        {"status": -1},
        {"status": "0"},
        {"status": 10},
        {"documents": {}},
        {"documents": [None]},
        {"documents": [cbor.loads(RESPONSE)["documents"][0]] * 17},
        {"documentErrors": {}},
        {"documentErrors": [[]]},
        {"documentErrors": [{5: 0}]},
        {"documentErrors": [{"x": "y"}]},
    ],
)
def test_a_response_that_is_none(members: dict[str, Any]) -> None:
    malformed(cbor.dumps({**cbor.loads(RESPONSE), **members}))


@pytest.mark.parametrize("value", [[], "x", None, 5, {}])
def test_something_else(value: Any) -> None:
    malformed(cbor.dumps(value))


def test_too_many_elements() -> None:
    with pytest.raises(MalformedError, match="more than 500"):
        parse_issuer_signed(issue(name_spaces={"x": {f"e{number}": number for number in range(501)}}))


def test_unknown_members_are_passed_over() -> None:
    def change(document: dict[str, Any]) -> None:
        document["future"] = {"a": [1]}
        document["issuerSigned"]["future"] = 1
        document["deviceSigned"]["future"] = 1

    assert verify(changed(RESPONSE, change)) == verify(RESPONSE)
    assert verify(shown_by(lambda mso: mso.update(future=1, version="1.1"))).claims


def test_the_status_is_passed_on() -> None:
    status = {"status_list": {"idx": 412, "uri": "https://issuer.example/statuslists/1"}}
    assert verify(present(index_mdoc(issue(status=status)))).status == status


def test_errors_of_a_response() -> None:
    response = parse_device_response(encode_device_response([], document_errors={"org.example": 0, MDL: 10}))
    assert response.document_errors == {"org.example": 0, MDL: 10}
    assert response.documents == ()
    document = parse_device_response(present(HELD, errors={NAMESPACE_MDL: {"height": 0}})).documents[0]
    assert document.errors == {NAMESPACE_MDL: {"height": 0}}
    assert verify(present(HELD, errors={NAMESPACE_MDL: {"height": 0}})).claims == verify(RESPONSE).claims


def test_a_device_key_in_compressed_form() -> None:
    key: dict[int, Any] = cose_key(DEVICE.public_key)
    odd = bool(key[-3][-1] & 1)
    response = shown_by(lambda mso: mso["deviceKeyInfo"].update(deviceKey={**key, -3: odd}))
    assert verify(response).device_key == DEVICE.public_key


def test_every_element_of_the_sample_is_shown() -> None:
    response = present(HELD, list(HELD.items))
    assert verify(response).claims == NAME_SPACES
