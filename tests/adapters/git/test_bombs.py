"""Small files of an agent that git would unfold without end, or would take for something else (SEC-1)."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import subprocess
import zlib

import pytest

from aegis_tui.adapters.git import intake as intake_module
from aegis_tui.adapters.git.index_file import is_bounded_index
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import GitError
from tests.adapters.git.test_private import Sandboxed, inside

__all__ = ["inside"]


def put(inside: Sandboxed, kind: bytes, body: bytes) -> str:
    """A loose object in the agent's store, as no git of ours would make it."""
    raw = b"%s %d\0" % (kind, len(body)) + body
    oid = hashlib.sha1(raw).hexdigest()
    inside.object(oid).parent.mkdir(exist_ok=True)
    inside.object(oid).write_bytes(zlib.compress(raw, 1))
    return oid


def commit(inside: Sandboxed, tree: str) -> str:
    who = "A <a@b> 1700000000 +0000"
    base = inside.git("rev-parse", "HEAD")
    return put(inside, b"commit", f"tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\n\nx\n".encode())


def folder(inside: Sandboxed, oid: str, names: int, mode: bytes = b"40000") -> str:
    entries = (mode + b" %d\0" % number + bytes.fromhex(oid) for number in range(names))
    return put(inside, b"tree", b"".join(entries))


