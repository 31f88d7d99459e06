"""Offers, authorizations, the record of issue and what hangs on them in the database: row ↔ state, nothing else."""
