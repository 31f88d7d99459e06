"""Re-issuance: which copies are to be replaced and until when, and orders that concern many people."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("issuer_credential", sa.Column("replace_by", UtcDateTime(), nullable=True))
    op.add_column("issuer_credential", sa.Column("replace_reason", sa.String(500), nullable=True))
    op.create_index("ix_issuer_credential_replace_by", "issuer_credential", ["replace_by"])
    op.create_index("ix_issuer_offer_agency_id_subject_id", "issuer_offer", ["agency_id", "subject_id"])
    op.create_table(
        "issuer_reissuance",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_reissuance"),
    )
    op.create_index("ix_issuer_reissuance_agency_id_id", "issuer_reissuance", ["agency_id", "id"])


def downgrade() -> None:
    op.drop_table("issuer_reissuance")
    op.drop_index("ix_issuer_offer_agency_id_subject_id", "issuer_offer")
    op.drop_index("ix_issuer_credential_replace_by", "issuer_credential")
    op.drop_column("issuer_credential", "replace_reason")
    op.drop_column("issuer_credential", "replace_by")
