"""Webhooks."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("verifier_presentation", sa.Column("webhook", sa.String(2000), nullable=True))
    op.create_table(
        "verifier_webhook",
        sa.Column("party_id", sa.String(100), nullable=False),
        sa.Column("url", sa.String(2000), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_previous", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("party_id", name="pk_verifier_webhook"),
    )
    op.create_table(
        "verifier_webhook_delivery",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("party_id", sa.String(100), nullable=False),
        sa.Column("presentation_id", sa.String(64), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(300), nullable=False),
        sa.Column("dead_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_verifier_webhook_delivery"),
    )
    op.create_index("ix_verifier_webhook_delivery_party_id_id", "verifier_webhook_delivery", ["party_id", "id"])
    op.create_index("ix_verifier_webhook_delivery_dead_at", "verifier_webhook_delivery", ["dead_at"])


def downgrade() -> None:
    op.drop_table("verifier_webhook_delivery")
    op.drop_table("verifier_webhook")
    with op.batch_alter_table("verifier_presentation") as table:
        table.drop_column("webhook")
