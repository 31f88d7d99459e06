"""Keys: the closed list of signature algorithms, JWK, and the Signer that every signature goes through."""
