"""Signed metadata and languages: what an issuer makes, and what a wallet believes."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.simulators.issuer import ISSUER, metadata
from wallet_core.errors import (
    Expired,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    PeerRefusal,
    UntrustedError,
    VerificationError,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vci.signed_metadata import (
    create_signed_metadata,
    in_languages,
    metadata_request,
    preferred_languages,
    read_metadata,
    verify_signed_metadata,
    wants_signed,
)
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import create_ca, create_issuer_certificate
from wallet_core.trust.x509 import format_x5c
from wallet_core.types import CredentialIssuerId

NOW = datetime(2026, 11, 22, 3, 25, tzinfo=UTC)
ID = CredentialIssuerId(ISSUER)
CA = create_ca(
    organization="Test",
    common_name="Test CA",
    contact="https://ca.example",
    private_key=ec.generate_private_key(ec.SECP256R1()),
    now=NOW,
    random=os.urandom,
)
ANCHORS = TrustAnchors([TrustAnchor(CA.certificate, AnchorPurpose.CREDENTIAL_ISSUER)])


def signer_of(issuer: str) -> CertifiedSigner:
    signer = SoftwareSigner.generate()
    leaf = create_issuer_certificate(
        CA,
        issuer=CredentialIssuerId(issuer),
        organization="Test",
        public_key=signer.public_key,
        now=NOW,
        random=os.urandom,
    )
    return CertifiedSigner(signer, (leaf.public_bytes(Encoding.DER),))


SIGNER, OTHER = signer_of(ISSUER), signer_of("https://issuer.example/agencies/other")
TIMES = {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60}


def verify(text: str, at: datetime = NOW, anchors: TrustAnchors = ANCHORS) -> Any:
    return verify_signed_metadata(text, credential_issuer=ID, anchors=anchors, at=at)


def signed(
    drop: str = "", *, by: CertifiedSigner = SIGNER, typ: str = "openidvci-issuer-metadata+jwt", **claims: Any
) -> str:
    payload = {**metadata(), "sub": ISSUER, "iss": ISSUER, **TIMES, **claims}
    payload.pop(drop, None)
    return jws.sign({"typ": typ, "x5c": format_x5c(by.chain)}, payload, by.signer)


@pytest.mark.clause("vci-12.2.3-made")
def test_what_an_issuer_signs_a_wallet_believes() -> None:
    text = create_signed_metadata(metadata(), SIGNER, now=NOW)
    token = jws.parse(text)
    assert token.header["typ"] == "openidvci-issuer-metadata+jwt"
    assert len(token.header["x5c"]) == 1
    claims = token.claims()
    assert (claims["sub"], claims["iat"]) == (ISSUER, int(NOW.timestamp()))
    assert verify(text) == metadata()
    answer = HttpResponse(200, {"content-type": "application/jwt"}, text.encode())
    assert read_metadata(answer, credential_issuer=ID, anchors=ANCHORS, at=NOW) == metadata()


def test_optional_claims_may_be_left_out() -> None:
    assert verify(signed("iss")) == metadata()
    assert verify(signed("exp"), NOW + timedelta(days=30)) == metadata()


@pytest.mark.clause(
    "vci-12.2.3-trusted",
    "vci-12.2.3-names-issuer",
    "vci-12.2.3-typ",
    "vci-12.2.3-sub",
    "vci-12.2.3-iss",
    "vci-12.2.3-iat",
    "vci-12.2.3-ahead",
    "vci-12.2.3-exp",
)
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a.b", MalformedError),
        (signed()[:-4] + "AAAA", InvalidSignature),
        (signed(by=OTHER), UntrustedError),
        (signed(typ="JWT"), VerificationError),
        (signed(typ="openid4vci-issuer-metadata+jwt"), VerificationError),
        (signed("sub"), UntrustedError),
        (signed(sub="https://issuer.example/agencies/other"), UntrustedError),
        (signed(iss="https://issuer.example"), UntrustedError),
        (signed("iat"), MalformedError),
        (signed(iat="now"), MalformedError),
        (signed(iat=True), MalformedError),
        (signed(iat=TIMES["iat"] + 61), NotYetValid),
        (signed(exp=TIMES["iat"]), Expired),
        (signed(exp=1 << 60), MalformedError),
        (jws.sign({"typ": "openidvci-issuer-metadata+jwt"}, {"sub": ISSUER}, SIGNER.signer), MalformedError),
    ],
)
def test_signed_metadata_that_are_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(text)


@pytest.mark.clause("vci-12.2.3-trusted")
def test_a_signer_that_is_not_trusted_is_refused() -> None:
    nobody = TrustAnchors([])
    other = TrustAnchors([TrustAnchor(CA.certificate, AnchorPurpose.VERIFIER_ACCESS)])
    for anchors in (nobody, other):
        with pytest.raises(UntrustedError):
            verify(signed(), anchors=anchors)


def test_answers_that_are_no_metadata() -> None:
    for answer, error in (
        (HttpResponse(404), PeerRefusal),
        (HttpResponse(200, {"content-type": "text/html"}, b"{}"), MalformedError),
        (HttpResponse(200, {"content-type": "application/jwt"}, b"\xff"), MalformedError),
        (HttpResponse(200, {"content-type": "application/jwt"}, b"{}"), MalformedError),
    ):
        with pytest.raises(error):
            read_metadata(answer, credential_issuer=ID, anchors=ANCHORS, at=NOW)
    plain = HttpResponse(200, {"content-type": "application/json"}, b'{"a":1}')
    assert read_metadata(plain, credential_issuer=ID, anchors=ANCHORS, at=NOW) == {"a": 1}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/jwt", True),
        ("application/jwt, application/json;q=0.9", True),
        ("application/json, application/jwt;q=0.5", False),
        ("application/jwt;q=0", False),
        ("application/jwt;q=x", False),
        ("APPLICATION/JWT", True),
        ("text/html,*/*;q=0.8", False),
        (metadata_request("https://a.example").headers["Accept"], True),
    ],
)
def test_who_wants_signed_metadata(accept: str, expected: bool) -> None:  # noqa: FBT001
    assert wants_signed(accept) is expected


def test_languages_are_ordered_and_none_is_left_out() -> None:
    assert preferred_languages("", ("ko", "en")) == ("ko", "en")
    assert preferred_languages("fr, en-GB;q=0.8, ko;q=0.2", ("ko", "en")) == ("en", "ko")
    assert preferred_languages("en;q=0", ("ko", "en")) == ("ko", "en")
    document = {"display": [{"locale": "ko"}, {"locale": "en"}, {"name": "x"}], "a": [{"display": [{"locale": "ko"}]}]}
    assert in_languages(document, ("en", "ko")) == {
        "display": [{"locale": "en"}, {"locale": "ko"}, {"name": "x"}],
        "a": [{"display": [{"locale": "ko"}]}],
    }
    assert in_languages({"display": "x"}, ("en",)) == {"display": "x"}
