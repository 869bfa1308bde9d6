"""The git repository of a workspace: worktrees, guards, conflict prediction, merging of pieces (GIT-1 to GIT-8).

Object ids are hexadecimal text of 40 or 64 characters. Paths inside the repository are POSIX text relative to its root,
in their written form (`domain/path/file_name.py`); paths in the file system are `Path`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aegis_tui.ports.commits import ChangedPath, Commits, Ref
from aegis_tui.ports.filling import Filling
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.merge import ComposeResult, MergePreview


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
    denied: tuple[str, ...] = (".agents", ".agents/specs", ".agents/specs/**")
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
    first: tuple[str, ...] | None = None
    """Globs of the files that the instance needs first: in a large repository only their folders, and the files of the
    folders above them, are sure to be there when the worktree is returned. None: all files are."""
    asks: bool = False
    """Whether the instance asks for the missing files when it needs them (`domain.filling`), so that they may wait."""


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
    is_whole: bool = True
    """False while files are missing that are being added in the background; see `Filling.completed`."""


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


class Repository(Commits, Filling, Protocol):
    """One git repository. No method blocks the event loop or touches the person's checkout, index or stash.

    They raise only `GitError`, `GitUnavailable`, `Refused`, `Conflict` and `MergeConflict`, and `OSError` where a file
    or folder cannot be read or written.
    """

    @property
    def root(self) -> Path:
        """The top folder of the checkout that was opened; for a bare repository, its git folder."""
        ...

    @property
    def common_dir(self) -> Path:
        """The git folder that all worktrees share."""
        ...

    @property
    def key(self) -> str:
        """The workspace key (contract 1): 12 hexadecimal digits, the same in all worktrees of the repository."""
        ...

    async def facts(self) -> RepositoryFacts:
        """Return the facts that a run needs before it starts; raises `GitError` if the checkout cannot be read."""
        ...

    async def preflight(self, run: str) -> None:
        """Return None if a run with this name may start in the repository; changes nothing.

        Raises:
            Refused: There is no commit, git knows no name or no email address of the person, or a branch has a name
                that blocks the run's branches; the hint is the command that helps.
            GitError: git fails.
        """
        ...

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """Create an instance's worktree, with its branch and its guard, and return it.

        A complete one is kept with the work in it, and gets the guard of `spec`. What is left of an incomplete one is
        saved under a rescue ref if it may be work, and then replaced.

        Raises:
            Refused: Something that is no worktree of this program is at the path, the work in it cannot be saved, or a
                glob of the guard is not valid.
            Conflict: Another program is writing the repository's configuration.
            GitError: git fails.
            OSError: A file or folder cannot be read or written.
        """
        ...

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """Create a worktree for checks, with a detached HEAD at `oid` and the submodules that the person has set up.

        An earlier scratch worktree at `path` is replaced.

        Raises:
            Refused: Another worktree is at `path`.
            Conflict: Something else is at `path`.
            GitError: git fails.
            OSError: A file or folder cannot be read or written.
        """
        ...

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Restore the tracked files of a scratch worktree to those of its commit; new files stay.

        Returns:
            The paths of the files that were changed or deleted; empty if none was.

        Raises:
            GitError: git fails.
            OSError: The worktree's index cannot be copied.
        """
        ...

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None, reuse: bool = False
    ) -> RescueRef | None:
        """Remove a worktree that this program created, after saving content that is nowhere else; its branch stays.

        Args:
            path: Its folder.
            rescue: Whose work it is. None only for scratch worktrees, whose content is discarded.
            already_saved: A tree that is kept elsewhere; a worktree with equal content needs no rescue.
            reuse: Its files may become those of the next worktree, which is then ready at once, if the repository is
                large. No program of an agent could write there, and all files must be as they were checked out; in a
                scratch worktree every program ran in a sandbox, and what they changed is restored.

        Returns:
            The ref under which the work was saved; None when there was nothing to save, or no worktree.

        Raises:
            Refused: The work cannot be saved in full, `rescue` is missing, or this program did not create what is at
                `path`; nothing was removed.
            Conflict: Another program is writing the repository's configuration; the worktree was removed.
            GitError: git fails.
            OSError: A file or folder cannot be read, written or moved.
        """
        ...

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """Return all worktrees of the repository, the main one first; those whose folder is gone are listed too.

        Raises:
            GitError: git fails.
        """
        ...

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Replace the guard of the instance in the worktree at `path`; it takes effect with the next commit.

        Raises:
            GitError: There is no worktree at `path`, or the guard cannot be written.
            Refused: A glob of the guard is not valid.
        """
        ...

    async def restore_config(self) -> bool:
        """Undo the change that `add_worktree` made to the repository's configuration, byte for byte.

        Returns:
            True when it is undone, or was never made; False, with nothing changed, while a worktree of this program or
            another setting still needs it.

        Raises:
            Conflict: Another program is writing the configuration.
            OSError: The configuration cannot be read or written.
        """
        ...

    async def snapshot_tree(self, path: Path) -> str:
        """Return the id of a tree with the content of a worktree, including files that are changed or untracked.

        Untracked files that git ignores are left out. The index is not touched.

        Raises:
            GitError: There is no worktree at `path`, or its content cannot be read.
        """
        ...

    async def snapshot_commit(self, path: Path) -> str:
        """Write a commit of the tree of `snapshot_tree`, with the worktree's HEAD as parent, and return its id.

        No ref is moved. With equal content and an equal HEAD, the id is the same.

        Raises:
            GitError: There is no worktree at `path`, or its HEAD or content cannot be read.
        """
        ...

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return the paths that differ between two commits or trees, sorted by path.

        Raises:
            GitError: One of the two does not exist, or the list is too long (code `git.output`).
        """
        ...

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """Return the refs at or below `prefix`, a full ref name, sorted by name; empty if there are none.

        Raises:
            GitError: git fails.
        """
        ...

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """Compute what merging two commits would give (GIT-2); conflicts raise nothing. Writes only objects, no ref.

        Raises:
            GitError: One of the commits does not exist.
        """
        ...

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """Merge a piece onto `ref` without a worktree. Equal arguments give the same commit, so it can be repeated.

        If the ref contains the piece already, nothing is written, and the result has `already` set.

        Args:
            ref: Full name of the working ref.
            piece_oid: The commit to merge.
            expect_oid: The commit that the ref must point to, unless the piece is merged already.
            message: The message of the merge commit.
            at: The date of the merge commit, in seconds since 1970.

        Raises:
            MergeConflict: Both change the same lines; `data["conflicts"]` lists them. The ref is unchanged.
            Conflict: The ref points to another commit, or does not exist.
            Refused: git knows no name or no email address of the person.
            GitError: A commit does not exist, or git fails.
        """
        ...

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """Write a commit of a tree in the person's name, create a branch that points to it, and return the commit's id.

        Equal arguments give the same commit, so it can be repeated; a branch that points to it already stays.

        Args:
            tree: The tree to commit.
            parent: The commit's only parent.
            branch: The short name of the branch.
            message: The commit message.
            at: The date of the commit, in seconds since 1970.

        Raises:
            Conflict: The branch exists and points to another commit.
            Refused: git knows no name or no email address of the person.
            GitError: git fails.
        """
        ...

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """Return the mounts of the git folder for a sandbox around that worktree; folders to be mounted are created.

        Args:
            worktree: One in which no agent has run yet, as the files that agents must not change are looked up now. For
                a scratch worktree nothing becomes writable. A second call before an agent runs does no harm.
            private: A folder for the instance's own git folder and object store, whose commits only `take_in` copies to
                the repository; what another worktree left in it is deleted. None: it writes to the repository's own.

        Raises:
            GitError: git fails.
            OSError: A folder cannot be read or created.
        """
        ...

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """Copy commits that an instance made, with all objects that they need, into the repository; no ref is moved.

        Args:
            private: As given to `git_mounts`; its content is not trusted. Without an object store, nothing is copied.
            oids: The commits.

        Raises:
            GitError: Objects are missing, damaged or beyond the limits; nothing was copied (code `git.objects`).
        """
        ...
