"""Put cards and claims into words: names and labels of the catalogue, or of the issuer's metadata for other cards.

Everything here is pure. Texts are mappings of language to text, ``{"ko": …, "en": …}``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from holder_app.credentials.ports import Card, CardStatus
from wallet_core.catalogue import Catalogue, Claim, CredentialType
from wallet_core.catalogue import Text as CatalogueText
from wallet_core.catalogue.credential_type import ClaimType
from wallet_core.catalogue.elements import as_picture
from wallet_core.encoding.claims_path import ConcretePath, resolve, value_at
from wallet_core.encoding.plain_text import one_line
from wallet_core.errors import MalformedError, NotFound
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import ClaimsPath, Json, JsonObject, Vct

Text = dict[str, str]
"""A text in each language."""

EXPIRES_SOON = timedelta(days=14)
"""From how long before its end a card says how many days are left."""

NOT_CLAIMS = frozenset(
    {"iss", "vct", "vct#integrity", "cnf", "iat", "nbf", "exp", "status", "aka_vcts", "sub", "_sd_alg"}
)
"""Members of an SD-JWT VC that say something about the credential, not about the person (SD-JWT VC 3.2.2)."""

MISSING: Text = {"ko": "이름 없는 카드", "en": "Card without a name"}


def texts(text: CatalogueText) -> Text:
    """Return a text of the catalogue as JSON keeps it."""
    return {"ko": text.ko, "en": text.en}


class CardState(StrEnum):
    """Whether a card can be used now, as far as the card itself and its issuer tell.

    ``unreadable``: what this wallet stored of it cannot be opened any more.
    """

    USABLE = "usable"
    ENDS_SOON = "ends_soon"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    UNREADABLE = "unreadable"


_WITHDRAWN: Mapping[CardStatus | None, CardState] = {
    CardStatus.SUSPENDED: CardState.SUSPENDED,
    CardStatus.REVOKED: CardState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One claim of a card with its value."""

    path: ConcretePath
    label: Text
    value: Json
    mask: str = "none"
    codes: Mapping[str, Text] = field(default_factory=dict)
    is_image: bool = False

    @property
    def words(self) -> Text | None:
        """The words of a coded value, or of a year, which is no amount; None where the value speaks for itself."""
        is_number = isinstance(self.value, int) and not isinstance(self.value, bool)
        if is_number and "year" in str(self.path[-1]) and "years" not in str(self.path[-1]):
            return {"ko": str(self.value), "en": str(self.value)}
        return self.codes.get(str(self.value))

    def to_json(self) -> JsonObject:
        """Return label, value and words as a receipt keeps them; of a picture only that there is one."""
        words = self.words
        return {
            "path": list(self.path),
            "label": dict(self.label),
            "value": None if self.is_image else self.value,
            "words": dict(words) if words else None,
            "mask": str(self.mask),
            "is_image": self.is_image,
        }


@dataclass(frozen=True, slots=True)
class CardView:
    """One card in words."""

    id: str
    name: Text
    cloth: str
    issuer_name: str
    received_at: datetime
    expires_at: datetime | None
    state: CardState
    days_left: int | None
    front: tuple[Field, ...]
    fields: tuple[Field, ...]
    copies: int
    status_checked_at: datetime | None = None
    copies_left: int = 0
    can_refresh: bool = False


def describe_card(card: Card, claims: JsonObject | None, catalogue: Catalogue, now: datetime) -> CardView:
    """Return the card in words. ``claims`` is everything the credential holds; None if it cannot be read."""
    known = credential_type(catalogue, card.format, card.type)
    fields = describe_claims(claims or {}, known, card.display, is_mdoc=card.format == FORMAT_MDOC)
    left = (card.expires_at - now) if card.expires_at else None
    state = CardState.USABLE
    if left is not None and left < EXPIRES_SOON:
        state = CardState.EXPIRED if left <= timedelta(0) else CardState.ENDS_SOON
    if card.status in _WITHDRAWN and state is not CardState.EXPIRED:
        state = _WITHDRAWN[card.status]
    if claims is None:
        state = CardState.UNREADABLE
    return CardView(
        id=card.id,
        name=card_name(known, card.display, card.format),
        cloth=known.cloth if known else "jjok",
        issuer_name=card.issuer_name,
        received_at=card.received_at,
        expires_at=card.expires_at,
        state=state,
        days_left=None if left is None else max(0, left.days),
        front=_front(fields, known),
        fields=fields,
        copies=len(card.copies),
        status_checked_at=card.status_checked_at,
        copies_left=len(card.unused),
        can_refresh=card.grant is not None,
    )


def credential_type(catalogue: Catalogue, format_: str, type_: str) -> CredentialType | None:
    """Return the catalogue's type of that ``vct`` or document type, if it has one."""
    try:
        return catalogue.by_doctype(type_) if format_ == FORMAT_MDOC else catalogue.by_vct(Vct(type_))
    except NotFound:
        return None


def claim_at(path: ConcretePath, known: CredentialType | None) -> Claim | None:
    """Return the catalogue's claim at a place in a card, if it knows the card."""
    return None if known is None else known.claim_at(path)


def name_of(card: Card, catalogue: Catalogue) -> Text:
    """Return the name of a card."""
    return card_name(credential_type(catalogue, card.format, card.type), card.display, card.format)


