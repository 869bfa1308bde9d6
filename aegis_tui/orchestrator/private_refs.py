"""A sandboxed instance's own copy of its run's branches; changes stay in the copy until the hub takes them over.

In the sandbox, the folder of the run's branches is a private copy with two refs: the instance's branch and the working
ref. So no agent can move another's branch or the real working ref, whatever hooks it skips (GIT-6). The hub copies the
instance's branch into the repository and updates the copied working ref. The agent can write anything into its copy, so
the hub treats it as untrusted: see `sdk/untrusted_folder.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

from aegis_tui.domain.instance.model import Instance
from aegis_tui.errors import GitError
from aegis_tui.ports.repository import Repository
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree, read_file

INTEGRATION = "integration"
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MAX_REF_BYTES = 100

_log = logging.getLogger(__name__)


class PrivateRefs:
    """Creates and updates the private branch folders of instances, and copies their branches into the repository.

    Args:
        repository: The workspace's repository.
        instances_dir: Holds a private folder for each instance.
    """

    def __init__(self, repository: Repository, instances_dir: Path) -> None:
        self._repository, self._instances_dir = repository, instances_dir
        self._refused: dict[str, tuple[str, str]] = {}
        """Instance id -> the commit that could not be copied, and why; the same commit is not tried again."""

    def _folder(self, instance: Instance) -> Path:
        return self._instances_dir / instance.instance_id / "refs"

    def git_folder(self, instance: Instance) -> Path:
        """Return the path of the instance's private object store and git folder, which only a sandboxed instance has.

        It may not exist.
        """
        return self._instances_dir / instance.instance_id / "git"

    def written_by(self, name: str) -> tuple[Path, ...]:
        """Return the folders of copies that the instance with this short id can write; some may not exist."""
        folder = self._instances_dir / name
        return (folder / "git", folder / "refs", folder / "reflogs-0")

    async def lay_out(
        self, instance: Instance, *, places: tuple[Path, ...], working_oid: str
    ) -> list[tuple[Path, Path]]:
        """Create the instance's own copy of the folder of refs that it needs, and empty folders for their reflogs.

        The refs are the working ref, under the name `integration`, and the instance's branch.

        Args:
            instance: The instance; its branch exists.
            places: The folder of the run's branches in the git folder, then the folders of their reflogs.
            working_oid: The commit that the working ref points to.

        Returns:
            For each of `places`, the copy and the place, at which the sandbox shows the copy.

        Raises:
            OSError: The copies cannot be written.
            GitError: git cannot read the instance's branch.
        """
        heads, *others = places
        folder = self._folder(instance)
        own = await self._repository.resolve(f"refs/heads/{instance.branch}")
        refs = {INTEGRATION: working_oid} | ({instance.instance_id: own} if own else {})
        await asyncio.to_thread(_write_refs, folder, refs)
        pairs = [(folder, heads)]
        for number, place in enumerate(others):
            copy = folder.with_name(f"reflogs-{number}")
            await asyncio.to_thread(copy.mkdir, mode=0o700, exist_ok=True)
            pairs.append((copy, place))
        return pairs

    async def show_working_ref(self, instance: Instance, oid: str) -> None:
        """Set the instance's copy of the run's integration branch to a commit.

        Do nothing for an instance without a copy. If the instance has made its copy unwritable, only a warning is
        logged: it keeps seeing the old commit.
        """
        try:
            await asyncio.to_thread(_show, self._folder(instance), oid)
        except OSError as error:
            _log.warning(
                "the copy of a working ref could not be updated",
                extra={"aegis_instance": instance.agent_id, "why": str(error)},
            )

    async def take_in(self, instance: Instance, oid: str) -> str:
        """Copy a commit that the instance made into the repository; return why that failed, empty on success.

        Without a private store of the instance, only its existence is checked. A commit that could not be copied is not
        tried again until another one fails too.

        Raises:
            GitError: git cannot tell whether the commit exists.
        """
        name = instance.instance_id
        if self._refused.get(name, ("", ""))[0] != oid:
            try:
                await self._repository.take_in(self.git_folder(instance), [oid])
            except GitError as error:
                self._refused[name] = (oid, error.message)
                _log.warning("a commit could not be copied", extra={"aegis_instance": name, "why": error.message})
        refused, reason = self._refused.get(name, ("", ""))
        if refused == oid:
            return reason
        return "" if await self._repository.commit_exists(oid) else "there is no such commit"

    async def take_over(self, instance: Instance) -> None:
        """Move the instance's branch in the repository to the commit that the instance's own copy of it names.

        The commit is copied first; if that fails, the reason is logged, and the branch is not moved. No effect if the
        copy names no commit, or the branch is there already.

        Raises:
            Conflict: The branch was moved meanwhile.
            GitError: git cannot read the branch, tell whether the commit exists, or move the branch.
        """
        raw = await asyncio.to_thread(read_file, self._folder(instance) / instance.instance_id, limit=_MAX_REF_BYTES)
        text = (raw or b"").decode("ascii", "replace").strip()
        if not _OID.match(text):
            return
        ref = f"refs/heads/{instance.branch}"
        stands = await self._repository.resolve(ref)
        if text != stands and not await self.take_in(instance, text):
            await self._repository.update_ref(ref, text, stands)

    async def forget(self, instance: Instance) -> None:
        """Delete an instance's private git folder with its objects, for which its work must be kept elsewhere.

        A failure is only logged.
        """
        folder = self.git_folder(instance)
        try:
            if await asyncio.to_thread(folder.exists):
                await asyncio.to_thread(delete_tree, folder)
        except OSError as error:
            _log.warning(
                "copies of git's folders could not be deleted", extra={"aegis_path": str(folder), "why": str(error)}
            )


def _write_refs(folder: Path, refs: dict[str, str]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    with UntrustedFolder(folder) as copy:
        for name, oid in refs.items():
            copy.write(name, f"{oid}\n".encode("ascii"))


def _show(folder: Path, oid: str) -> None:
    if folder.is_dir():
        _write_refs(folder, {INTEGRATION: oid})
