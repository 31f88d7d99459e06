"""Registration certificates: what a register says of a relying party, for one use (ETSI TS 119 475 V1.2.1, 5.2).

A signed JWT that travels in ``verifier_info`` (OpenID4VP 1.0 section 5.1): who asks, for what purpose, which claims may
be asked. The members are those of the specification; ``jigap_retention``, how long answers are kept, is our own.

The invariant: only :func:`verify_registration` makes a :class:`Registration` of somebody else's text, and what it says
is about one registered number, whoever brings it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.text import LANGUAGES, Text
from wallet_core.encoding.claims_path import parse_claims_path
from wallet_core.encoding.plain_text import one_line
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.protocols.oauth2.identifiers import parse_url
from wallet_core.protocols.openid4vp.dcql import MAX_CLAIMS, CredentialQuery, parse_dcql_query
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import format_x5c, parse_x5c, verify_chain
from wallet_core.types import ClaimsPath, Json, JsonObject

MAX_LIFE: Final = timedelta(days=366)
"""ETSI TS 119 475 GEN-5.2.4-08: twelve months. No status list of registrations is asked for: their end counts."""

LEEWAY: Final = timedelta(minutes=5)
"""How far the registrar's clock may be ahead of ours."""

MAX_CHARACTERS: Final = 32 * 1024
"""Longest registration certificate: one for five credentials is about 4 kB."""

MAX_TEXT: Final = 1000
"""Characters of a text for people: a purpose is one sentence, a screen holds no more."""

MAX_ENTRIES: Final = 64
"""Entries of any array in one but those of claims: registered credentials, languages of a text."""

SERVICE_PROVIDER: Final = "https://uri.etsi.org/19475/Entitlement/Service_Provider"
"""What we register relying parties as (ETSI TS 119 475 annex A)."""

_CLAUSE: Final = "ETSI TS 119 475 5.2"
_MAX_DAYS: Final = 366 * 100

LocalText: TypeAlias = Mapping[str, str]
"""Words by language tag."""


@dataclass(frozen=True, slots=True)
class RegisteredCredential:
    """A kind of credential that may be asked for, with the claims of it that may be."""

    format: str
    types: tuple[str, ...]
    claims: tuple[ClaimsPath, ...]

    def covers(self, format_: str, type_: str, path: ClaimsPath | None) -> bool:
        """Return whether this claim may be asked of that type; for None, whether the type may be asked for at all."""
        if format_ != self.format or type_ not in self.types:
            return False
        return path is None or any(_covers(one, path) for one in self.claims)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the relying party keeps what it gets. ``days`` is None where it cannot be said in days."""

    text: LocalText
    days: int | None


@dataclass(frozen=True, slots=True)
class Registration:
    """What the register says of one relying party and one use.

    Attributes:
        identifier: the party's registered number, as in its access certificate.
        name: of the party, for people.
        purpose: why it asks, for people.
        credentials: what may be asked.
        retention: how long answers are kept; None where the certificate does not say.
        privacy_policy: address of the privacy policy, https; None likewise.
        support: address where people get help, https; None likewise.
        use_id: which of the party's uses this is; None likewise.
        issued_at: when it was made.
        expires_at: until when it counts.
        source: the payload it came from.
    """

    identifier: str
    name: LocalText
    purpose: LocalText
    credentials: tuple[RegisteredCredential, ...]
    retention: Retention | None
    privacy_policy: str | None
    support: str | None
    use_id: str | None
    issued_at: datetime
    expires_at: datetime
    source: JsonObject

    def covers(self, query: CredentialQuery, path: ClaimsPath | None) -> bool:
        """Return whether a Credential Query may ask for ``path``, of every type it takes; None asks for no claim."""
        return bool(query.types) and all(
            any(one.covers(query.format, type_, path) for one in self.credentials) for type_ in query.types
        )

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the registration whose ``source`` was stored. Raises ``MalformedError`` for anything else."""
        return cls(
            identifier=_text(value, "sub"),
            name=_names(value),
            purpose=_local(value.get("purpose"), "purpose"),
            credentials=tuple(_credential(entry) for entry in _array(value.get("credentials"), "credentials")),
            retention=_retention(value.get("jigap_retention")),
            privacy_policy=_address(value.get("privacy_policy")),
            support=_address(value.get("support_uri")),
            use_id=_text(value, "intended_use_id") if "intended_use_id" in value else None,
            issued_at=_time(value, "iat"),
            expires_at=_time(value, "exp"),
            source=value,
        )


