"""Deferred requests; what the wallets said became of credentials; agencies that demand encryption."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "issuer_deferred",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("offer_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("transaction_digest", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_deferred"),
        sa.UniqueConstraint("transaction_digest", name="uq_issuer_deferred_transaction_digest"),
    )
    op.create_index("ix_issuer_deferred_agency_id_kind_id", "issuer_deferred", ["agency_id", "kind", "id"])
    op.create_index("ix_issuer_deferred_offer_id", "issuer_deferred", ["offer_id"])
    op.create_index("ix_issuer_deferred_ends_at", "issuer_deferred", ["ends_at"])
    op.add_column("issuer_credential", sa.Column("notification_id", sa.String(64), nullable=True))
    op.add_column("issuer_credential", sa.Column("event", sa.String(30), nullable=True))
    op.create_index("ix_issuer_credential_agency_id_event", "issuer_credential", ["agency_id", "event"])
    op.add_column("issuer_agency", sa.Column("encrypted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("issuer_agency", "encrypted")
    op.drop_index("ix_issuer_credential_agency_id_event", "issuer_credential")
    op.drop_column("issuer_credential", "event")
    op.drop_column("issuer_credential", "notification_id")
    op.drop_table("issuer_deferred")
