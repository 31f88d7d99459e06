"""Words of strangers, before a person reads them: names in metadata, claims, certificates and errors.

A control character could clear a terminal or write a line that looks like ours; a direction mark could turn what is
written, so that a name reads as another one. Nobody's name needs either.
"""

import re

# C0 and C1 controls, separators of lines, and the marks that override or isolate the direction of writing.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[{_CONTROLS}]")
_BREAKS = re.compile(f"[\t\n{_CONTROLS}]+")


def printable(text: str) -> str:
    """Return several lines of text without what would steer a terminal; each such character becomes ``\ufffd``."""
    return _UNSEEN.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return a name or value of somebody else as one line: line breaks and controls become a space."""
    return _BREAKS.sub(" ", text).strip()
