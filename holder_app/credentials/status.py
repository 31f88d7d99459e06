"""Is a card suspended or revoked? Asked when it is opened and before it is shown, never for long.

The person learns it from her own wallet, not at the counter. What was learnt last stays with the card, with its time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardStatus
from holder_app.credentials.use_cases import CardPorts
from holder_app.ports import Fetch
from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.status_list.array import Status
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.judging import validate_list_signer
from wallet_core.trust.status_list.reading import FetchedStatusList, read_status_list
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.x509 import TrustedCertificate, verify_chain

WAIT_SECONDS: Final = 0.7
"""How long a page waits for an issuer: a person hardly notices it, and a dead issuer costs no more."""

CHECK_AGAIN: Final = timedelta(seconds=10)
"""How soon the same card is asked about again, whoever reloads a page."""

_WORDS: Final = {int(Status.VALID): CardStatus.VALID, int(Status.SUSPENDED): CardStatus.SUSPENDED}
_ORDER: Final = (CardStatus.VALID, CardStatus.SUSPENDED, CardStatus.REVOKED)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What goes with the format of a card: the form of its list, and whom we trust to sign card and list."""

    media_type: str
    purpose: AnchorPurpose


_JWT: Final = _Kind(spec.STATUS_LIST_JWT_MEDIA_TYPE, AnchorPurpose.CREDENTIAL_ISSUER)
_CWT: Final = _Kind(spec.STATUS_LIST_CWT_MEDIA_TYPE, AnchorPurpose.MDL_ISSUER)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a copy says its status is, and the certificate it is signed under."""

    reference: StatusReference
    issuer: TrustedCertificate
    kind: _Kind


async def check_cards_soon(
    open_ports: Callable[[], CardPorts],
    fetch: Fetch,
    anchors: TrustAnchors,
    account_id: AccountId,
    card_id: str | None = None,
) -> None:
    """Bring the status of one card, or of all, up to date if their issuers answer at once; otherwise leave it.

    Args:
        open_ports: what is needed, a new unit of work at each call: nothing is fetched within one.
        fetch: runs flows.
        anchors: whom the wallet trusts.
        account_id: whose cards.
        card_id: which one; None for all.
    """
    ports = open_ports()
    now = ports.clock.now()
    with ports.unit:
        cards = ports.cards.of_account(account_id)
    due = [card for card in cards if card_id in {None, card.id} and _is_due(card, now)]
    known = {card.id: card.status for card in due}
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_SECONDS):
            found = await _check(due, fetch, anchors, now)
            ports = open_ports()
            with ports.unit:
                for id_, status in found.items():
                    ports.cards.set_status(account_id, id_, status, checked_at=now)
                    if status is CardStatus.REVOKED and known[id_] is not CardStatus.REVOKED:
                        # It may be that others took its place: the issuer is asked, once.
                        ports.cards.refresh_soon(account_id, id_, now)


async def _check(cards: Iterable[Card], fetch: Fetch, anchors: TrustAnchors, now: datetime) -> Mapping[str, CardStatus]:
    """Return the status of those cards whose lists could be had and are good."""
    places = {card.id: _places(card, anchors, now) for card in cards}
    wanted = list(dict.fromkeys((place.reference.uri, place.kind) for each in places.values() for place in each))
    lists = await asyncio.gather(*(_list(uri, kind, fetch, anchors, now) for uri, kind in wanted))
    known = dict(zip(wanted, lists, strict=True))
    found: dict[str, list[CardStatus]] = defaultdict(list)
    for card_id, each in places.items():
        for place in each:
            fetched = known[place.reference.uri, place.kind]
            if fetched is None:
                continue
            with suppress(WalletError):
                # Cards of several issuers may name one list: it speaks for those of its own signer only.
                validate_list_signer(fetched.signer, place.issuer)
                status = fetched.statuses.status(place.reference)
                found[card_id].append(_WORDS.get(status, CardStatus.REVOKED))
    # A card is as good as the worst of its copies: any of them may be shown next.
    return {card_id: max(statuses, key=_ORDER.index) for card_id, statuses in found.items()}


def _places(card: Card, anchors: TrustAnchors, now: datetime) -> list[_Place]:
    """Return where the card's copies say their status is; nothing for a card without status."""
    found: list[_Place] = []
    for copy in card.copies:
        # A card that cannot be read any more, or whose issuer's certificate ended, has other troubles.
        with suppress(WalletError):
            kind, status, chain = _signed(card, copy.credential)
            if status is not None:
                issuer = verify_chain(chain, anchors, purpose=kind.purpose, at=now)
                found.append(_Place(parse_status(status), issuer, kind))
    return found


def _signed(card: Card, credential: str) -> tuple[_Kind, Any, Sequence[bytes]]:
    """Return what goes with the format of a copy, its ``status`` as signed, and the certificates of its issuer."""
    if card.format == spec.FORMAT_MDOC:
        held = index_mdoc(base64url.decode(credential, what="a stored mdoc"))
        return _CWT, None if held.mso.status is None else dict(held.mso.status), held.x5chain
    parsed = parse_sd_jwt(credential)
    return _JWT, parsed.issuer_jws.claims().get("status"), parsed.x5c()


async def _list(uri: str, kind: _Kind, fetch: Fetch, anchors: TrustAnchors, now: datetime) -> FetchedStatusList | None:
    def verify_signer(chain: Sequence[bytes], at: datetime) -> TrustedCertificate:
        return verify_chain(chain, anchors, purpose=kind.purpose, at=at)

    try:
        token = await fetch.arun(fetch_status_list(uri, media_type=kind.media_type))
        return read_status_list(token, (uri, kind.media_type), verify_signer=verify_signer, fetched_at=now, now=now)
    except WalletError:
        return None


def _is_due(card: Card, now: datetime) -> bool:
    return card.status_checked_at is None or now >= card.status_checked_at + CHECK_AGAIN
