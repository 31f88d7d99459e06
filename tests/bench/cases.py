"""The single-threaded cases: SD-JWT VC with 10 claims, and what other packages need for the same."""

import os
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding

from tests.bench.measure import Case
from tests.support import peers
from wallet_core.adapters.clock import SystemClock
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc, validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt_kb
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import create_ca, create_issuer_certificate
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.x509 import VerdictCache, verify_chain
from wallet_core.types import CredentialIssuerId, Nonce, Vct

ISSUER_ID = CredentialIssuerId("https://issuer.example/agencies/police")
VCT = Vct("urn:jigap:vct:drivers-licence:1")
AUDIENCE, NONCE = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk", Nonce("n-0S6_WzA2Mj-0123456789")
NOW = SystemClock().now()
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
EXPIRES = HOUR + timedelta(days=365)
STATUS = StatusReference(54_321, f"{ISSUER_ID}/statuslists/1")

CLAIMS: dict[str, Any] = {
    "family_name": "시험용",
    "given_name": "하나",
    "birth_date": "1990-02-28",
    "resident_number_front": "900228",
    "address": "서울특별시 시험구 시험로 12, 101동 202호",
    "licence_number": "11-90-123456-01",
    "licence_classes": ["1종보통", "2종소형"],
    "issue_date": "2020-05-11",
    "expiry_date": "2030-12-31",
    "age_over_19": True,
}
PATHS = tuple((name,) for name in CLAIMS)
SHOWN = [("family_name",), ("given_name",), ("age_over_19",)]

ISSUER, HOLDER = SoftwareSigner.generate(), SoftwareSigner.generate()
_CA = create_ca(
    organization="시험 기관",
    common_name="시험 CA",
    contact="https://issuer.example",
    private_key=SoftwareSigner.generate().private_key,
    now=HOUR - timedelta(days=1),
    random=os.urandom,
)
_LEAF = create_issuer_certificate(
    _CA,
    issuer=ISSUER_ID,
    organization="시험 기관",
    public_key=ISSUER.public_key,
    now=HOUR - timedelta(days=1),
    random=os.urandom,
)
X5C = [_LEAF.public_bytes(Encoding.DER)]
ANCHORS = TrustAnchors([TrustAnchor(_CA.certificate, AnchorPurpose.CREDENTIAL_ISSUER)])
CACHE = VerdictCache()


def issue() -> str:
    """Issue a credential of 10 selectively disclosable claims with ``cnf``, ``status`` and ``x5c``."""
    return issue_sd_jwt_vc(
        vct=VCT,
        issuer=ISSUER_ID,
        claims=CLAIMS,
        selectively_disclosable=PATHS,
        holder_key=HOLDER.public_key,
        issued_at=HOUR,
        expires_at=EXPIRES,
        status=STATUS.to_json(),
        signer=ISSUER,
        x5c=X5C,
        random=os.urandom,
    )


CREDENTIAL = issue()
HELD = index_sd_jwt(CREDENTIAL)


def present_stored() -> str:
    """Present 3 of the 10 claims of a credential the wallet holds indexed."""
    to_sign = create_key_binding(HELD, SHOWN, audience=AUDIENCE, nonce=NONCE, issued_at=NOW, algorithm=HOLDER.algorithm)
    return to_sign.attach(HOLDER.sign(to_sign.signing_input))


def present_from_string() -> str:
    """The same from the text of the credential."""
    to_sign = create_key_binding(
        index_sd_jwt(CREDENTIAL), SHOWN, audience=AUDIENCE, nonce=NONCE, issued_at=NOW, algorithm=HOLDER.algorithm
    )
    return to_sign.attach(HOLDER.sign(to_sign.signing_input))


PRESENTATION = present_stored()


def verify(trusted: Any) -> object:
    """Verify the presentation under the certificate it carries; ``trusted`` checks the chain."""
    sd_jwt = parse_sd_jwt(PRESENTATION)
    certificate = trusted(sd_jwt.x5c(), ANCHORS, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=NOW)
    verified = verify_sd_jwt_kb(sd_jwt, issuer_key=certificate.public_key, audience=AUDIENCE, nonce=NONCE, now=NOW)
    return validate_sd_jwt_vc(verified)


_THEIR_ISSUER, _THEIR_HOLDER = peers.peer_key(ISSUER), peers.peer_key(HOLDER)
_THEIR_PUBLIC_KEY = peers.peer_public_key(ISSUER)
_MARKS = {path[0]: True for path in SHOWN}
_PLAIN = {
    **CLAIMS,
    "iss": ISSUER_ID,
    "iat": int(HOUR.timestamp()),
    "exp": int(EXPIRES.timestamp()),
    "vct": VCT,
    "status": STATUS.to_json(),
}
_X5C_HEADER = {"typ": "dc+sd-jwt", "x5c": parse_sd_jwt(CREDENTIAL).issuer_jws.header["x5c"]}


def peer_issue() -> str:
    """Their issuing of the same credential."""
    return peers.peer_issue(peers.mark(_PLAIN, PATHS), _THEIR_ISSUER, _THEIR_HOLDER, **_X5C_HEADER)


_PEER_CREDENTIAL = peer_issue()


def peer_present() -> str:
    """Their presentation of the same claims."""
    return peers.peer_present(_PEER_CREDENTIAL, _MARKS, audience=AUDIENCE, nonce=NONCE, holder=_THEIR_HOLDER)


_PEER_PRESENTATION = peer_present()


def peer_verify() -> object:
    """Their verification, with the issuer's key given."""
    return peers.peer_verify(_PEER_PRESENTATION, _THEIR_PUBLIC_KEY, audience=AUDIENCE, nonce=NONCE)


_JWT = jwt.encode(_PLAIN, ISSUER.private_key, algorithm="ES256")

CASES = (
    Case("issue SD-JWT VC: 10 claims, cnf, status, x5c", "s", issue, 0.30, 0.40),
    Case("present 3 of 10, stored and indexed", "s", present_stored, 0.50, 0.62),
    Case("present 3 of 10 from the text", "s", present_from_string, 0.38, 0.46),
    Case("verify with key binding, issuer verdict cached", "v", lambda: verify(CACHE.verify_chain), 0.27, 0.32),
    Case("verify with key binding, cold x5c and CA link", "v", lambda: verify(verify_chain), 0.15, 0.18),
    Case("peer sd-jwt: issue", "s", peer_issue),
    Case("peer sd-jwt: present", "s", peer_present),
    Case("peer sd-jwt: verify, key given, no x5c", "v", peer_verify),
    Case("peer PyJWT: sign a plain JWT, 10 claims", "s", lambda: jwt.encode(_PLAIN, ISSUER.private_key, "ES256")),
    Case(
        "peer PyJWT: verify it (one signature)",
        "v",
        lambda: jwt.decode(_JWT, ISSUER.public_key.raw, algorithms=["ES256"]),
    ),
)
