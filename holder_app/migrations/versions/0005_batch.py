"""Cards keep with what new copies are fetched, and when it is time to."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("wallet_card", sa.Column("sealed_grant", sa.LargeBinary(), nullable=True))
    op.add_column("wallet_card", sa.Column("refreshed_at", UtcDateTime(), nullable=True))
    op.add_column("wallet_card", sa.Column("refresh_at", UtcDateTime(), nullable=True))
    op.add_column("wallet_card", sa.Column("refreshing_until", UtcDateTime(), nullable=True))
    op.create_index("ix_wallet_card_refresh_at", "wallet_card", ["refresh_at"])


def downgrade() -> None:
    op.drop_index("ix_wallet_card_refresh_at", "wallet_card")
    for column in ("refreshing_until", "refresh_at", "refreshed_at", "sealed_grant"):
        op.drop_column("wallet_card", column)
