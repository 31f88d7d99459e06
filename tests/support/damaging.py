"""Cards that a wallet cannot read any more: rows damaged, sealed under a lost key, or with another text in them."""

from typing import Any

from sqlalchemy import Row, select, update

from holder_app.credentials.tables import CardRow, CopyRow
from holder_app.dependencies import Wallet
from holder_app.tables import table_of
from wallet_core.adapters.keystore import Sealer, new_key_text

WAYS = ("damaged", "lost key", "another text")


def damage(wallet: Wallet, card_id: str, way: str, *, copies: int = 1000, grant: bool = False) -> None:
    """Make that many copies of a card unreadable in one of the :data:`WAYS`; its grant too if wanted."""
    copy, card = table_of(CopyRow), table_of(CardRow)
    with wallet.database.unit() as unit:
        found = unit.connection.execute(select(copy).where(copy.c.card_id == card_id).order_by(copy.c.position)).all()
        for row in found[:copies]:
            sealed = _spoilt(wallet, row, way)
            unit.connection.execute(update(copy).where(copy.c.id == row.id).values(sealed_credential=sealed))
        if grant:
            unit.connection.execute(update(card).where(card.c.id == card_id).values(sealed_grant=b"\x00" * 60))


def _spoilt(wallet: Wallet, row: Row[Any], way: str) -> bytes:
    context = f"wallet_copy/{row.account_id}/{row.card_id}/{row.id}/credential"
    if way == "damaged":
        sealed: bytes = row.sealed_credential
        return sealed[:-1] + bytes([sealed[-1] ^ 1])
    sealer = Sealer.from_text(f"9:{new_key_text()[2:]}") if way == "lost key" else wallet.sealer
    return sealer.seal(b"no credential", context)
