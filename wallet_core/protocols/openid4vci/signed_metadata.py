"""Signed Credential Issuer metadata (OpenID4VCI 12.2.3), and metadata in the reader's language (12.2.2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import Expired, MalformedError, NotYetValid, UntrustedError
from wallet_core.http import HttpRequest, HttpResponse, get
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.oauth2.answers import parse_answer, peer_refusal
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import TrustedCertificate, format_x5c, parse_x5c, verify_chain
from wallet_core.types import CredentialIssuerId, Json, JsonObject

LIFETIME: Final = timedelta(days=1)
"""How long signed metadata say they are good."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours an issuer's clock may be."""

MAX_BYTES: Final = 1 << 20
"""Bytes of signed metadata: those of a large issuer are about 200 kB."""

_CLAUSE: Final = "OpenID4VCI 12.2.3"
_MAX_ENTRIES: Final = 32
_END: Final = 1 << 40
_WEIGHT: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")
_CLAIMS: Final = ("iss", "sub", "iat", "exp")


@dataclass(frozen=True, slots=True)
class MetadataTrust:
    """Whose signed metadata a wallet believes, and the time."""

    anchors: TrustAnchors
    at: datetime


def metadata_trust(anchors: TrustAnchors, *, at: datetime) -> MetadataTrust | None:
    """Return the trust of a wallet with ``anchors``; None, which asks for plain metadata, if none are for issuers."""
    return MetadataTrust(anchors, at) if anchors.certificates(AnchorPurpose.CREDENTIAL_ISSUER) else None


