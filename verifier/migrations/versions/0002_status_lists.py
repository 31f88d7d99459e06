"""Fetched status lists."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "verifier_status_list",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("uri", sa.String(2048), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("fetched_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_verifier_status_list"),
    )
    op.create_index("ix_verifier_status_list_fetched_at", "verifier_status_list", ["fetched_at"])


def downgrade() -> None:
    op.drop_table("verifier_status_list")
