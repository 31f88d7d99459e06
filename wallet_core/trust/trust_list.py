"""Signed trust lists: which agency may issue which types, under whose certificates (``specs/trust-list.md``).

The one invariant: only :func:`verify_trust_list` makes a :class:`VerifiedTrustList`, and a later list never has a lower
sequence number than the one before.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import Expired, FetchError, MalformedError, NotYetValid, UntrustedError
from wallet_core.http import Flow, get
from wallet_core.jose import jws
from wallet_core.keys.signer import Signer
from wallet_core.spec_versions import TRUST_LIST_MEDIA_TYPE, TYP_TRUST_LIST
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.x509 import (
    TrustedCertificate,
    format_x5c,
    load_certificate,
    parse_x5c,
    verify_chain,
)
from wallet_core.types import CredentialIssuerId, Json, JsonObject

MAX_BYTES: Final = 4 << 20
"""Bytes of a list's payload: about ten thousand agencies, more than a nation has."""

MAX_CHARACTERS: Final = 6 << 20
"""Characters of a list as JWS: base64url of the payload and a chain."""

MAX_AGENCIES: Final = 20_000
MAX_AUTHORITIES: Final = 1_000
MAX_TYPES: Final = 1_000
"""Types of one agency; the catalogue has 20 in all."""

MAX_WALLETS: Final = 1_000
MAX_REDIRECT_URIS: Final = 20
"""Redirect URIs of one wallet: one for each platform and channel."""

MAX_NAME_CHARACTERS: Final = 2_048
"""Longest ``client_id``, provider or redirect URI: each is a URL or shorter."""

LEEWAY: Final = timedelta(minutes=5)
"""How far the operator's clock may be ahead of ours."""

LISTED_PURPOSES: Final = frozenset(
    {
        AnchorPurpose.CREDENTIAL_ISSUER,
        AnchorPurpose.MDL_ISSUER,
        AnchorPurpose.STATUS_LIST_SIGNER,
        AnchorPurpose.WALLET_PROVIDER,
        AnchorPurpose.REGISTRAR,
    }
)
"""What an authority of a list may be for. A list never makes the operator of another list, nor a verifier."""

_CLAUSE = "specs/trust-list.md 2"
_THUMBPRINT_BYTES = 32
_LAST_TIME = 253_402_300_799  # the last second of the year 9999
# RFC 3986 3: a scheme and something after it, no fragment. What a browser would run or read from disk is no address.
_REDIRECT_URI = re.compile(
    r"(?!(?:javascript|data|vbscript|file|blob|about):)[a-z][a-z0-9+.-]*:[\x21\x24-\x5b\x5d-\x7e]+\Z"
)


@dataclass(frozen=True, slots=True)
class Period:
    """From when until when something holds; None means without that end."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Return whether ``at`` lies in it."""
        return (self.valid_from is None or self.valid_from <= at) and (
            self.valid_until is None or at < self.valid_until
        )


@dataclass(frozen=True, slots=True)
class PermittedType:
    """A credential type that an agency may issue: a ``vct`` or a doctype, in one Credential Format."""

    format: str
    type: str
    period: Period = Period()


@dataclass(frozen=True, slots=True)
class ListedAgency:
    """An agency of a trust list.

    Attributes:
        id: short name, unique in the list.
        name: by language.
        credential_issuers: its Credential Issuer Identifiers: what its certificates name, and ``iss``.
        certificates: SHA-256 of signing certificates that are its own, whatever they name.
        authorities: SHA-256 of authorities of the list that certify nobody but this agency.
        types: what it may issue.
        period: when it may issue at all.
    """

    id: str
    name: Mapping[str, str]
    credential_issuers: tuple[CredentialIssuerId, ...]
    certificates: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    types: tuple[PermittedType, ...]
    period: Period = Period()


@dataclass(frozen=True, slots=True)
class ListedWallet:
    """A wallet of a trust list: a product, not one person's copy of it (HAIP 4.4.1).

    Attributes:
        client_id: ``sub`` of its client attestations.
        name: by language.
        provider: URL of who attests it, as in the provider's certificate.
        redirect_uris: where an authorization response may go, exactly.
        period: when it is to be trusted at all.
    """

    client_id: str
    name: Mapping[str, str]
    provider: str
    redirect_uris: tuple[str, ...]
    period: Period = Period()


