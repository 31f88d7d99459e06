"""Words of strangers, before a person reads them: names in metadata, claims, certificates and errors.

A control character could clear a terminal or write a line that looks like ours; a direction mark could turn what is
written, so that a name reads as another one; an invisible letter makes two names look the same. Nobody needs them.
"""

import re

# C0 and C1 controls, separators of lines, soft hyphens, and marks that override or isolate the direction of writing.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# What has no width or no ink: spaces, operators, selectors, tags, and the fillers of Hangul, which count as letters.
_INVISIBLE = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
# Joiners are needed in Arabic, Syriac, Indic, Khmer, Burmese and Mongolian writing and between pictures, the last
# selector behind pictures and digits, others behind ideographs. Everywhere else they only hide.
_PICTURES = "\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff"
_JOINED = f"\u0600-\u074f\u0750-\u0dff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe0f\ufe70-\ufefc{_PICTURES}"
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIDING = "|".join(
    (
        f"[{_INVISIBLE}]",
        f"(?<![{_JOINED}])[\u200c\u200d]+",
        f"(?<![0-9#*{_PICTURES}])\ufe0f+",
        f"(?<![{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]+",
    )
)
_HIDDEN = re.compile(_HIDING)
_UNSEEN = re.compile(f"[{_CONTROLS}]|{_HIDING}")
_BREAKS = re.compile(f"[\t\n{_CONTROLS}]+")


def printable(text: str) -> str:
    """Return several lines of text without what would steer a terminal; each such character becomes ``\ufffd``."""
    return _UNSEEN.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return a name or value of somebody else as one line: controls become a space, what hides ``\ufffd``."""
    return _BREAKS.sub(" ", _HIDDEN.sub("\ufffd", text)).strip()
