"""Base64url without padding (RFC 4648 section 5, RFC 7515 appendix C), strict both ways.

Strict means: exactly one text stands for each byte string. Padding, line breaks, characters of the other alphabet,
impossible lengths and non-zero trailing bits are refused, so that no one can change a token without changing its bytes.
"""

import binascii
import re
from collections.abc import Sequence

from wallet_core.errors import MalformedError

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/???")
_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*\Z")

_PADDING = (b"", b"", b"==", b"=")

# What a text may end with, by the length of its last group. The last character of a group of two holds 4 unused bits,
# of three 2 unused bits: they must be zero. No group has one character.
_LAST = ("", "", "AQgw", "AEIMQUYcgkosw048")


def encode(data: bytes) -> str:
    """Return ``data`` as base64url text without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD, b"=").decode("ascii")


def encode_to_bytes(data: bytes) -> bytes:
    """Return ``data`` as the ASCII bytes of its base64url text, for what is hashed or sent on at once."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD, b"=")


def encode_each(values: Sequence[bytes]) -> list[str]:
    """Return each of several byte strings of one length as :func:`encode` does, in one go."""
    if not values or not values[0]:
        return [""] * len(values)
    # Zeros up to a multiple of three end each text where one of four characters ends; they are cut off again.
    fill = bytes(-len(values[0]) % 3)
    size, length = (len(values[0]) + len(fill)) // 3 * 4, -(-len(values[0]) * 4 // 3)
    text = encode(fill.join(values) + fill)
    return [text[at : at + length] for at in range(0, size * len(values), size)]


def encode_all(values: Sequence[bytes]) -> list[bytes]:
    """Return each of several byte strings as :func:`encode_to_bytes` does, in one go."""
    encoded = [binascii.b2a_base64(value, newline=False) for value in values]
    # No text of base64 holds a comma.
    return b",".join(encoded).translate(_FROM_STANDARD, b"=").split(b",") if encoded else []


def decode(text: str, *, what: str = "value", of: str = "") -> bytes:
    """Return the bytes that ``text`` stands for.

    Args:
        text: base64url without padding.
        what: how the error names the text.
        of: how it names what the text is a part of, if it is one.

    Raises:
        MalformedError: ``text`` is not the base64url form of any byte string.
    """
    remainder = len(text) & 3
    # jose-7515.2-base64url
    if remainder and text[-1] not in _LAST[remainder]:
        raise _refused(what, of)
    try:
        # Every character outside the alphabet becomes "?", which strict_mode refuses.
        standard = text.encode("ascii").translate(_TO_STANDARD)
        return binascii.a2b_base64(standard + _PADDING[remainder], strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise _refused(what, of) from exc


def _refused(what: str, of: str) -> MalformedError:
    return MalformedError(
        f"{what} of the {of} is not base64url" if of else f"{what} is not base64url", clause="RFC 7515 2"
    )


def is_alphabet(text: str) -> bool:
    """Return whether every character of ``text`` belongs to the base64url alphabet."""
    return _ALPHABET.match(text) is not None
