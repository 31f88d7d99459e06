"""RFC 9180 written down a second time, over primitives alone: base mode of DHKEM(P-256), HKDF-SHA256, AES-128-GCM.

The library's HPKE takes no additional data, which every published vector has; this one is held against the vectors, and
the library against this one.
"""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM_SUITE = b"KEM" + (0x0010).to_bytes(2, "big")
HPKE_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0010, 0x0001, 0x0001))


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """SerializePublicKey (7.1.1)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def extract(salt: bytes, label: bytes, secret: bytes, suite: bytes) -> bytes:
    """LabeledExtract (4)."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def expand(key: bytes, label: bytes, info: bytes, length: int, suite: bytes) -> bytes:
    """LabeledExpand (4); one block is enough for every length here."""
    return hmac.digest(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01", "sha256")[:length]


@dataclass(frozen=True)
class Context:
    """What both sides derive (5.1)."""

    shared_secret: bytes
    key: bytes
    base_nonce: bytes

    def nonce(self, sequence: int) -> bytes:
        """ComputeNonce (5.2)."""
        return bytes(a ^ b for a, b in zip(self.base_nonce, sequence.to_bytes(12, "big"), strict=True))

    def seal(self, plaintext: bytes, aad: bytes = b"", sequence: int = 0) -> bytes:
        """ContextS.Seal (5.2)."""
        return AESGCM(self.key).encrypt(self.nonce(sequence), plaintext, aad)

    def open(self, ciphertext: bytes, aad: bytes = b"", sequence: int = 0) -> bytes:
        """ContextR.Open (5.2)."""
        return AESGCM(self.key).decrypt(self.nonce(sequence), ciphertext, aad)


def context(dh: bytes, enc: bytes, recipient: bytes, info: bytes) -> Context:
    """ExtractAndExpand (4.1) and KeySchedule in base mode (5.1)."""
    prk = extract(b"", b"eae_prk", dh, KEM_SUITE)
    shared = expand(prk, b"shared_secret", enc + recipient, 32, KEM_SUITE)
    hashes = [extract(b"", label, value, HPKE_SUITE) for label, value in ((b"psk_id_hash", b""), (b"info_hash", info))]
    schedule = b"\x00" + b"".join(hashes)
    secret = extract(shared, b"secret", b"", HPKE_SUITE)
    key, base_nonce = (
        expand(secret, *each, HPKE_SUITE) for each in ((b"key", schedule, 16), (b"base_nonce", schedule, 12))
    )
    return Context(shared, key, base_nonce)


def sender(ephemeral: ec.EllipticCurvePrivateKey, recipient: ec.EllipticCurvePublicKey, info: bytes) -> Context:
    """SetupBaseS (5.1.1) with a given ephemeral key."""
    dh = ephemeral.exchange(ec.ECDH(), recipient)
    return context(dh, point(ephemeral.public_key()), point(recipient), info)


def receiver(enc: bytes, private_key: ec.EllipticCurvePrivateKey, info: bytes) -> Context:
    """SetupBaseR (5.1.1)."""
    dh = private_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc))
    return context(dh, enc, point(private_key.public_key()), info)
