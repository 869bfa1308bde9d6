"""Many pieces composed in one pass give the tree that merging them one after the other gives (GIT-5, PERF-21)."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import GitError
from aegis_tui.ports.composition import Composition, PiecePart

Change = Callable[[Path], object]


class Bench:
    """A repository, branches made by plain git, and both ways to compose them."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main", *options)
        self.git("config", "user.name", "P")
        self.git("config", "user.email", "p@example.org")
        for name in ("src/a/one.py", "src/a/two.py", "src/b/one.py", "lib/x/deep.py", "root.txt", "한글/이름 하나.txt"):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("".join(f"{name} {number}\n" for number in range(20)))
        (folder / "run.sh").write_text("#!/bin/sh\n")
        (folder / "run.sh").chmod(0o755)
        self.base = self.commit("start")
        self.parts: list[PiecePart] = []

    def git(self, *arguments: str, code: int = 0) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, code), done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def piece(self, name: str, *changes: Change, base: str | None = None) -> PiecePart:
        self.git("checkout", "-q", "--detach", base or self.base)
        for change in changes:
            change(self.folder)
        part = PiecePart(name, base or self.base, self.commit(name))
        self.parts.append(part)
        return part

    def compose(self, parts: list[PiecePart] | None = None) -> Composition:
        async def main() -> Composition:
            repository = await open_repository(self.folder)
            return await repository.batches.compose_all(self.base, self.parts if parts is None else parts)

        return asyncio.run(main())

    def merge_in_turn(self) -> tuple[str, list[str]]:
        """The tree of `git merge`, one branch after the other, and the names of those that conflict."""
        self.git("checkout", "-q", "--detach", self.base)
        refused = []
        for part in self.parts:
            self.git("merge", "-q", "--no-edit", "--no-ff", part.head, code=1)
            if self.git("ls-files", "--unmerged") or self.git("status", "--porcelain"):
                refused.append(part.name)
                self.git("reset", "-q", "--hard", "HEAD")
                self.git("clean", "-qfd")
        return self.git("rev-parse", "HEAD^{tree}"), refused

    def agree(self) -> Composition:
        """Both ways, which have to agree; the tree has to be whole too."""
        composed = self.compose()
        tree, refused = self.merge_in_turn()
        assert (composed.tree, list(composed.refused)) == (tree, refused)
        self.git("fsck", "--strict", "--no-dangling")
        return composed


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "repo")


def write(name: str, text: str = "new\n") -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return change


def line(name: str, number: int, text: str) -> Change:
    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines(keepends=True)
        lines[number] = f"{text}\n"
        (folder / name).write_text("".join(lines))

    return change


def delete(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def delete_folder(name: str) -> Change:
    return lambda folder: shutil.rmtree(folder / name)


def move(name: str, to: str) -> Change:
    def change(folder: Path) -> None:
        (folder / to).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(folder / to)

    return change


def link(name: str, target: str) -> Change:
    return lambda folder: (folder / name).symlink_to(target)


def binary(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(b"\0" + content)


def mode(name: str, bits: int) -> Change:
    return lambda folder: (folder / name).chmod(bits)


def test_disjoint_pieces_of_every_kind_need_no_merge_of_files(bench: Bench) -> None:
    bench.piece("edit", line("src/a/one.py", 3, "edited"))
    bench.piece("add", write("src/c/new.py"), write("top.txt"))
    bench.piece("delete", delete("src/b/one.py"))
    bench.piece("rename", move("root.txt", "docs/root.md"))
    bench.piece("link", link("latest", "src/a/one.py"))
    bench.piece("mode", mode("run.sh", 0o644))
    bench.piece("binary", binary("lib/x/data.bin", bytes(range(256))))
    bench.piece("korean", line("한글/이름 하나.txt", 1, "다른 줄"), write("한글/새 파일.txt"))
    bench.piece("nothing")
    assert bench.agree().merged_files == 0


def test_pieces_that_share_a_file_are_merged_and_those_that_cross_are_refused(bench: Bench) -> None:
    bench.piece("first", line("src/a/one.py", 2, "first"))
    bench.piece("far", line("src/a/one.py", 17, "far"))
    bench.piece("crossing", line("src/a/one.py", 2, "crossing"), write("src/a/never.py"))
    bench.piece("last", line("src/a/two.py", 1, "last"))
    composed = bench.agree()
    assert composed.refused == {"crossing": ("src/a/one.py",)}
    assert composed.merged_files == 2


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([move("src/a/one.py", "moved/a/one.py"), move("src/a/two.py", "moved/a/two.py")], [write("src/a/new.py")]),
        ([move("lib/x/deep.py", "lib/y/deep.py")], [write("lib/x/more.py")]),
        ([move("root.txt", "renamed.txt")], [line("root.txt", 4, "edited")]),
        ([write("name")], [write("name/inside")]),
        ([delete_folder("src/b"), write("src/b", "a file\n")], [write("src/b/two.py")]),
        ([delete("src/b/one.py")], [delete("src/b/one.py")]),
        ([move("root.txt", "a.txt")], [move("root.txt", "b.txt")]),
        ([move("root.txt", "both.txt")], [move("run.sh", "both.txt")]),
        ([write("same.txt")], [write("same.txt")]),
        ([delete("src/b/one.py")], [write("src/b/two.py")]),
        ([delete("root.txt"), link("root.txt", "run.sh")], [line("root.txt", 1, "x")]),
        ([delete("lib/x/deep.py")], [write("lib/y/deep.py")]),
    ],
)
def test_where_two_pieces_meet_git_decides(
    bench: Bench, one: list[Change], other: list[Change], is_swapped: bool
) -> None:
    for name, changes in sorted({"one": one, "other": other}.items(), reverse=is_swapped):
        bench.piece(name, *changes)
    bench.agree()


