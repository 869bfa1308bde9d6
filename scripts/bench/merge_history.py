"""The files that both sides changed in the merge commits of a repository: their versions, git's merge, the person's."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Self

from aegis_tui.domain.merge.proof import Versions

PYTHON = (".py",)
REGULAR = ("100644", "100755")


class HistoricFile(NamedTuple):
    """One file that both parents of a merge commit had changed."""

    merge: str
    path: str
    versions: Versions
    textual: str | None
    """What git makes of it; None if it finds conflicts."""
    human: str | None
    """What the merge commit has; None if it has no such file."""


class History:
    """Reads a repository; what git writes while it merges goes to a folder of its own.

    Args:
        repository: A checkout or a bare repository.
        suffixes: The ends of the names of the files to look at.
    """

    def __init__(self, repository: Path, suffixes: Sequence[str] = PYTHON) -> None:
        self._repository = repository
        self._suffixes = tuple(os.fsencode(suffix) for suffix in suffixes)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        objects = self._stack.enter_context(tempfile.TemporaryDirectory())
        there = Path(self._git("rev-parse", "--git-path", "objects").decode().strip())
        self._env = {
            "GIT_OBJECT_DIRECTORY": objects,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._repository / there),
        }
        self._blobs = self._stack.enter_context(self._reader())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def merges(self) -> list[tuple[str, str, str]]:
        """Return the merges of two parents on all branches, newest first: the commit, ours, theirs."""
        listed = self._git("rev-list", "--all", "--min-parents=2", "--max-parents=2", "--parents").decode()
        return [(merge, ours, theirs) for merge, ours, theirs in map(str.split, listed.splitlines())]

    def files(self, merge: str, ours: str, theirs: str) -> Iterator[HistoricFile]:
        """Yield the files that both sides of a merge changed and neither deleted."""
        bases = self._git("merge-base", "--all", ours, theirs, ok=(0, 1)).decode().split()
        if not bases or bases[0] in (ours, theirs):
            return
        fields = self._git("merge-tree", "--write-tree", "-z", "--no-messages", ours, theirs, ok=(0, 1)).split(b"\0")
        stages = _stages(fields[1:], self._suffixes)
        for path, blobs in stages.items():
            if {"2", "3"} <= blobs.keys():
                texts = [self._blob(blobs[stage]) if stage in blobs else "" for stage in "123"]
                yield from self._file(merge, path, texts, None)
        if len(bases) > 1:
            return
        for path in (self._changed(bases[0], ours) & self._changed(bases[0], theirs)) - stages.keys():
            texts = [self._at(commit, path) for commit in (bases[0], ours, theirs)]
            if texts[1] != texts[2]:
                yield from self._file(merge, path, texts, self._at(fields[0].decode(), path))

    def _file(self, merge: str, path: bytes, texts: list[str | None], textual: str | None) -> Iterator[HistoricFile]:
        base, ours, theirs = texts
        if base is not None and ours is not None and theirs is not None:
            name = os.fsdecode(path)
            yield HistoricFile(merge, name, Versions(base, ours, theirs), textual, self._at(merge, path))

    def _changed(self, base: str, tip: str) -> set[bytes]:
        listed = self._git("diff-tree", "-r", "-z", "--name-only", "--diff-filter=M", base, tip)
        return {path for path in listed.split(b"\0") if path.endswith(self._suffixes)}

    def _at(self, commit: str, path: bytes) -> str | None:
        return None if b"\n" in path else self._blob(f"{commit}:".encode() + path)

    def _blob(self, name: str | bytes) -> str | None:
        """Return a blob's text; None if there is none, or it is not UTF-8."""
        asked, answered = self._blobs
        asked.write((name if isinstance(name, bytes) else name.encode()) + b"\n")
        asked.flush()
        header = answered.readline().split()
        if len(header) != 3 or not header[2].isdigit():
            return None
        raw = answered.read(int(header[2]) + 1)[:-1]
        try:
            return raw.decode() if header[1] == b"blob" else None
        except UnicodeDecodeError:
            return None

    @contextmanager
    def _reader(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        argv = ["git", "-C", str(self._repository), "cat-file", "--batch"]
        env = {**os.environ, **self._env}
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdin and process.stdout
            yield process.stdin, process.stdout
            process.stdin.close()

    def _git(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> bytes:
        argv = ["git", "-c", "safe.directory=*", "-C", str(self._repository), *arguments]
        env = {**os.environ, **getattr(self, "_env", {})}
        done = subprocess.run(argv, capture_output=True, env=env, check=False)
        if done.returncode not in ok:
            raise SystemExit(f"git {arguments[0]} failed in {self._repository}: {done.stderr.decode()[:300]}")
        return done.stdout


def _stages(fields: list[bytes], suffixes: tuple[bytes, ...]) -> dict[bytes, dict[str, str]]:
    """Return the conflicting files with these ends: for each the blob ids of base (1), ours (2) and theirs (3)."""
    stages: dict[bytes, dict[str, str]] = {}
    for entry in fields:
        about, _, path = entry.partition(b"\t")
        words = about.decode("ascii", "replace").split()
        if len(words) == 3 and words[0] in REGULAR and path.endswith(suffixes):
            stages.setdefault(path, {})[words[2]] = words[1]
    return stages
