"""What the command-line wallet says: offers, cards and requests in words, in Korean and English, and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from holder_app.credentials.describe import CardState, CardView, Field, Text
from holder_app.credentials.ports import HistoryRecord
from holder_app.issuance.describe import OfferView, code_rule
from holder_app.presentation.describe import PickView, RequestView
from holder_app.presentation.standing import UseView
from wallet_core.adapters.ui.masking import words
from wallet_core.adapters.ui.messages import Messages, load_messages
from wallet_core.adapters.ui.text import Language
from wallet_core.encoding.plain_text import one_line
from wallet_core.protocols.openid4vci.offer import TxCodeInput
from wallet_core.types import Json, JsonObject


class Words:
    """The texts of the command line in one language."""

    def __init__(self, language: str) -> None:
        self.language: Language = "ko" if language.lower().startswith("ko") else "en"
        self._messages: Messages = load_messages(["base", "wallet"])

    def say(self, key: str, **values: Any) -> str:
        """Return the text of ``wallet.cli.<key>``, plain."""
        return self._messages.text(self.language, f"wallet.cli.{key}", **values).unescape()

    def code_rule(self, wanted: TxCodeInput) -> str:
        """Return what a transaction code looks like."""
        key = f"wallet.offer.code_{code_rule(wanted)}"
        return self._messages.text(self.language, key, n=wanted.length).unescape()

    def local(self, text: Mapping[str, str]) -> str:
        """Return a text of two languages in this one."""
        return text.get(self.language) or text.get("ko") or ""

    def value(self, field: Field) -> str:
        """Return a claim's value in words."""
        if field.is_image:
            return self.say("picture")
        return one_line(self.local(field.words) if field.words else words(field.value, self.language))

    def fields(self, fields: Iterable[Field]) -> Iterator[str]:
        """Yield one line for each claim."""
        for field in fields:
            yield f"    {self.local(field.label)}: {self.value(field)}"

    def labels(self, fields: Iterable[Field]) -> str:
        """Return the labels of claims, joined."""
        return ", ".join(self.local(field.label) for field in fields)

    def offer(self, view: OfferView) -> str:
        """Return an offer."""
        lines = [self.say("offer", name=self.local(view.issuer_name), host=view.host)]
        for card in view.cards:
            named = f"  {self.local(card.name)}"
            lines += [named, f"    {', '.join(map(self.local, card.claims)) if card.usable else self.say('unusable')}"]
        return "\n".join(lines)

    def card(self, card: CardView) -> str:
        """Return a card with its claims."""
        until = self.say("until", date=f"{card.expires_at:%Y-%m-%d}") if card.expires_at else ""
        head = f"  {self.local(card.name)} · {card.issuer_name} {until}".rstrip()
        problem = [f"    ! {self.say('unreadable')}"] if card.state is CardState.UNREADABLE else []
        return "\n".join([head, f"    id {card.id}", *problem, *self.fields(card.fields)])

    def card_line(self, card: CardView) -> str:
        """Return a card in one line."""
        until = f"{card.expires_at:%Y-%m-%d}" if card.expires_at else "-"
        return f"{card.id}  {self.local(card.name)} · {card.issuer_name} · {until}{self._trouble(card.state)}"

    def _trouble(self, state: str) -> str:
        """Return why a card cannot be used, where that is not its end, which stands there anyway."""
        told = {CardState.SUSPENDED, CardState.REVOKED, CardState.UNREADABLE}
        return f" · {self.say(state)}" if state in told else ""

    def request(self, view: RequestView) -> str:
        """Return who asks for what, why, and what stays hidden."""
        lines = [*self._asker(view)]
        for transaction in view.transactions:
            lines += [f"  {self.say('agree')}: {self.local(transaction.sentence)}"]
            lines += [f"    {self.local(label)}: {self.local(value)}" for label, value in transaction.lines]
        for group in view.groups:
            heading = self.say("needed") if group.required else self.say("optional", number=group.number)
            lines.append(f"  {heading}")
            for number, picks in enumerate(group.alternatives):
                mark = f"[group-{group.number}={number}] " if len(group.alternatives) > 1 else ""
                for position, pick in enumerate(picks):
                    lines += self._pick(pick, mark, f"{group.number}-{number}-{position}")
        for card in view.unlike:
            lines += [f"  {self.local(card.name)} · {card.issuer_name}", *self.fields(card.fields)]
        return "\n".join(lines)

    def _asker(self, view: RequestView) -> Iterator[str]:
        who, known = view.verifier, view.standing
        if who.verified:
            yield self.say("asks", name=self.local(view.name), host=who.host)
            yield f"  {self.say(known.standing, date=f'{known.until:%Y-%m-%d}' if known.until else '-')}"
        else:
            yield self.say("asks_unknown", host=who.host)
        if view.match_number:
            yield f"  {self.say('match_number', number=view.match_number)}"
        if known.over_asked:
            yield f"  {self.say('over_asked', labels=', '.join(map(self.local, known.over_asked)))}"
        for use in known.uses:
            yield from self._use(use, divided=known.divided)
        if known.usual:
            laws = ", ".join(map(self.local, known.usual.laws))
            yield f"  {self.say('usual')}: {self.local(known.usual.purpose)}{f' ({laws})' if laws else ''}"
            yield f"  {self.say('usual_kept')}: {self.local(known.usual.retention)}"

    def _use(self, use: UseView, *, divided: bool) -> Iterator[str]:
        about = f" ({', '.join(map(self.local, use.claims))})" if divided else ""
        kept = self.local(use.retention) if use.retention else self.say("kept_unknown")
        yield f"  {self.say('why')}{about}: {self.local(use.purpose)}"
        yield f"  {self.say('kept')}{about}: {kept}"
        if use.privacy_policy:
            yield f"  {self.say('privacy_policy')}: {use.privacy_policy}"
        if use.support:
            yield f"  {self.say('support')}: {use.support}"

    def _pick(self, pick: PickView, mark: str, place: str) -> Iterator[str]:
        yield f"  {mark}{self._card(pick)}"
        if pick.used_up:
            yield f"    ! {self.say('used_up')}"
        for asked in pick.asked:
            over = f"  {self.say('over')}" if asked.over_asked else ""
            yield from (f"{line}{over}" for line in self.fields([asked.field]))
        if pick.always:
            yield f"    {self.say('always')}:"
            yield from self.fields(pick.always)
        for view in pick.extras:
            over = f"  {self.say('over')}" if view.over_asked else ""
            yield f"    [extra-{place}={view.number}] {self.say('may_add')}: {self.labels(view.fields)}{over}"
        for number, other in enumerate(pick.others):
            yield f"    [also-{place}-{number}] {self.say('may_add')}: {self._card(other)} · {self.labels(other.shown)}"
        yield f"    {self.say('hidden')}: {self.labels(pick.hidden) or '-'}"

    def _card(self, pick: PickView) -> str:
        """Name a card with what tells two of one kind apart."""
        received = f"{pick.received_at:%Y-%m-%d %H:%M}"
        return f"{self.local(pick.name)} · {pick.issuer_name} · {received}{self._trouble(pick.withdrawn)}"

    def record(self, record: HistoryRecord) -> str:
        """Return a line of the history."""
        peer, cards = record.body.get("peer"), record.body.get("cards")
        name = _peer_name(peer, self) if isinstance(peer, dict) else ""
        names = ", ".join(_card_names(cards if isinstance(cards, list) else [], self))
        names = names if record.is_readable else self.say("record_unreadable")
        what = " · ".join(part for part in (name, names) if part)
        return f"{record.at:%Y-%m-%d %H:%M:%S}  {self.say(f'kind_{record.kind}')}  {what}  {record.id}"


