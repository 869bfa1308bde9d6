"""A repository in memory: commits, refs, worktrees by name and merges file by file; no process, no disk.

Implements `InspectedRepository` as far as a run needs it. Features of git itself (content filters, renames,
submodules) are not imitated; the git adapter has its own tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aegis_tui.errors import Conflict, GitError, MergeConflict, Refused
from aegis_tui.ports.commits import Blob, ChangedPath, Ref
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.repository import (
    ComposeResult,
    FileConflict,
    Guard,
    MergePreview,
    RepositoryFacts,
    RescueName,
    RescueRef,
    Worktree,
    WorktreeEntry,
    WorktreeSpec,
)
from aegis_tui.ports.repository_condition import RepositoryCondition

_FILE = "100644"
_CHECKOUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Commit:
    tree: str
    parents: tuple[str, ...]
    message: str


class MemoryRepository:
    """One repository that starts with one commit on `main`.

    Most methods raise `KeyError`, not `GitError`, for a commit or a worktree that does not exist.

    Args:
        root: The path that it reports as its checkout; nothing is read or written there.
        files: Path -> text of the files of the first commit.
    """

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self.root, self.common_dir, self.key = root, root / ".git", "0123456789ab"
        self._blobs: dict[str, bytes] = {}
        self._trees: dict[str, dict[str, str]] = {}
        self._commits: dict[str, _Commit] = {}
        self.refs: dict[str, str] = {}
        """Full ref name -> commit."""
        self.worktrees: dict[Path, Worktree] = {}
        self.guards: dict[Path, Guard] = {}
        self.unsaved: dict[Path, dict[str, str]] = {}
        """Path of a worktree -> its uncommitted files (path -> text); set by a test."""
        self.head = self.write_commit(files, ())
        self.refs["refs/heads/main"] = self.head

    def write_commit(self, files: Mapping[str, str], parents: Sequence[str], message: str = "") -> str:
        """Create a commit of exactly these files and return its id; equal input gives the same id."""
        tree = {path: self._blob(text.encode()) for path, text in files.items()}
        return self._commit(self._tree(tree), tuple(parents), message)

    def change(self, branch: str, files: Mapping[str, str | None]) -> str:
        """Commit changes on top of a branch, move the branch and return the commit; None as a text deletes the file.

        Raises:
            KeyError: There is no such branch.
        """
        before = self.refs[f"refs/heads/{branch}"]
        kept = {path: text for path, text in {**self.files(before), **files}.items() if text is not None}
        self.refs[f"refs/heads/{branch}"] = oid = self.write_commit(kept, (before,), f"change {branch}")
        return oid

    def files(self, oid: str) -> dict[str, str]:
        """Return path -> text of the files of a commit or tree; raises `GitError` if there is no such."""
        return {path: self._blobs[blob].decode() for path, blob in self._paths(oid).items()}

    def message(self, oid: str) -> str:
        """Return the message of a commit."""
        return self._commits[oid].message

    def parents(self, oid: str) -> tuple[str, ...]:
        """Return the parents of a commit."""
        return self._commits[oid].parents

    async def facts(self) -> RepositoryFacts:
        """See `Repository.facts`; always `main` at the first commit, with an identity and nothing unsaved."""
        person = ("Person", "person@example.org")
        return RepositoryFacts(self.root, self.common_dir, self.key, self.head, "main", *person, False, 0)

    async def preflight(self, run: str) -> None:
        """See `Repository.preflight`; raises only `Refused`, if the run has branches already."""
        if any(name.startswith(f"refs/heads/aegis/{run}/") for name in self.refs):
            raise Refused(f"there are branches of {run} already", "delete them")

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """See `Repository.add_worktree`; a branch that exists stays where it is, and nothing is refused."""
        self.refs.setdefault(f"refs/heads/{spec.branch}", spec.base_oid)
        admin = self.common_dir / "worktrees" / spec.instance
        made = Worktree(spec.path, spec.branch, spec.base_oid, admin, spec.guard.hooks_dir)
        self.worktrees[spec.path], self.guards[spec.path] = made, spec.guard
        return made

    async def completed(self, path: Path) -> None:
        """See `Repository.completed`; worktrees are complete at once."""

    async def continue_filling(self) -> None:
        """See `Repository.continue_filling`; nothing is ever incomplete."""

    async def stop_filling(self) -> None:
        """See `Repository.stop_filling`."""

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """See `Repository.add_scratch`; neither path nor commit is checked."""
        self.worktrees[path] = Worktree(path, None, oid, self.common_dir / "worktrees" / path.name)
        return self.worktrees[path]

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """See `Repository.restore_scratch`; nothing ever changes in one."""
        return ()

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None, reuse: bool = False
    ) -> RescueRef | None:
        """See `Repository.remove_worktree`; saves what is in `unsaved`, and returns None for an unknown path."""
        worktree, unsaved = self.worktrees.pop(path, None), self.unsaved.pop(path, None)
        if worktree is None or unsaved is None or rescue is None:
            return None
        tip = self.refs[f"refs/heads/{worktree.branch}"]
        oid = self.write_commit({**self.files(tip), **unsaved}, (tip,), "rescue")
        prefix = f"refs/aegis/rescue/{rescue.run}/{rescue.instance}/"
        ref = f"{prefix}{sum(name.startswith(prefix) for name in self.refs) + 1}"
        self.refs[ref] = oid
        return RescueRef(ref, oid, self._commits[oid].tree)

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """See `Repository.list_worktrees`."""
        return tuple(
            WorktreeEntry(item.path, None, item.branch, False, False, "aegis-tui", item.path.name)
            for item in self.worktrees.values()
        )

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """See `Repository.set_guard`; the guard is only recorded in `guards`."""
        self.guards[path] = guard

    async def restore_config(self) -> bool:
        """See `Repository.restore_config`; changes nothing, and is True if there are no worktrees."""
        return not self.worktrees

    async def snapshot_tree(self, path: Path) -> str:
        """See `Repository.snapshot_tree`."""
        return self._commits[await self.snapshot_commit(path)].tree

    async def snapshot_commit(self, path: Path) -> str:
        """See `Repository.snapshot_commit`."""
        tip = self.refs[f"refs/heads/{self.worktrees[path].branch}"]
        return self.write_commit({**self.files(tip), **self.unsaved.get(path, {})}, (tip,), "snapshot")

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """See `Repository.changed_paths`; a rename is returned as a deletion and an addition."""
        old, new = self._paths(base), self._paths(head)
        return [
            ChangedPath(
                path,
                _status(old.get(path), new.get(path)),
                None,
                _FILE,
                new.get(path) or old[path],
                old.get(path) if path in new else None,
            )
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ]

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """See `Repository.diff_text`; returns only status and path of each file, and ignores `paths`."""
        return "\n".join(f"{item.status} {item.path}" for item in await self.changed_paths(base, head))

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """See `Repository.read_blob`; `limit` is ignored."""
        revision, _, path = oid.partition(":")
        blob = self._paths(revision).get(path, "") if path else oid
        if blob not in self._blobs:
            raise GitError(f"there is no {oid}", "look at the id")
        return self._blobs[blob]

    async def read_blobs(self, oids: Iterable[str], *, limit: int, total: int) -> Mapping[str, Blob]:
        """See `Repository.read_blobs`; `total` is ignored."""
        sizes = {oid: len(self._blobs[oid]) for oid in oids if oid in self._blobs}
        return {oid: Blob(size, self._blobs[oid] if size <= limit else None) for oid, size in sizes.items()}

    async def tree_of(self, oid: str) -> str:
        """See `Repository.tree_of`."""
        return self._commits[oid].tree

    async def resolve(self, ref: str) -> str | None:
        """Return the commit that a ref or a commit id names; None if there is none; see `Repository.resolve`."""
        return self.refs.get(ref) or (ref if ref in self._commits else None)

    async def commit_exists(self, oid: str) -> bool:
        """See `Repository.commit_exists`."""
        return oid in self._commits

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Repository.is_ancestor`."""
        return ancestor in self._history(descendant)

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """See `Repository.merge_bases`; the order of several is arbitrary. Raises `KeyError` for an unknown commit."""
        common = set(self._history(one)) & set(self._history(other))
        return [oid for oid in common if not any(oid in self._history(more)[1:] for more in common)]

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """See `Repository.list_refs`."""
        names = sorted(name for name in self.refs if name == prefix or name.startswith(f"{prefix}/"))
        return tuple(Ref(name, self.refs[name]) for name in names)

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """See `Repository.predict`; a file that both sides change differently is one conflict.

        Raises:
            IndexError: The two have no common ancestor.
            KeyError: There is no such commit.
        """
        base = self._paths((await self.merge_bases(ours, theirs))[0])
        mine, other = self._paths(ours), self._paths(theirs)
        merged, conflicts, both = dict(mine), [], []
        for path in sorted({*base, *mine, *other}):
            was, here, there = base.get(path), mine.get(path), other.get(path)
            if was in (here, there) or here == there:
                _put(merged, path, there if here == was else here)
                both += [path] if here == there != was else []
                continue
            both.append(path)
            conflicts.append(FileConflict(path, was, here, there, 1, f"<<<<<<< {path} >>>>>>>"))
        tree = None if conflicts else self._tree(merged)
        return MergePreview(not conflicts, tree, tuple(both), tuple(conflicts))

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """See `Repository.compose`; raises `MergeConflict`, and `Conflict` if the ref is not at `expect_oid`."""
        if piece_oid in self._history(expect_oid):
            return ComposeResult(expect_oid, self._commits[expect_oid].tree, already=True)
        preview = await self.predict(expect_oid, piece_oid)
        if preview.tree is None:
            raise MergeConflict("the two change the same lines", conflicts=[item.path for item in preview.conflicts])
        oid = self._commit(preview.tree, (expect_oid, piece_oid), message)
        await self.update_ref(ref, oid, expect_oid)
        return ComposeResult(oid, preview.tree, already=False)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """See `Repository.squash`; raises `Conflict` if the branch is at another commit. The tree is not checked."""
        oid = self._commit(tree, (parent,), message)
        if self.refs.setdefault(f"refs/heads/{branch}", oid) != oid:
            raise Conflict(f"{branch} exists", "delete it")
        return oid

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """See `Repository.update_ref`; raises `Conflict` if the ref is not at `expect`. The commit is not checked."""
        if self.refs.get(ref) != expect:
            raise Conflict(f"{ref} has moved", "read it again")
        self.refs[ref] = oid

    async def delete_ref(self, ref: str, expect: str) -> None:
        """See `Repository.delete_ref`; raises `Conflict` if the ref is not at `expect`, or does not exist."""
        if self.refs.get(ref) != expect:
            raise Conflict(f"{ref} has moved", "read it again")
        del self.refs[ref]

    async def keep(self, run: str, name: str, oid: str) -> str:
        """See `Repository.keep`; a ref of that name is replaced, and the commit is not checked."""
        self.refs[f"refs/aegis/runs/{run}/{name}"] = oid
        return f"refs/aegis/runs/{run}/{name}"

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """See `Repository.git_mounts`; nothing is writable or created."""
        return GitMounts(self.common_dir, (), ())

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """See `Repository.take_in`; does nothing, because all commits are in one store here."""

    async def condition(self) -> RepositoryCondition:
        """See `InspectedRepository.condition`; always without a fault."""
        return RepositoryCondition()

    async def checkout_bytes(self) -> int:
        """See `InspectedRepository.checkout_bytes`; always 1 MiB."""
        return _CHECKOUT_BYTES

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """See `InspectedRepository.tree_paths`."""
        return tuple(sorted(self._paths(oid)))

    def _blob(self, content: bytes) -> str:
        self._blobs[oid := _id("blob", content)] = content
        return oid

    def _tree(self, paths: dict[str, str]) -> str:
        self._trees[oid := _id("tree", repr(sorted(paths.items())).encode())] = paths
        return oid

    def _commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        self._commits[oid := _id("commit", repr((tree, parents, message)).encode())] = _Commit(tree, parents, message)
        return oid

    def _paths(self, oid: str) -> dict[str, str]:
        tree = self._commits[oid].tree if oid in self._commits else oid
        if tree not in self._trees:
            raise GitError(f"there is no {oid}", "look at the id")
        return self._trees[tree]

    def _history(self, oid: str) -> list[str]:
        """Return the commit and then all commits that can be reached from it."""
        history = [oid]
        for item in history:
            history += [parent for parent in self._commits[item].parents if parent not in history]
        return history


def _id(kind: str, content: bytes) -> str:
    return hashlib.sha1(kind.encode() + content, usedforsecurity=False).hexdigest()


def _status(old: str | None, new: str | None) -> Literal["A", "M", "D"]:
    return "A" if old is None else "D" if new is None else "M"


def _put(tree: dict[str, str], path: str, blob: str | None) -> None:
    if blob is None:
        tree.pop(path, None)
    else:
        tree[path] = blob
