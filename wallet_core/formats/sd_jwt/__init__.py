"""SD-JWT (RFC 9901) and its profile SD-JWT VC."""
