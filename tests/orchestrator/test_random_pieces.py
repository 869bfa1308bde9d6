"""Random pieces of up to five workers over joint and own files: no line is lost, doubled or merged in silence (GIT-3).

Each worker works in a real worktree that starts at the base, and may take in the integration branch before it goes on,
as the agent does before it changes a joint file. Its commit is merged onto the integration branch, or left out with the
paths in conflict. Every line has a tag of its own, so that it can be counted afterwards.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.newest import NewestContent
from aegis_tui.errors import MergeConflict
from aegis_tui.testing.memory_hub import MemoryHub
from tests.agent.conftest import git

WORKING = "refs/heads/aegis/run1/integration"
JOINT = ("joint/list.txt", "joint/table.py", "joint/notes.md", "joint/data.bin", "joint/fresh.txt")
"""The last one does not exist at the base."""
TAG = re.compile(rb"[BP]\d+(?:\.\d+)?;")
KINDS = ("insert", "insert", "insert", "replace", "cut", "rename", "delete", "binary", "mode", "take-in")


@dataclass(frozen=True)
class Act:
    """One change of a file, or the integration branch that is taken in."""

    kind: str
    file: int
    """Which joint file; one more than there are is the worker's own."""
    place: int
    size: int


ACTS = st.builds(
    Act,
    kind=st.sampled_from(KINDS),
    file=st.integers(0, len(JOINT)),
    place=st.integers(0, 12),
    size=st.integers(1, 3),
)
PIECES = st.lists(st.lists(ACTS, min_size=1, max_size=5), min_size=2, max_size=5)


@dataclass
class Work:
    """What one piece has done."""

    added: set[bytes] = field(default_factory=set)
    removed: set[bytes] = field(default_factory=set)
    moded: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    """Paths that it deleted, renamed or wrote anew."""
    conflicts: tuple[str, ...] | None = None
    """The paths in conflict, if it is left out."""


class Lab:
    """A repository with an integration branch, and one worktree for whoever works."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.worktree = folder / "repository", folder / "w"
        (self.folder / "joint").mkdir(parents=True)
        tags = iter(f"B{number};" for number in range(1000))
        for name in JOINT[:3]:
            lines = [self.line(name, next(tags)) for _ in range(12)]
            head, tail = ("TABLE = [\n", "]\n") if name.endswith(".py") else ("", "")
            (self.folder / name).write_text(head + "".join(lines) + tail)
        (self.folder / JOINT[3]).write_bytes(b"\0\1" + next(tags).encode() + b"\n\xff")
        git(self.folder, "init", "-q", "-b", "main")
        for setting in ("user.name=Person", "user.email=person@example.org", "gc.auto=0"):
            git(self.folder, "config", *setting.split("="))
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "base")
        self.base = git(self.folder, "rev-parse", "HEAD")
        self.base_tags = tags_on_disk(self.folder / "joint")
        git(self.folder, "worktree", "add", "-q", "--detach", str(self.worktree))
        self.runner = asyncio.Runner()
        self.repository: GitRepository = self.runner.run(open_repository(self.folder))
        self.working = self.base
        self.numbers = iter(range(0))

    @staticmethod
    def line(name: str, tag: str) -> str:
        return f'    "{tag}",\n' if name.endswith(".py") else f"{tag} of {name}\n"

    def begin(self) -> None:
        git(self.folder, "update-ref", WORKING, self.base)
        self.working = self.base

    def work(self, number: int, acts: Sequence[Act]) -> Work:
        """Do one piece's work in the worktree, from the base, and merge it."""
        git(self.worktree, "checkout", "-q", "--force", "--detach", self.base)
        git(self.worktree, "clean", "-qfdx")
        work, self.numbers = Work(), iter(range(1000))
        for act in acts:
            before = tags_on_disk(self.worktree)
            if act.kind == "take-in":
                self.take_in(JOINT[act.file % len(JOINT)])
                continue
            self.do(number, act, work)
            after = tags_on_disk(self.worktree)
            mine = f"P{number}.".encode()
            work.removed |= {tag for tag in before - after if not tag.startswith(mine)}
            work.added = (work.added | (after - before)) - (before - after)
        git(self.worktree, "add", "-A")
        git(self.worktree, "commit", "-q", "--allow-empty", "-m", f"piece {number}")
        work.conflicts = self.merge(git(self.worktree, "rev-parse", "HEAD"))
        return work

    def take_in(self, path: str) -> None:
        """As the agent does before it changes a joint file under its lock."""
        link = MemoryHub().link("NATIVE-w01")
        newest = NewestContent(Git(self.worktree), OwnWorktree(self.worktree), link, {"AEGIS_INTEGRATION_REF": WORKING})
        moved = self.runner.run(newest.bring(path))
        assert moved is None or moved.problem == "" or "conflict" in moved.problem or "update" in moved.problem

    def do(self, number: int, act: Act, work: Work) -> None:
        name = JOINT[act.file] if act.file < len(JOINT) else f"own/{number}/x.txt"
        place = self.worktree / name
        tags = [f"P{number}.{next(self.numbers)};" for _ in range(act.size)]
        if act.kind == "binary":
            if name.endswith(".bin"):
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(b"\0\2" + tags[0].encode() + b"\n\xfe")
        elif act.kind in ("insert", "replace", "cut") and not name.endswith(".bin"):
            self.edit(place, name, act, tags)
        elif not place.exists():
            return
        elif act.kind == "mode":
            place.chmod(0o755)
            work.moded.add(name)
        elif act.kind == "delete":
            place.unlink()
            work.gone.add(name)
        elif act.kind == "rename":
            place.rename(place.with_name(f"r{number}-{next(self.numbers)}-{place.name}"))
            work.gone.add(name)

    def edit(self, place: Path, name: str, act: Act, tags: Sequence[str]) -> None:
        lines = place.read_text().splitlines(keepends=True) if place.exists() else []
        if not lines and name.endswith(".py"):
            lines = ["TABLE = [\n", "]\n"]
        frame = 1 if name.endswith(".py") else 0
        room = max(len(lines) - 2 * frame, 0)
        at = frame + act.place % (room + 1)
        new = [] if act.kind == "cut" else [self.line(name, tag) for tag in tags]
        old = 0 if act.kind == "insert" else min(act.size, room + frame - at)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join([*lines[:at], *new, *lines[at + old :]]))

    def merge(self, head: str) -> tuple[str, ...] | None:
        try:
            done = self.runner.run(
                self.repository.compose(WORKING, head, expect_oid=self.working, message="merge", at=1)
            )
        except MergeConflict as error:
            return tuple(str(item["path"]) for item in error.data["conflicts"])
        self.working = done.oid
        return None

    def close(self) -> None:
        self.runner.close()


