"""Looks for names in a submission that nothing defines; what it finds is only reported.

A name is known if the repository, the standard library or a dependency has it. Dependencies are the modules that the
repository imports already, and those that its project files declare.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.code_map.unknown import ChangedFile, NamesSeen, UnknownName, check_names, wanted_modules
from aegis_tui.domain.rule.change import read_change
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.ports.repository import Repository

RULE = "unknown-name"
"""The name under which such findings stand beside those of the merge rules."""

FILE_BYTES, PIECE_BYTES = 1 << 20, 16 << 20
"""How much of one file and of a whole piece is looked at."""

_MOST_SHOWN = 20
_PROJECT = re.compile(r"(?:^|/)(?:pyproject\.toml|setup\.cfg|setup\.py|Pipfile|requirements[^/]*\.(?:txt|in))$")
_DECLARED = re.compile(r"^[\s\"']*([A-Za-z][A-Za-z0-9._-]*)", re.MULTILINE)

ListFiles = Callable[[str], Awaitable[dict[str, str]]]
"""Takes a commit; returns tracked path -> blob id of its files."""

FindRoots = Callable[[str], Awaitable[frozenset[str]]]
"""Takes a commit; returns the first parts of the modules that its Python files import."""

RunApart = Callable[..., Awaitable[Any]]
"""Runs a function without blocking the event loop: takes it, its arguments and `size`, the characters in these.

It returns None if the function fails or takes too long.
"""


@dataclass(frozen=True, slots=True)
class NamesReport:
    """What the check found."""

    findings: tuple[RuleFinding, ...] = ()
    used: int = 0
    """How many uses of names were looked at."""
    unknown: int = 0


class NameCheck:
    """Checks the Python files of a submission.

    Args:
        repository: Where the commits are.
        list_files: Lists the files of a commit.
        find_roots: Lists what a commit imports.
        run_apart: Runs the check itself.
    """

    def __init__(
        self, repository: Repository, list_files: ListFiles, find_roots: FindRoots, run_apart: RunApart
    ) -> None:
        self._repository, self._list_files = repository, list_files
        self._find_roots, self._run_apart = find_roots, run_apart

    async def check(self, *, base: str, into: str, head: str) -> NamesReport:
        """Return the unknown names in the lines that a commit adds since its fork from another.

        Empty if it changes no Python file, or if the check fails or takes too long.

        Args:
            base: The commit whose imports are known.
            into: The commit that it would be merged into.
            head: The commit.

        Raises:
            GitError: git fails, or the commit changes more files than can be listed.
        """
        forks = await self._repository.merge_bases(into, head)
        changed = await self._changed(forks[0], head) if forks else []
        if not changed:
            return NamesReport()
        files = await self._list_files(head)
        paths = [path for path in files if language_of(path) == "python"]
        size = sum(len(item.text) for item in changed)
        wanted: list[str] | None = await self._run_apart(wanted_modules, (changed, paths), size=size)
        texts = await self._texts(files, wanted or [])
        roots = await self._declared(files)
        size += sum(map(len, texts.values()))
        seen: NamesSeen | None = await self._run_apart(check_names, (changed, paths, texts, roots), size=size)
        if seen is not None and seen.unknown:
            # To list what a commit imports, git reads all of its Python files.
            roots |= await self._find_roots(base)
            seen = await self._run_apart(check_names, (changed, paths, texts, roots), size=size)
        if wanted is None or seen is None:
            return NamesReport()
        findings = tuple(_finding(item) for item in seen.unknown[:_MOST_SHOWN])
        return NamesReport(findings, seen.used, len(seen.unknown))

    async def _changed(self, start: str, head: str) -> list[ChangedFile]:
        items = [
            item
            for item in await self._repository.changed_paths(start, head)
            if item.status != "D" and language_of(item.path) == "python"
        ]
        oids = [oid for item in items for oid in (item.blob, item.old_blob) if oid]
        blobs = await self._repository.read_blobs(oids, limit=FILE_BYTES, total=PIECE_BYTES)
        changed = []
        for item in items:
            new, old = blobs.get(item.blob), blobs.get(item.old_blob or "")
            if new is not None and new.content is not None:
                change = read_change(
                    item.path, item.status, item.blob, new=new.content, old=old.content if old else None
                )
                changed.append(ChangedFile(item.path, change.text, frozenset(number for number, _ in change.added)))
        return [item for item in changed if item.added]

    async def _texts(self, files: dict[str, str], paths: Sequence[str]) -> dict[str, str]:
        blobs = await self._repository.read_blobs(
            [files[path] for path in paths if path in files], limit=FILE_BYTES, total=PIECE_BYTES
        )
        read = {path: blobs.get(files[path]) for path in paths if path in files}
        return {path: blob.content.decode("utf-8", "replace") for path, blob in read.items() if blob and blob.content}

    async def _declared(self, files: dict[str, str]) -> frozenset[str]:
        """Return every word that begins a line of a project file, as the name of a module would be written."""
        texts = await self._texts(files, [path for path in files if _PROJECT.search(path)])
        words = {word for text in texts.values() for word in _DECLARED.findall(text)}
        return frozenset(word.lower().replace("-", "_").partition(".")[0] for word in words)


def _finding(item: UnknownName) -> RuleFinding:
    key = hashlib.sha256(f"{RULE}\0{item.path}\0{item.name}".encode("utf-8", "replace")).hexdigest()[:12]
    return RuleFinding(
        rule=RULE,
        key=key,
        file=item.path,
        line=item.line,
        msg=f"{item.name} is not known: {item.problem}",
        severity="warning",
    )
