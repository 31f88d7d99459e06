"""mdoc: credentials in CBOR as mobile driving licence readers know them (ISO/IEC 18013-5)."""
