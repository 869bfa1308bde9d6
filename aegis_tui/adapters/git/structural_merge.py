"""Completes git's merges: solves conflicts by structure, and finds them where git sees none (GIT-3).

The files were written by agents, so they are parsed in a separate process, one for all files of a merge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from aegis_tui.adapters.apart import LARGE, AnswerLostError, ask_apart
from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.mergiraf import Mergiraf
from aegis_tui.adapters.git.object_store import NO_SETTINGS
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner, joined
from aegis_tui.adapters.git.tree_files import NewFile, tree_with
from aegis_tui.adapters.symbols.source import LANGUAGES, read_source
from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.merge.data_file import is_data_file
from aegis_tui.domain.merge.file import FileMerge, judge_merged, merge_file
from aegis_tui.domain.merge.generated import is_generating
from aegis_tui.domain.merge.lock_file import is_lock_file, regenerating
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.merge.migrations import MigrationClash, is_migration, migration_clashes, words_of
from aegis_tui.domain.merge.proof import Versions
from aegis_tui.domain.merge.sum_file import is_sum_file
from aegis_tui.domain.path.file_name import name_of, write_name

_LOG = logging.getLogger(__name__)

_LANGUAGES: Final = LANGUAGES | {"python"}
REGULAR: Final = ("100644", "100755")
MAX_FILE_BYTES: Final = 1 << 20
_MAX_TOTAL_BYTES: Final = 32 << 20
_MAX_FILES: Final = 200
"""More files than this are left as git merged them."""
_KEPT_MERGES: Final = 512
_ATTRIBUTES: Final = ".gitattributes"
LINGUIST: Final = b"linguist-generated"
"""The attribute that says whether a program generates a file.

Source: https://github.com/github-linguist/linguist/blob/main/docs/overrides.md"""
_NOTHING_MADE: Final[Mapping[str, FileMerge]] = MappingProxyType({})
_WITHIN_FILES: Final = ("Auto-merging", "CONFLICT (contents)")
"""The messages of git that do not say of a conflict between paths."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What became of two commits: the merged tree, whether it is clean, and the paths in conflict."""

    tree: str
    """The merged tree; it contains conflict markers if the merge is not clean."""
    clean: bool
    stages: dict[str, dict[int, str]]
    """For each conflicting path, the blob ids of the base (1), ours (2) and theirs (3)."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Path -> why it cannot be merged, for conflicts that git does not see."""
    files: tuple[MergedFile, ...] = ()
    """The files that both sides changed, in different ways, with their labels, sorted by path."""


class MergedCommits(NamedTuple):
    """The commits of a merge, and the paths that each side changed."""

    base: str
    ours: str
    theirs: str
    ours_changed: Collection[str]
    theirs_changed: Collection[str]


class _TreeEntry(NamedTuple):
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class _BothChanged:
    """A file that both sides changed."""

    path: str
    oids: tuple[str | None, str, str]
    """The blobs of base, ours and theirs; there may be none in the base."""
    merged: _TreeEntry
    is_conflict: bool
    is_generated: bool | None = None
    """Whether a program generates it; None if the repository does not say so."""


class _Job(NamedTuple):
    """The arguments of `merge_file` for one file."""

    path: str
    versions: Versions
    textual: str | None
    is_generated: bool | None


