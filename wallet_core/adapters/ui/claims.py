"""A credential's claims as lines for people: label, value in words, how it is covered in lists."""

from collections.abc import Iterator
from dataclasses import dataclass

from wallet_core.adapters.ui.masking import mask, words
from wallet_core.adapters.ui.text import Language
from wallet_core.catalogue import Claim, CredentialType, Text
from wallet_core.catalogue.credential_type import ClaimType
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


def claim_lines(known: CredentialType | None, claims: JsonObject) -> list[ClaimLine]:
    """Return the claims in the catalogue's order, then unknown ones. Containers are shown by their members."""
    places = list(known.places(claims)) if known else []
    covered = {path[:length] for _, path in places for length in (1, 2)}
    rest = [path for path in _outer(claims, known) if path not in covered]
    return [_line(claim, path, value_at(claims, path)) for claim, path in places] + [
        ClaimLine(Text(str(path[-1]), str(path[-1])), value_at(claims, path)) for path in rest
    ]


def _outer(claims: JsonObject, known: CredentialType | None) -> Iterator[ConcretePath]:
    """Yield the path of each claim of an SD-JWT VC, and of each element of an mdoc's namespaces."""
    name_spaces = known.mdoc.namespaces if known is not None and known.mdoc is not None else ()
    for name, value in claims.items():
        if name in name_spaces and isinstance(value, dict):
            yield from ((name, element) for element in value)
        elif name not in NOT_CLAIMS:
            yield (name,)


def _line(claim: Claim, path: ConcretePath, value: Json) -> ClaimLine:
    meaning = claim.codes.get(value) if isinstance(value, str | int) else None
    numbers = "".join(f" {part + 1}" for part in path if isinstance(part, int))
    label = Text(claim.label.ko + numbers, claim.label.en + numbers)
    is_image = claim.type is ClaimType.IMAGE
    if is_image and isinstance(value, str) and not value.startswith("data:"):
        value = _data_url(value)
    return ClaimLine(label, value, meaning, str(claim.mask), is_image)


def _data_url(text: str) -> str:
    """Return the picture of an mdoc, whose bytes are base64url in JSON (RFC 8949 6.1), as pages show it (RFC 2397)."""
    standard = text.translate(str.maketrans("-_", "+/"))
    return f"data:image/jpeg;base64,{standard}{'=' * (-len(standard) % 4)}"
