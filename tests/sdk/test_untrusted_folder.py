"""Every trick that a folder of an agent can play on who reads and writes it from outside."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree, read_file

LIMIT = 100


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder of the person's; nothing in it may change or be read."""
    folder = tmp_path / "canary"
    (folder / "inner").mkdir(parents=True)
    (folder / "secret").write_text("secret")
    (folder / "inner" / "file").write_text("kept")
    folder.chmod(0o755)
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "agent"
    folder.mkdir()
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has to be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def a_full_folder(path: Path) -> None:
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "file").write_text("x")


TRICKS: dict[str, Callable[[Path, Path], None]] = {
    "a link to a file outside": lambda path, canary: path.symlink_to(canary / "secret"),
    "a link to a folder outside": lambda path, canary: path.symlink_to(canary),
    "a link to nothing": lambda path, canary: path.symlink_to(canary / "new"),
    "a link to itself": lambda path, canary: path.symlink_to(path.name),
    "a link to an endless device": lambda path, canary: path.symlink_to("/dev/zero"),
    "a pipe": lambda path, canary: os.mkfifo(path),
    "a socket": lambda path, canary: a_socket(path),
    "a folder": lambda path, canary: path.mkdir(),
    "a folder with content": lambda path, canary: a_full_folder(path),
    "a huge file": lambda path, canary: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
}


@pytest.mark.boundary(
    layer="hub files",
    tried="a link, pipe, socket, folder or huge file where the hub reads or writes",
    refused="not followed, waited for or read; the hub's file replaces it",
)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_name_that_is_no_plain_file_is_not_read_and_is_replaced(place: Path, canary: Path, trick: str) -> None:
    TRICKS[trick](place / "name", canary)
    with UntrustedFolder(place) as folder:
        assert folder.read("name", limit=LIMIT) is None
        assert folder.copy_out("name", place.parent / "copy", limit=LIMIT) is False
        folder.write("name", b"ours")
        assert folder.read("name", limit=LIMIT) == b"ours"
    assert (place / "name").lstat().st_mode == stat.S_IFREG | 0o600
    assert not (place.parent / "copy").exists()
    assert [path.name for path in place.iterdir()] == ["name"]


@pytest.mark.parametrize("trick", TRICKS)
def test_whatever_stands_there_is_deleted_and_nothing_else(place: Path, canary: Path, trick: str) -> None:
    TRICKS[trick](place / "name", canary)
    (place / "other").write_text("stays")
    with UntrustedFolder(place) as folder:
        folder.remove("name")
        folder.remove("name")
    assert [path.name for path in place.iterdir()] == ["other"]


@pytest.mark.parametrize("apart", [0, 1, 3])
def test_parts_of_a_tree_may_be_deleted_by_others_at_the_same_time(place: Path, apart: int) -> None:
    for _round in range(20):
        for branch in range(6):
            deep = place / "name" / Path(*["level"] * apart) / f"b{branch}" / "c" / "d" / "e"
            deep.mkdir(parents=True)
            (deep / "file").touch()
        within = place / "name" / Path(*["level"] * apart)
        started = threading.Barrier(8)

        def delete(path: Path, started: threading.Barrier = started) -> None:
            started.wait()
            if path.parent == place:
                delete_tree(path)
                return
            with contextlib.suppress(FileNotFoundError):
                delete_tree(path)

        with ThreadPoolExecutor(8) as pool:
            parts = [within / f"b{branch}" for branch in range(6)]
            list(pool.map(delete, [place / "name", place / "name", *parts]))
        assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["way/secret", "way/inner/file", "way/../canary/secret", "../canary/secret", "/etc/hosts", "", ".", "a\0b"]
)
def test_no_part_of_a_path_leads_out(place: Path, canary: Path, path: str) -> None:
    (place / "way").symlink_to(canary)
    with UntrustedFolder(place) as folder:
        assert folder.read(path, limit=1 << 20) is None
        assert folder.read_tail(path, size=9) is None
        assert folder.status(path) is None
        assert list(folder.names("way")) == []


def test_a_folder_that_is_a_link_is_not_opened(place: Path, canary: Path) -> None:
    (place / "way").symlink_to(canary)
    with pytest.raises(OSError, match="way"):
        UntrustedFolder(place / "way")
    assert read_file(place / "way" / "secret", limit=LIMIT) is None


def test_plain_files_are_read_up_to_the_limit_and_their_end_alone(place: Path) -> None:
    (place / "inner").mkdir()
    (place / "inner" / "file").write_bytes(b"0123456789")
    os.utime(place / "inner" / "file", ns=(5, 7))
    (place / "link").symlink_to("inner/file")
    with UntrustedFolder(place) as folder:
        assert folder.read("inner/file", limit=10) == b"0123456789"
        assert folder.read("inner/file", limit=9) is None
        assert folder.read_tail("inner/file", size=3) == b"789"
        assert folder.read_link("link") == b"inner/file" and folder.read_link("inner/file") is None
        assert sorted(folder.names()) == ["inner", "link"] and list(folder.names("inner")) == ["file"]
        assert folder.copy_out("inner/file", place / "copy", limit=10) is True
        assert folder.copy_out("inner/file", place / "second", limit=9) is False
        with pytest.raises(FileExistsError):
            folder.copy_out("inner/file", place / "copy", limit=10)
    assert (place / "copy").read_bytes() == b"0123456789" and (place / "copy").stat().st_mtime_ns == 7


@pytest.mark.boundary(
    layer="hub files",
    tried="links, folders nested more deeply than a path can be long, and unreadable folders in a removed worktree",
    refused="the worktree is removed, nothing outside is changed",
)
def test_a_tree_of_any_depth_with_links_and_closed_folders_is_deleted(place: Path, canary: Path) -> None:
    worktree, here = place / "w01", Path.cwd()
    worktree.mkdir()
    os.chdir(worktree)
    try:
        for level in range(sys.getrecursionlimit() + 100):
            Path("in").mkdir()
            if level % 50 == 0:
                Path("out").symlink_to(canary)
                Path("back").symlink_to("..")
                Path("closed").mkdir(mode=0)
            os.chdir("in")
    finally:
        os.chdir(here)
    worktree.chmod(0o500)
    delete_tree(worktree)
    assert list(place.iterdir()) == []


@pytest.mark.boundary(
    layer="hub files",
    tried="a file that is continuously swapped for a link between check and opening",
    refused="only files inside the folder are read or replaced",
)
def test_a_file_that_changes_all_the_time_never_leads_out(place: Path, canary: Path) -> None:
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for trick in (
                lambda path: path.symlink_to(canary / "secret"),
                os.mkfifo,
                lambda path: path.write_text("own"),
            ):
                new = place / "swapped"
                trick(new)
                try:
                    new.replace(place / "name")
                except OSError:
                    return

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with UntrustedFolder(place) as folder:
            seen: set[bytes | None] = set()
            ends_at = time.monotonic() + 20
            while time.monotonic() < ends_at and not {None, b"own"} <= seen:
                seen |= {folder.read("name", limit=LIMIT) for _ in range(500)}
            for _ in range(200):
                folder.write("name", b"ours")
    finally:
        stop.set()
        thread.join()
    assert seen == {None, b"own"}
