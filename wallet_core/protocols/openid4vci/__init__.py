"""OpenID for Verifiable Credential Issuance 1.0: messages, metadata, states of the issuer, flows of the wallet."""
