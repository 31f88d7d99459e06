"""One issuance as the wallet remembers it between two steps.

```text
Given ──fetch──▶ Reviewed ──accept──▶ Redeeming ──code redeemed──▶ Signing ──credentials came──▶ Preview ──keep──▶ Kept
  └──────── decline ──┴────────────────────────────────────────────────────────── decline ──┴──▶ Declined
                      ▲── wrong transaction code ──┘         any step that cannot be repeated ──▶ Failed
Reviewed ──log in──▶ Authorizing ──the browser came back──▶ Exchanging ──code redeemed──▶ Signing
   ▲── cancelled there, or too late ──┘
Signing, Preview ──the agency decides later──▶ Waiting ──it came──▶ Kept
```

Every state is stored sealed: it holds codes, tokens, keys or credentials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from holder_app.accounts.ports import AccountId
from holder_app.credentials.keys import card_from_json, card_to_json, key_from_text, key_to_text
from holder_app.credentials.ports import Card
from wallet_core.errors import MalformedError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.wallet import (
    AuthorizationStarted,
    IssuedCredentials,
    ProofsToSign,
    ResolvedOffer,
)
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Given:
    """A link was pasted, scanned or followed; nothing has been fetched. ``host`` is where it would be fetched from."""

    link: str
    host: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The offer and the issuer's metadata are here, and the person decides.

    ``wrong_codes`` counts refused transaction codes; ``tries_left`` is what the issuer said about further ones.
    ``notice`` names what became of a login that led nowhere: ``cancelled``, ``unavailable`` or ``late``.
    """

    offer: ResolvedOffer
    wrong_codes: int = 0
    tries_left: int | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Redeeming:
    """The code is on its way to the issuer. After a crash it may be tried again: it works or the code is gone."""

    offer: ResolvedOffer
    since: datetime
    wrong_codes: int = 0


@dataclass(frozen=True, slots=True)
class Authorizing:
    """The browser is at the authorization server, and brings its answer back."""

    started: AuthorizationStarted


@dataclass(frozen=True, slots=True)
class Exchanging:
    """The browser came back, and its code is on its way. After a crash it may be tried again, while it lives."""

    started: AuthorizationStarted
    callback: Mapping[str, str]
    since: datetime


