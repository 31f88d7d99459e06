"""Credential formats: how claims are signed, disclosed and checked. They know no trust: keys come resolved."""
