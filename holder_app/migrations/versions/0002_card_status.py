"""Cards remember whether they were suspended or revoked."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("wallet_card", sa.Column("status", sa.String(20), nullable=True))
    op.add_column("wallet_card", sa.Column("status_checked_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("wallet_card", "status_checked_at")
    op.drop_column("wallet_card", "status")