@dataclass(frozen=True, slots=True)
class Signing:
    """The holder's new keys have to sign; ``signers`` are those of all proofs and key attestations."""

    pending: ProofsToSign
    signers: tuple[SoftwareSigner, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The credentials came and were verified; the person looks at them before they enter the wallet.

    ``signers`` are kept for what the issuer still decides about.
    """

    issued: IssuedCredentials
    cards: tuple[Card, ...]
    signers: tuple[SoftwareSigner, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The agency decides later. ``card_ids`` came already and are in the wallet.

    ``next_at`` is when it is asked again; ``asking_since`` is set while somebody is asking; ``trouble`` tells that the
    last answer was none.
    """

    issued: IssuedCredentials
    signers: tuple[SoftwareSigner, ...]
    since: datetime
    next_at: datetime
    card_ids: tuple[str, ...] = ()
    asking_since: datetime | None = None
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """The cards are in the wallet."""

    card_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """The person said no."""


class Reason(StrEnum):
    """Why an issuance cannot go on. The pages and the history have words for each of them."""

    BAD_OFFER = "bad_offer"
    NO_ANCHOR = "no_anchor"
    UNSUPPORTED = "unsupported"
    CODE_GONE = "code_gone"
    LOGIN_REFUSED = "login_refused"
    MIXED_UP = "mixed_up"
    BAD_ANSWER = "bad_answer"
    REFUSED = "refused"
    DENIED = "denied"
    UNTRUSTED = "untrusted"
    BAD_CREDENTIAL = "bad_credential"


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot go on. ``detail`` is the rule that was broken."""

    reason: Reason
    detail: str = ""


IssuanceState: TypeAlias = (
    Given | Reviewed | Redeeming | Authorizing | Exchanging | Signing | Preview | Waiting | Kept | Declined | Failed
)

UnfinishedState: TypeAlias = Redeeming | Exchanging | Signing | Preview | Waiting
"""States in which the offer is used up, or about to be: scanned again it leads nowhere."""


@dataclass(frozen=True, slots=True)
class Issuance:
    """One issuance of one account."""

    id: str
    account_id: AccountId
    version: int
    state: IssuanceState
    expires_at: datetime


def kind_of(state: IssuanceState) -> str:
    """Return the name under which a state is stored."""
    return type(state).__name__.lower()


def offer_of(state: UnfinishedState) -> ResolvedOffer:
    """Return the offer that is used up."""
    match state:
        case Redeeming(offer):
            return offer
        case Exchanging(started):
            return started.offer
        case Signing(pending):
            return pending.offer
        case Preview(issued) | Waiting(issued):
            return issued.offer


def state_to_json(state: IssuanceState) -> JsonObject:  # noqa: C901, PLR0911 - one case for each state
    """Return a state as it is stored. Seal it."""
    match state:
        case Given(link, host):
            return {"link": link, "host": host}
        case Reviewed(offer, wrong_codes, tries_left, notice):
            value: JsonObject = {"offer": offer.to_json(), "wrong_codes": wrong_codes, "tries_left": tries_left}
            return {**value, "notice": notice}
        case Redeeming(offer, since, wrong_codes):
            return {"offer": offer.to_json(), "since": since.isoformat(), "wrong_codes": wrong_codes}
        case Authorizing(started):
            return {"started": started.to_json()}
        case Exchanging(started, callback, since):
            return {"started": started.to_json(), "callback": dict(callback), "since": since.isoformat()}
        case Signing(pending, signers):
            return {"pending": pending.to_json(), "keys": _keys_to_json(signers)}
        case Preview(issued, cards, signers):
            shown: JsonObject = {"issued": issued.to_json(), "cards": [card_to_json(card) for card in cards]}
            return {**shown, "keys": _keys_to_json(signers)}
        case Waiting() as waiting:
            return {
                "issued": waiting.issued.to_json(),
                "keys": _keys_to_json(waiting.signers),
                "since": waiting.since.isoformat(),
                "next_at": waiting.next_at.isoformat(),
                "card_ids": list(waiting.card_ids),
                "asking_since": None if waiting.asking_since is None else waiting.asking_since.isoformat(),
                "trouble": waiting.trouble,
            }
        case Kept(card_ids):
            return {"card_ids": list(card_ids)}
        case Failed(reason, detail):
            return {"reason": reason, "detail": detail}
        case Declined():
            return {}


def state_from_json(kind: str, value: JsonObject) -> IssuanceState:
    """Return the state that :func:`state_to_json` wrote. Raises ``MalformedError`` for anything else."""
    try:
        return _READERS[kind](value)
    except (KeyError, ValueError, TypeError) as exc:
        raise MalformedError("a stored issuance cannot be read", detail=f"of kind {kind}") from exc


def _read_reviewed(value: JsonObject) -> Reviewed:
    tries_left = value["tries_left"]
    return Reviewed(
        ResolvedOffer.from_json(_object(value["offer"])),
        int(str(value["wrong_codes"])),
        tries_left if isinstance(tries_left, int) else None,
        str(value.get("notice", "")),
    )


def _read_redeeming(value: JsonObject) -> Redeeming:
    offer = ResolvedOffer.from_json(_object(value["offer"]))
    return Redeeming(offer, datetime.fromisoformat(str(value["since"])), int(str(value["wrong_codes"])))


def _read_exchanging(value: JsonObject) -> Exchanging:
    started = AuthorizationStarted.from_json(_object(value["started"]))
    callback = {name: str(part) for name, part in _object(value["callback"]).items()}
    return Exchanging(started, callback, datetime.fromisoformat(str(value["since"])))


def _read_signing(value: JsonObject) -> Signing:
    return Signing(ProofsToSign.from_json(_object(value["pending"])), _keys_from_json(value))


def _read_preview(value: JsonObject) -> Preview:
    issued = IssuedCredentials.from_json(_object(value["issued"]))
    cards = tuple(card_from_json(_object(card)) for card in _list(value["cards"]))
    return Preview(issued, cards, _keys_from_json(value))


def _read_waiting(value: JsonObject) -> Waiting:
    asking_since = value["asking_since"]
    return Waiting(
        IssuedCredentials.from_json(_object(value["issued"])),
        _keys_from_json(value),
        datetime.fromisoformat(str(value["since"])),
        datetime.fromisoformat(str(value["next_at"])),
        tuple(str(card_id) for card_id in _list(value["card_ids"])),
        None if asking_since is None else datetime.fromisoformat(str(asking_since)),
        value["trouble"] is True,
    )


def _keys_to_json(signers: tuple[SoftwareSigner, ...]) -> list[Json]:
    return [key_to_text(signer) for signer in signers]


def _keys_from_json(value: JsonObject) -> tuple[SoftwareSigner, ...]:
    # Rows written before deferred issuance was known have no keys beside a preview.
    return tuple(key_from_text(str(key)) for key in _list(value.get("keys", [])))


_READERS: Mapping[str, Callable[[JsonObject], IssuanceState]] = {
    "given": lambda value: Given(str(value["link"]), str(value["host"])),
    "reviewed": _read_reviewed,
    "redeeming": _read_redeeming,
    "authorizing": lambda value: Authorizing(AuthorizationStarted.from_json(_object(value["started"]))),
    "exchanging": _read_exchanging,
    "signing": _read_signing,
    "preview": _read_preview,
    "waiting": _read_waiting,
    "kept": lambda value: Kept(tuple(str(card_id) for card_id in _list(value["card_ids"]))),
    "declined": lambda _value: Declined(),
    "failed": lambda value: Failed(Reason(str(value["reason"])), str(value["detail"])),
}


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("not an array")
    return value
