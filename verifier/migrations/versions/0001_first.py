"""The verifier's tables: relying parties, presentations."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.migrations import create_app_tables, drop_app_tables
from wallet_core.adapters.sql import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_app_tables("verifier")
    op.create_table(
        "verifier_relying_party",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("name_ko", sa.String(200), nullable=False),
        sa.Column("name_en", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verifier_relying_party"),
    )
    op.create_table(
        "verifier_presentation",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("party_id", sa.String(100), nullable=False),
        sa.Column("policy_id", sa.String(100), nullable=True),
        sa.Column("check_id", sa.String(64), nullable=True),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_claims", sa.LargeBinary(), nullable=True),
        sa.Column("session_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changes_at", UtcDateTime(), nullable=True),
        sa.Column("delete_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verifier_presentation"),
        sa.UniqueConstraint("request_id", name="uq_verifier_presentation_request_id"),
        sa.UniqueConstraint("code_digest", name="uq_verifier_presentation_code_digest"),
    )
    op.create_index("ix_verifier_presentation_party_id_id", "verifier_presentation", ["party_id", "id"])
    for column in ("check_id", "changes_at", "delete_at"):
        op.create_index(f"ix_verifier_presentation_{column}", "verifier_presentation", [column])


def downgrade() -> None:
    op.drop_table("verifier_presentation")
    op.drop_table("verifier_relying_party")
    drop_app_tables("verifier")
