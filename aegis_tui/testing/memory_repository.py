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
from aegis_tui.ports.merge import ComposeResult, FileConflict, MergePreview
from aegis_tui.ports.repository import (
    Guard,
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
        """Create a commit of exactly these files and return its id; equal input gives the same id.

        The parents are not checked.
        """
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
        """Return the message of a commit; raises `KeyError` if there is no such."""
        return self._commits[oid].message

    def parents(self, oid: str) -> tuple[str, ...]:
        """Return the parents of a commit, in order; raises `KeyError` if there is no such."""
        return self._commits[oid].parents

    async def facts(self) -> RepositoryFacts:
        """Return fixed facts: `main` at the first commit, a person's name and address, nothing uncommitted."""
        person = ("Person", "person@example.org")
        return RepositoryFacts(self.root, self.common_dir, self.key, self.head, "main", *person, False, 0)

    async def preflight(self, run: str) -> None:
        """Return if a run with this name may start; raises only `Refused`, if branches of it exist already."""
        if any(name.startswith(f"refs/heads/aegis/{run}/") for name in self.refs):
            raise Refused(f"there are branches of {run} already", "delete them")

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """Record the worktree of an instance, with its branch and guard, and return it; nothing is written or refused.

        The branch is created at `spec.base_oid`; one that exists stays where it is.
        """
        self.refs.setdefault(f"refs/heads/{spec.branch}", spec.base_oid)
        admin = self.common_dir / "worktrees" / spec.instance
        made = Worktree(spec.path, spec.branch, spec.base_oid, admin, spec.guard.hooks_dir)
        self.worktrees[spec.path], self.guards[spec.path] = made, spec.guard
        return made

    async def begin_scratch(self, parent: Path, oid: str) -> None:
        """Do nothing: worktrees for checks have no files."""

    async def completed(self, path: Path) -> None:
        """Return at once: worktrees are complete as soon as they are added."""

    async def continue_filling(self) -> None:
        """Do nothing, because no worktree is ever incomplete."""

    async def stop_filling(self) -> None:
        """Do nothing, because no worktree is ever incomplete."""

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """Record a worktree for checks at `path`, and return it.

        An earlier one there is replaced, and nothing is checked.
        """
        self.worktrees[path] = Worktree(path, None, oid, self.common_dir / "worktrees" / path.name)
        return self.worktrees[path]

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Return no paths: no file of a worktree for checks ever changes."""
        return ()

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None, reuse: bool = False
    ) -> RescueRef | None:
        """Remove a worktree; if it has files in `unsaved`, save them under a new rescue ref, and return that.

        None if there is no such worktree, nothing to save, or no `rescue`; the other arguments are ignored. The branch
        stays.
        """
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
        """Return the worktrees that were added, in that order, without the main one; their head is not known."""
        return tuple(
            WorktreeEntry(item.path, None, item.branch, False, False, "aegis-tui", item.path.name)
            for item in self.worktrees.values()
        )

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Record the guard of a worktree in `guards`; neither is checked."""
        self.guards[path] = guard

    async def restore_config(self) -> bool:
        """Return whether there are no worktrees; changes nothing."""
        return not self.worktrees

    async def snapshot_tree(self, path: Path) -> str:
        """Return the id of a tree of the worktree's branch with its files in `unsaved`.

        Raises `KeyError` for no worktree.
        """
        return self._commits[await self.snapshot_commit(path)].tree

    async def snapshot_commit(self, path: Path) -> str:
        """Return the id of a commit of the worktree's branch with its files in `unsaved`.

        Raises `KeyError` for no worktree.
        """
        tip = self.refs[f"refs/heads/{self.worktrees[path].branch}"]
        return self.write_commit({**self.files(tip), **self.unsaved.get(path, {})}, (tip,), "snapshot")

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return the paths that differ between two commits or trees, sorted; a rename is a deletion and an addition.

        Raises:
            GitError: There is no such commit or tree.
        """
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
        """Return a line with status and path for each file that differs, instead of a diff; `paths` is ignored.

        Raises `GitError` if there is no such commit or tree.
        """
        return "\n".join(f"{item.status} {item.path}" for item in await self.changed_paths(base, head))

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """Return the content of a blob, named by its id or as `commit:path`; raises `GitError` if there is none.

        `limit` is ignored.
        """
        revision, _, path = oid.partition(":")
        blob = self._paths(revision).get(path, "") if path else oid
        if blob not in self._blobs:
            raise GitError(f"there is no {oid}", "look at the id")
        return self._blobs[blob]

    async def read_blobs(self, oids: Iterable[str], *, limit: int, total: int) -> Mapping[str, Blob]:
        """Return blobs by id; unknown ids are left out, one over `limit` bytes is without content.

        `total` is ignored.
        """
        sizes = {oid: len(self._blobs[oid]) for oid in oids if oid in self._blobs}
        return {oid: Blob(size, self._blobs[oid] if size <= limit else None) for oid, size in sizes.items()}

    async def tree_of(self, oid: str) -> str:
        """Return the id of a commit's tree; raises `KeyError` if there is no such commit."""
        return self._commits[oid].tree

    async def resolve(self, ref: str) -> str | None:
        """Return the commit that a ref, by its full name, or a commit id names; None if there is none."""
        return self.refs.get(ref) or (ref if ref in self._commits else None)

    async def commit_exists(self, oid: str) -> bool:
        """Return whether there is a commit with this id."""
        return oid in self._commits

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether a commit can be reached from another, or is the same; raises `KeyError` if that is unknown."""
        return ancestor in self._history(descendant)

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits in any order; raises `KeyError` for an unknown commit."""
        common = set(self._history(one)) & set(self._history(other))
        return [oid for oid in common if not any(oid in self._history(more)[1:] for more in common)]

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """Return the refs at or below `prefix`, a full ref name, sorted by name; empty if there are none."""
        names = sorted(name for name in self.refs if name == prefix or name.startswith(f"{prefix}/"))
        return tuple(Ref(name, self.refs[name]) for name in names)

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """Return what merging two commits would give; a file that both sides change differently is one conflict.

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
        """Merge a piece onto a ref with a new commit, and move the ref; if `expect_oid` has the piece, do nothing.

        Raises:
            MergeConflict: Both change the same file; the ref is unchanged.
            Conflict: The ref is not at `expect_oid`.
            KeyError: There is no such commit.
            IndexError: The two have no common ancestor.
        """
        if piece_oid in self._history(expect_oid):
            return ComposeResult(expect_oid, self._commits[expect_oid].tree, already=True)
        preview = await self.predict(expect_oid, piece_oid)
        if preview.tree is None:
            raise MergeConflict("the two change the same lines", conflicts=[item.path for item in preview.conflicts])
        oid = self._commit(preview.tree, (expect_oid, piece_oid), message)
        await self.update_ref(ref, oid, expect_oid)
        return ComposeResult(oid, preview.tree, already=False)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """Write a commit of a tree, create a branch that points to it, and return its id; the tree is not checked.

        Raises:
            Conflict: The branch exists and is at another commit.
        """
        oid = self._commit(tree, (parent,), message)
        if self.refs.setdefault(f"refs/heads/{branch}", oid) != oid:
            raise Conflict(f"{branch} exists", "delete it")
        return oid

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref, or create it if `expect` is None; raises `Conflict` if it is not at `expect`.

        `oid` is not checked.
        """
        if self.refs.get(ref) != expect:
            raise Conflict(f"{ref} has moved", "read it again")
        self.refs[ref] = oid

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref; raises `Conflict` if it is not at `expect`, or does not exist."""
        if self.refs.get(ref) != expect:
            raise Conflict(f"{ref} has moved", "read it again")
        del self.refs[ref]

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Let `refs/aegis/runs/<run>/<name>` point to a commit, which is not checked; return that ref."""
        self.refs[f"refs/aegis/runs/{run}/{name}"] = oid
        return f"refs/aegis/runs/{run}/{name}"

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """Return mounts with nothing but the path of the git folder; nothing is created."""
        return GitMounts(self.common_dir, (), ())

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """Do nothing, because all commits are in one store here."""

    async def condition(self) -> RepositoryCondition:
        """Return a condition without any fault, always."""
        return RepositoryCondition()

    async def checkout_bytes(self) -> int:
        """Return 1 MiB, always."""
        return _CHECKOUT_BYTES

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """Return the paths of the files of a commit or tree, sorted; raises `GitError` if there is no such."""
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
        """Return the commit and then all commits that can be reached from it; raises `KeyError` for an unknown one."""
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
