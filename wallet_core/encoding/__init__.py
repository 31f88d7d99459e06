"""Bytes and text: base64url and JSON, strict in both directions."""
