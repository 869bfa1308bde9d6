"""Saves the content of a worktree without changing it: trees through a temporary index, rescue commits (GIT-1, GIT-2).

Runs git only on the common folder. An instance can write its own git folder (`private.OwnGit`), so its index is copied
before git reads it, its HEAD is read as text, its settings are not read, and no filter is started for its files.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.beside import Beside, save_beside
from aegis_tui.adapters.git.filters import Filters
from aegis_tui.adapters.git.folder import is_folder, scratch_folder
from aegis_tui.adapters.git.intake import Intake
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.adapters.git.run import GitRunner, joined
from aegis_tui.errors import GitError, Refused
from aegis_tui.ports.repository import RescueName, RescueRef

logger = logging.getLogger(__name__)

RESCUE_PREFIX = "refs/aegis/rescue"

STAGED, BESIDE = "staged", "ignored"
"""Subjects of further parents of a rescue commit: of the index, and of ignored files with those in submodules."""

_MOST_NAMED = 1000

_SUBMODULE = "160000"
_MAX_SUBMODULES = 1000
"""The limit in an agent's index: git compares every file with the name of each submodule."""

_ADD_DEADLINE_S = 300.0
_SAVER = {
    "GIT_AUTHOR_NAME": "aegis-tui",
    "GIT_AUTHOR_EMAIL": "hub@aegis.invalid",
    "GIT_COMMITTER_NAME": "aegis-tui",
    "GIT_COMMITTER_EMAIL": "hub@aegis.invalid",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a worktree at one moment."""

    tree: str
    head: str | None
    """The commit that its HEAD points to; None if it cannot be read."""


class Snapshots:
    """Takes and stores snapshots of worktrees. Its methods raise `GitError` if git fails.

    They raise `GitUnavailable` if git cannot be started, and `OSError` if no temporary file can be written.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        intake: Copies objects that instances have committed or staged.
    """

    def __init__(self, runner: GitRunner, objects: Objects, intake: Intake) -> None:
        self._runner = runner
        self._objects = objects
        self._intake = intake
        self._filters = Filters(runner, objects)

    async def take(self, path: Path, admin_dir: Path | None) -> Snapshot:
        """Save the content of a worktree as a tree: tracked, changed, and untracked but not ignored files.

        Returns the tree's id, and HEAD's commit if that can be read. The worktree's index stays as it is.

        Args:
            path: The worktree.
            admin_dir: Its folder in the common git folder; None if that is lost.

        Raises:
            GitError: The content cannot be read.
        """
        own = None if admin_dir is None else await asyncio.to_thread(OwnGit.of, admin_dir)
        try:
            tree = await self._tree(path, own)
        except GitError as error:
            if own is None or own.store is None or admin_dir is None:
                raise
            logger.warning("an instance's index is not used", extra={"git_error": error.message})
            tree = await self._tree(path, OwnGit(admin_dir, None))
        return Snapshot(tree, await self.head_of(admin_dir))

    async def _tree(self, path: Path, own: OwnGit | None) -> str:
        """Write a worktree's content as a tree and return its id.

        Args:
            path: The worktree.
            own: The git folder whose index says which files need not be read; with None, all are read.

        Raises:
            GitError: The content or the index cannot be read.
        """
        with scratch_folder() as folder:
            index = folder / "index"
            env = {"GIT_INDEX_FILE": str(index)}
            if own is not None and await asyncio.to_thread(own.copy_index, index):
                await self._take_staged(own, env)
            submodules = await self._submodules(path, env)
            if own is not None and own.store is not None and len(submodules) > _MAX_SUBMODULES:
                raise GitError(f"its index names {len(submodules)} submodules")
            places = [":(top)", *(f":(top,exclude,literal){name}" for name in submodules)]
            await self._runner.run(
                *("-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false"),
                *("-c", "core.sparseCheckout=true"),  # a file that is there is read, whatever bit the index has
                *("add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul"),
                work_tree=path,
                env=env | await self._filters.off(),
                stdin=joined(places),
                deadline_s=_ADD_DEADLINE_S,
            )
            return (await self._runner.run("write-tree", env=env)).text

    async def _take_staged(self, own: OwnGit, env: dict[str, str]) -> None:
        """Copy the objects that an instance has staged from its own store; do nothing if it has no store of its own.

        Args:
            own: The instance's git folder.
            env: Names the copy of its index that git reads.

        Raises:
            GitError: The index or an object is damaged.
        """
        if own.store is None:
            return
        made = await asyncio.to_thread(own.object_names)
        entries = (await self._runner.run("ls-files", "--stage", "-z", env=env)).fields()
        staged = [oid for entry in entries if (oid := entry.split(" ")[1]) in made]
        if staged:
            await self._intake.take(own.store, staged)

    async def head_of(self, admin_dir: Path | None) -> str | None:
        """Return the commit that a worktree's HEAD points to; None if it cannot be read or there is no such commit.

        If HEAD is detached, a commit in the instance's own store is copied into the repository first.

        Args:
            admin_dir: The worktree's folder in the common git folder; None if that is lost.

        Raises:
            GitError: git does not answer in time.
        """
        if admin_dir is None:
            return None
        own = await asyncio.to_thread(OwnGit.of, admin_dir)
        named = await asyncio.to_thread(own.head)
        if named is None:
            return None
        if own.store is not None and not named.startswith("refs/"):
            with contextlib.suppress(GitError):
                await self._intake.take(own.store, [named])
        return await self._objects.resolve(named)

    async def commit(self, snapshot: Snapshot, *, message: str, date: str | None, parents: list[str]) -> str:
        """Write a commit of a snapshot, in the name of this program, and return its id; no ref is moved.

        Args:
            snapshot: What to commit.
            message: The commit message.
            date: The author and committer date in git's format; None for now.
            parents: The ids of the parent commits.

        Raises:
            GitError: A parent does not exist, or git fails.
        """
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
        args = [arg for parent in parents for arg in ("-p", parent)]
        answer = await self._runner.run(
            "commit-tree", snapshot.tree, *args, "-F", "-", stdin=message.encode(), env={**_SAVER, **dates}
        )
        return answer.text

    async def on_head(self, path: Path, admin_dir: Path) -> str:
        """Write a commit of all content, with the worktree's HEAD as parent, and return its id; no ref is moved.

        Equal content on an equal HEAD gives an equal id.

        Raises:
            GitError: The HEAD or the content cannot be read.
        """
        snapshot = await self.take(path, admin_dir)
        if snapshot.head is None:
            raise GitError(f"the HEAD of {path} cannot be read", "git worktree repair")
        date = (await self._runner.run("show", "-s", "--no-show-signature", "--format=%ct", snapshot.head)).text
        return await self.commit(snapshot, message="snapshot\n", date=f"@{date} +0000", parents=[snapshot.head])

    async def rescue(
        self, path: Path, admin_dir: Path | None, *, name: RescueName, base: str | None, already_saved: str | None
    ) -> RescueRef | None:
        """Save what exists only in this worktree under a rescue ref; return None if everything is stored elsewhere.

        Args:
            path: The worktree; its folder may be missing.
            admin_dir: Its folder in the common git folder; None if that is lost.
            name: The run and instance whose work it is.
            base: The commit that it was created from, if known.
            already_saved: A tree that is stored elsewhere.

        Raises:
            GitError: Its content cannot be read; nothing was removed.
            Refused: It contains a repository of its own, which a commit cannot save.
        """
        if not is_folder(path):
            return await self._rescue_staged(admin_dir, name)
        snapshot = await self.take(path, admin_dir)
        staged = await self._staged_tree(admin_dir)
        head_tree = await self._objects.tree_of(snapshot.head) if snapshot.head else None
        known = {head_tree, already_saved}
        has_other_index = staged is not None and staged not in {*known, snapshot.tree}
        beside = await self._beside(path, admin_dir)
        if snapshot.tree in known and not has_other_index and not beside and await self._is_kept(snapshot.head):
            return None
        await self._refuse_repositories(path, admin_dir, base or snapshot.head, snapshot.tree)
        parents = [snapshot.head] if snapshot.head else []
        if has_other_index and staged is not None:
            index = Snapshot(staged, snapshot.head)
            parents.append(await self.commit(index, message=f"{STAGED}\n", date=None, parents=parents))
        if beside is not None:
            parents.append(await self._commit_beside(beside))
        return await self._keep(snapshot, name, parents)

    async def _beside(self, path: Path, admin_dir: Path | None) -> Beside | None:
        """Save the ignored files of a worktree, and those in its submodules, as a tree; None if there are none.

        None also, with a warning in the log, if the worktree's index is damaged.

        Raises:
            GitError: git fails, or a file cannot be read or its copy not written.
        """
        own = None if admin_dir is None else await asyncio.to_thread(OwnGit.of, admin_dir)
        with scratch_folder() as folder:
            index = folder / "index"
            env = {"GIT_INDEX_FILE": str(index)}
            if own is not None:
                await asyncio.to_thread(own.copy_index, index)
            try:
                submodules = (await self._submodules(path, env))[:_MAX_SUBMODULES]
            except GitError as error:
                logger.warning("an instance's index is not used", extra={"git_error": error.message})
                return None
            try:
                return await save_beside(self._runner, path, submodules, env, await self._filters.off())
            except OSError as error:
                raise GitError(f"ignored files of {path} cannot be saved: {error}") from error

    async def _commit_beside(self, beside: Beside) -> str:
        named = "".join(f"\n{name}" for name in beside.left_out[:_MOST_NAMED])
        more = f"\nand {len(beside.left_out) - _MOST_NAMED} more" if len(beside.left_out) > _MOST_NAMED else ""
        left = f"\nToo large or too many to be saved:\n{named}{more}\n" if beside.left_out else ""
        return await self.commit(Snapshot(beside.tree, None), message=f"{BESIDE}\n{left}", date=None, parents=[])

    async def _rescue_staged(self, admin_dir: Path | None, name: RescueName) -> RescueRef | None:
        """Save the content of the index under a rescue ref, for a worktree whose folder is gone; return the ref.

        Return None if there is no index that can be read, or if a commit that is kept has the same content.

        Raises:
            GitError: git fails.
        """
        staged, head = await self._staged_tree(admin_dir), await self.head_of(admin_dir)
        head_tree = await self._objects.tree_of(head) if head else None
        if staged is None or (staged == head_tree and await self._is_kept(head)):
            return None
        return await self._keep(Snapshot(staged, head), name, [head] if head else [])

    async def _keep(self, snapshot: Snapshot, name: RescueName, parents: list[str]) -> RescueRef:
        message = f"Rescue of {name.instance} in run {name.run}\n"
        oid = await self.commit(snapshot, message=message, date=None, parents=parents)
        prefix = f"{RESCUE_PREFIX}/{name.run}/{name.instance}/"
        taken = (await self._runner.run("for-each-ref", "--format=%(refname)", prefix)).text.split()
        numbers = [int(tail) for ref in taken if (tail := ref.removeprefix(prefix)).isdigit()]
        ref = f"{prefix}{max(numbers, default=0) + 1}"
        await self._runner.run("update-ref", "--no-deref", ref, oid, "")
        logger.info("worktree rescued", extra={"aegis_instance": name.instance, "git_ref": ref})
        return RescueRef(ref, oid, snapshot.tree)

    async def _submodules(self, path: Path, env: dict[str, str]) -> list[str]:
        """Return the paths of the submodules in the index that `env` names; empty if there are none.

        In them git would run under settings that the agent can write.

        Raises:
            GitError: The index is damaged.
        """
        entries = (await self._runner.run("ls-files", "--stage", "-z", env=env)).fields()
        return [entry.partition("\t")[2] for entry in entries if entry.startswith(_SUBMODULE)]

    async def _staged_tree(self, admin_dir: Path | None) -> str | None:
        """Return the tree of the worktree's own index; None if there is none, it is damaged or has unmerged paths."""
        if admin_dir is None:
            return None
        own = await asyncio.to_thread(OwnGit.of, admin_dir)
        with scratch_folder() as folder:
            index = folder / "index"
            if not await asyncio.to_thread(own.copy_index, index):
                return None
            env = {"GIT_INDEX_FILE": str(index)}
            with contextlib.suppress(GitError):
                await self._take_staged(own, env)
            answer = await self._runner.run("write-tree", env=env, ok=(0, 128))
        return answer.text if answer.code == 0 else None

    async def _is_kept(self, head: str | None) -> bool:
        """Return whether a branch, a tag or one of our refs contains that commit; False for None."""
        if head is None:
            return False
        prefixes = ("refs/heads", "refs/tags", "refs/aegis")
        answer = await self._runner.run("for-each-ref", "--count=1", f"--contains={head}", *prefixes, ok=(0, 129))
        return answer.code == 0 and bool(answer.stdout)

    async def _refuse_repositories(self, path: Path, admin_dir: Path | None, base: str | None, tree: str) -> None:
        """Raise `Refused` if a worktree contains another repository: its commits would be lost without asking anybody.

        Args:
            path: The worktree, for the message.
            admin_dir: Its folder in the common git folder, if known.
            base: The commit whose submodules do not count; None if it is not known.
            tree: The tree of the worktree's content.

        Raises:
            Refused: It contains one (code `rescue.repository`).
            GitError: `base` or `tree` does not exist, or git fails.
        """
        nested: list[str] = []
        if base is not None:
            fields = (await self._runner.run("diff-tree", "-r", "-z", "--raw", base, tree)).fields()
            pairs = zip(fields[::2], fields[1::2], strict=True)
            nested = [name for meta, name in pairs if meta.split(" ")[1] == _SUBMODULE]
        if admin_dir is not None and await asyncio.to_thread(lambda: OwnGit.of(admin_dir).has_submodules()):
            nested.append("its submodules")
        if nested:
            raise Refused(
                f"{path} holds a repository of its own: {', '.join(nested)}",
                "push or move away what is in there, delete it, then try again to remove the worktree",
                code="rescue.repository",
                paths=nested,
            )
