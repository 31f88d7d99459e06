"""The agencies' side: many Credential Issuers in one service."""