def create_signed_metadata(document: JsonObject, signer: CertifiedSigner, *, now: datetime) -> str:
    """Return the metadata as a JWS with the certificates of its key, without the root.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    issued_at, issuer = int(now.timestamp()), document["credential_issuer"]
    claims = {"iss": issuer, "sub": issuer, "iat": issued_at, "exp": issued_at + int(LIFETIME.total_seconds())}
    # OpenID4VCI 12.2.3: explicit type; HAIP 4.1: x5c, without the trust anchor.
    # vci-12.2.3-made
    header = {"typ": spec.TYP_ISSUER_METADATA, "x5c": format_x5c(signer.chain)}
    return jws.sign(header, claims | document, signer.signer)


def verify_signed_metadata(
    text: str, *, credential_issuer: CredentialIssuerId, anchors: TrustAnchors, at: datetime
) -> JsonObject:
    """Return what signed metadata say, if their signer is trusted to speak for the issuer.

    Args:
        text: compact JWS.
        credential_issuer: the identifier under which they were fetched.
        anchors: whom we trust; only those for credential issuers count.
        at: the time.

    Steps:
        1. It is a compact JWS with certificates in ``x5c``.
        2. The certificates lead to an anchor for credential issuers, and the leaf names this issuer or its host.
        3. ``typ``, algorithm and signature.
        4. ``sub``, and ``iss`` if there, is this issuer.
        5. ``iat`` is there and not ahead of us, and ``exp``, if there, has not passed.

    Raises:
        MalformedError: step 1, or a claim is missing or of the wrong type.
        UntrustedError: step 2 or 4.
        InvalidSignature, VerificationError: step 3.
        NotYetValid, Expired: step 2 or 5.
    """
    # 1.
    token = jws.parse(text.strip(), what="signed metadata", max_characters=MAX_BYTES)
    chain = parse_x5c(token.header.get("x5c"))
    # 2.
    # vci-12.2.3-trusted
    signer = verify_chain(chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=at)
    # vci-12.2.3-names-issuer
    if not _speaks_for(signer, credential_issuer):
        raise UntrustedError("the metadata are signed by somebody else's key", step=2, clause=_CLAUSE)
    # 3.
    # vci-12.2.3-typ
    verified = jws.verify(token, signer.public_key, typ=spec.TYP_ISSUER_METADATA)
    document = strict_json.loads_object(verified.payload, what="signed metadata", max_bytes=MAX_BYTES)
    # 4.
    # vci-12.2.3-sub
    if document.get("sub") != credential_issuer:
        raise UntrustedError("the signed metadata are of another issuer", step=4, clause=_CLAUSE)
    # vci-12.2.3-iss
    if document.get("iss", credential_issuer) != credential_issuer:
        raise UntrustedError("the signed metadata are by another issuer", step=4, clause=_CLAUSE)
    # 5.
    _validate_times(document, at)
    return {name: value for name, value in document.items() if name not in _CLAIMS}


def metadata_request(url: str) -> HttpRequest:
    """Return a request for metadata that would rather have them signed."""
    return get(url, accept=f"{spec.JWT_MEDIA_TYPE}, {spec.JSON};q=0.9", response_limit=MAX_BYTES)


def read_metadata(
    response: HttpResponse, *, credential_issuer: CredentialIssuerId, anchors: TrustAnchors, at: datetime
) -> JsonObject:
    """Return the metadata document of an answer: verified if it is signed, as it stands if it is plain JSON.

    Raises:
        PeerRefusal: the issuer refused.
        MalformedError, VerificationError: as :func:`verify_signed_metadata`, or it is neither.
    """
    if not response.ok:
        raise peer_refusal(response, who="the credential issuer")
    if response.media_type != spec.JWT_MEDIA_TYPE:
        return parse_answer(response, who="the credential issuer")
    try:
        text = response.body.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("the signed metadata are no compact JWS", clause=_CLAUSE) from exc
    return verify_signed_metadata(text, credential_issuer=credential_issuer, anchors=anchors, at=at)


def wants_signed(accept: str) -> bool:
    """Return whether an ``Accept`` header asks for signed metadata at least as much as for plain ones.

    ``*/*`` asks for plain ones, which everybody can read.
    """
    weights = dict(_weighted(accept))
    signed = weights.get(spec.JWT_MEDIA_TYPE, 0.0)
    return signed > 0 and signed >= weights.get(spec.JSON, 0.0)


def preferred_languages(accept_language: str, available: Sequence[str]) -> tuple[str, ...]:
    """Return ``available`` in the order that an ``Accept-Language`` header asks for (RFC 9110 12.5.4)."""
    weights = dict.fromkeys(available, 0.0)
    for tag, weight in _weighted(accept_language):
        primary = tag.partition("-")[0]
        if primary in weights:
            weights[primary] = max(weights[primary], weight)
    return tuple(sorted(available, key=lambda language: -weights[language]))


def in_languages(value: Json, languages: Sequence[str]) -> Json:
    """Return metadata with every ``display`` in the order of ``languages``; none is left out.

    A wallet may show another language later than the one it fetched with.
    """
    if isinstance(value, list):
        return [in_languages(each, languages) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _sorted(each, languages) if name == "display" else in_languages(each, languages)
        for name, each in value.items()
    }


def _sorted(display: Json, languages: Sequence[str]) -> Json:
    if not isinstance(display, list):
        return display

    def rank(entry: Json) -> int:
        locale = entry.get("locale") if isinstance(entry, dict) else None
        return languages.index(locale) if locale in languages else len(languages)

    return sorted(display, key=rank)


def _weighted(header: str) -> list[tuple[str, float]]:
    found = []
    for entry in header.lower().split(",")[:_MAX_ENTRIES]:
        name, *parameters = (part.strip() for part in entry.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        found.append((name, float(weight) if _WEIGHT.match(weight) else 0.0))
    return found


def _speaks_for(signer: TrustedCertificate, credential_issuer: CredentialIssuerId) -> bool:
    # A certificate with a URI is for that issuer alone; others of its host are other tenants.
    if signer.uris:
        return credential_issuer in signer.uris
    return urlsplit(credential_issuer).hostname in signer.dns_names


def _validate_times(document: JsonObject, at: datetime) -> None:
    issued_at, expires_at = _time(document, "iat"), _time(document, "exp")
    # vci-12.2.3-iat
    if issued_at is None:
        raise MalformedError("the signed metadata have no iat", clause=_CLAUSE)
    # vci-12.2.3-ahead
    if issued_at > at + MAX_AHEAD:
        raise NotYetValid("the signed metadata are from the future", step=5, clause=_CLAUSE)
    # vci-12.2.3-exp
    if expires_at is not None and at >= expires_at:
        raise Expired("the signed metadata have expired", step=5, clause=_CLAUSE)


def _time(document: JsonObject, name: str) -> datetime | None:
    value = document.get(name)
    if name not in document:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _END:
        raise MalformedError(f"{name} of the signed metadata is not a time", clause=_CLAUSE)
    return datetime.fromtimestamp(value, UTC)
