"""Protocols as pure transitions (server side) and flows (client side)."""
