"""Which elements were asked for, and which a document shows: both sides ask it (ISO/IEC 18013-5 8.3.2.1.2)."""

import re
from typing import Final

from wallet_core.formats.mdoc.device_request import RequestedElements
from wallet_core.formats.mdoc.document import UnverifiedDocument

_AGE_OVER: Final = re.compile(r"age_over_\d\d\Z", re.ASCII)


def is_asked(name_spaces: RequestedElements, name_space: str, element: str) -> bool:
    """Return whether ``element`` answers what was asked for. An age is answered with the nearest that helps (7.2.5)."""
    asked = name_spaces.get(name_space, {})
    return element in asked or bool(_AGE_OVER.match(element) and any(map(_AGE_OVER.match, asked)))


def shown_elements(document: UnverifiedDocument) -> set[tuple[str, str]]:
    """Return what a document shows: pairs of namespace and element, of the issuer and of the device alike."""
    by_issuer = {(space, item.element) for space, items in document.issuer_signed.items.items() for item in items}
    by_device = {(space, name) for space, elements in document.device_signed.name_spaces.items() for name in elements}
    return by_issuer | by_device
