"""The certificate calendar: everything here that ends by itself, the soonest first, and what to do next."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography import x509

from verifier.relying_parties.ports import KeyView
from verifier.trust_lists.ports import StoredTrustList
from wallet_core.errors import WalletError
from wallet_core.jose import jws
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.calendar import WARN_BEFORE

Kind = Literal["access", "registration", "attestation", "anchor", "trust_list", "api_key"]
Renewal = Literal["signs", "waits", "rotated_out", "trusted", "renewed", "failing", "good"]

_TRUST_LIST_SOON: Final = timedelta(days=2)
"""A list is renewed by itself, so it is marked only when that has failed for a while."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the calendar.

    Attributes:
        kind: what it is.
        name: which one.
        begins: from when on it counts.
        ends: its last moment; None: it does not say.
        renewal: where its renewal stands.
        soon: how long before its end it is marked.
    """

    kind: Kind
    name: str
    begins: datetime
    ends: datetime | None
    renewal: Renewal
    soon: timedelta = WARN_BEFORE

    def urgency(self, now: datetime) -> Literal["over", "soon", "later", "early", "idle"]:
        """Return how urgent it is; ``idle``: nothing is signed with it any more, so its end does not matter."""
        if self.renewal == "rotated_out":
            return "idle"
        if now < self.begins:
            return "early"
        if self.ends is not None and now >= self.ends:
            return "over"
        return "soon" if self.ends is not None and now >= self.ends - self.soon else "later"

    def days_left(self, now: datetime) -> int | None:
        """Return the whole days that are left; negative once it is over, None if it does not end."""
        return None if self.ends is None else (self.ends - now) // timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AccessCertificate:
    """The leaf of one of a party's access keys, and whether it signs now; a later one waits for its rotation."""

    name: str
    certificate: x509.Certificate
    renewal: Literal["signs", "waits", "rotated_out"]


def calendar(entries: Iterable[Entry], *, now: datetime) -> list[Entry]:
    """Return the entries in the order in which they want something: over, the soonest next, then what never ends."""
    rank = {"over": 0, "soon": 0, "later": 1, "early": 1, "idle": 2}
    return sorted(
        entries, key=lambda each: (rank[each.urgency(now)], each.ends is None, each.ends or now, each.kind, each.name)
    )


def access_entries(certificates: Iterable[AccessCertificate]) -> Iterator[Entry]:
    """Return a line for each access certificate of a party."""
    for each in certificates:
        leaf = each.certificate
        yield Entry("access", each.name, leaf.not_valid_before_utc, leaf.not_valid_after_utc, each.renewal)


def statement_entries(kind: Literal["registration", "attestation"], name: str, token: str | None) -> Iterator[Entry]:
    """Return the line of something that others signed about the party; none where there is nothing that can be read."""
    with suppress(WalletError):
        claims = {} if token is None else jws.parse(token, what=kind).claims()
        begins, ends = claims.get("iat"), claims.get("exp")
        if isinstance(begins, int) and isinstance(ends, int):
            yield Entry(kind, name, datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC), "good")


def anchor_entries(anchors: TrustAnchors) -> Iterator[Entry]:
    """Return a line for each trust anchor that an operator chose by hand."""
    for anchor in anchors.anchors:
        leaf = anchor.certificate
        name = f"{anchor.purpose}: {leaf.subject.rfc4514_string()}"
        yield Entry("anchor", name, leaf.not_valid_before_utc, leaf.not_valid_after_utc, "trusted")


def trust_list_entry(source: str, stored: StoredTrustList, good_until: datetime | None) -> Entry:
    """Return the line of the trust list, which is renewed by itself."""
    name = f"{urlsplit(source).hostname or source} · {stored.known.sequence_number}"
    renewal: Renewal = "failing" if stored.problem else "renewed"
    return Entry("trust_list", name, stored.accepted_at, good_until, renewal, _TRUST_LIST_SOON)


def key_entries(keys: Sequence[KeyView], *, now: datetime) -> Iterator[Entry]:
    """Return a line for each API key that ends by itself and is good still."""
    for key in keys:
        if key.expires_at is not None and key.state(now) in {"good", "ending"}:
            yield Entry("api_key", key.label, key.created_at, key.expires_at, "good")
