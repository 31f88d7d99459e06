"""Pages for a relying party's staff, and for the person who comes back from a wallet."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
