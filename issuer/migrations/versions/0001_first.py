"""The issuer's tables: agencies, records, offers, the record of issue."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.migrations import create_app_tables, drop_app_tables
from wallet_core.adapters.sql import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_app_tables("issuer")
    op.create_table(
        "issuer_agency",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("name_ko", sa.String(200), nullable=False),
        sa.Column("name_en", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_agency"),
    )
    op.create_table(
        "issuer_record",
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("type_id", sa.String(100), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "type_id", "subject_id", name="pk_issuer_record"),
    )
    op.create_table(
        "issuer_offer",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=True),
        sa.Column("subject_id", sa.String(200), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_offer"),
        sa.UniqueConstraint("code_digest", name="uq_issuer_offer_code_digest"),
        sa.UniqueConstraint("token_digest", name="uq_issuer_offer_token_digest"),
    )
    op.create_index("ix_issuer_offer_agency_id_id", "issuer_offer", ["agency_id", "id"])
    op.create_index("ix_issuer_offer_ends_at", "issuer_offer", ["ends_at"])
    op.create_table(
        "issuer_credential",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("offer_id", sa.String(64), nullable=False),
        sa.Column("configuration_id", sa.String(200), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=True),
        sa.Column("key_thumbprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_credential"),
    )
    op.create_index("ix_issuer_credential_offer_id", "issuer_credential", ["offer_id"])
    op.create_index(
        "ix_issuer_credential_agency_id_subject_id_id", "issuer_credential", ["agency_id", "subject_id", "id"]
    )


def downgrade() -> None:
    for name in ("issuer_credential", "issuer_offer", "issuer_record", "issuer_agency"):
        op.drop_table(name)
    drop_app_tables("issuer")
