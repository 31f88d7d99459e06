"""What OpenID4VCI takes from OAuth 2.0: metadata and the token endpoint."""
