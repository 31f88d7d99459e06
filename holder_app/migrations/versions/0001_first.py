"""The wallet's tables: people, codes, sessions, cards, history, paused issuances and presentations."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.migrations import create_app_tables, drop_app_tables
from wallet_core.adapters.sql import UtcDateTime

revision = "0001"
down_revision = None

FLOWS = ("wallet_issuance", "wallet_presentation")
TABLES = (
    "wallet_history",
    "wallet_copy",
    "wallet_card",
    *FLOWS,
    "wallet_session",
    "wallet_sign_in_code",
    "wallet_account",
)


def upgrade() -> None:
    create_app_tables("wallet")
    op.create_table(
        "wallet_account",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_account"),
    )
    _create(
        "wallet_sign_in_code",
        sa.Column("selector", sa.String(8), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        key="selector",
        indexes=("expires_at",),
    )
    _create(
        "wallet_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        key="digest",
        indexes=("expires_at",),
    )
    _create(
        "wallet_card",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("configuration_id", sa.String(200), nullable=False),
        sa.Column("vct", sa.String(500), nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("issuer_name", sa.String(300), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("display", sa.JSON(), nullable=False),
    )
    _create(
        "wallet_copy",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("card_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sealed_credential", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["card_id"], ["wallet_card.id"], name="fk_wallet_copy_card_id_wallet_card"),
        indexes=("card_id",),
    )
    _create(
        "wallet_history",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        indexes=("at",),
    )
    for name in FLOWS:
        _create(
            name,
            sa.Column("id", sa.String(64), nullable=False),
            sa.Column("kind", sa.String(30), nullable=False),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.Column("body", sa.JSON(), nullable=False),
            sa.Column("expires_at", UtcDateTime(), nullable=False),
            indexes=("expires_at",),
        )


def _create(name: str, *columns: sa.schema.SchemaItem, key: str = "id", indexes: tuple[str, ...] = ()) -> None:
    """Create a table with its account, primary key and indexes, named as the convention of the code names them."""
    op.create_table(
        name,
        *columns,
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["wallet_account.id"], name=f"fk_{name}_account_id_wallet_account"),
        sa.PrimaryKeyConstraint(key, name=f"pk_{name}"),
    )
    for column in ("account_id", *indexes):
        op.create_index(f"ix_{name}_{column}", name, [column])


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)
    drop_app_tables("wallet")
