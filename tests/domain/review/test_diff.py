"""Every line of a diff has its place in the file, so that a comment names the right one (WISH-2)."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from aegis_tui.bootstrap.checkout import piece_diff_at
from aegis_tui.domain.review.diff import DiffLine, parse_diff, quoted_line
from aegis_tui.errors import GitError


def git(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=P", "-c", "user.email=p@e.org")
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def commit(root: Path, files: dict[bytes, bytes | None]) -> str:
    for name, content in files.items():
        path = bytes(root) + b"/" + name
        if content is None:
            git(root, "rm", "-q", name.decode())
        else:
            Path(path.decode("utf-8", "surrogateescape")).write_bytes(content)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def lines_between(root: Path, before: dict[bytes, bytes | None], after: dict[bytes, bytes | None]) -> list[DiffLine]:
    base = commit(root, before)
    return parse_diff(asyncio.run(piece_diff_at(root, base, commit(root, after))))


MANY = b"".join(b"line %d\n" % number for number in range(1, 41))


def test_every_added_and_unchanged_line_is_the_one_with_its_number_in_the_file(repository: Path) -> None:
    after = MANY.replace(b"line 3\n", b"three\nand more\n").replace(b"line 20\n", b"").replace(b"line 40\n", b"-- end")
    lines = lines_between(repository, {b"a.py": MANY}, {b"a.py": after})
    texts = after.decode().splitlines()
    shown = [item for item in lines if item.kind in ("added", "same")]
    assert len(shown) > 15 and all(texts[(item.line or 0) - 1] == item.text and item.file == "a.py" for item in shown)
    assert [item.text for item in lines if item.kind == "removed"] == ["line 3", "line 20", "line 40"]
    removed = next(item for item in lines if item.text == "line 20" and item.kind == "removed")
    assert texts[(removed.line or 0) - 1] == "line 21"
    assert quoted_line(lines, "a.py", 4) == "and more" and quoted_line(lines, "a.py", 12) == ""


def test_new_deleted_renamed_and_oddly_named_files_are_told_apart(repository: Path) -> None:
    before: dict[bytes, bytes | None] = {b"old.py": MANY, b"gone.py": b"x = 1\n"}
    after: dict[bytes, bytes | None] = {
        b"old.py": None,
        b"new name.py": MANY.replace(b"line 5\n", b"five\n"),
        b"gone.py": None,
        b"caf\xc3\xa9.py": b"-- a\n++ b\n\x1b[31m\n",
        b"latin\xe9.py": b"\xe9\n",
        b'qu"ote.py': b"q\n",
    }
    lines = lines_between(repository, before, after)
    places = {item.file for item in lines if item.can_be_commented}
    assert places == {"new name.py", "gone.py", "café.py", '"latin\\351.py"', 'qu"ote.py'}
    assert quoted_line(lines, "café.py", 1) == "-- a" and quoted_line(lines, "café.py", 2) == "++ b"
    assert quoted_line(lines, '"latin\\351.py"', 1) == "�"
    assert [item.line for item in lines if item.file == "gone.py" and item.kind == "removed"] == [1]


def test_settings_and_attributes_of_the_repository_start_no_program(repository: Path) -> None:
    for name, value in (
        ("diff.external", "touch started"),
        ("diff.x.textconv", "touch started"),
        ("diff.noprefix", "1"),
    ):
        git(repository, "config", name, value)
    lines = lines_between(repository, {b".gitattributes": b"*.py diff=x\n", b"a.py": b"1\n"}, {b"a.py": b"2\n"})
    assert quoted_line(lines, "a.py", 1) == "2" and not (repository / "started").exists()


def test_an_empty_diff_has_no_lines_and_a_missing_commit_is_an_error(repository: Path) -> None:
    head = commit(repository, {b"a.py": b"1\n"})
    assert parse_diff(asyncio.run(piece_diff_at(repository, head, head))) == []
    with pytest.raises(GitError):
        asyncio.run(piece_diff_at(repository, head, "0" * 40))