@dataclass(frozen=True, slots=True)
class TrustList:
    """What a trust list says.

    Attributes:
        operator: URL of who keeps it, as in the certificate that signs it.
        sequence_number: grows with every list.
        issued_at: when it was made.
        next_update: when it ends, and the next one is there.
        authorities: CAs under which the agencies' certificates stand, each for one purpose.
        agencies: who may issue what.
        wallets: which wallets there are, and who attests them.
    """

    operator: str
    sequence_number: int
    issued_at: datetime
    next_update: datetime
    authorities: tuple[TrustAnchor, ...]
    agencies: tuple[ListedAgency, ...]
    wallets: tuple[ListedWallet, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedTrustList:
    """A list whose signature, time and sequence were checked. Only :func:`verify_trust_list` makes one.

    ``digest`` is SHA-256 of its payload: with the sequence number what the next list is compared with.
    """

    content: TrustList
    signer: TrustedCertificate
    digest: bytes


@dataclass(frozen=True, slots=True)
class KnownList:
    """What is remembered of the last list that was accepted."""

    sequence_number: int
    digest: bytes


def create_trust_list(content: TrustList, *, signer: Signer, chain: Sequence[bytes]) -> str:
    """Return ``content`` as a signed trust list.

    Args:
        content: what it says.
        signer: the operator's key.
        chain: its DER certificates, leaf first, without root.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    return jws.sign({"typ": TYP_TRUST_LIST, "x5c": format_x5c(chain)}, trust_list_payload(content), signer)


def trust_list_payload(content: TrustList) -> JsonObject:
    """Return the JSON payload of a trust list."""
    payload: JsonObject = {
        "iss": content.operator,
        "iat": int(content.issued_at.timestamp()),
        "next_update": int(content.next_update.timestamp()),
        "sequence_number": content.sequence_number,
        "authorities": [
            {
                "certificate": base64.b64encode(anchor.certificate.public_bytes(Encoding.DER)).decode("ascii"),
                "purpose": anchor.purpose.value,
            }
            for anchor in content.authorities
        ],
        "agencies": [_agency_json(agency) for agency in content.agencies],
    }
    if content.wallets:
        payload["wallets"] = [_wallet_json(wallet) for wallet in content.wallets]
    return payload


def parse_trust_list(payload: JsonObject) -> TrustList:
    """Return what the payload of a trust list says. No trust in it yet. Unknown members are ignored.

    Raises:
        MalformedError: a member is missing, of the wrong type, twice where it must be unique, or over a limit.
    """
    issued_at, next_update = _time(payload, "iat"), _time(payload, "next_update")
    # tl-2-times
    if next_update <= issued_at:
        raise MalformedError("the trust list ends before it begins", clause=_CLAUSE)
    sequence = payload.get("sequence_number")
    # tl-2-sequence
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 1:
        raise MalformedError("sequence_number of a trust list is not a positive integer", clause=_CLAUSE)
    authorities = tuple(_authority(each) for each in _objects(payload, "authorities", limit=MAX_AUTHORITIES))
    agencies = tuple(_agency(each) for each in _objects(payload, "agencies", limit=MAX_AGENCIES))
    # tl-2-unique
    if len({agency.id for agency in agencies}) != len(agencies):
        raise MalformedError("an agency stands twice in the trust list", clause=_CLAUSE)
    issuers = [issuer for agency in agencies for issuer in agency.credential_issuers]
    if len(set(issuers)) != len(issuers):
        raise MalformedError("two agencies of the trust list have one identifier", clause=_CLAUSE)
    wallets = tuple(_wallet(each) for each in _objects(payload, "wallets", limit=MAX_WALLETS))
    # tl-2-wallet-unique
    if len({wallet.client_id for wallet in wallets}) != len(wallets):
        raise MalformedError("a wallet stands twice in the trust list", clause=_CLAUSE)
    return TrustList(_text(payload, "iss"), sequence, issued_at, next_update, authorities, agencies, wallets)


def verify_trust_list(
    text: str, anchors: TrustAnchors, *, at: datetime, known: KnownList | None = None, grace: timedelta = timedelta()
) -> VerifiedTrustList:
    """Return what a signed trust list says, if its operator is trusted and it is not older than the last one.

    ``specs/trust-list.md`` section 3.

    Args:
        text: compact JWS.
        anchors: whom we trust; only those for operators of trust lists count.
        at: the time.
        known: the last list that was accepted; None for the first.
        grace: how long after ``next_update`` it is still taken.

    Steps:
        1. It is a compact JWS with certificates in ``x5c``.
        2. The certificates lead to an anchor for operators of trust lists.
        3. ``typ``, algorithm and signature.
        4. The payload is a trust list.
        5. ``iss`` is whom the certificate names.
        6. It is not from the future, and not past its ``next_update`` and ``grace``.
        7. Its sequence number is not lower than that of the last list; the same number is the same list.

    Not done here: what it permits (``trust.policy``); how long an old list is used where no new one is to be had.

    Raises:
        MalformedError: step 1 or 4.
        UntrustedError: step 2, 5 or 7.
        InvalidSignature, VerificationError: step 3.
        NotYetValid, Expired: step 2 or 6.
    """
    # 1.
    token = jws.parse(text.strip(), what="trust list", max_characters=MAX_CHARACTERS)
    chain = parse_x5c(token.header.get("x5c"))
    # 2.
    # tl-3-anchor
    signer = verify_chain(chain, anchors, purpose=AnchorPurpose.TRUST_LIST_OPERATOR, at=at)
    # 3.
    # tl-3-signature
    verified = jws.verify(token, signer.public_key, typ=TYP_TRUST_LIST)
    # 4.
    content = parse_trust_list(strict_json.loads_object(verified.payload, what="trust list", max_bytes=MAX_BYTES))
    # 5.
    # tl-3-operator
    if content.operator not in signer.uris:
        raise UntrustedError("the trust list is of another operator", step=5, clause="specs/trust-list.md 3")
    # 6.
    _validate_time(content, at, grace)
    # 7.
    digest = hashlib.sha256(verified.payload).digest()
    _validate_sequence(content, digest, known)
    return VerifiedTrustList(content, signer, digest)


def fetch_trust_list(url: str) -> Flow[str]:
    """Fetch a trust list. No trust in it yet.

    Raises:
        FetchError: the server was not reached, or did not answer with a text.
    """
    response = yield get(url, accept=TRUST_LIST_MEDIA_TYPE, response_limit=MAX_CHARACTERS)
    if not response.ok:
        raise FetchError("the trust list could not be fetched", detail=f"the server answered {response.status}")
    try:
        return response.body.decode("ascii")
    except UnicodeDecodeError as exc:
        raise FetchError("the trust list could not be fetched", detail="the answer is not a JWS") from exc


def _validate_time(content: TrustList, at: datetime, grace: timedelta) -> None:
    # tl-3-not-yet
    if content.issued_at > at + LEEWAY:
        raise NotYetValid("the trust list is from the future", step=6, clause="specs/trust-list.md 3")
    # tl-3-next-update
    if at >= content.next_update + grace:
        raise Expired("the trust list is past its next_update", step=6, clause="specs/trust-list.md 3")


def _validate_sequence(content: TrustList, digest: bytes, known: KnownList | None) -> None:
    if known is None:
        return
    # tl-3-sequence
    if content.sequence_number < known.sequence_number:
        raise UntrustedError(
            "the trust list is older than the last one",
            step=7,
            detail=f"sequence number {content.sequence_number} after {known.sequence_number}: rolled back",
            clause="specs/trust-list.md 3",
        )
    # tl-3-one-list
    if content.sequence_number == known.sequence_number and digest != known.digest:
        raise UntrustedError("two trust lists have one sequence number", step=7, clause="specs/trust-list.md 3")


def _agency_json(agency: ListedAgency) -> JsonObject:
    return {
        "id": agency.id,
        "name": {**agency.name},
        "credential_issuers": [str(issuer) for issuer in agency.credential_issuers],
        "certificates": [base64url.encode(each) for each in agency.certificates],
        "authorities": [base64url.encode(each) for each in agency.authorities],
        "types": [{"format": each.format, "type": each.type, **_period_json(each.period)} for each in agency.types],
        **_period_json(agency.period),
    }


def _period_json(period: Period) -> JsonObject:
    ends = {"valid_from": period.valid_from, "valid_until": period.valid_until}
    return {name: int(end.timestamp()) for name, end in ends.items() if end is not None}


def _authority(entry: JsonObject) -> TrustAnchor:
    try:
        purpose = AnchorPurpose(_text(entry, "purpose"))
    except ValueError as exc:
        raise MalformedError("an authority of the trust list has an unknown purpose", clause=_CLAUSE) from exc
    # tl-2-purpose
    if purpose not in LISTED_PURPOSES:
        raise MalformedError("an authority of the trust list has a purpose that no list gives", clause=_CLAUSE)
    try:
        der = base64.b64decode(_text(entry, "certificate").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise MalformedError("a certificate of the trust list is not base64", clause=_CLAUSE) from exc
    return TrustAnchor(load_certificate(der), purpose)


def _wallet_json(wallet: ListedWallet) -> JsonObject:
    return {
        "client_id": wallet.client_id,
        "name": {**wallet.name},
        "provider": wallet.provider,
        "redirect_uris": [*wallet.redirect_uris],
        **_period_json(wallet.period),
    }


def _wallet(entry: JsonObject) -> ListedWallet:
    uris = _texts(entry, "redirect_uris")
    # tl-2-redirect-uris
    if len(uris) > MAX_REDIRECT_URIS or not all(len(u) <= MAX_NAME_CHARACTERS and _REDIRECT_URI.match(u) for u in uris):
        raise MalformedError(
            f"redirect_uris in the trust list are not up to {MAX_REDIRECT_URIS} URIs without fragment", clause=_CLAUSE
        )
    client_id, provider = _text(entry, "client_id"), _text(entry, "provider")
    if max(len(client_id), len(provider)) > MAX_NAME_CHARACTERS:
        raise MalformedError("client_id or provider of a wallet in the trust list is too long", clause=_CLAUSE)
    return ListedWallet(client_id, _name(entry), provider, uris, _period(entry))


def _name(entry: JsonObject) -> dict[str, str]:
    name = entry.get("name")
    if not isinstance(name, dict) or not name or not all(isinstance(text, str) and text for text in name.values()):
        raise MalformedError("an entry of the trust list has no name", clause=_CLAUSE)
    return {language: str(text) for language, text in name.items()}


def _agency(entry: JsonObject) -> ListedAgency:
    return ListedAgency(
        id=_text(entry, "id"),
        name=_name(entry),
        credential_issuers=tuple(CredentialIssuerId(each) for each in _texts(entry, "credential_issuers")),
        certificates=_thumbprints(entry, "certificates"),
        authorities=_thumbprints(entry, "authorities"),
        types=tuple(_type(each) for each in _objects(entry, "types", limit=MAX_TYPES)),
        period=_period(entry),
    )


def _type(entry: JsonObject) -> PermittedType:
    return PermittedType(_text(entry, "format"), _text(entry, "type"), _period(entry))


def _period(entry: JsonObject) -> Period:
    ends = [_time(entry, name) if name in entry else None for name in ("valid_from", "valid_until")]
    return Period(*ends)


def _time(entry: JsonObject, name: str) -> datetime:
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_TIME:
        raise MalformedError(f"{name} in the trust list is not a time in seconds", clause=_CLAUSE)
    return datetime.fromtimestamp(value, UTC)


def _text(entry: JsonObject, name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{name} in the trust list is missing or not a text", clause=_CLAUSE)
    return value


def _texts(entry: JsonObject, name: str) -> tuple[str, ...]:
    value = _array(entry, name)
    if not all(isinstance(each, str) and each for each in value):
        raise MalformedError(f"{name} in the trust list is not an array of texts", clause=_CLAUSE)
    return tuple(str(each) for each in value)


def _thumbprints(entry: JsonObject, name: str) -> tuple[bytes, ...]:
    found = tuple(base64url.decode(each, what=name) for each in _texts(entry, name))
    if any(len(each) != _THUMBPRINT_BYTES for each in found):
        raise MalformedError(f"{name} in the trust list has something other than SHA-256", clause=_CLAUSE)
    return found


def _objects(entry: JsonObject, name: str, *, limit: int) -> tuple[JsonObject, ...]:
    value = _array(entry, name)
    found = tuple(each for each in value if isinstance(each, dict))
    if len(found) != len(value) or len(found) > limit:
        raise MalformedError(f"{name} in the trust list is not an array of up to {limit} objects", clause=_CLAUSE)
    return found


def _array(entry: JsonObject, name: str) -> list[Json]:
    value = entry.get(name, [])
    if not isinstance(value, list):
        raise MalformedError(f"{name} in the trust list is not an array", clause=_CLAUSE)
    return value
