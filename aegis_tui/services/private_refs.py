"""An instance's own view of its run's branches: what it does to them stays with it until the hub takes it over.

In the sandbox the folder of the run's branches is the instance's own copy: its branch and the working ref. So no agent
can move another's branch or the working ref, whatever hooks it skips (GIT-6); the hub copies its branch out, and tells
it where the working ref stands.
"""

from __future__ import annotations

import re
from pathlib import Path

from aegis_tui.domain.instance import Instance
from aegis_tui.ports.repository import Repository

INTEGRATION = "integration"
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class PrivateRefs:
    """Lays out, refreshes and takes over the branch folders of instances.

    Args:
        repository: The workspace's repository.
        instances_dir: Holds a private folder for each instance.
    """

    def __init__(self, repository: Repository, instances_dir: Path) -> None:
        self._repository, self._instances_dir = repository, instances_dir

    def _folder(self, instance: Instance) -> Path:
        return self._instances_dir / instance.instance_id / "refs"

    async def lay_out(
        self, instance: Instance, *, places: tuple[Path, ...], working_oid: str
    ) -> list[tuple[Path, Path]]:
        """Make the instance's copies; returns pairs of the copy and the place it is shown at.

        Args:
            instance: Its branch exists.
            places: The run's folder of branches, then that of their logs.
            working_oid: Where the working ref stands.
        """
        heads, *others = places
        folder = self._folder(instance)
        own = await self._repository.resolve(f"refs/heads/{instance.branch}")
        folder.mkdir(mode=0o700, exist_ok=True)
        write_ref(folder / INTEGRATION, working_oid)
        if own is not None:
            write_ref(folder / instance.instance_id, own)
        pairs = [(folder, heads)]
        for number, place in enumerate(others):
            copy = folder.with_name(f"reflogs-{number}")
            copy.mkdir(mode=0o700, exist_ok=True)
            pairs.append((copy, place))
        return pairs

    def show_working_ref(self, instance: Instance, oid: str) -> None:
        """Let the instance see where the working ref stands; nothing for one that sees the real one."""
        if self._folder(instance).is_dir():
            write_ref(self._folder(instance) / INTEGRATION, oid)

    async def take_over(self, instance: Instance) -> None:
        """Move the instance's real branch to where its own copy stands, if that is a commit of this repository."""
        path = self._folder(instance) / instance.instance_id
        text = _read_oid(path)
        ref = f"refs/heads/{instance.branch}"
        stands = await self._repository.resolve(ref)
        if text is not None and text != stands and await self._repository.commit_exists(text):
            await self._repository.update_ref(ref, text, stands)


def _read_oid(path: Path) -> str | None:
    """The oid in a file that an agent may have put there; None for anything else."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            text = file.read(100).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _OID.match(text) else None


def write_ref(path: Path, oid: str) -> None:
    """Write a loose ref as git does: the oid and a line end, in one step."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"{oid}\n", "ascii")
    fresh.replace(path)
