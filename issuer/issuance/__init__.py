"""OpenID4VCI: offers, tokens, nonces, credentials, notifications."""
