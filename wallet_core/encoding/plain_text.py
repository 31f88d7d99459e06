"""Words of strangers, before a person reads them: names in metadata, claims, certificates and errors.

A control character could clear a terminal or write a line that looks like ours; a direction mark could turn what is
written, so that a name reads as another one; an invisible letter makes two names look the same. Nobody needs them.
"""

import re

# C0 and C1 controls, separators of lines, and the marks that override or isolate the direction of writing.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# What has no width: spaces, operators, variation of Mongolian, tags, and the fillers of Hangul, which count as letters.
_INVISIBLE = (
    "\xad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f"
)
# Persian, Indic scripts and emoji need joiners; behind a Latin or Korean letter they only hide.
_JOINERS = "(?<=[0-9A-Za-z\uac00-\ud7a3])[\u200c\u200d]+"
_UNSEEN = re.compile(f"[{_CONTROLS}{_INVISIBLE}]|{_JOINERS}")
_BREAKS = re.compile(f"(?:[\t\n{_CONTROLS}{_INVISIBLE}]|{_JOINERS})+")


def printable(text: str) -> str:
    """Return several lines of text without what would steer a terminal; each such character becomes ``\ufffd``."""
    return _UNSEEN.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return a name or value of somebody else as one line: breaks, controls and what is unseen become a space."""
    return _BREAKS.sub(" ", text).strip()
