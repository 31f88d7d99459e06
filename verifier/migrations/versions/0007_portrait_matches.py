"""What staff said of a portrait and the person before them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("verifier_presentation", sa.Column("portrait_matches", sa.Boolean(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("verifier_presentation") as table:
        table.drop_column("portrait_matches")