class StructuralMerges:
    """Completes merges. Its methods raise `GitError` if git fails, and `GitUnavailable` if it cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        driver: Tries what is still in conflict then; None if there is none.
    """

    def __init__(self, runner: GitRunner, objects: Objects, driver: Mergiraf | None = None) -> None:
        self._runner, self._objects, self._driver = runner, objects, driver
        self._known: dict[_BothChanged, FileMerge] = {}

    async def complete(self, merge: Merge, commits: MergedCommits) -> Merge:
        """Return a merge of git without the conflicts that can be solved, and with those that git does not see.

        Args:
            merge: What git made of it.
            commits: What was merged.

        Raises:
            GitError: One of the commits does not exist.
        """
        both = sorted({*commits.ours_changed} & {*commits.theirs_changed} - merge.stages.keys())
        files: list[_BothChanged] = []
        made: dict[_BothChanged, FileMerge] = {}
        if 0 < len(merge.stages) + len(both) <= _MAX_FILES:
            files = await self._files(merge, sorted((*merge.stages, *both)), commits)
            generated = await self._generated(commits.ours, [file.path for file in files])
            files = [replace(file, is_generated=generated.get(file.path)) for file in files]
            made = await self._merge_files(files)
            made |= await self._by_driver([file for file in files if _is_for_driver(file, made.get(file))])
            merge = await self._with_solved(_with_refused(merge, made), commits, made)
            both = [file.path for file in files]
        merge = await self._with_migrations(merge, commits)
        return with_labels(merge, both, {file.path: done for file, done in made.items()})

    async def _files(self, merge: Merge, paths: Sequence[str], commits: MergedCommits) -> list[_BothChanged]:
        """Return the files at paths that both sides have, and that are files in the merged tree."""
        trees = (commits.base, commits.ours, commits.theirs, merge.tree)
        base, ours, theirs, merged = await asyncio.gather(*(self._entries(tree, paths) for tree in trees))
        files = []
        for path in paths:
            if (entry := merged.get(path)) is None:
                continue
            stages = merge.stages.get(path)
            if stages is not None:
                old, mine, other = stages.get(1), stages.get(2), stages.get(3)
            else:
                old, mine, other = (side[path].oid if path in side else None for side in (base, ours, theirs))
            if mine is not None and other is not None and mine != other:
                files.append(_BothChanged(path, (old, mine, other), entry, stages is not None))
        return files

    async def _entries(self, tree: str, paths: Sequence[str]) -> dict[str, _TreeEntry]:
        """Return the regular files among paths of a tree."""
        names = map(name_of, paths)
        listed = await self._runner.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--", *names)
        entries = {}
        for line in listed.fields():
            about, _, name = line.partition("\t")
            mode, _, oid = about.split(" ")
            if mode in REGULAR:
                entries[write_name(name)] = _TreeEntry(mode, oid)
        return entries

    async def _generated(self, commit: str, paths: Sequence[str]) -> dict[str, bool]:
        """Return the paths for which the top `.gitattributes` of a commit says whether the file is generated."""
        attributes = await self._objects.find_blob(f"{commit}:{_ATTRIBUTES}")
        if not paths or attributes is None or LINGUIST not in attributes:
            return {}
        with scratch_folder() as folder:
            (folder / _ATTRIBUTES).write_bytes(attributes)
            return await read_generated(self._runner, folder, map(name_of, paths))

    async def _merge_files(self, files: Sequence[_BothChanged]) -> dict[_BothChanged, FileMerge]:
        """Return what can be made of files; those that are too large or not UTF-8 are left out, and all if it fails.

        A conflict in a file that no rule knows is left out too, unless the file is generated.
        """
        asked = [file for file in files if file not in self._known]
        oids = {oid for file in asked for oid in (*file.oids, file.merged.oid) if oid is not None}
        blobs = await self._objects.read_blobs(oids, limit=MAX_FILE_BYTES, total=_MAX_TOTAL_BYTES)
        texts = {oid: _decoded(blob.content) for oid, blob in blobs.items()}
        jobs = {}
        for file in asked:
            base, ours, theirs = (texts.get(oid) if oid is not None else "" for oid in file.oids)
            merged = texts.get(file.merged.oid)
            if base is not None and ours is not None and theirs is not None and merged is not None:
                textual = None if file.is_conflict else merged
                jobs[file] = _Job(file.path, Versions(base, ours, theirs), textual, file.is_generated)
        if len(self._known) > _KEPT_MERGES:
            self._known.clear()
        if jobs:
            self._known |= dict(zip(jobs, await _merge_apart(list(jobs.values())), strict=False))
        made = {file: self._known[file] for file in files if file in self._known}
        locks = [file for file in files if is_lock_file(file.path)]  # also those that are too large to be read
        made |= {file: FileMerge("refused", reason=regenerating(file.path)) for file in locks}
        return {file: done for file, done in made.items() if _is_of_use(file, done)}

    async def _by_driver(self, files: Sequence[_BothChanged]) -> dict[_BothChanged, FileMerge]:
        """Return what the driver makes of files in conflict, where the check does not refuse it."""
        if self._driver is None or not files:
            return {}
        oids = {oid for file in files for oid in file.oids if oid is not None}
        blobs = await self._objects.read_blobs(oids, limit=MAX_FILE_BYTES, total=_MAX_TOTAL_BYTES)
        texts = {oid: _decoded(blob.content) for oid, blob in blobs.items()}
        solved: dict[_BothChanged, FileMerge] = {}
        for file in files:
            base, ours, theirs = (texts.get(oid) if oid is not None else "" for oid in file.oids)
            if base is None or ours is None or theirs is None:
                continue
            versions = Versions(base, ours, theirs)
            if (text := await self._driver.merge(file.path, versions)) is not None:
                judged = await _judge_apart(file.path, versions, text)
                solved |= {file: judged} if judged is not None and judged.text is not None else {}
        return solved

    async def _with_solved(self, merge: Merge, commits: MergedCommits, made: Mapping[_BothChanged, FileMerge]) -> Merge:
        """Return a merge with the conflicts in it solved that were; all stay if git also says of one between paths."""
        solved = {file: merged.text for file, merged in made.items() if file.is_conflict and merged.text is not None}
        if not solved or not await self._is_within_files(commits):
            return merge
        files = {file.path: NewFile(file.merged.mode, text.encode()) for file, text in solved.items()}
        tree = await tree_with(self._runner, merge.tree, files)
        paths = {file.path for file in solved}
        stages = {path: blobs for path, blobs in merge.stages.items() if path not in paths}
        return replace(merge, tree=tree, clean=not stages, stages=stages)

    async def _is_within_files(self, commits: MergedCommits) -> bool:
        """Return whether git names no conflict but those within files, such as one of renames."""
        args = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", commits.ours, commits.theirs)
        fields = (await self._runner.run(*args, ok=(0, 1))).stdout.split(b"\0")
        at = fields.index(b"", 1) + 1
        while at < len(fields) and fields[at]:
            kind = at + 1 + int(fields[at])
            if fields[kind].decode("utf-8", "replace") not in _WITHIN_FILES:
                return False
            at = kind + 2
        return True

    async def _with_migrations(self, merge: Merge, commits: MergedCommits) -> Merge:
        """Return a merge with a conflict for each migration of theirs that excludes one of ours."""
        mine, others = (
            [path for path in side if is_migration(path)][:_MAX_FILES]
            for side in (commits.ours_changed, commits.theirs_changed)
        )
        if not mine or not others:
            return merge
        old = await self._entries(commits.base, [*mine, *others])
        ours, theirs = await self._new(commits.ours, mine, old), await self._new(commits.theirs, others, old)
        texts = [{path: text for path, (_, text) in side.items()} for side in (ours, theirs)]
        clashes = await _find_clashes(texts[0], texts[1])
        if not clashes:
            return merge
        stages = {clash.theirs: {3: theirs[clash.theirs][0]} for clash in clashes}
        reasons = {clash.theirs: words_of(clash) for clash in clashes}
        return replace(merge, clean=False, stages={**merge.stages, **stages}, reasons={**merge.reasons, **reasons})

    async def _new(self, commit: str, paths: Sequence[str], old: Collection[str]) -> dict[str, tuple[str, str]]:
        """Return the blob id and text of files that a commit has and the base had not."""
        fresh = [path for path in paths if path not in old]
        entries = await self._entries(commit, fresh) if fresh else {}
        blobs = await self._objects.read_blobs(
            (entry.oid for entry in entries.values()), limit=MAX_FILE_BYTES, total=_MAX_TOTAL_BYTES
        )
        texts = {oid: _decoded(blob.content) for oid, blob in blobs.items()}
        return {path: (oid, text) for path, (_, oid) in entries.items() if (text := texts.get(oid)) is not None}


