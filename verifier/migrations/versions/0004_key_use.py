"""When an API key was used last."""

from alembic import op

from wallet_core.adapters.migrations import add_key_use

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    add_key_use("verifier")


def downgrade() -> None:
    with op.batch_alter_table("verifier_api_key") as table:
        table.drop_column("last_used_at")
