"""The git repository of a workspace: worktrees, guards, conflict prediction, merging of pieces (GIT-1 to GIT-8).

Object ids are hexadecimal text of 40 or 64 characters. Paths inside the repository are POSIX text relative to its root,
in their written form (`domain/path/file_name.py`); paths in the file system are `Path`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from aegis_tui.ports.git_mounts import GitMounts


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """The facts about a repository that are read before a run starts."""

    root: Path
    """The person's checkout that was opened; for a bare repository, its git folder."""
    common_dir: Path
    """The git folder that all worktrees share."""
    key: str
    """Workspace key (contract 1)."""
    head_oid: str | None
    """The commit that is checked out; None when the repository has no commit yet."""
    branch: str | None
    """Short name of the branch that is checked out; None when HEAD is detached."""
    user_name: str | None
    """`user.name`, from any level of git's configuration."""
    user_email: str | None
    """`user.email`, from any level of git's configuration."""
    ignore_case: bool
    """True when the file system ignores case (`core.ignoreCase`)."""
    dirty_paths: int
    """How many paths of the checkout have uncommitted or untracked content; a run does not include it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The paths and the one ref that an instance may commit to; its git hooks enforce this (PART-3, GIT-6)."""

    agent_id: str
    """Full form, `NATIVE-w01`; also the author of its commits."""
    own_ref: str
    """The only ref outside its worktree that it may move, `refs/heads/aegis/<run>/<instance>`."""
    integration_ref: str
    """The working ref. Commits that are on it are not checked again, so that a rebase onto it passes."""
    allow: tuple[str, ...]
    """Globs that it may write: its partition and the paths that were granted. Empty for read-only roles."""
    hooks_dir: Path
    """The folder of its hooks: absolute, outside every worktree, for this instance alone."""
    joint: tuple[str, ...] = ()
    """Globs that every worker may write under a lock."""
    shared: tuple[str, ...] = ()
    """Globs that nobody may write; only used to word the refusal."""
    denied: tuple[str, ...] = (".agents/specs/**",)
    """Globs refused even where `allow` matches."""
    owners: tuple[tuple[str, str], ...] = ()
    """Pairs (glob, agent id) of the other instances' partitions; only used to word the refusal."""
    ignore_case: bool = False
    """Whether paths are compared without case; see `RepositoryFacts.ignore_case`."""


@dataclass(frozen=True, slots=True)
class WorktreeSpec:
    """A worktree to create for one instance."""

    instance: str
    """Short id, `w01`."""
    path: Path
    """Absolute, outside the repository."""
    branch: str
    """Short name, `aegis/<run>/<instance>`; created at `base_oid` unless it exists."""
    base_oid: str
    guard: Guard


@dataclass(frozen=True, slots=True)
class Worktree:
    """A complete worktree, locked against `git worktree prune`; that of an instance has its guard installed."""

    path: Path
    branch: str | None
    """Short name; None for a scratch worktree, whose HEAD is detached."""
    base_oid: str
    admin_dir: Path
    """Its own folder inside the common git folder."""
    hooks_dir: Path | None = None
    """The folder of its guard's hooks; None for a scratch worktree."""
    empty: tuple[str, ...] = ()
    """Submodules of a scratch worktree that are not set up and therefore empty."""


@dataclass(frozen=True, slots=True)
class WorktreeEntry:
    """One worktree as git lists it; the person's own worktrees are listed too."""

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
    """The instance that it was created for; None when this program did not create it for one."""


@dataclass(frozen=True, slots=True)
class RescueName:
    """The run and the instance whose work a rescue ref holds."""

    run: str
    instance: str


@dataclass(frozen=True, slots=True)
class RescueRef:
    """A ref that holds the work of a worktree, saved before the worktree was removed."""

    ref: str
    """`refs/aegis/rescue/<run>/<instance>/<n>`."""
    oid: str
    tree: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref and the id of the object that it points to."""

    name: str
    oid: str


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """One path that differs between two commits or trees."""

    path: str
    status: Literal["A", "M", "D", "R", "T"]
    """Added, modified, deleted, renamed, type changed."""
    old_path: str | None
    """The former path of a renamed file; else None."""
    mode: str
    """The file mode, `100644`: the new one, or the old one of a deleted file. `120000` is a symbolic link, `160000` a
    submodule."""
    blob: str
    """The object id of the new content, or of the old content of a deleted file."""


@dataclass(frozen=True, slots=True)
class FileConflict:
    """A path in which two commits change the same place."""

    path: str
    base: str | None
    """Blob id of the file in the merge base; as for `ours` and `theirs`, None when that side has no such file."""
    ours: str | None
    theirs: str | None
    hunks: int
    """How many places conflict; 0 when there is no text to compare (deleted on one side, binary)."""
    text: str
    """The conflicting hunks in git's zdiff3 form, cut to a readable length."""
    kind: Literal["hot"] = "hot"


