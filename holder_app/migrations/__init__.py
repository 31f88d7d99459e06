"""Migrations of the wallet's database."""
