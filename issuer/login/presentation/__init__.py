"""Login by showing a card: OpenID4VP inside the login, with the issuer's own access certificate."""
