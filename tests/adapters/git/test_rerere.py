"""Resolutions that are recorded in the workspace's own repository, and replayed (GIT-3)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.git.rerere import RecordedResolutions
from aegis_tui.ports.resolutions import ConflictVersions
from tests.adapters.git.conftest import Shell


def versions(ours: str, theirs: str, *, top: str = "", end: str = "") -> ConflictVersions:
    """A file in which one line was changed by both; more lines may be above and below it."""
    base, mine, other = (f"{top}a\n{line}\nb\n{end}".encode() for line in ("old", ours, theirs))
    return ConflictVersions(base, mine, other)


@pytest.fixture
def record(tmp_path: Path) -> RecordedResolutions:
    return RecordedResolutions(tmp_path / "rerere.git")


def replay(record: RecordedResolutions, conflict: ConflictVersions) -> str | None:
    content = asyncio.run(record.replay(conflict))
    return None if content is None else content.decode()


def learn(record: RecordedResolutions, conflict: ConflictVersions, resolved: str) -> bool:
    return asyncio.run(record.record(conflict, resolved.encode()))


def test_a_conflict_is_resolved_as_it_was_before_also_where_other_lines_differ(record: RecordedResolutions) -> None:
    assert replay(record, versions("one", "two")) is None, "nothing is recorded yet"
    assert learn(record, versions("one", "two"), "a\none and two\nb\n")
    assert replay(record, versions("one", "two")) == "a\none and two\nb\n"
    far = "".join(f"{number}\n" for number in range(9))
    assert replay(record, versions("one", "two", end=far)) == f"a\none and two\nb\n{far}"
    assert replay(record, versions("two", "one", top=far)) == f"{far}a\none and two\nb\n", "the sides may change places"
    assert replay(record, versions("one", "three")) is None


def test_a_newer_resolution_replaces_the_older_one(record: RecordedResolutions) -> None:
    learn(record, versions("one", "two"), "a\none\nb\n")
    learn(record, versions("one", "two"), "a\nboth\nb\n")
    assert replay(record, versions("one", "two")) == "a\nboth\nb\n"
    learn(record, versions("one", "two"), "a\nboth\nb\n")
    assert replay(record, versions("one", "two")) == "a\nboth\nb\n"


def test_what_is_no_resolution_is_not_recorded(record: RecordedResolutions) -> None:
    conflict = versions("one", "two")
    assert not learn(record, conflict, "a\n<<<<<<< mine\none\n=======\ntwo\n>>>>>>> other\nb\n")
    assert not learn(record, ConflictVersions(b"a\n", b"a\n", b"b\n"), "b\n"), "git merges it"
    binary = ConflictVersions(b"\0a", b"\0b", b"\0c")
    assert not learn(record, binary, "\0d")
    assert replay(record, conflict) is None and replay(record, binary) is None


def test_two_conflicts_of_one_file_are_resolved_together_or_not_at_all(record: RecordedResolutions) -> None:
    middle = "".join(f"{number}\n" for number in range(20))

    def two(ours: str, theirs: str) -> ConflictVersions:
        first, second = versions(ours, theirs), versions("x", "y")
        parts = [(one + middle.encode() + two) for one, two in zip(_all(first), _all(second), strict=True)]
        return ConflictVersions(*parts)

    learn(record, two("one", "two"), f"a\n12\nb\n{middle}a\nxy\nb\n")
    assert replay(record, two("one", "two")) == f"a\n12\nb\n{middle}a\nxy\nb\n"
    assert replay(record, two("one", "three")) is None


def _all(conflict: ConflictVersions) -> tuple[bytes, bytes, bytes]:
    return conflict.base, conflict.ours, conflict.theirs


def test_the_persons_own_record_and_repository_stay_untouched(repo: Path, git: Shell, tmp_path: Path) -> None:
    git(repo, "config", "rerere.enabled", "true")
    (repo / ".git/rr-cache").mkdir()
    before = sorted(str(path) for path in repo.rglob("*"))
    record = RecordedResolutions(tmp_path / "rerere.git")
    learn(record, versions("one", "two"), "a\nboth\nb\n")
    assert replay(record, versions("one", "two")) == "a\nboth\nb\n"
    assert sorted(str(path) for path in repo.rglob("*")) == before
    assert not any((tmp_path / "rerere.git/objects").rglob("*/*")), "no version of a file stays in it"


def test_calls_at_the_same_time_do_not_mix(record: RecordedResolutions) -> None:
    async def main() -> list[bytes | None]:
        pairs = [(f"ours {number}", f"theirs {number}") for number in range(6)]
        await asyncio.gather(*(record.record(versions(*pair), f"a\n{pair}\nb\n".encode()) for pair in pairs))
        return list(await asyncio.gather(*(record.replay(versions(*pair)) for pair in pairs)))

    assert asyncio.run(main()) == [f"a\n{(f'ours {n}', f'theirs {n}')}\nb\n".encode() for n in range(6)]
