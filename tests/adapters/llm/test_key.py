"""The model server's key: read from where a person put it, refused when it is no key, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.errors import UsageError
from aegis_tui.sdk.key_file import read_key, without_key


def written(path: Path, text: bytes = b"sekret\n", mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def home(tmp_path: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "cf"), **variables}


def configured(tmp_path: Path, line: str) -> dict[str, str]:
    folder = tmp_path / "cf" / "aegis-tui"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(line)
    return home(tmp_path)


def test_the_file_of_the_environment_wins_over_the_key_in_it_and_both_over_the_configuration(tmp_path: Path) -> None:
    written(tmp_path / "mine", b"configured")
    environ = configured(tmp_path, 'api_key_file = "~/mine"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        assert ModelKey(environ).read() == "configured"
    spoken = {**environ, "AEGIS_API_KEY": "spoken"}
    assert ModelKey(spoken).read() == "spoken"
    filed = {**spoken, "AEGIS_API_KEY_FILE": str(written(tmp_path / "filed"))}
    assert ModelKey(filed).read() == "sekret"
    assert ModelKey(home(tmp_path / "none")).read() == ""


def test_no_key_is_taken_from_the_variables_of_other_programs(tmp_path: Path) -> None:
    assert ModelKey(home(tmp_path, OPENAI_API_KEY="x", VLLM_API_KEY="x")).read() == ""


def test_a_key_of_the_environment_is_kept_in_a_file_of_its_owners_only(tmp_path: Path) -> None:
    path = ModelKey(home(tmp_path, AEGIS_API_KEY="spoken")).file(tmp_path)
    assert path is not None and path.read_text() == "spoken"
    assert path.stat().st_mode & 0o777 == 0o600
    assert ModelKey(home(tmp_path, AEGIS_API_KEY_FILE="/some/key")).file(tmp_path) == Path("/some/key")
    assert ModelKey(home(tmp_path)).file(tmp_path) is None


@pytest.mark.parametrize("text", [b"", b" \n", b"two words", b"two\nlines", b"k\xc3\xa9y", b"k\x00y", b"x" * 20_000])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read_key(written(tmp_path / "key", text))
    assert str(tmp_path / "key") in str(caught.value)
    assert "api_key_file" in caught.value.hint
    shown = text.decode("latin-1").strip()
    assert not shown or shown not in str(caught.value)


def test_a_key_file_that_is_missing_or_no_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_key(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        read_key(tmp_path / "pipe")
    with pytest.raises(UsageError):
        read_key(tmp_path)


def test_a_windows_file_holds_its_key(tmp_path: Path) -> None:
    assert read_key(written(tmp_path / "key", b"\xef\xbb\xbfsekret\r\n")) == "sekret"


def test_rights_and_places_that_let_others_read_the_key_are_warned_about(tmp_path: Path) -> None:
    (root := tmp_path / "repository").mkdir()
    safe = home(tmp_path, AEGIS_API_KEY_FILE=str(written(tmp_path / "safe")))
    assert ModelKey(safe).warnings(root) == ()
    wide = home(tmp_path, AEGIS_API_KEY_FILE=str(written(tmp_path / "wide", mode=0o644)))
    assert ModelKey(wide).warnings(root) == (
        f"the key file {tmp_path}/wide can be read by others: chmod 600 {tmp_path}/wide",
    )
    inside = home(tmp_path, AEGIS_API_KEY_FILE=str(written(root / "key")))
    [warning] = ModelKey(inside).warnings(root)
    assert "where agents may see it" in warning


def test_a_server_that_repeats_the_key_does_not_show_it() -> None:
    assert without_key("incorrect key sekret", "sekret") == "incorrect key [key]"
    assert without_key("as it is", "") == "as it is"
