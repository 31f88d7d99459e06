"""Cards of more than one format: what was ``vct`` is the type, whether a ``vct`` or a document type."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE wallet_card RENAME COLUMN vct TO type")
    op.add_column("wallet_card", sa.Column("format", sa.String(40), nullable=False, server_default="dc+sd-jwt"))


def downgrade() -> None:
    op.execute("DELETE FROM wallet_copy WHERE card_id IN (SELECT id FROM wallet_card WHERE format <> 'dc+sd-jwt')")
    op.execute("DELETE FROM wallet_card WHERE format <> 'dc+sd-jwt'")
    op.drop_column("wallet_card", "format")
    op.execute("ALTER TABLE wallet_card RENAME COLUMN type TO vct")
