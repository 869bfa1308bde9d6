"""A file is changed in one step, and what others write at the same moment is kept (SPEC-3)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aegis_tui.errors import Conflict
from aegis_tui.sdk import exchange
from aegis_tui.sdk.exchange import change_file, create_file

ADD = "import sys; from pathlib import Path; from aegis_tui.sdk.exchange import change_file\n"
ADD += "for n in range(20): change_file(Path(sys.argv[1]), lambda old: old + f'{sys.argv[2]} {n}\\n'.encode())"


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writers_in_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    writers = [subprocess.Popen([sys.executable, "-c", ADD, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert sorted(path.read_text().splitlines()) == sorted(f"{who} {n}" for who in range(3) for n in range(20))
    assert only(tmp_path) == ["a"]


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_save_by_an_editor_at_any_moment_is_kept(tmp_path: Path, how: str) -> None:
    """An editor reads, changes and saves again and again, waiting for no lock; it is never the one that loses."""
    path = tmp_path / "a"
    path.write_text("")
    stop = threading.Event()

    def save(text: str) -> None:
        if how == "in place":
            with path.open("r+") as file:
                file.seek(0, 2)
                file.write(text)
        else:
            new = tmp_path / ".new"
            before = path.read_bytes()
            new.write_bytes(before + text.encode())
            if path.read_bytes() == before:  # an editor that looks whether the file has changed
                new.replace(path)

    def work() -> None:
        number = 0
        while not stop.is_set():
            save(f"person {number}\n")
            number += 1
            time.sleep(0.003)

    editor = threading.Thread(target=work)
    editor.start()
    try:
        for number in range(40):
            change_file(path, lambda old, number=number: old + f"hub {number}\n".encode())  # type: ignore[misc]
    finally:
        stop.set()
        editor.join()
    lines = path.read_text().splitlines()
    written = [int(line.split()[1]) for line in lines if line.startswith("person")]
    if how == "in place":
        assert written == list(range(len(written)))
        assert [line for line in lines if line.startswith("hub")] == [f"hub {number}" for number in range(40)]
    assert all(line.split()[0] in ("hub", "person") for line in lines)


def test_a_save_between_reading_and_writing_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one\n")
    seen: list[bytes] = []

    def change(old: bytes) -> bytes:
        seen.append(old)
        if len(seen) == 1:
            (tmp_path / ".new").write_text("one\nperson\n")
            (tmp_path / ".new").replace(path)
        return old + b"hub\n"

    assert change_file(path, change) == b"one\nperson\nhub\n" == path.read_bytes()
    assert seen == [b"one\n", b"one\nperson\n"]
    assert only(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="missing: linux")
def test_a_file_that_is_open_for_writing_is_waited_for_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_PAUSE_S", 0.001)
    path = tmp_path / "a"
    path.write_text("one\n")
    with path.open("a") as editor:
        with pytest.raises(Conflict) as conflict:
            change_file(path, lambda old: old + b"hub\n")
        assert conflict.value.code == "file.busy"
        editor.write("person\n")
    assert path.read_text() == "one\nperson\n"
    assert only(tmp_path) == ["a"]
    assert change_file(path, lambda old: old + b"hub\n") == b"one\nperson\nhub\n"


def test_where_files_cannot_be_exchanged_the_file_is_compared_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)
    test_a_save_between_reading_and_writing_is_seen(tmp_path)


def test_a_change_that_fails_leaves_the_file_and_its_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one\n")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to("a")

    def fail(old: bytes) -> bytes:
        raise ValueError

    with pytest.raises(ValueError):
        change_file(path, fail)
    change_file(tmp_path / "link", lambda old: b"two\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o640)
    assert (tmp_path / "link").is_symlink()
    assert only(tmp_path) == ["a", "link"]


def test_a_file_is_created_whole_and_only_once(tmp_path: Path) -> None:
    assert create_file(tmp_path / "a", b"one")
    assert not create_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert only(tmp_path) == ["a"]
