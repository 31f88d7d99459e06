"""The wallet's side: what is kept, what is sent, and nothing more."""

import hashlib
import time
from collections.abc import Callable

import pytest

from tests.support.mdoc import (
    DEVICE,
    HELD,
    ISSUER_SIGNED,
    MDL,
    NAME_SPACES,
    RESPONSE,
    SHOWN,
    TRANSCRIPT,
    changed,
    issue,
    present,
    with_item,
)
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.formats.mdoc.document import ResponseStatus, encode_device_response, parse_device_response
from wallet_core.formats.mdoc.holder import create_document, create_maced_document, index_mdoc
from wallet_core.formats.mdoc.structures import MAX_ELEMENTS, parse_issuer_signed
from wallet_core.spec_versions import NAMESPACE_MDL, NAMESPACE_MDL_KR


def test_what_is_kept() -> None:
    assert HELD.doc_type == MDL
    assert HELD.claims == NAME_SPACES
    assert HELD.encoded == ISSUER_SIGNED
    assert HELD.x5chain == (b"leaf",)
    assert HELD.mso.device_key == DEVICE.public_key
    assert index_mdoc(HELD.encoded) == HELD
    assert HELD.issuer_auth == cbor.dumps(cbor.loads(ISSUER_SIGNED)["issuerAuth"])
    assert all(item in ISSUER_SIGNED for item in HELD.items.values())


def test_only_what_was_chosen_is_sent() -> None:
    document = parse_device_response(RESPONSE).documents[0]
    found = {(name, item.element) for name, items in document.issuer_signed.items.items() for item in items}
    assert found == set(SHOWN)
    assert all(HELD.items[place] in RESPONSE for place in SHOWN)
    assert not any(item in RESPONSE for place, item in HELD.items.items() if place not in SHOWN)
    assert cbor.dumps(cbor.loads(RESPONSE)) == RESPONSE


@pytest.mark.clause("mdoc-18013.8.3.2.1-nothing")
def test_nothing_chosen_leaves_the_map_out() -> None:
    assert list(cbor.loads(HELD.select([]))) == ["issuerAuth"]
    assert HELD.select(HELD.items) == cbor.dumps(cbor.loads(ISSUER_SIGNED))


def test_the_order_of_the_choice_says_nothing() -> None:
    assert HELD.select(SHOWN) == HELD.select(list(reversed(SHOWN))) == HELD.select([*SHOWN, SHOWN[0]])


@pytest.mark.parametrize("place", [(NAMESPACE_MDL, "height"), (NAMESPACE_MDL_KR, "family_name"), ("x", "y")])
def test_what_is_not_there_cannot_be_chosen(place: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="no such data element"):
        HELD.select([place])


def test_device_name_spaces_are_sent_though_empty() -> None:
    assert b"\xd8\x18\x41\xa0" in RESPONSE
    pending = create_document(HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm)
    assert pending.signing_input.endswith(b"\xd8\x18\x41\xa0")
    assert pending.device_signature.payload is None


def test_the_signature_covers_session_and_type() -> None:
    pending = create_document(HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm)
    payload = cbor.loads(cbor.loads(cbor.loads(pending.signing_input)[3]).value)
    assert payload == ["DeviceAuthentication", cbor.loads(TRANSCRIPT), MDL, Tagged(24, b"\xa0")]
    document = cbor.loads(pending.attach_to_document(DEVICE.sign(pending.signing_input)))
    message = sign1.parse_value(document["deviceSigned"]["deviceAuth"]["deviceSignature"])
    assert sign1.verify(message, DEVICE.public_key, detached_payload=cbor.loads(pending.signing_input)[3]).key


def test_several_documents_and_errors() -> None:
    pending = create_document(
        HELD, SHOWN, session_transcript=TRANSCRIPT, algorithm=DEVICE.algorithm, errors={NAMESPACE_MDL: {"height": 0}}
    )
    signed = pending.attach_to_document(DEVICE.sign(pending.signing_input))
    maced = create_maced_document(
        HELD, [], session_transcript=TRANSCRIPT, mac_key=bytes(32), errors={NAMESPACE_MDL: {"weight": 0}}
    )
    data = encode_device_response([signed, maced], document_errors={"org.example": 0})
    response = parse_device_response(data)
    assert [document.errors for document in response.documents] == [
        {NAMESPACE_MDL: {"height": 0}},
        {NAMESPACE_MDL: {"weight": 0}},
    ]
    assert response.document_errors == {"org.example": 0}
    assert cbor.dumps(cbor.loads(data)) == data
    with pytest.raises(ValueError, match="error status"):
        encode_device_response([signed], status=ResponseStatus.GENERAL_ERROR)
    assert parse_device_response(encode_device_response([], status=ResponseStatus.CBOR_DECODING_ERROR)).status == 11


def test_a_broken_mdoc_is_not_kept() -> None:
    parsed = cbor.loads(ISSUER_SIGNED)
    items = parsed["nameSpaces"][NAMESPACE_MDL]
    items[0] = with_item(items[0], elementValue="SOMEBODY")
    with pytest.raises(VerificationError) as refused:
        index_mdoc(cbor.dumps(parsed))
    assert refused.value.step == 3


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\x80", RESPONSE, ISSUER_SIGNED + b"\x00", ISSUER_SIGNED[:-1]])
def test_what_is_no_issuer_signed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        index_mdoc(data)


def test_a_document_is_found_where_it_stands() -> None:
    # Changing what the signature does not cover leaves the items as they were received.
    response = changed(present(HELD), lambda document: document["issuerSigned"]["issuerAuth"][1].update({4: b"kid"}))
    again = parse_device_response(response).documents[0].issuer_signed
    assert again.issuer_auth.unprotected == {33: b"leaf", 4: b"kid"}
    assert parse_issuer_signed(issue()).issuer_auth.unprotected == {33: b"leaf"}


def with_items(heads: Callable[[int], bytes]) -> tuple[bytes, list[bytes]]:
    """Return an IssuerSigned with as many items as may be, each behind its head, and the items."""
    items, digests = [], {}
    for number in range(MAX_ELEMENTS):
        inner = cbor.dumps(
            {"digestID": number, "random": bytes(16), "elementIdentifier": f"e{number:05}", "elementValue": bytes(390)}
        )
        items.append(heads(len(inner)) + inner)
        digests[number] = hashlib.sha256(items[-1]).digest()
    protected, unprotected, payload, signature = cbor.loads_map(ISSUER_SIGNED)["issuerAuth"]
    mso = {**cbor.loads_map(cbor.loads(payload).value), "valueDigests": {"a": digests}}
    auth = cbor.dumps([protected, unprotected, cbor.embed(cbor.dumps(mso)), signature])
    name_spaces = b"\xa1\x61a" + cbor.head(4, len(items)) + b"".join(items)
    return b"\xa2" + cbor.text("nameSpaces") + name_spaces + cbor.text("issuerAuth") + auth, items


def seconds_to_index(data: bytes, items: list[bytes]) -> float:
    """Return the CPU time that reading takes, the least of three times."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        held = index_mdoc(data)
        taken.append(time.process_time() - begun)
        assert list(held.items.values()) == items
    return min(taken)


def test_items_with_long_heads_are_found_in_one_walk() -> None:
    """Each was looked for from the start, 500 times 257 kB: a hundred times as long as with heads as they should be."""
    usual = seconds_to_index(*with_items(lambda size: b"\xd8\x18" + cbor.head(2, size)))
    # The length in eight bytes.
    long = seconds_to_index(*with_items(lambda size: b"\xd8\x18\x5b" + size.to_bytes(8, "big")))
    assert long < 20 * usual
