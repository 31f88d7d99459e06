"""What every page must be, read from its HTML."""

import re
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "use", "rect", "path", "svg"})


class _Reader(HTMLParser):
    """Fails on tags that are not closed in order, and on what the content security policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        assert not [name for name in names if name == "style" or name.startswith("on")], tag
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag


def assert_whole(html: str) -> None:
    """Check that ``html`` is balanced, has unique ids and nothing inline."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids)), sorted(reader.ids)
    assert "<script>" not in html


def bare_words(html: str) -> set[str]:
    """Return the texts of a page in the pseudo-locale that stand outside its brackets, so come from no catalogue."""
    flat = re.sub(r"</?(b|span|br)\b[^>]*>", "", html)
    flat = re.sub(r"<(script|code|title|textarea)\b.*?</\1>|<[^>]*>", "\n", flat, flags=re.DOTALL)
    return {line.strip() for line in flat.splitlines() if line.strip() and "⟦" not in line and "⟧" not in line}