def card_name(known: CredentialType | None, display: JsonObject, format_: str) -> Text:
    """Return the name of a card: the catalogue's, else the issuer's."""
    if known is not None:
        return texts(known.name_as(format_))
    name = display.get("name")
    return {str(k): str(v) for k, v in name.items()} if isinstance(name, dict) and name else dict(MISSING)


def describe_claims(
    claims: JsonObject, known: CredentialType | None, display: JsonObject, *, is_mdoc: bool = False
) -> tuple[Field, ...]:
    """Return the claims in the catalogue's order, then whatever it does not know."""
    if known is None:
        listed = tuple(_published(claims, display))
    else:
        listed = tuple(field_of(claim, path, claims) for claim, path in known.places(claims))
    covered = {field.path[:length] for field in listed for length in (1, 2)}
    rest = (path for path in _outer_paths(claims, is_mdoc=is_mdoc) if path not in covered)
    return listed + tuple(Field(path, plain_label(path[-1:]), value_at(claims, path), "hidden") for path in rest)


def _outer_paths(claims: JsonObject, *, is_mdoc: bool) -> Iterator[ConcretePath]:
    """Yield the path of each claim of an SD-JWT VC, or of each element of an mdoc's namespaces."""
    for name, value in claims.items():
        if is_mdoc and isinstance(value, dict):
            yield from ((name, element) for element in value)
        elif name not in NOT_CLAIMS:
            yield (name,)


def label_of(path: ConcretePath, known: CredentialType | None, display: JsonObject) -> Text:
    """Return the label of the claim at ``path``; the path itself in words where nobody named it."""
    claim = claim_at(path, known)
    if claim is not None:
        return _numbered(texts(claim.label), path)
    return _published_labels(display).get(tuple(path), plain_label(path))


def plain_label(path: Sequence[str | int]) -> Text:
    """Return a path as a label: ``address · street``."""
    words = " · ".join(one_line(str(part)).replace("_", " ") for part in path)
    return {"ko": words, "en": words}


def published_display(document: JsonObject) -> JsonObject:
    """Return name and labels from a credential configuration of the issuer's metadata (OpenID4VCI 12.2.4)."""
    metadata = document.get("credential_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    claims = metadata.get("claims")
    labels: list[Json] = [
        {"path": entry["path"], "label": dict(_by_language(entry.get("display")))}
        for entry in (claims if isinstance(claims, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("path"), list)
    ]
    return {"name": dict(_by_language(metadata.get("display"))), "claims": labels}


def _by_language(display: Json) -> Iterator[tuple[str, str]]:
    """Yield ``ko`` and ``en`` with the name an issuer published for them; each stands in for the other."""
    names: dict[str, str] = {}
    for entry in display if isinstance(display, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            names.setdefault(str(entry.get("locale", ""))[:2].lower(), one_line(str(entry["name"])[:200]))
    if names:
        fallback = names.get("en") or next(iter(names.values()))
        yield "ko", names.get("ko", fallback)
        yield "en", fallback


def _published_labels(display: JsonObject) -> dict[tuple[Json, ...], Text]:
    labels: dict[tuple[Json, ...], Text] = {}
    claims = display.get("claims")
    for entry in claims if isinstance(claims, list) else []:
        match entry:
            case {"path": list(path), "label": dict(label)} if path:
                words = {str(language): str(text) for language, text in label.items()}
                labels[tuple(path)] = words or plain_label([str(part) for part in path])
    return labels


def _published(claims: JsonObject, display: JsonObject) -> Iterator[Field]:
    for path, label in _published_labels(display).items():
        names = tuple(str(part) for part in path)
        # A member of an SD-JWT VC, or namespace and element of an mdoc.
        if len(path) <= 2 and names == path and names[0] not in NOT_CLAIMS and concrete_paths(claims, names):
            yield Field(names, label, value_at(claims, names))


def field_of(claim: Claim, path: ConcretePath, claims: JsonObject) -> Field:
    """Return the field that shows ``claim`` with the value at ``path``."""
    value = value_at(claims, path)
    codes = {str(code): texts(words) for code, words in claim.codes.items()}
    is_image = claim.type is ClaimType.IMAGE
    if is_image:
        value = as_picture(claim, path, value)
    return Field(path, _numbered(texts(claim.label), path), value, claim.mask, codes, is_image)


def _numbered(label: Text, path: ConcretePath) -> Text:
    """Tell apart equal claims of several elements: the second member's name is ``이름 2``."""
    numbers = [part + 1 for part in path if isinstance(part, int)]
    return {language: " ".join([text, *map(str, numbers)]) for language, text in label.items()}


def concrete_paths(claims: JsonObject, path: ClaimsPath) -> tuple[ConcretePath, ...]:
    """Return where ``path`` leads; nowhere if the card has another shape there."""
    try:
        return resolve(claims, path)
    except MalformedError:
        return ()


def _front(fields: Sequence[Field], known: CredentialType | None) -> tuple[Field, ...]:
    wanted = [tuple(path) for path in known.front] if known else []
    return tuple(field for path in wanted for field in fields if claim_path(field.path, known) == path)


def claim_path(path: ConcretePath, known: CredentialType | None) -> ConcretePath:
    """Return the catalogue's path of what an mdoc's element states; other paths as they are."""
    claim = claim_at(path, known) if len(path) > 1 else None
    return tuple(part for part in claim.path if part is not None) if claim is not None else path
