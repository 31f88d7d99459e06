"""Pages for an agency's staff."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
