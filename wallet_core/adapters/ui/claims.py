"""A credential's claims as lines for people: label, value in words, how it is covered in lists."""

from collections.abc import Iterator
from dataclasses import dataclass

from wallet_core.adapters.ui.masking import mask, words
from wallet_core.adapters.ui.text import Language
from wallet_core.catalogue import Claim, CredentialType, Text
from wallet_core.catalogue.credential_type import ClaimType
from wallet_core.catalogue.elements import as_picture
from wallet_core.encoding.claims_path import ConcretePath, value_at
from wallet_core.types import Json, JsonObject

NOT_CLAIMS = frozenset(
    {"iss", "vct", "vct#integrity", "cnf", "iat", "nbf", "exp", "status", "sub", "aka_vcts", "_sd_alg"}
)
"""Members of an SD-JWT VC that speak of the credential, not of the person (SD-JWT VC 3.2.2)."""

_PORTRAIT = Text("사진 있음", "On record")


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


def claim_lines(known: CredentialType | None, claims: JsonObject, *, is_mdoc: bool = False) -> list[ClaimLine]:
    """Return the claims in the catalogue's order, then unknown ones. Containers are shown by their members."""
    places = list(known.places(claims)) if known else []
    covered = {path[:length] for _, path in places for length in (1, 2)}
    rest = [path for path in _outer(claims, is_mdoc=is_mdoc) if path not in covered]
    return [_line(claim, path, value_at(claims, path)) for claim, path in places] + [
        ClaimLine(Text(str(path[-1]), str(path[-1])), value_at(claims, path)) for path in rest
    ]


def _outer(claims: JsonObject, *, is_mdoc: bool) -> Iterator[ConcretePath]:
    """Yield the path of each claim of an SD-JWT VC, or of each element of an mdoc's namespaces."""
    for name, value in claims.items():
        if is_mdoc and isinstance(value, dict):
            yield from ((name, element) for element in value)
        elif name not in NOT_CLAIMS:
            yield (name,)


def _line(claim: Claim, path: ConcretePath, value: Json) -> ClaimLine:
    meaning = claim.codes.get(value) if isinstance(value, str | int) else None
    numbers = "".join(f" {part + 1}" for part in path if isinstance(part, int))
    label = Text(claim.label.ko + numbers, claim.label.en + numbers)
    is_image = claim.type is ClaimType.IMAGE
    return ClaimLine(label, as_picture(claim, path, value) if is_image else value, meaning, str(claim.mask), is_image)
