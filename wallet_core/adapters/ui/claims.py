"""A credential's claims as lines for people: label, value in words, how it is covered in lists."""

from collections.abc import Iterator
from dataclasses import dataclass

from wallet_core.adapters.ui.masking import mask, words
from wallet_core.adapters.ui.text import Language
from wallet_core.catalogue import Claim, CredentialType, Text
from wallet_core.catalogue.credential_type import ClaimType
from wallet_core.encoding.claims_path import ConcretePath, resolve, value_at
from wallet_core.errors import MalformedError
from wallet_core.types import Json, JsonObject

NOT_CLAIMS = frozenset(
    {"iss", "vct", "vct#integrity", "cnf", "iat", "nbf", "exp", "status", "sub", "aka_vcts", "_sd_alg"}
)
"""Members of an SD-JWT VC that speak of the credential, not of the person (SD-JWT VC 3.2.2)."""

_PORTRAIT = Text("사진", "Photograph")


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """One claim.

    Attributes:
        label: what it is.
        value: as it was signed.
        meaning: words of a coded value, None where the value speaks for itself.
        mask: how lists cover it.
        is_image: whether the value is a picture's data URL.
    """

    label: Text
    value: Json
    meaning: Text | None = None
    mask: str = "none"
    is_image: bool = False

    def shown(self, language: Language) -> str:
        """Return the value in full."""
        if self.is_image:
            return _PORTRAIT.get(language)
        return self.meaning.get(language) if self.meaning else words(self.value, language)

    def covered(self, language: Language) -> str:
        """Return the value as a list may show it."""
        return self.shown(language) if self.meaning or self.is_image else mask(self.value, self.mask, language)


def claim_lines(known: CredentialType | None, claims: JsonObject) -> list[ClaimLine]:
    """Return the claims in the catalogue's order, then unknown ones. Containers are shown by their members."""
    lines = list(_listed(known, claims)) if known else []
    covered = {claim.path[0] for claim in known.claims} if known else set()
    rest = [name for name in claims if name not in NOT_CLAIMS and name not in covered]
    return lines + [ClaimLine(Text(name, name), claims[name]) for name in rest]


def element_lines(known: CredentialType | None, claims: JsonObject) -> list[ClaimLine]:
    """Return the data elements of an mdoc, by namespace, in the order they came."""
    return [
        _element(known, name_space, element, value)
        for name_space, elements in claims.items()
        if isinstance(elements, dict)
        for element, value in elements.items()
    ]


def _element(known: CredentialType | None, name_space: str, element: str, value: Json) -> ClaimLine:
    claim = known.element_claim(name_space, element) if known else None
    if claim is None:
        return ClaimLine(Text(element, element), value)
    if claim.type is ClaimType.IMAGE and isinstance(value, str):
        # Bytes are base64url in JSON (RFC 8949 6.1); pages show a data URL (RFC 2397).
        standard = value.translate(str.maketrans("-_", "+/"))
        value = f"data:image/jpeg;base64,{standard}{'=' * (-len(standard) % 4)}"
    meaning = claim.codes.get(value) if isinstance(value, str | int) else None
    return ClaimLine(claim.label, value, meaning, str(claim.mask), claim.type is ClaimType.IMAGE)


def _listed(known: CredentialType, claims: JsonObject) -> Iterator[ClaimLine]:
    named = [claim for claim in known.claims if claim.path[-1] is not None]
    containers = {claim.path[:-1] for claim in named}
    for claim in named:
        if claim.path not in containers and (*claim.path, None) not in containers:
            yield from (_line(claim, path, value_at(claims, path)) for path in _places(claims, claim))


def _places(claims: JsonObject, claim: Claim) -> tuple[ConcretePath, ...]:
    try:
        return resolve(claims, claim.path)
    except MalformedError:  # another shape than the catalogue's stands there
        return ()


def _line(claim: Claim, path: ConcretePath, value: Json) -> ClaimLine:
    meaning = claim.codes.get(value) if isinstance(value, str | int) else None
    numbers = "".join(f" {part + 1}" for part in path if isinstance(part, int))
    label = Text(claim.label.ko + numbers, claim.label.en + numbers)
    return ClaimLine(label, value, meaning, str(claim.mask), claim.type is ClaimType.IMAGE)
