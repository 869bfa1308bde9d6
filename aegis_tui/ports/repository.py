"""The repository a workspace lives in: worktrees, guards, conflict prediction, composition (GIT-1 to GIT-8).

Object ids are hexadecimal text of 40 or 64 characters. Paths inside the repository are POSIX text relative to its root,
in their written form (`domain/path/file_name.py`); places are `Path`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from aegis_tui.ports.git_mounts import GitMounts


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What a run has to know before it starts."""

    root: Path
    """The person's checkout that was opened; of a bare repository its git folder."""
    common_dir: Path
    """The git folder that all worktrees share."""
    key: str
    """Workspace key (contract 1)."""
    head_oid: str | None
    """The commit checked out; None where there is none yet."""
    branch: str | None
    """Short name of the branch checked out; None when HEAD is detached."""
    user_name: str | None
    """`user.name`, from any level of configuration."""
    user_email: str | None
    """`user.email`, from any level of configuration."""
    ignore_case: bool
    """True where the file system folds case (`core.ignoreCase`)."""
    dirty_paths: int
    """Paths with uncommitted or untracked content in the checkout; a run does not include them."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What one instance may commit: paths and the one ref (PART-3, GIT-6)."""

    agent_id: str
    """Full form, `NATIVE-w01`; also the author of its commits."""
    own_ref: str
    """The only ref outside its worktree it may move, `refs/heads/aegis/<run>/<instance>`."""
    integration_ref: str
    """The working ref; commits that are on it count as checked, so that a rebase onto it passes."""
    allow: tuple[str, ...]
    """Globs it may write: its partition and what was granted. Empty for read-only roles."""
    hooks_dir: Path
    """Where its hooks are kept: absolute, outside every worktree, for this instance alone."""
    joint: tuple[str, ...] = ()
    """Globs that every worker may write under a lock."""
    shared: tuple[str, ...] = ()
    """Globs nobody may write; only named in the refusal."""
    denied: tuple[str, ...] = (".agents/specs/**",)
    """Globs refused even where `allow` matches."""
    owners: tuple[tuple[str, str], ...] = ()
    """(glob, agent id) of the others' partitions; only named in the refusal."""
    ignore_case: bool = False
    """Compare paths without case, as `RepositoryFacts.ignore_case` says."""


@dataclass(frozen=True, slots=True)
class WorktreeSpec:
    """A worktree to make for one instance."""

    instance: str
    """Short id, `w01`."""
    path: Path
    """Absolute, outside the repository."""
    branch: str
    """Short name, `aegis/<run>/<instance>`; made at `base_oid` unless it exists."""
    base_oid: str
    guard: Guard


@dataclass(frozen=True, slots=True)
class Worktree:
    """A worktree that is complete, locked and guarded."""

    path: Path
    branch: str | None
    """Short name; None for a scratch worktree, whose HEAD is detached."""
    base_oid: str
    admin_dir: Path
    """Its own folder inside the common git folder."""
    hooks_dir: Path | None = None
    """Where its guard is kept; None for a scratch worktree."""
    empty: tuple[str, ...] = ()
    """Submodules of a scratch worktree that are not set up."""


@dataclass(frozen=True, slots=True)
class WorktreeEntry:
    """One worktree as git knows it, the person's own ones included."""

    path: Path
    head_oid: str | None
    branch: str | None
    """Short name; None when HEAD is detached."""
    is_bare: bool
    is_missing: bool
    """True when its folder is gone."""
    lock_reason: str | None
    """None when it is not locked."""
    instance: str | None
    """The instance it was made for; None when it is not one of ours."""


@dataclass(frozen=True, slots=True)
class RescueName:
    """Whose work a rescue holds."""

    run: str
    instance: str