async def read_generated(runner: GitRunner, folder: Path, names: Iterable[str]) -> dict[str, bool]:
    """Return the written paths for which a folder's `.gitattributes` says whether a program generates the file.

    Args:
        runner: Runs git.
        folder: Has the attributes, and no other files.
        names: The paths, as git names them.

    Raises:
        GitError: git fails.
    """
    args = ("check-attr", "-z", "--stdin", LINGUIST.decode())
    fields = (await runner.run(*args, work_tree=folder, env=NO_SETTINGS, stdin=joined(names))).fields()
    said = zip(fields[::3], fields[2::3], strict=True)
    return {write_name(name): value in ("set", "true") for name, value in said if value != "unspecified"}


def is_mergeable(path: str) -> bool:
    """Whether a rule merges this kind of file or refuses it, by its name."""
    return language_of(path) in _LANGUAGES or is_data_file(path) or is_lock_file(path) or is_sum_file(path)


def _decoded(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


def _with_refused(merge: Merge, made: Mapping[_BothChanged, FileMerge]) -> Merge:
    """Return a merge with what is known of its files, and with the conflicts that git did not see."""
    stages, reasons = dict(merge.stages), dict(merge.reasons)
    for file, merged in made.items():
        if merged.label == "refused" and not file.is_conflict:
            reasons[file.path] = merged.reason
            stages[file.path] = {stage: oid for stage, oid in enumerate(file.oids, 1) if oid is not None}
        elif merged.label == "refused":
            reasons[file.path] = merged.reason
    return replace(merge, clean=merge.clean and not stages, stages=stages, reasons=reasons)


def with_labels(
    merge: Merge,
    both: Iterable[str],
    made: Mapping[str, FileMerge] = _NOTHING_MADE,
    *,
    why: str = "no check knows this kind of file",
) -> Merge:
    """Return a merge with the labels of its files.

    Args:
        merge: The merge; what is in conflict is refused.
        both: The paths that both sides changed.
        made: Path -> what was made of a file, as far as it was checked.
        why: Why the others were not checked.
    """
    return replace(merge, files=tuple(_labelled(merge, both, made, why)))


def _labelled(merge: Merge, both: Iterable[str], made: Mapping[str, FileMerge], why: str) -> Iterator[MergedFile]:
    for path in sorted({*merge.stages, *both}):
        done = made.get(path)
        if path in merge.stages:
            yield MergedFile(path=path, label="refused", reason=merge.reasons.get(path, _conflict(merge.stages[path])))
        elif done is not None and done.text is not None:
            yield MergedFile(path=path, label=done.label, strategy=done.strategy, reason=done.reason)
        else:
            yield MergedFile(path=path, label="unproven", strategy="text", reason=why)


def _conflict(blobs: Mapping[int, str]) -> str:
    if 2 in blobs and 3 in blobs:
        return "both sides change the same lines"
    return "one side removes or renames what the other changes"


def _is_of_use(file: _BothChanged, done: FileMerge) -> bool:
    return not file.is_conflict or is_mergeable(file.path) or is_generating(done.reason)


def _is_for_driver(file: _BothChanged, done: FileMerge | None) -> bool:
    """Whether a file is in conflict, and none that a program makes."""
    if not file.is_conflict or is_lock_file(file.path) or is_sum_file(file.path):
        return False
    return done is None or (done.text is None and not is_generating(done.reason))


async def _judge_apart(path: str, versions: Versions, text: str) -> FileMerge | None:
    """Return the judgement of a merged file, made in a separate process; None if that fails, which is logged."""
    try:
        return await ask_apart(judge_by_driver, (path, versions, text), size=LARGE + 1)
    except AnswerLostError as error:
        _LOG.warning("a merged file could not be checked", extra={"reason": str(error)})
        return None


def judge_by_driver(path: str, versions: Versions, text: str) -> FileMerge:
    """Return what `judge_merged` says of what the driver made of a file."""
    return judge_merged(path, versions, text, "mergiraf", read_source)


async def _merge_apart(jobs: Sequence[_Job]) -> list[FileMerge]:
    """Return the merges of files, in a separate process; empty if it fails, which is logged."""
    try:
        return await ask_apart(merge_files, (list(jobs),), size=LARGE + 1)
    except AnswerLostError as error:
        _LOG.warning("files are left as git merged them", extra={"reason": str(error)})
        return []


def merge_files(jobs: Sequence[_Job]) -> list[FileMerge]:
    """Return what `merge_file` makes of each file."""
    return [merge_file(job.path, job.versions, job.textual, read_source, is_generated=job.is_generated) for job in jobs]


async def _find_clashes(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[MigrationClash]:
    """Return the migrations that exclude each other, found in a separate process; empty if that fails."""
    if not ours or not theirs:
        return []
    try:
        return await ask_apart(migration_clashes, (dict(ours), dict(theirs)), size=LARGE + 1)
    except AnswerLostError as error:
        _LOG.warning("migrations are not compared", extra={"reason": str(error)})
        return []
