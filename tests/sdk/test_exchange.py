"""A file is changed in one step, and what others write at the same moment is kept (SPEC-3)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.errors import Conflict
from aegis_tui.sdk import exchange
from aegis_tui.sdk.exchange import change_file, create_file

ADD = "import sys; from pathlib import Path; from aegis_tui.sdk.exchange import change_file\n"
ADD += "for n in range(20): change_file(Path(sys.argv[1]), lambda old: old + f'{sys.argv[2]} {n}\\n'.encode())"

FULL = """
import resource, sys
from pathlib import Path
from aegis_tui.sdk.exchange import change_file, create_file
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # Python ignores the signal
much = b"x" * 5000
for write in (lambda: change_file(folder / "a", lambda old: much), lambda: create_file(folder / "b", much)):
    try:
        write()
    except OSError as error:
        print(error.strerror)
"""


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writers_in_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    writers = [subprocess.Popen([sys.executable, "-c", ADD, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert sorted(path.read_text().splitlines()) == sorted(f"{who} {n}" for who in range(3) for n in range(20))
    assert only(tmp_path) == ["a"]


def save(path: Path, how: str, text: str) -> bool:
    """Add a text as an editor does; False if it saw that the file has changed meanwhile, and left it."""
    if how == "in place":
        with path.open("r+") as file:
            file.seek(0, 2)
            file.write(text)
        return True
    new = path.with_name(".new")
    before = path.read_bytes()
    new.write_bytes(before + text.encode())
    if path.read_bytes() != before:
        return False
    new.replace(path)
    return True


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_save_by_an_editor_at_any_moment_is_kept(tmp_path: Path, how: str) -> None:
    """An editor reads, changes and saves again and again, waiting for no lock; it is never the one that loses."""
    path = tmp_path / "a"
    path.write_text("")
    stop = threading.Event()
    saved: list[int] = []

    def work() -> None:
        number = 0
        while not stop.is_set():
            if save(path, how, f"person {number}\n"):
                saved.append(number)
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
    kept = {line for file in (path, *tmp_path.glob("a.*.saved")) for line in file.read_text().splitlines()}
    assert {f"person {number}" for number in saved} <= kept and saved
    if how == "in place":
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


def test_a_save_by_rename_at_the_last_moment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("one\n")
    exchanged: list[bool] = []

    def exchange_late(one: Path, other: Path, real: Callable[[Path, Path], bool] = exchange._exchange) -> bool:
        if not exchanged:
            (tmp_path / ".new").write_text("one\nperson\n")
            (tmp_path / ".new").replace(path)
        exchanged.append(real(one, other))
        return exchanged[-1]

    monkeypatch.setattr(exchange, "_exchange", exchange_late)
    assert change_file(path, lambda old: old + b"hub\n") == b"one\nperson\nhub\n" == path.read_bytes()
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


def test_nothing_remains_of_a_file_for_which_there_is_no_space(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["File too large"] * 2, done.stderr
    assert ((tmp_path / "a").read_text(), only(tmp_path)) == ("one\n", ["a"])
