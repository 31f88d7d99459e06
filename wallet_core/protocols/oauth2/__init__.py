"""OAuth 2.0 as far as issuance needs it: metadata, the token endpoint, identifiers and forms."""
