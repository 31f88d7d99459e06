import re
from pathlib import Path
from string import Formatter

import pytest

from wallet_core.adapters.ui import MESSAGES
from wallet_core.adapters.ui.messages import load_messages, pseudo_locale

AREAS = sorted({path.name.split(".")[0] for path in MESSAGES.glob("*.toml")})
OWN_WAY = {"wallet.history.month"}
"""Texts whose languages say it with other values: Korean counts months, English names them."""

ROOT = Path(__file__).parents[4]


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("area", AREAS)
def test_both_languages_have_the_same_keys_and_places(area: str) -> None:
    texts = load_messages([area]).texts
    assert set(texts["ko"]) == set(texts["en"])
    for key, text in texts["ko"].items():
        # A plural needs the number where Korean says nothing of it.
        assert places(text) ^ places(texts["en"][key]) <= {"n"} or key in OWN_WAY, key


@pytest.mark.parametrize("area", AREAS)
def test_copy_rules(area: str) -> None:
    for key, text in load_messages([area]).texts["ko"].items():
        assert not re.search(r"니다|하십시오|귀하|해당|상기|!", text), key
    for key, text in load_messages([area]).texts["en"].items():
        assert "!" not in text, key
        assert "submit" not in text.lower(), key


def test_every_key_a_template_names_exists() -> None:
    known = load_messages(AREAS).texts["ko"]
    folders = [ROOT / name for name in ("wallet_core", "issuer", "verifier", "holder_app")]
    named = {
        (file.name, key)
        for folder in folders
        for file in folder.rglob("*.html")
        for key in re.findall(r"""\bt\(\s*["']([a-z0-9_.]+)["']\s*[,)]""", file.read_text("utf-8"))
    }
    assert named
    assert not {(file, key) for file, key in named if key not in known}


def test_values_are_escaped_and_particles_fit() -> None:
    messages = load_messages([])
    messages.texts["ko"]["x"] = "{who:이/가} 물어봐요"  # type: ignore[index]
    messages.texts["en"]["x"] = "{who} asks for {n} {n:thing|things}"  # type: ignore[index]
    assert messages.text("ko", "x", who="도담은행") == "도담은행이 물어봐요"
    assert messages.text("ko", "x", who="<b>카</b>") == "&lt;b&gt;카&lt;/b&gt;가 물어봐요"
    assert messages.text("en", "x", who="Dodam", n=1) == "Dodam asks for 1 thing"
    assert messages.text("en", "x", who="Dodam", n=3) == "Dodam asks for 3 things"
    with pytest.raises(KeyError):
        messages.text("en", "x", who="Dodam")
    with pytest.raises(KeyError):
        messages.text("en", "unheard.of")


def test_the_pseudo_locale_keeps_places_and_markup() -> None:
    messages = load_messages(["base"])
    pseudo = pseudo_locale(messages)
    for key, text in messages.texts["en"].items():
        changed = pseudo.texts["en"][key]
        assert places(text) == places(changed)
        assert re.findall(r"<[^>]*>", text) == re.findall(r"<[^>]*>", changed)
        assert len(changed) > len(text)
    assert pseudo.texts["ko"] == messages.texts["ko"]
