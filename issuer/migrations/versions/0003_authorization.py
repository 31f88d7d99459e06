"""The authorization code flow: authorizations, logins, refresh tokens, whose a record is."""

import sqlalchemy as sa
from alembic import op

from wallet_core.adapters.sql import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "issuer_authorization",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("subject_id", sa.String(200), nullable=True),
        sa.Column("offer_id", sa.String(64), nullable=True),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_authorization"),
        sa.UniqueConstraint("request_digest", name="uq_issuer_authorization_request_digest"),
        sa.UniqueConstraint("code_digest", name="uq_issuer_authorization_code_digest"),
    )
    op.create_index("ix_issuer_authorization_ends_at", "issuer_authorization", ["ends_at"])
    op.create_table(
        "issuer_login_session",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("agency_id", sa.String(100), nullable=False),
        sa.Column("authorization_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_login_session"),
    )
    op.create_index("ix_issuer_login_session_expires_at", "issuer_login_session", ["expires_at"])
    op.create_table(
        "issuer_test_code",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuer_test_code"),
    )
    op.create_index("ix_issuer_test_code_expires_at", "issuer_test_code", ["expires_at"])
    op.add_column("issuer_agency", sa.Column("haip", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("issuer_offer", sa.Column("refresh_digest", sa.LargeBinary(), nullable=True))
    op.create_index("ix_issuer_offer_refresh_digest", "issuer_offer", ["refresh_digest"], unique=True)
    op.add_column("issuer_record", sa.Column("citizen_digest", sa.LargeBinary(), nullable=True))
    op.create_index("ix_issuer_record_agency_id_citizen_digest", "issuer_record", ["agency_id", "citizen_digest"])


def downgrade() -> None:
    op.drop_index("ix_issuer_record_agency_id_citizen_digest", "issuer_record")
    op.drop_column("issuer_record", "citizen_digest")
    op.drop_index("ix_issuer_offer_refresh_digest", "issuer_offer")
    op.drop_column("issuer_offer", "refresh_digest")
    op.drop_column("issuer_agency", "haip")
    for name in ("issuer_test_code", "issuer_login_session", "issuer_authorization"):
        op.drop_table(name)
