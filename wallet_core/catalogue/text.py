"""A text in the two languages of the product."""

from dataclasses import dataclass
from typing import Final

LANGUAGES: Final = ("ko", "en")


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in Korean and in English."""

    ko: str
    en: str

    def get(self, language: str) -> str:
        """Return the words in ``language``; Korean for any that is not English."""
        return self.en if language.partition("-")[0].lower() == "en" else self.ko

    def __str__(self) -> str:
        return self.ko
