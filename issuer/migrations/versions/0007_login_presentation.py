"""Requests for a presentation within a login."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "issuer_login_request",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("login_id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_claims", sa.LargeBinary(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("delete_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_login_request"),
        sa.UniqueConstraint("code_digest", name="uq_issuer_login_request_code_digest"),
    )
    op.create_index("ix_issuer_login_request_login_id", "issuer_login_request", ["login_id"])
    op.create_index("ix_issuer_login_request_delete_at", "issuer_login_request", ["delete_at"])


def downgrade() -> None:
    op.drop_table("issuer_login_request")