def registration_of_policy(
    policy: Policy,
    *,
    identifier: str,
    issued_at: datetime,
    expires_at: datetime,
    registry_uri: str,
    privacy_policy: str,
    support: str,
    name: Text | None = None,
) -> Registration:
    """Return what a register writes of a relying party that follows ``policy``.

    Args:
        policy: purpose, retention, and what is asked.
        identifier: the party's registered number.
        issued_at: the time.
        expires_at: at most twelve months later.
        registry_uri: address of the register.
        privacy_policy: address of the party's privacy policy.
        support: address where the party helps people.
        name: of the party; the policy's sample party where it is None.

    Raises:
        MalformedError: an address is not https, or the life is longer.
    """
    named = name or policy.party.name
    query = parse_dcql_query(policy.dcql_query)
    entries = query.source["credentials"]
    credentials: list[Json] = (
        [_registered(entry) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    claims: JsonObject = {
        "sub": identifier,
        "sub_ln": named.ko,
        "name": named.ko,
        # The specification has one name; the tag is that of OpenID Connect Core 5.2.
        "name#en": named.en,
        "country": "KR",
        "registry_uri": registry_uri,
        "srv_description": [_localized(policy.name)],
        "entitlements": [SERVICE_PROVIDER],
        "purpose": _localized(policy.purpose),
        "credentials": credentials,
        "privacy_policy": parse_url(privacy_policy, what="privacy_policy"),
        "support_uri": parse_url(support, what="support_uri"),
        "intended_use_id": policy.id,
        "jigap_retention": {"days": policy.retention.claims_days, "text": _localized(policy.retention.text)},
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return _within_life(Registration.from_json(claims))


def create_registration_certificate(registration: Registration, registrar: CertifiedSigner) -> str:
    """Return the registration certificate: a compact JWS with the registrar's certificates (5.2.1 to 5.2.3)."""
    header: JsonObject = {"typ": spec.TYP_REGISTRATION, "x5c": [*format_x5c(registrar.chain)]}
    return jws.sign(header, registration.source, registrar.signer)


def verify_registration(token: str, anchors: TrustAnchors, *, at: datetime) -> Registration:
    """Return what a registrar whom we trust says of somebody.

    Steps:
        1. ``x5c`` leads to an anchor for registrars (OpenID4VP 5.1: the signature is validated).
        2. The key of that certificate signed it.
        3. It is a JWT of type ``rc-wrp+jwt`` (5.2.2).
        4. Its members have the form of 5.2.4, and it lives at most twelve months.
        5. It was not made in the future.

    Not done here: whether it has ended (``expires_at``), and whether it is about whoever brought it (``identifier``).

    Raises:
        UntrustedError, Expired, NotYetValid: step 1: nobody whom we trust says anything.
        MalformedError, VerificationError: another step: the certificate is not what it claims to be.
    """
    unverified = jws.parse(token, what="registration certificate", max_characters=MAX_CHARACTERS)
    # vp-5.1-info-trust
    registrar = verify_chain(parse_x5c(unverified.header.get("x5c")), anchors, purpose=AnchorPurpose.REGISTRAR, at=at)
    # vp-5.1-info-signature
    # reg-5.2.2-typ
    verified = jws.verify(unverified, registrar.public_key, typ=spec.TYP_REGISTRATION)
    registration = _within_life(Registration.from_json(verified.claims()))
    # reg-5.2.4-future
    if registration.issued_at > at + LEEWAY:
        raise VerificationError("the registration is of the future", step=5, clause=_CLAUSE)
    return registration


def _within_life(registration: Registration) -> Registration:
    # reg-5.2.4-life
    if not timedelta() < registration.expires_at - registration.issued_at <= MAX_LIFE:
        raise MalformedError("a registration lives at most twelve months", clause="ETSI TS 119 475 GEN-5.2.4-08")
    return registration


def _covers(registered: ClaimsPath, asked: ClaimsPath) -> bool:
    """Return whether ``asked`` is ``registered`` or lies inside it: a registered null stands for every index."""
    if len(registered) > len(asked):
        return False
    return all(
        one == other or (one is None and isinstance(other, int))
        for one, other in zip(registered, asked[: len(registered)], strict=True)
    )


def _registered(entry: JsonObject) -> JsonObject:
    claims = entry.get("claims")
    asked = [claim for claim in claims if isinstance(claim, dict)] if isinstance(claims, list) else []
    return {"format": entry["format"], "meta": entry["meta"], "claim": [{"path": claim["path"]} for claim in asked]}


def _localized(text: Text) -> list[Json]:
    return [{"lang": language, "value": text.get(language)} for language in LANGUAGES]


def _names(value: JsonObject) -> LocalText:
    names = {"ko": _words(value.get("name"), "name")}
    tagged = value.get("name#en")
    return names if tagged is None else {**names, "en": _words(tagged, "name#en")}


def _local(value: Json, what: str) -> LocalText:
    found: dict[str, str] = {}
    for entry in _array(value, what):
        if not isinstance(entry, dict):
            raise MalformedError(f"{what} of a registration is not in languages", clause=_CLAUSE)
        language = _text(entry, "lang").partition("-")[0].lower()
        # Of two texts of one language (en-GB, en-IE) the first stands.
        found.setdefault(language, _words(entry.get("value"), what))
    return found


def _credential(value: Json) -> RegisteredCredential:
    if not isinstance(value, dict) or not isinstance(meta := value.get("meta"), dict):
        raise MalformedError("a registered credential has no format and meta", clause=_CLAUSE)
    format_ = _text(value, "format")
    if format_ not in {spec.FORMAT_SD_JWT_VC, spec.FORMAT_MDOC}:
        return RegisteredCredential(format_, (), ())
    types = _array(meta.get("vct_values"), "vct_values") if "vct_values" in meta else [meta.get("doctype_value")]
    # The specification's text says claim, its register's interface claims.
    claims = value.get("claim", value.get("claims", []))
    return RegisteredCredential(
        format_,
        tuple(_words(one, "a type") for one in types),
        tuple(_path(entry) for entry in _array(claims, "claim", empty=True, limit=MAX_CLAIMS)),
    )


def _path(entry: Json) -> ClaimsPath:
    if not isinstance(entry, dict):
        raise MalformedError("a registered claim has no path", clause=_CLAUSE)
    return parse_claims_path(entry.get("path"))


def _retention(value: Json) -> Retention | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedError("jigap_retention is not an object", clause=_CLAUSE)
    days = value.get("days")
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _MAX_DAYS):
        raise MalformedError("days of jigap_retention is no number of days", clause=_CLAUSE)
    return Retention(_local(value.get("text"), "text"), days)


def _address(value: Json) -> str | None:
    """Return an address that a person may be led to; anything else is left out, as nothing depends on it."""
    try:
        return parse_url(value, what="an address") if isinstance(value, str) else None
    except MalformedError:
        return None


def _array(value: Json, what: str, *, empty: bool = False, limit: int = MAX_ENTRIES) -> Sequence[Json]:
    # reg-5.2.4-members
    if not isinstance(value, list) or len(value) > limit or not (value or empty):
        raise MalformedError(f"{what} of a registration is not an array", clause=_CLAUSE)
    return value


def _text(value: JsonObject, member: str) -> str:
    return _words(value.get(member), member)


def _words(value: Json, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not (text := one_line(value)):
        raise MalformedError(f"{what} of a registration is not a text", clause=_CLAUSE)
    return text


def _time(value: JsonObject, member: str) -> datetime:
    found = value.get(member)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MalformedError(f"{member} of a registration is not a time", clause=_CLAUSE)
    try:
        return datetime.fromtimestamp(found, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise MalformedError(f"{member} of a registration is not a time", clause=_CLAUSE) from exc
