"""Status lists: the lists, who has which place, what changed."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "issuer_status_list",
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("format", sa.String(30), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("array", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "number", name="pk_issuer_status_list"),
    )
    op.create_table(
        "issuer_status_entry",
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("credential_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "number", "idx", name="pk_issuer_status_entry"),
    )
    op.create_index(
        "ix_issuer_status_entry_agency_id_credential_id",
        "issuer_status_entry",
        ["agency_id", "credential_id"],
        unique=True,
    )
    op.create_table(
        "issuer_status_change",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.String(64), nullable=True),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_status_change"),
    )
    op.create_index(
        "ix_issuer_status_change_agency_id_credential_id_id",
        "issuer_status_change",
        ["agency_id", "credential_id", "id"],
    )
    op.create_index(
        "ix_issuer_status_change_agency_id_number_changed_at",
        "issuer_status_change",
        ["agency_id", "number", "changed_at"],
    )


def downgrade() -> None:
    for name in ("issuer_status_change", "issuer_status_entry", "issuer_status_list"):
        op.drop_table(name)