@pytest.mark.parametrize("seed", range(4))
def test_random_pieces_give_the_same_tree_in_both_ways_and_no_line_is_lost_or_doubled(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    files = ["src/a/one.py", "src/a/two.py", "src/b/one.py", "lib/x/deep.py", "root.txt"]
    added: dict[str, int] = {}
    for number in range(7):
        path, name = chance.choice(files), f"p{number}"
        changes: dict[str, Change] = {
            "edit": line(path, chance.randrange(20), f"by {name}."),
            "add": write(f"{Path(path).parent}/new{chance.randrange(4)}.py", f"by {name}.\n"),
            "own": write(f"own{number}/file.py", f"by {name}.\n"),
            "delete": delete(path),
            "move": move(path, f"{chance.choice(['moved', 'src/a', 'lib'])}/to{number}.py"),
            "mode": mode(chance.choice(["run.sh", path]), chance.choice([0o644, 0o755])),
            "binary": binary(f"{Path(path).parent}/data{chance.randrange(2)}.bin", chance.randbytes(64)),
        }
        kinds = chance.sample(sorted(changes), 2) if chance.random() < 0.4 else [chance.choice(["edit", "edit", "add"])]
        if {"delete", "move", "mode", "edit"} & set(kinds[1:]):
            kinds = kinds[:1]  # the first change may have taken the file away
        bench.piece(name, *(changes[kind] for kind in kinds))
        added[name] = len({"edit", "add", "own"}.intersection(kinds))
    composed = bench.agree()
    text = bench.git("grep", "-h", "-I", "by p", composed.tree, code=1)
    for name, lines in added.items():
        assert text.count(f"by {name}.") == (0 if name in composed.refused else lines), name


def test_a_piece_on_top_of_another_brings_only_its_own_change(bench: Bench) -> None:
    below = bench.piece("below", line("src/a/one.py", 2, "below"))
    bench.piece("above", line("src/a/one.py", 3, "above"), base=below.head)
    bench.agree()
    alone = bench.compose([bench.parts[1]])
    assert list(alone.refused) == ["above"], "without what it builds on, the lines around its own are other ones"


def test_a_piece_of_which_one_part_is_refused_is_not_there_at_all(bench: Bench) -> None:
    first = bench.piece("twice", write("src/c/half.py"))
    bench.piece("other", line("src/a/one.py", 2, "other"))
    bench.piece("twice", line("src/a/one.py", 2, "second"), base=first.head)
    composed = bench.compose()
    assert composed.refused == {"twice": ("src/a/one.py",)}
    assert "src/c/half.py" not in bench.git("ls-tree", "-r", "--name-only", composed.tree)
    assert bench.compose([bench.parts[1]]).tree == composed.tree


def test_a_repository_with_long_ids_works_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "long", "--object-format=sha256")
    bench.piece("one", write("src/c/new.py"))
    bench.piece("other", line("src/a/one.py", 2, "x"))
    assert bench.agree().merged_files == 0


def test_no_pieces_leave_the_tree_as_it_is_and_all_files_may_go(bench: Bench) -> None:
    assert bench.compose([]).tree == bench.git("rev-parse", f"{bench.base}^{{tree}}")
    bench.piece("all", lambda folder: subprocess.run(["git", "-C", str(folder), "rm", "-rq", "."], check=True))
    assert bench.compose().tree == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_a_commit_that_is_not_there_is_an_error(bench: Bench) -> None:
    with pytest.raises(GitError, match="there is no commit 1111"):
        bench.compose([PiecePart("x", bench.base, "1" * 40)])
