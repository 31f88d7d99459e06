"""Who is the citizen at the authorization endpoint: methods of login, the login session, consent."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
