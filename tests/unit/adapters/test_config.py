"""Settings: what a start refuses, and that it names the cure."""

import errno
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wallet_core.adapters.config import AppSettings, SettingsError, load_catalogue, read_catalogue_texts
from wallet_core.adapters.keystore import new_key_text
from wallet_core.catalogue import Unreadable
from wallet_core.errors import KeyUnavailable

GOOD = {"JIGAP_SAMPLE_PUBLIC_URL": "https://a.example", "JIGAP_SAMPLE_DATABASE_URL": "sqlite:///a.db"}


class SampleSettings(AppSettings):
    prefix: ClassVar[str] = "JIGAP_SAMPLE_"


def _read(**changes: str) -> SampleSettings:
    return SampleSettings.from_environment(GOOD | {f"JIGAP_SAMPLE_{name}": value for name, value in changes.items()})


def test_values_come_from_the_environment_and_options_win() -> None:
    settings = _read(TRUST_ANCHORS="a.pem, b.pem", KEY_STORE="keys", DEMO="true")
    assert settings.trust_anchors == (Path("a.pem"), Path("b.pem"))
    assert settings.key_store == Path("keys")
    assert settings.secure
    overridden = SampleSettings.from_environment(GOOD, database_url="sqlite:///b.db", key_store=None)
    assert overridden.database_url == "sqlite:///b.db"


@pytest.mark.parametrize("name", ["PUBLICURL", "INSECURE_ALOW_LOOPBACK", "public_url", "X"])
def test_an_unknown_variable_stops_the_start_and_names_the_closest(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        _read(**{name: "true"})
    assert f"JIGAP_SAMPLE_{name} is not a setting; the closest one is JIGAP_SAMPLE_" in refused.value.detail


def test_variables_of_others_are_not_looked_at() -> None:
    assert SampleSettings.from_environment(GOOD | {"JIGAP_OTHER_X": "1", "PATH": "/bin"}).demo is False


@pytest.mark.parametrize(
    "url",
    ["https://a.example/", "https://a.example/path", "https://user@a.example", "ftp://a.example", "a.example",
     "https://A.example", "https://a.example?x=1", "https://", "http://a.example"],
)  # fmt: skip
def test_a_public_url_is_an_origin(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        _read(PUBLIC_URL=url)
    assert "PUBLIC_URL" in refused.value.detail


def test_http_needs_the_insecure_switch_which_is_reported() -> None:
    settings = _read(PUBLIC_URL="http://localhost:8100", INSECURE_ALLOW_LOOPBACK="true")
    assert settings.insecure_switches() == ["JIGAP_SAMPLE_INSECURE_ALLOW_LOOPBACK"]
    assert not settings.secure
    assert _read().insecure_switches() == []


def test_a_missing_or_wrong_value_is_named_without_its_value() -> None:
    with pytest.raises(SettingsError) as refused:
        SampleSettings.from_environment({"JIGAP_SAMPLE_DEMO": "geheim", "JIGAP_SAMPLE_PUBLIC_URL": "https://a.example"})
    assert "JIGAP_SAMPLE_DATABASE_URL" in refused.value.detail
    assert "JIGAP_SAMPLE_DEMO" in refused.value.detail
    assert "geheim" not in refused.value.detail


def test_the_sealing_key_is_given_by_value_or_by_file(tmp_path: Path) -> None:
    key = new_key_text()
    sealed = _read(SEALING_KEY=key).sealer().seal(b"x", "a")
    (tmp_path / "key").write_text(key + "\n")
    assert _read(SEALING_KEY_FILE=str(tmp_path / "key")).sealer().open(sealed, "a") == b"x"
    assert key not in repr(_read(SEALING_KEY=key))
    for wrong in ({}, {"SEALING_KEY_FILE": str(tmp_path / "none")}):
        with pytest.raises(SettingsError):
            _read(**wrong).sealer()
    with pytest.raises(SettingsError):
        _read(SEALING_KEY=key, SEALING_KEY_FILE="key")
    with pytest.raises(KeyUnavailable):
        _read(SEALING_KEY="short").sealer()


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert SampleSettings.from_environment().public_url == "https://a.example"


def test_the_catalogue_is_found_without_being_named() -> None:
    assert load_catalogue().types


def test_a_catalogue_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        read_catalogue_texts(tmp_path / "none")


def test_a_file_of_the_catalogue_that_has_no_text_says_so_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'a = 1\r\nb = 2\r\nc = "caf\xe9"\r\n')
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "good.toml").write_bytes("a = '가'\r\nb = 2\r".encode())
    assert read_catalogue_texts(tmp_path) == {
        "folder.toml": Unreadable(1, "it is a folder, not a file"),
        "gone.json": Unreadable(1, "the file cannot be opened: No such file or directory"),
        "good.toml": "a = '가'\nb = 2\n",
        "latin.toml": Unreadable(3, "the file is not UTF-8: invalid continuation byte"),
        "pipe.json": Unreadable(1, "it is not a plain file"),
    }


def test_what_may_not_be_opened_is_named_and_a_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text("")
    (tmp_path / "closed").mkdir()

    def refuse(*_arguments: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Whoever runs the tests as root may open everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert read_catalogue_texts(tmp_path) == {"a.toml": Unreadable(1, "the file cannot be opened: Permission denied")}
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SettingsError, match="Permission denied"):
        read_catalogue_texts(tmp_path)


def test_settings_cannot_be_changed_or_extended() -> None:
    unknown: dict[str, Any] = {"more": 1}
    with pytest.raises(SettingsError):
        SampleSettings.from_environment(GOOD, **unknown)
