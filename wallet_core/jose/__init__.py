"""Signed and encrypted tokens in compact form."""
