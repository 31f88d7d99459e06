"""Verification records."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_UNSEALED = sa.text("record_notes IS NOT NULL")


def upgrade() -> None:
    op.add_column("verifier_presentation", sa.Column("record_notes", sa.LargeBinary(), nullable=True))
    op.add_column("verifier_presentation", sa.Column("record_secrets", sa.LargeBinary(), nullable=True))
    op.add_column("verifier_presentation", sa.Column("record", sa.Text(), nullable=True))
    op.create_index(
        "ix_verifier_presentation_unsealed",
        "verifier_presentation",
        ["kind"],
        sqlite_where=_UNSEALED,
        postgresql_where=_UNSEALED,
    )


def downgrade() -> None:
    op.drop_index("ix_verifier_presentation_unsealed", "verifier_presentation")
    with op.batch_alter_table("verifier_presentation") as table:
        for column in ("record", "record_secrets", "record_notes"):
            table.drop_column(column)