@dataclass(frozen=True, slots=True)
class RescueRef:
    """Work that was saved before its worktree was removed."""

    ref: str
    """`refs/aegis/rescue/<run>/<instance>/<n>`."""
    oid: str
    tree: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref and the object it names."""

    name: str
    oid: str


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """One path that differs between two commits or trees."""

    path: str
    status: Literal["A", "M", "D", "R", "T"]
    """Added, modified, deleted, renamed, type changed."""
    old_path: str | None
    """Where a renamed file was; else None."""
    mode: str
    """Of the new side, `100644`; of the old side for a deletion. `120000` is a symbolic link, `160000` a submodule."""
    blob: str
    """Object id of the new side; of the old side for a deletion."""


@dataclass(frozen=True, slots=True)
class FileConflict:
    """One path that two sides change at the same place."""

    path: str
    base: str | None
    """Blob id; None where that side has no such file."""
    ours: str | None
    theirs: str | None
    hunks: int
    """Conflicting places; 0 where there is no text to compare (deleted on one side, binary)."""
    text: str
    """The conflicting hunks in zdiff3 form, cut to a readable length."""
    kind: Literal["hot"] = "hot"


@dataclass(frozen=True, slots=True)
class MergePreview:
    """What a merge would do, found without touching any worktree."""

    clean: bool
    tree: str | None
    """The merged tree; None when it is not clean."""
    both_changed: tuple[str, ...]
    """Paths that both sides changed since their merge base, sorted. Those not in `conflicts` are soft."""
    conflicts: tuple[FileConflict, ...]

    @property
    def soft(self) -> tuple[str, ...]:
        """Paths that both sides change and that merge cleanly."""
        hot = {conflict.path for conflict in self.conflicts}
        return tuple(path for path in self.both_changed if path not in hot)


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """A piece on the working ref."""

    oid: str
    """Where the working ref stands now."""
    tree: str
    already: bool
    """True when the piece was there before; nothing was written then."""


class Repository(Protocol):
    """One git repository. Never blocks the event loop, never touches the person's checkout, index or stash.

    Raises only `GitError`, `GitUnavailable`, `Refused`, `Conflict` and `MergeConflict`.
    """

    @property
    def root(self) -> Path:
        """The checkout that was opened."""
        ...

    @property
    def common_dir(self) -> Path:
        """The git folder that all worktrees share."""
        ...

    @property
    def key(self) -> str:
        """Workspace key (contract 1)."""
        ...

    async def facts(self) -> RepositoryFacts:
        """What a run has to know before it starts."""
        ...

    async def preflight(self, run: str) -> None:
        """Return if a run may start.

        Raises:
            Refused: No commit, no identity, or a branch that stands where ours go; the hint is the command that helps.
        """
        ...

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """A complete, locked and guarded worktree; repeated or after a crash, the same one, with the work in it."""
        ...

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """A worktree with a detached HEAD at `oid` for checks, with the submodules that the person has set up.

        Whatever stood there of our own is replaced.
        """
        ...

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Write its tracked files again as they were; returns those whose content had changed. New files stay."""
        ...

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None
    ) -> RescueRef | None:
        """Remove one of our worktrees, after saving what only it holds; the branch stays.

        Args:
            path: Its folder.
            rescue: Whose work it is. None is for scratch worktrees only, whose content is dropped.
            already_saved: A tree that is kept elsewhere; content equal to it needs no rescue.

        Returns:
            Where the work was saved; None when there was nothing to save.

        Raises:
            Refused: The work cannot be saved in full; nothing was removed.
        """
        ...

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """All worktrees of the repository, the main one first."""
        ...

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Replace what the instance in that worktree may commit, from the next commit on."""
        ...

    async def restore_config(self) -> bool:
        """Give the person's configuration back byte for byte; False while a worktree still needs the change."""
        ...

    async def snapshot_tree(self, path: Path) -> str:
        """The tree of all content of a worktree, uncommitted and untracked included; its index is not touched."""
        ...

    async def snapshot_commit(self, path: Path) -> str:
        """A commit of `snapshot_tree` on the worktree's HEAD; equal content gives the equal id."""
        ...

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """What differs between two commits or trees, sorted by path."""
        ...

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """The unified diff between two commits or trees, of those paths only when given."""
        ...

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """A blob by its id or `revision:path` (contract 3); over `limit` bytes a `GitError`, code `git.output`."""
        ...

    async def tree_of(self, oid: str) -> str:
        """The tree of a commit."""
        ...

    async def resolve(self, ref: str) -> str | None:
        """The commit that a ref or object id names, or None."""
        ...

    async def commit_exists(self, oid: str) -> bool:
        """True if that commit is in the repository."""
        ...

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """True if `ancestor` can be reached from `descendant`, or is the same."""
        ...

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """The best common ancestors, the one that git prefers first."""
        ...

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """The refs at or below `prefix`, a full ref name, sorted by name."""
        ...

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """What merging two commits would do (GIT-2); writes objects only."""
        ...

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """Merge a piece onto `ref` without a worktree; the same inputs give the same commit, also repeated.

        Args:
            ref: Full name of the working ref.
            piece_oid: The commit to bring in.
            expect_oid: Where the ref must stand.
            message: Of the merge commit.
            at: Its date, in seconds since 1970.

        Raises:
            MergeConflict: The two change the same lines; `data["conflicts"]` lists them. The ref is unchanged.
            Conflict: The ref stands elsewhere.
        """
        ...

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """One commit of `tree` on `parent`, by the person, as a new branch; the same again if it is there.

        Raises:
            Conflict: The branch exists and is another commit.
        """
        ...

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref that stands at `expect`; None: that does not exist yet.

        Raises:
            Conflict: It stands elsewhere.
        """
        ...

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that stands at `expect`.

        Raises:
            Conflict: It stands elsewhere.
        """
        ...

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Hold a commit for good under `refs/aegis/runs/<run>/<name>`; returns that ref."""
        ...

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """What a sandbox around that worktree has to mount.

        Args:
            worktree: Fresh: no agent has been in it.
            private: A folder for this instance alone, for a git folder and a store of its own; what it commits is in
                the repository only after `take_in`. None: it writes the real ones.
        """
        ...

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """Bring commits that an instance made, with all that they need, into the repository.

        Args:
            private: As given to `git_mounts`; nothing in it is trusted. One without a store has nothing to bring.
            oids: The commits. GitError is raised when they are not whole; nothing was brought then.
        """
        ...
