from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.agent import files
from aegis_tui.agent.files import MAX_LINES, OwnWorktree, numbered, replace_once
from aegis_tui.domain.filling import FILLING_NAME, WANTED_NAME
from aegis_tui.errors import Refused, UsageError


def test_lines_are_numbered_from_one_and_both_ends_are_in() -> None:
    assert numbered("a\nb\nc\nd\n", start=2, end=3).splitlines()[:2] == ["    2\tb", "    3\tc"]


def test_what_a_read_leaves_out_is_said() -> None:
    shown = numbered("x\n" * (MAX_LINES + 5), start=None, end=None)
    assert shown.endswith(
        f"(lines {MAX_LINES + 1} to {MAX_LINES + 5} not shown; read again with start={MAX_LINES + 1})"
    )
    assert numbered("a\nb\n", start=9, end=None) == "(the file has only 2 lines)"
    assert numbered("", start=None, end=None) == "(the file is empty)"
    assert "[line cut]" in numbered("x" * 5000, start=None, end=None)


def test_an_edit_replaces_the_only_occurrence() -> None:
    assert replace_once("a = 1\nb = 1\n", "b = 1", "b = 2") == "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("x = 1", "x = 2", "2 times, at lines 1, 3"),
        ("z = 1", "z = 2", "does not occur"),
        ("y  = 1", "y = 2", "like line 2, but spaces"),
        ("y = 1", "y = 1", "nothing would change"),
    ],
)
def test_an_edit_that_is_not_exact_and_unique_says_why(old: str, new: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace_once("x = 1\ny = 1\nx = 1\n", old, new)


TWICE = "def one():\n    x = 1\n\ndef two():\n    x = 1\n    y = x = 1\n"


@pytest.mark.parametrize(
    ("spans", "changed"),
    [
        ([(1, 2)], "def one():\n    x = 2\n\ndef two():\n    x = 1\n    y = x = 1\n"),
        ([(4, 99)], None),
        ([(3, 4)], None),
    ],
)
def test_an_edit_of_a_definition_looks_only_in_its_lines(spans: list[tuple[int, int]], changed: str | None) -> None:
    if changed is None:
        with pytest.raises(UsageError, match=r"2 times, at lines 5, 6|does not occur in the definition"):
            replace_once(TWICE, "x = 1", "x = 2", spans=spans)
    else:
        assert replace_once(TWICE, "x = 1", "x = 2", spans=spans) == changed


def test_lines_of_a_definition_that_are_given_twice_count_once() -> None:
    assert replace_once("x = 1\nx = 1", "x = 1", "x = 2", spans=[(2, 2), (2, 2), (3, 9)]) == "x = 1\nx = 2"


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "\r", "\x0c", ""]), max_size=12), st.integers(1, 14), st.integers(1, 14)
)
def test_an_edit_of_lines_changes_nothing_outside_of_them(lines: list[str], first: int, last: int) -> None:
    text = "\n".join(lines)
    with suppress(UsageError):
        changed = replace_once(text, "a", "xyz", spans=[(first, last)]).split("\n")
        assert changed[: first - 1] == lines[: first - 1] and changed[last:] == lines[last:]
        assert "\n".join(changed[first - 1 : last]).replace("xyz", "a") == "\n".join(lines[first - 1 : last])


def test_windows_line_ends_stay() -> None:
    assert replace_once("a\r\nb\r\nc\r\n", "a\nb", "a\nx\nb") == "a\r\nx\r\nb\r\nc\r\n"


@pytest.mark.parametrize(
    ("content", "words"), [(b"\x00\x01", "binary"), (b"\xff\xfe\xfa", "not UTF-8"), (b"x" * (2**21 + 1), "at most")]
)
def test_a_file_that_is_no_text_is_not_read(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        OwnWorktree(tmp_path).load("f")


def test_a_folder_is_listed_instead(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "f.py").write_text("")
    with pytest.raises(UsageError, match=r"it holds: e/, f\.py"):
        OwnWorktree(tmp_path).load("d")


def test_paths_are_made_relative_and_stay_inside(tmp_path: Path) -> None:
    tree = OwnWorktree(tmp_path)
    assert tree.locate("a/../b.py") == "b.py"
    assert tree.locate(str(tmp_path / "c.py")) == "c.py"
    for path in ("..", "../x", "/etc/passwd", ".", ".git", ".git/config", "a\0b"):
        with pytest.raises(Refused):
            tree.locate(path)


def test_a_text_keeps_the_encoding_that_it_declares(tmp_path: Path) -> None:
    worktree, place = OwnWorktree(tmp_path), tmp_path / "a.py"
    place.write_bytes("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    assert not worktree.is_utf8("a.py")
    worktree.save("a.py", worktree.load("a.py").replace("é", "ü"))
    assert place.read_bytes() == "# coding: latin-1\nx = 'ü'\n".encode("latin-1")
    with pytest.raises(UsageError, match="no '\\\\u6f22'"):
        worktree.save("a.py", "# coding: latin-1\nx = '漢'\n")


@pytest.mark.parametrize("line", ["x = 1", "# coding: unknown", "# coding: hex", "# coding: utf-7", "# coding: utf-8"])
def test_a_text_in_no_known_encoding_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.py").write_bytes(line.encode() + b"\nx = '\xe9'\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        OwnWorktree(tmp_path).load("a.py")


def test_a_file_is_put_back_byte_for_byte(tmp_path: Path) -> None:
    worktree = OwnWorktree(tmp_path)
    (tmp_path / "a").write_bytes(b"\xff\0")
    before, none = worktree.find_bytes("a"), worktree.find_bytes("b")
    assert not worktree.restore("a", before)
    for name in "ab":
        (tmp_path / name).write_text("new")
    assert worktree.restore("a", before)
    assert worktree.restore("b", none)
    assert (tmp_path / "a").read_bytes() == b"\xff\0"
    assert not (tmp_path / "b").exists()


@pytest.fixture
def incomplete(worktree: Path) -> tuple[Path, Path]:
    """A worktree to which the hub is still adding files, and the mark that says so."""
    admin = Path((worktree / ".git").read_text("utf-8").removeprefix("gitdir: ").strip())
    mark = admin / FILLING_NAME
    mark.write_text("")
    return worktree, mark


def test_a_file_that_is_missing_is_waited_for_and_one_that_is_there_is_not(incomplete: tuple[Path, Path]) -> None:
    folder, mark = incomplete
    (folder / "here.py").write_text("x = 1\n")

    async def run() -> None:
        own = OwnWorktree(folder)
        await asyncio.wait_for(own.complete("here.py"), 5)
        assert not (mark.parent / WANTED_NAME).exists()
        for wanted in ("away.py", ".", None, "\0", "../here.py"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(own.complete(wanted), 0.1)
        waiting = asyncio.create_task(own.complete("away.py"))
        await asyncio.sleep(0.1)
        assert not waiting.done() and (mark.parent / WANTED_NAME).exists()
        mark.unlink()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


def test_a_worktree_that_never_becomes_complete_is_waited_for_only_so_long(
    incomplete: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILLING_S", 0.1)
    asyncio.run(asyncio.wait_for(OwnWorktree(incomplete[0]).complete(), 5))


def test_a_folder_that_is_no_worktree_is_complete(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(OwnWorktree(tmp_path).complete(), 5))
