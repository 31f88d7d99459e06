"""Session transcripts: one value changed, another transcript. The published ones run in tests/vectors."""

import hashlib
from typing import Any

import pytest

from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.session_transcript import (
    dcapi_transcript,
    mac_key,
    nfc_transcript,
    openid4vp_dc_api_transcript,
    openid4vp_transcript,
    qr_transcript,
    session_transcript_bytes,
)
from wallet_core.types import SessionTranscript

REDIRECT: dict[str, Any] = {
    "client_id": "x509_san_dns:verifier.example",
    "nonce": "nonce",
    "response_uri": "https://verifier.example/response",
    "jwk_thumbprint": bytes(32),
}


@pytest.mark.parametrize("name", REDIRECT)
def test_each_value_counts(name: str) -> None:
    other = None if name == "jwk_thumbprint" else REDIRECT[name] + "/"
    assert openid4vp_transcript(**REDIRECT) != openid4vp_transcript(**{**REDIRECT, name: other})


@pytest.mark.parametrize("length", [0, 31, 33, 43])
def test_the_thumbprint_is_raw(length: int) -> None:
    with pytest.raises(ValueError, match="raw SHA-256"):
        openid4vp_transcript(**{**REDIRECT, "jwk_thumbprint": b"x" * length})


def test_the_origin_is_opaque() -> None:
    one, other = (
        openid4vp_dc_api_transcript(origin=origin, nonce="nonce", jwk_thumbprint=None)  # type: ignore[arg-type]
        for origin in ("https://verifier.example", "https://verifier.example/")
    )
    assert one != other


def test_annex_c() -> None:
    digest = hashlib.sha256(cbor.dumps(["ZW5j", "https://verifier.example"])).digest()
    transcript = dcapi_transcript(encryption_info="ZW5j", origin="https://verifier.example")
    assert cbor.loads(transcript) == [None, None, ["dcapi", digest]]


@pytest.mark.clause("mdoc-TS18013.7.C-origin")
def test_no_origin() -> None:
    with pytest.raises(MalformedError):
        dcapi_transcript(encryption_info="ZW5j", origin="")
    with pytest.raises(MalformedError):
        openid4vp_dc_api_transcript(origin="", nonce="nonce", jwk_thumbprint=None)  # type: ignore[arg-type]


def test_proximity() -> None:
    by_qr = qr_transcript(device_engagement=b"\xa0", e_reader_key=b"\xa1\x00\x01")
    assert cbor.loads(by_qr) == [Tagged(24, b"\xa0"), Tagged(24, b"\xa1\x00\x01"), None]
    by_nfc = nfc_transcript(
        device_engagement=b"\xa0", e_reader_key=b"\xa0", handover_select=b"hs", handover_request=None
    )
    assert cbor.loads(by_nfc)[2] == [b"hs", None]
    assert session_transcript_bytes(by_qr) == cbor.dumps(Tagged(24, by_qr))


def test_the_mac_key_belongs_to_the_session() -> None:
    one, other = (SessionTranscript(cbor.dumps([None, None, number])) for number in (1, 2))
    assert mac_key(b"secret", one) != mac_key(b"secret", other)
    assert len(mac_key(b"secret", one)) == 32
