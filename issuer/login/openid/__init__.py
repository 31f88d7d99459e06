"""Login at an outside OpenID Connect provider."""
