"""Alembic migrations of the verifier's tables."""
