"""An instance's own view of its run's branches: what it does to them stays with it until the hub takes it over.

In the sandbox the folder of the run's branches is the instance's own copy: its branch and the working ref. So no agent
can move another's branch or the working ref, whatever hooks it skips (GIT-6); the hub copies its branch out, and tells
it where the working ref stands. The copy is the agent's to write, and is treated so: see `sdk/untrusted_folder.py`.
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
    """Lays out, refreshes and takes over the branch folders of instances.

    Args:
        repository: The workspace's repository.
        instances_dir: Holds a private folder for each instance.
    """

    def __init__(self, repository: Repository, instances_dir: Path) -> None:
        self._repository, self._instances_dir = repository, instances_dir
        self._refused: dict[str, tuple[str, str]] = {}
        """By instance the commit that could not be taken in, and why; it is not tried again and again."""

    def _folder(self, instance: Instance) -> Path:
        return self._instances_dir / instance.instance_id / "refs"

    def git_folder(self, instance: Instance) -> Path:
        """Where the instance has its own copies of git's folders, if it is sandboxed."""
        return self._instances_dir / instance.instance_id / "git"

    def written_by(self, name: str) -> tuple[Path, ...]:
        """The copies that an instance writes; not all of them are there."""
        folder = self._instances_dir / name
        return (folder / "git", folder / "refs", folder / "reflogs-0")

    async def lay_out(
        self, instance: Instance, *, places: tuple[Path, ...], working_oid: str
    ) -> list[tuple[Path, Path]]:
        """Make the instance's copies; returns pairs of the copy and the place it is shown at.

        Args:
            instance: Its branch exists.
            places: The run's folder of branches, then that of their logs.
            working_oid: Where the working ref stands.

        Raises:
            OSError: They cannot be written.
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
        """Let the instance see where the working ref stands; nothing for one that sees the real one.

        An instance that has made its copy unwritable does not see it, and that is all.
        """
        try:
            await asyncio.to_thread(_show, self._folder(instance), oid)
        except OSError as error:
            _log.warning("a working ref is not shown", extra={"aegis_instance": instance.agent_id, "why": str(error)})

    async def take_in(self, instance: Instance, oid: str) -> str:
        """Bring a commit that the instance made into the repository; why it is not whole there, empty when it is."""
        name = instance.instance_id
        if self._refused.get(name, ("", ""))[0] != oid:
            try:
                await self._repository.take_in(self.git_folder(instance), [oid])
            except GitError as error:
                self._refused[name] = (oid, error.message)
                _log.warning("a commit is not taken in", extra={"aegis_instance": name, "why": error.message})
        refused, reason = self._refused.get(name, ("", ""))
        if refused == oid:
            return reason
        return "" if await self._repository.commit_exists(oid) else "there is no such commit"

    async def take_over(self, instance: Instance) -> None:
        """Move the instance's real branch to where its own copy stands, if that is a whole commit."""
        raw = await asyncio.to_thread(read_file, self._folder(instance) / instance.instance_id, limit=_MAX_REF_BYTES)
        text = (raw or b"").decode("ascii", "replace").strip()
        if not _OID.match(text):
            return
        ref = f"refs/heads/{instance.branch}"
        stands = await self._repository.resolve(ref)
        if text != stands and not await self.take_in(instance, text):
            await self._repository.update_ref(ref, text, stands)

    async def forget(self, instance: Instance) -> None:
        """Delete the copies of git's folders of an instance whose work is kept elsewhere."""
        folder = self.git_folder(instance)
        try:
            if await asyncio.to_thread(folder.exists):
                await asyncio.to_thread(delete_tree, folder)
        except OSError as error:
            _log.warning("copies of git's folders stay", extra={"aegis_path": str(folder), "why": str(error)})


def _write_refs(folder: Path, refs: dict[str, str]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    with UntrustedFolder(folder) as copy:
        for name, oid in refs.items():
            copy.write(name, f"{oid}\n".encode("ascii"))


def _show(folder: Path, oid: str) -> None:
    if folder.is_dir():
        _write_refs(folder, {INTEGRATION: oid})
