"""The refresh token that cards share which came together: one at a time uses it, and a new one goes to all of them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from holder_app.accounts.ports import AccountId
from holder_app.issuance.receiving import IssuancePorts, notify
from holder_app.ports import UNDER_WAY
from wallet_core.protocols.oauth2.token import TokenResponse
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.pending import IssuedCredentials


def claim_token(ports: IssuancePorts, account_id: AccountId, card_ids: Sequence[str], now: datetime) -> bool:
    """Keep others from refreshing these cards, in the caller's transaction; false if somebody is at it."""
    for card_id in card_ids:
        if ports.cards.get(account_id, card_id) is not None:
            return ports.cards.claim_refresh(account_id, card_id, now, now + UNDER_WAY)
    return True


def release_token(ports: IssuancePorts, account_id: AccountId, card_ids: Sequence[str]) -> None:
    """Let others refresh these cards again."""
    with ports.unit:
        for card_id in card_ids:
            if (card := ports.cards.get(account_id, card_id)) is not None:
                ports.cards.plan_refresh(account_id, card_id, card.refresh_at)
                return


def rotate_token(
    ports: IssuancePorts, account_id: AccountId, issued: IssuedCredentials, renewed: TokenResponse
) -> None:
    """Store another refresh token with every card that has that of ``issued``; nothing if none came."""
    issuer, old, new = issued.offer.offer.credential_issuer, issued.token.refresh_token, renewed.refresh_token
    if old is not None and new is not None and new != old:
        with ports.unit:
            ports.cards.rotate_token(account_id, issuer, old, new)


async def notify_late(
    ports: IssuancePorts,
    account_id: AccountId,
    issued: IssuedCredentials,
    event: NotificationEvent,
    card_ids: Sequence[str] = (),
) -> None:
    """As :func:`notify`, after a person thought it over: the access token may be over, and is renewed then.

    Not if somebody else has the refresh token of these cards in use at the moment.
    """
    if issued.token.refresh_token is None:
        await notify(ports, account_id, issued, event)
        return
    with ports.unit:
        is_free = claim_token(ports, account_id, card_ids, ports.clock.now())
    keep = partial(rotate_token, ports, account_id, issued) if is_free else None
    try:
        await notify(ports, account_id, issued, event, keep=keep)
    finally:
        if is_free:
            release_token(ports, account_id, card_ids)
