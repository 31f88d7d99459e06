"""The last good trust list of each source."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "verifier_trust_list",
        sa.Column("source", sa.String(2000), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sequence_number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=False),
        sa.Column("tried_at", UtcDateTime(), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_verifier_trust_list"),
    )


def downgrade() -> None:
    op.drop_table("verifier_trust_list")
