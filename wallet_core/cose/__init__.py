"""COSE: signed and authenticated CBOR (RFC 9052, RFC 9053)."""
