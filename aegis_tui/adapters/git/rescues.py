"""The rescue refs of a repository: what they hold, whether it is merged, how much space it takes (GIT-1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aegis_tui.adapters.git.compose import Composer
from aegis_tui.adapters.git.filters import Filters
from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.snapshot import BESIDE, RESCUE_PREFIX, STAGED
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError
from aegis_tui.ports.rescues import RescuedFiles, RescuedWork

_FIELDS = "%(refname)%00%(objectname)%00%(committerdate:unix)"
_OTHERS = ("--not", "--branches", "--tags", "--remotes", "--glob=refs/aegis/runs/*")
_CHECKOUT_DEADLINE_S = 600.0


class GitRescues:
    """Implements `RescueStore`. Its methods raise `GitError` if git fails, `GitUnavailable` if it cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        composer: Moves refs.
    """

    def __init__(self, runner: GitRunner, objects: Objects, composer: Composer) -> None:
        self._runner, self._objects, self._composer = runner, objects, composer

    async def list_all(self) -> tuple[RescuedWork, ...]:
        """Return all rescue refs, oldest first; empty if there are none. Raises `GitError` if git fails."""
        listed = await self._runner.run("for-each-ref", f"--format={_FIELDS}", RESCUE_PREFIX)
        works = [await self._work(*line.split("\0")) for line in listed.text.split("\n") if line]
        return tuple(sorted(works, key=lambda work: (work.saved_unix, work.ref)))

    async def _work(self, ref: str, oid: str, at: str) -> RescuedWork:
        run, instance = ref.removeprefix(f"{RESCUE_PREFIX}/").split("/")[:2]
        used = await self._runner.run("rev-list", "--disk-usage", "--objects", oid, *_OTHERS)
        return RescuedWork(ref, oid, run, instance, int(at or 0), int(used.text or 0), await self._is_merged(run, oid))

    async def _is_merged(self, run: str, oid: str) -> bool:
        """Return whether the person's branch, the run's result or its integration has each file that the work changed.

        The file must be the same there. Work with ignored files counts as not merged. Raises `GitError` if git fails.
        """
        for name in ("HEAD", f"refs/heads/aegis/{run}/result", f"refs/aegis/runs/{run}/integration"):
            target = await self._objects.resolve(name)
            if target and await self._has_all(target, oid):
                return True
        return False

    async def _has_all(self, target: str, oid: str) -> bool:
        parents = await self._parents(oid)
        if BESIDE in parents.values():
            return False
        return all(
            [
                await self._has_files(target, commit)
                for commit in (oid, *(name for name, subject in parents.items() if subject == STAGED))
            ]
        )

    async def _has_files(self, target: str, oid: str) -> bool:
        bases = await self._objects.merge_bases(target, oid)
        if not bases:
            return False
        mine = {item.path for item in await self._objects.changed_paths(bases[0], oid)}
        different = {item.path for item in await self._objects.changed_paths(target, oid)}
        return not mine & different

    async def files_of(self, work: RescuedWork) -> RescuedFiles:
        """Return the written forms of the paths that a rescue ref holds; raises `GitError` if its commit is gone.

        They are those that differ from the commit that the work started from, each with its status letter; the ignored
        ones; those whose staged content differs from the saved one; and those that could not be saved.
        """
        parents = await self._parents(work.oid)
        ignored, not_saved, staged = list[str](), list[str](), list[str]()
        for parent, subject in parents.items():
            if subject == BESIDE:
                ignored += await self._objects.tree_paths(parent)
                body = (await self._runner.run("show", "-s", "--no-show-signature", "--format=%b", parent)).text
                not_saved += body.partition("\n\n")[2].split("\n") if body else []
            elif subject == STAGED:
                staged += [item.path for item in await self._objects.changed_paths(parent, work.oid)]
        changed = await self._objects.changed_paths(await self._start(work), work.oid)
        return RescuedFiles(
            tuple((item.status, item.path) for item in changed), tuple(ignored), tuple(staged), tuple(not_saved)
        )

    async def diff_of(self, work: RescuedWork) -> str:
        """Return the unified diff from the commit that the work started from; without ignored files.

        Raises:
            GitError: The saved commit is gone, or the diff is too large (code `git.output`).
        """
        return await self._objects.diff_text(await self._start(work), work.oid, None)

    async def write_out(self, work: RescuedWork, folder: Path) -> None:
        """Write all files of the work into a folder, the ignored ones too; no filter and no hook is started.

        Args:
            work: The work.
            folder: Created if it does not exist. Files of the same name in it are replaced.

        Raises:
            GitError: The saved commit is gone, or a file cannot be written.
            OSError: The folder cannot be created.
        """
        off = await Filters(self._runner, self._objects).off()
        parents = await self._parents(work.oid)
        for oid in (work.oid, *(name for name, subject in parents.items() if subject == BESIDE)):
            with scratch_folder() as scratch:
                env = {**off, "GIT_INDEX_FILE": str(scratch / "index")}
                await self._runner.run("read-tree", oid, env=env)
                await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
                options = ("-c", "core.sparseCheckout=false", "checkout-index", "--all", "--force", "--quiet")
                await self._runner.run(*options, work_tree=folder, env=env, deadline_s=_CHECKOUT_DEADLINE_S)

    async def make_branch(self, work: RescuedWork, name: str) -> None:
        """Create a branch that points to the saved commit.

        Raises:
            Conflict: There is a branch of that name.
            GitError: It is no valid name of a branch, or the commit is gone.
        """
        await self._runner.run("check-ref-format", "--branch", name)
        await self._composer.update_ref(f"refs/heads/{name}", work.oid, None)

    async def delete(self, work: RescuedWork) -> None:
        """Delete a rescue ref; raises `Conflict` if it points elsewhere by now, or was deleted.

        Raises `GitError` if git fails for another reason.
        """
        await self._composer.delete_ref(work.ref, work.oid)

    async def _start(self, work: RescuedWork) -> str:
        """Return the id of the commit that the work started from: the last that HEAD contains too, or its first parent.

        Raises:
            GitError: The saved commit is gone, or has neither.
        """
        head = await self._objects.resolve("HEAD")
        bases = await self._objects.merge_bases(head, work.oid) if head else []
        if bases:
            return bases[0]
        first = next(iter(await self._parents(work.oid)), None)
        if first is None:
            raise GitError(f"{write_name(work.ref)} has no history to compare with")
        return first

    async def _parents(self, oid: str) -> dict[str, str]:
        """Return commit id -> subject of each parent of a commit, in their order; empty for a first commit.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        named = (await self._runner.run("rev-list", "--parents", "-n", "1", oid)).text.split(" ")[1:]
        if not named:
            return {}
        shown = await self._runner.run("show", "-s", "--no-show-signature", "--format=%H%x00%s", *named)
        subjects = dict(line.split("\0", 1) for line in shown.text.split("\n") if "\0" in line)
        return {name: subjects.get(name, "") for name in named}