def text_of(text: Any) -> Text:
    """Return a text of the catalogue as a mapping."""
    return {"ko": text.ko, "en": text.en}


def card_json(card: CardView) -> JsonObject:
    """Return a card for scripts."""
    return {
        "id": card.id,
        "name": dict(card.name),
        "issuer": card.issuer_name,
        "received_at": card.received_at.isoformat(),
        "expires_at": card.expires_at.isoformat() if card.expires_at else None,
        "state": card.state,
        "copies": card.copies,
        "copies_left": card.copies_left,
        "claims": [field_json(field) for field in card.fields],
    }


def field_json(field: Field) -> JsonObject:
    """Return a claim for scripts."""
    return {"path": list(field.path), "label": dict(field.label), "value": None if field.is_image else field.value}


def record_json(record: HistoryRecord) -> JsonObject:
    """Return a line of the history for scripts."""
    unreadable: JsonObject = {} if record.is_readable else {"readable": False}
    return {"id": record.id, "kind": record.kind, "at": record.at.isoformat(), **record.body, **unreadable}


def _peer_name(peer: JsonObject, words_: Words) -> str:
    name = peer.get("verified_name") or peer.get("name")
    if isinstance(name, dict):
        return words_.local({str(k): str(v) for k, v in name.items()})
    return str(name or peer.get("host") or "")


def _card_names(cards: Sequence[Json], words_: Words) -> Iterator[str]:
    for card in cards:
        if isinstance(card, dict) and isinstance(name := card.get("name"), dict):
            yield words_.local({str(k): str(v) for k, v in name.items()})
