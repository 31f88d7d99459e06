"""What a reader asks, and whether it signed that."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.mdoc import MDL, OTHER_TRANSCRIPT, STRANGER, TRANSCRIPT
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError
from wallet_core.formats.mdoc.device_request import (
    MAX_DOC_REQUESTS,
    encode_device_request,
    encode_items_request,
    parse_device_request,
    reader_auth_to_sign,
    verify_reader_auth,
)
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.spec_versions import NAMESPACE_MDL

READER = SoftwareSigner.generate()
ELEMENTS = {NAMESPACE_MDL: {"age_over_19": False, "portrait": True}}
ITEMS = encode_items_request(MDL, ELEMENTS)
PENDING = reader_auth_to_sign(TRANSCRIPT, ITEMS, READER.algorithm, [b"leaf"])
REQUEST = encode_device_request([(ITEMS, PENDING.attach(READER.sign(PENDING.signing_input))), (ITEMS, None)])
PARSED: dict[str, Any] = {"docType": MDL, "nameSpaces": ELEMENTS}


def test_there_and_back() -> None:
    request = parse_device_request(REQUEST)
    signed, unsigned = request.doc_requests
    assert request.version == "1.0"
    assert signed.doc_type == MDL
    assert signed.name_spaces == ELEMENTS
    assert signed.items_request_bytes == ITEMS
    assert signed.reader_auth is not None
    assert signed.reader_auth.x5chain() == (b"leaf",)
    assert unsigned.reader_auth is None
    assert cbor.dumps(cbor.loads(REQUEST)) == REQUEST


def test_reader_authentication() -> None:
    signed = parse_device_request(REQUEST).doc_requests[0]
    verify_reader_auth(signed, reader_key=READER.public_key, transcript=TRANSCRIPT)
    other_items = encode_items_request(MDL, {NAMESPACE_MDL: {"portrait": True}})
    for request, key, transcript in (
        (signed, STRANGER.public_key, TRANSCRIPT),
        (signed, READER.public_key, OTHER_TRANSCRIPT),
        (replace(signed, items_request_bytes=other_items), READER.public_key, TRANSCRIPT),
    ):
        with pytest.raises(InvalidSignature):
            verify_reader_auth(request, reader_key=key, transcript=transcript)


@pytest.mark.clause("mdoc-18013.9.1.4-reader-auth")
def test_a_reader_that_did_not_sign() -> None:
    unsigned = parse_device_request(REQUEST).doc_requests[1]
    with pytest.raises(VerificationError, match="did not sign"):
        verify_reader_auth(unsigned, reader_key=READER.public_key, transcript=TRANSCRIPT)


def with_items(**members: Any) -> list[dict[str, Any]]:
    return [{"itemsRequest": Tagged(24, cbor.dumps({**PARSED, **members}))}]


@pytest.mark.clause(
    "mdoc-18013.8.3.2.1-request-version", "mdoc-18013.8.3.2.1-doc-requests", "mdoc-18013.8.3.2.1-requested"
)
@pytest.mark.parametrize(
    "members",
    [
        {"version": "2.0"},
        {"version": 1},
        {"docRequests": []},
        {"docRequests": {}},
        {"docRequests": [None]},
        {"docRequests": with_items() * (MAX_DOC_REQUESTS + 1)},
        {"docRequests": [{"itemsRequest": cbor.dumps(PARSED)}]},
        {"docRequests": [{"itemsRequest": Tagged(24, b"\x80")}]},
        {"docRequests": with_items(docType=None)},
        {"docRequests": with_items(nameSpaces=None)},
        {"docRequests": with_items(nameSpaces={NAMESPACE_MDL: ["portrait"]})},
        {"docRequests": with_items(nameSpaces={NAMESPACE_MDL: {"portrait": 1}})},
        {"docRequests": with_items(nameSpaces={NAMESPACE_MDL: {5: True}})},
        {"docRequests": with_items(nameSpaces={5: {"portrait": True}})},
        {"docRequests": with_items(requestInfo=[])},
        {"docRequests": [{**with_items()[0], "readerAuth": []}]},
        {"docRequests": [{**with_items()[0], "readerAuth": Tagged(18, [b"", {}, None, b""])}]},
    ],
)
def test_a_request_that_is_none(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        parse_device_request(cbor.dumps({**cbor.loads(REQUEST), **members}))


def test_requests_for_nothing_are_not_made() -> None:
    for name_spaces in ({}, {NAMESPACE_MDL: {}}):
        with pytest.raises(ValueError, match="at least one"):
            encode_items_request(MDL, name_spaces)
    with pytest.raises(ValueError, match="at least one"):
        encode_device_request([])
