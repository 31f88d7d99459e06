"""Migrations of the issuer's tables, for SQLite and PostgreSQL."""
