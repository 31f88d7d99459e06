"""Is a card suspended or revoked? Asked when it is opened and before it is shown, never for long.

The person learns it from her own wallet, not at the counter. What was learnt last stays with the card, with its time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardStatus
from holder_app.credentials.use_cases import CardPorts
from holder_app.ports import Fetch
from wallet_core.errors import WalletError
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.status_list.array import Status
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.judging import validate_list_signer
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.status_list.token import VerifiedStatusList, parse_status_list_jwt, verify_status_list_token
from wallet_core.trust.x509 import TrustedCertificate, verify_chain

WAIT_SECONDS: Final = 0.7
"""How long a page waits for an issuer: a person hardly notices it, and a dead issuer costs no more."""

CHECK_AGAIN: Final = timedelta(seconds=10)
"""How soon the same card is asked about again, whoever reloads a page."""

_WORDS: Final = {int(Status.VALID): CardStatus.VALID, int(Status.SUSPENDED): CardStatus.SUSPENDED}
_ORDER: Final = (CardStatus.VALID, CardStatus.SUSPENDED, CardStatus.REVOKED)


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
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_SECONDS):
            found = await _check(due, fetch, anchors, now)
            ports = open_ports()
            with ports.unit:
                for id_, status in found.items():
                    ports.cards.set_status(account_id, id_, status, checked_at=now)


async def _check(cards: Iterable[Card], fetch: Fetch, anchors: TrustAnchors, now: datetime) -> Mapping[str, CardStatus]:
    """Return the status of those cards whose lists could be had and are good."""
    places = {card.id: _places(card, anchors, now) for card in cards}
    signers = {reference.uri: issuer for each in places.values() for reference, issuer in each}
    lists = await asyncio.gather(*(_list(uri, fetch, anchors, issuer, now) for uri, issuer in signers.items()))
    known = dict(zip(signers, lists, strict=True))
    found: dict[str, list[CardStatus]] = defaultdict(list)
    for card_id, each in places.items():
        for reference, _ in each:
            statuses = known[reference.uri]
            with suppress(WalletError):
                if statuses is not None:
                    found[card_id].append(_WORDS.get(statuses.status(reference), CardStatus.REVOKED))
    # A card is as good as the worst of its copies: any of them may be shown next.
    return {card_id: max(statuses, key=_ORDER.index) for card_id, statuses in found.items()}


def _places(card: Card, anchors: TrustAnchors, now: datetime) -> list[tuple[StatusReference, TrustedCertificate]]:
    """Return where the card's copies say their status is; nothing for a card without status."""
    found: list[tuple[StatusReference, TrustedCertificate]] = []
    for copy in card.copies:
        # A card that cannot be read any more, or whose issuer's certificate ended, has other troubles.
        with suppress(WalletError):
            parsed = parse_sd_jwt(copy.credential)
            status = parsed.issuer_jws.claims().get("status")
            if status is not None:
                issuer = verify_chain(parsed.x5c(), anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
                found.append((parse_status(status), issuer))
    return found


async def _list(
    uri: str, fetch: Fetch, anchors: TrustAnchors, issuer: TrustedCertificate, now: datetime
) -> VerifiedStatusList | None:
    try:
        token = parse_status_list_jwt(await fetch.arun(fetch_status_list(uri)))
        signer = verify_chain(token.chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
        validate_list_signer(signer, issuer)
        return verify_status_list_token(token, key=signer.public_key, uri=uri, now=now)
    except WalletError:
        return None


def _is_due(card: Card, now: datetime) -> bool:
    return card.status_checked_at is None or now >= card.status_checked_at + CHECK_AGAIN
