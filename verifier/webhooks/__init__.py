"""Webhooks: telling a relying party's server that a presentation moved, until it was heard."""
