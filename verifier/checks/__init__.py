"""Checking what nobody asked for: a credential or presentation in a file, a text or a picture of a QR code."""