def tags_on_disk(folder: Path) -> set[bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".git"]
    return {tag for path in files for tag in TAG.findall(path.read_bytes())}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    made = Lab(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def check(lab: Lab, pieces: Sequence[Sequence[Act]]) -> None:
    lab.begin()
    works = [lab.work(number, acts) for number, acts in enumerate(pieces)]
    git(lab.worktree, "checkout", "-q", "--force", "--detach", WORKING)
    git(lab.worktree, "clean", "-qfdx")
    files = [path for path in lab.worktree.rglob("*") if path.is_file() and path.name != ".git"]
    found = Counter(tag for path in files for tag in TAG.findall(path.read_bytes()))
    kept = [work for work in works if work.conflicts is None]
    removed = {tag for work in kept for tag in work.removed}
    wanted = {tag for work in kept for tag in work.added} | lab.base_tags
    assert dict(found) == dict.fromkeys(wanted - removed, 1)
    for work in works:
        assert work.conflicts is None or work.conflicts, "a piece that is left out says where it conflicts"
    gone = {path for work in kept for path in work.gone}
    for path in {path for work in kept for path in work.moded} - gone:
        if (lab.worktree / path).exists():
            assert (lab.worktree / path).stat().st_mode & 0o100, f"{path} is executable"


def insert(file: int, place: int) -> Act:
    return Act("insert", file, place, 1)


@given(PIECES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@example([[insert(0, 3)], [insert(0, 3)], [Act("take-in", 0, 0, 1), insert(0, 3)]])
@example([[insert(0, 3)], [insert(5, 0), insert(0, 9), Act("take-in", 0, 0, 1), insert(2, 3)]])
@example([[Act("rename", 0, 0, 1)], [insert(0, 9)], [Act("delete", 0, 0, 1)]])
@example([[Act("binary", 3, 0, 1)], [Act("binary", 3, 0, 1)], [Act("take-in", 3, 0, 1), Act("binary", 3, 0, 1)]])
@example([[Act("delete", 0, 0, 1)], [Act("rename", 0, 0, 1), Act("take-in", 0, 0, 1)]])
@example([[insert(0, 3)], [Act("rename", 0, 0, 1), Act("take-in", 0, 0, 1)]])
@example([[Act("mode", 2, 0, 1), insert(2, 0)], [insert(2, 12), insert(4, 0)], [insert(4, 0)]])
def test_every_line_is_there_once_or_its_piece_is_left_out(lab: Lab, pieces: list[list[Act]]) -> None:
    check(lab, pieces)


@pytest.mark.thorough
@pytest.mark.timeout(1200)
@given(PIECES)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_line_is_there_once_in_a_long_search(lab: Lab, pieces: list[list[Act]]) -> None:
    check(lab, pieces)
