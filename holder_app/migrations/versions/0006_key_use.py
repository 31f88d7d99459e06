"""When an API key was used last."""

from alembic import op

from wallet_core.adapters.migrations import add_key_use

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    add_key_use("wallet")


def downgrade() -> None:
    with op.batch_alter_table("wallet_api_key") as table:
        table.drop_column("last_used_at")