@dataclass(frozen=True, slots=True)
class MergePreview:
    """The outcome that a merge would have, computed without touching any worktree."""

    clean: bool
    tree: str | None
    """The merged tree; None when it is not clean."""
    both_changed: tuple[str, ...]
    """Paths that both sides changed since their merge base, sorted; those that are not in `conflicts` are soft."""
    conflicts: tuple[FileConflict, ...]

    @property
    def soft(self) -> tuple[str, ...]:
        """The paths that both sides change and that merge without conflict."""
        hot = {conflict.path for conflict in self.conflicts}
        return tuple(path for path in self.both_changed if path not in hot)


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """The working ref after a piece was merged onto it."""

    oid: str
    """The commit that the working ref now points to."""
    tree: str
    already: bool
    """True when the piece had been merged before; then nothing was written."""


class Repository(Protocol):
    """One git repository. No method blocks the event loop or touches the person's checkout, index or stash.

    They raise only `GitError`, `GitUnavailable`, `Refused`, `Conflict` and `MergeConflict`.
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
        """Read the facts about the repository that a run needs before it starts."""
        ...

    async def preflight(self, run: str) -> None:
        """Return if this run may start in the repository.

        Raises:
            Refused: There is no commit or no identity, or a branch has a name that blocks the run's branches; the hint
                is the command that helps.
        """
        ...

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """Create the worktree, or complete it, and return it; an existing one is returned with the work in it."""
        ...

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """Create a worktree for checks, with a detached HEAD at `oid` and the submodules that the person has set up.

        An earlier worktree of this program at `path` is replaced.
        """
        ...

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Restore the tracked files of a scratch worktree; return the paths that had changed. New files stay."""
        ...

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None
    ) -> RescueRef | None:
        """Remove a worktree that this program created, after saving content that is nowhere else; its branch stays.

        Args:
            path: Its folder.
            rescue: Whose work it is. None only for scratch worktrees, whose content is discarded.
            already_saved: A tree that is kept elsewhere; a worktree with equal content needs no rescue.

        Returns:
            The ref under which the work was saved; None when there was nothing to save.

        Raises:
            Refused: The work cannot be saved in full; nothing was removed.
        """
        ...

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """Return all worktrees of the repository, the main one first."""
        ...

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Replace the guard of the instance in that worktree; it takes effect with the next commit."""
        ...

    async def restore_config(self) -> bool:
        """Restore the person's git configuration byte for byte; return False if a worktree still needs the change."""
        ...

    async def snapshot_tree(self, path: Path) -> str:
        """Return the id of a tree with all content of a worktree, also uncommitted and untracked files.

        The index of the worktree is not touched.
        """
        ...

    async def snapshot_commit(self, path: Path) -> str:
        """Commit `snapshot_tree` on top of the worktree's HEAD; return its id, the same for equal content."""
        ...

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return the paths that differ between two commits or trees, sorted by path."""
        ...

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """Return the unified diff between two commits or trees; of `paths` only when given."""
        ...

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """Read a blob by its id or by `revision:path` (contract 3).

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`), or does not exist.
        """
        ...

    async def tree_of(self, oid: str) -> str:
        """Return the tree of a commit."""
        ...

    async def resolve(self, ref: str) -> str | None:
        """Return the commit that a ref or an object id names; None when there is none."""
        ...

    async def commit_exists(self, oid: str) -> bool:
        """Return whether that commit is in the repository."""
        ...

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` can be reached from `descendant`, or is the same commit."""
        ...

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits, the one that git prefers first."""
        ...

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """Return the refs at or below `prefix`, a full ref name, sorted by name."""
        ...

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """Compute what merging two commits would give (GIT-2); writes only objects, no ref."""
        ...

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """Merge a piece onto `ref` without a worktree. Equal arguments give the same commit, so it can be repeated.

        Args:
            ref: Full name of the working ref.
            piece_oid: The commit to merge.
            expect_oid: The commit that the ref must point to, unless the piece is merged already.
            message: The message of the merge commit.
            at: The date of the merge commit, in seconds since 1970.

        Raises:
            MergeConflict: Both change the same lines; `data["conflicts"]` lists them. The ref is unchanged.
            Conflict: The ref points to another commit.
        """
        ...

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """Commit `tree` on `parent` in the person's name, on a new branch; return the id. It can be repeated.

        Raises:
            Conflict: The branch exists and points to another commit.
        """
        ...

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref from `expect` to `oid`; with None as `expect`, create it.

        Raises:
            Conflict: The ref points to another object; with None, it exists.
        """
        ...

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that points to `expect`.

        Raises:
            Conflict: The ref points to another object.
        """
        ...

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Keep a commit permanently by the ref `refs/aegis/runs/<run>/<name>`; return that ref."""
        ...

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """Return the mounts of the git folder for a sandbox around that worktree.

        Args:
            worktree: A new worktree in which no agent has run yet.
            private: A folder for a git folder and an object store of this instance alone; its commits are in the
                repository only after `take_in`. None: the instance writes to the repository's own.
        """
        ...

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """Copy commits that an instance made, with all objects that they need, into the repository.

        Args:
            private: As given to `git_mounts`; its content is not trusted. Without an object store, nothing is copied.
            oids: The commits.

        Raises:
            GitError: Objects of the commits are missing; nothing was copied.
        """
        ...
