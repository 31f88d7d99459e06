"""Logins under way: which browser went to an authorization server for which issuance."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "wallet_login",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("issuance_id", sa.String(64), nullable=False),
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["wallet_account.id"], name="fk_wallet_login_account_id_wallet_account"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_wallet_login"),
    )
    op.create_index("ix_wallet_login_account_id", "wallet_login", ["account_id"])
    op.create_index("ix_wallet_login_expires_at", "wallet_login", ["expires_at"])


def downgrade() -> None:
    op.drop_table("wallet_login")
