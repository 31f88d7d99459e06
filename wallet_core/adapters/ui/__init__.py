"""The look and the words of every page: templates, styles, ES modules, message catalogues, Korean text rules.

* `text` and `masking`: josa, dates, amounts, masked values (pure functions)
* `messages`: texts by key in Korean and English, `messages/<area>.<language>.toml`
* `display`: language, text size and theme a reader chose
* `environment`: the Jinja environment that joins them; templates extend ``base.html``
"""

from pathlib import Path

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"
STATIC = FOLDER / "static"
MESSAGES = FOLDER / "messages"