def index_of(names: list[tuple[int, bytes]], *, version: int = 4, extension: bytes = b"") -> bytes:
    """An index whose entries drop so many bytes of the name before and add those."""
    out = bytearray(struct.pack(">4sII", b"DIRC", version, len(names)))
    for dropped, rest in names:
        out += struct.pack(">10I", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + b"\x11" * 20 + b"\x0f\xff"
        number = [dropped & 127]
        while dropped := dropped >> 7:
            dropped -= 1
            number.append(128 | dropped & 127)
        out += bytes(reversed(number)) + rest + b"\0"
    out += extension
    return bytes(out + hashlib.sha1(out).digest())


def snapshot(inside: Sandboxed) -> str:
    async def run() -> str:
        return await (await open_repository(inside.repo)).snapshot_tree(inside.tree.path)

    return asyncio.run(run())


@pytest.mark.boundary(
    layer="hub files",
    tried="few objects that represent billions of files, or folders nested more deeply than a path can be long",
    refused="the paths are counted without listing them, and no object enters the repository",
)
def test_a_tree_that_unfolds_without_end_is_not_taken_in(inside: Sandboxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_PATHS", 5_000)
    tree = folder(inside, put(inside, b"blob", b"x"), 10, b"100644")
    for _ in range(9):
        tree = folder(inside, tree, 10)
    head = commit(inside, tree)
    with pytest.raises(GitError, match="more than is allowed"):
        inside.take_in(head)
    assert not inside.has(head) and not inside.has(tree)


def test_the_same_tree_many_times_counts_also_where_it_is_the_persons(
    inside: Sandboxed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "MAX_PATHS", 5_000)
    head = commit(inside, folder(inside, inside.git("rev-parse", "HEAD^{tree}"), 1_000))
    with pytest.raises(GitError, match="more than is allowed"):
        inside.take_in(head)


@pytest.mark.parametrize(("limit", "least"), [("MAX_DEPTH", 30), ("MAX_PATH_BYTES", 30 * 31 // 2 * 2)])
def test_folders_inside_each_other_and_long_paths_are_limited(
    inside: Sandboxed, monkeypatch: pytest.MonkeyPatch, limit: str, least: int
) -> None:
    tree = folder(inside, put(inside, b"blob", b"x"), 1, b"100644")
    for number in range(30):
        side = put(inside, b"blob", b"%d" % number)
        entries = b"100644 a\0" + bytes.fromhex(side) + b"40000 b\0" + bytes.fromhex(tree)
        tree = put(inside, b"tree", entries)
    head = commit(inside, tree)
    monkeypatch.setattr(intake_module, limit, least - 1)
    with pytest.raises(GitError, match="more than is allowed"):
        inside.take_in(head)
    assert not inside.has(tree)
    monkeypatch.setattr(intake_module, limit, 10_000)
    inside.take_in(head)
    assert inside.has(tree)


def test_an_object_may_not_link_to_very_many(inside: Sandboxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_LINKS", 100)
    entries = b"".join(b"100644 %04d\0" % number + hashlib.sha1(b"%d" % number).digest() for number in range(200))
    with pytest.raises(GitError, match="more than 100"):
        inside.take_in(commit(inside, put(inside, b"tree", entries)))


@pytest.mark.boundary(
    layer="hub files",
    tried="a HEAD that contains a NUL, or an expression instead of a name",
    refused="treated as if there were no HEAD; the files are saved nevertheless",
)
@pytest.mark.parametrize(
    "head", [b"ref: refs/heads/a\0b\n", b"ref: refs/heads/main^{/(a*)*b}\n", b"ref: refs/heads/main@{1}\n"]
)
def test_a_head_is_a_name_and_nothing_else(inside: Sandboxed, head: bytes) -> None:
    (inside.tree.path / "src/new.py").write_text("new\n")
    (inside.admin / "HEAD").write_bytes(head)
    saved = inside.remove()
    assert saved is not None
    assert inside.person(inside.repo, "show", f"{saved.ref}:src/new.py") == "new"


@pytest.mark.boundary(
    layer="hub files",
    tried="an index with tens of thousands of submodules, with names that expand to gigabytes, or with folders as "
    "entries",
    refused="not used; the files are read without it and saved",
)
def test_an_index_full_of_submodules_is_not_used(inside: Sandboxed) -> None:
    lines = "".join(f"160000 {'1' * 40}\tsub/{'x' * 200}{number}\n" for number in range(20_000))
    folders = {
        "GIT_DIR": str(inside.tree.admin_dir),
        "GIT_INDEX_FILE": str(inside.admin / "index"),
        "GIT_OBJECT_DIRECTORY": str(inside.store),
    }
    argv = ["git", "update-index", "--index-info"]
    subprocess.run(argv, input=lines.encode(), env=inside.person.env | folders, cwd=inside.tree.path, check=True)
    (inside.tree.path / "src/new.py").write_text("new\n")
    saved = inside.remove()
    assert saved is not None
    assert inside.person(inside.repo, "show", f"{saved.ref}:src/new.py") == "new"


def test_an_index_whose_names_unfold_is_not_read(inside: Sandboxed) -> None:
    long = [(0, b"a" * 300_000), *((1, b"%d" % (number % 10)) for number in range(1, 3_000))]
    index = inside.admin / "index"
    index.write_bytes(index_of(long))
    assert index.stat().st_size < 600_000 and not is_bounded_index(index, 20)
    before = inside.git("rev-parse", "HEAD^{tree}")
    assert snapshot(inside) == before


def test_an_index_with_folders_in_it_is_not_read(inside: Sandboxed) -> None:
    index = inside.admin / "index"
    index.write_bytes(index_of([(0, b"a")], version=2, extension=b"sdir\0\0\0\0"))
    assert not is_bounded_index(index, 20)


@pytest.mark.parametrize("version", ["2", "4"])
def test_an_ordinary_index_of_each_version_is_used(inside: Sandboxed, version: str) -> None:
    inside.commit("src/long name.py", "x\n")
    subprocess.run(
        ["git", "update-index", "--index-version", version, "--force-write-index"],
        env=inside.person.env | {"GIT_DIR": str(inside.tree.admin_dir), "GIT_INDEX_FILE": str(inside.admin / "index")},
        cwd=inside.tree.path,
        check=True,
    )
    assert is_bounded_index(inside.admin / "index", 20)


@pytest.mark.parametrize("content", [b"", b"DIRC", b"DIRC\0\0\0\4\xff\xff\xff\xff" + b"\x80" * 100])
def test_a_cut_index_breaks_nothing(inside: Sandboxed, content: bytes) -> None:
    (inside.admin / "index").write_bytes(content)
    assert snapshot(inside) == inside.git("rev-parse", "HEAD^{tree}")
