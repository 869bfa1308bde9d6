"""Token files of agents that a person connected by hand: one 0600 file each, while its instance lives (HUB-9).

Instances that the hub starts have more files in their folders; `orchestrator/instances.py` removes those.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.events import AgentLeft, InstanceExited
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.identity import Identity
from aegis_tui.sdk.discovery import WorkspacePaths

_TOKEN = "token"

_ENDINGS: Final = frozenset({AgentLeft, InstanceExited})


class TokenFiles:
    """Writes token files, and removes them with their folders when their instances end."""

    def __init__(self, engine: Engine, identity: Identity, paths: WorkspacePaths) -> None:
        """Begin to remove token files: now those of instances that ended while no hub ran, later of each that ends.

        A file that cannot be removed stays, without an error.
        """
        self._engine, self._identity, self._paths = engine, identity, paths
        self._remove_ended(item.name for item in paths.instances_dir.glob("*"))
        engine.add_listener(self._follow)

    def issue(self, reply: AnyReply) -> Path:
        """Write the token of an instance that has just joined, replacing an old one; return the path of the file.

        Args:
            reply: The reply to its registration, with `agent_id` and `session`.

        Raises:
            StoreError: The file cannot be written, or is a link.
        """
        agent_id, session = str(reply["agent_id"]), str(reply["session"])
        folder = self._paths.instance_dir(instance_id(agent_id))
        path = folder / _TOKEN
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(self._identity.joining_token(agent_id, session))
        except OSError as error:
            raise StoreError(
                f"cannot write {path}: {error.strerror}", "make it writable or free space, then connect again"
            ) from error
        return path

    def _follow(self, events: list[Event]) -> None:
        if ended := [event.agent_id for event in events if type(event.data) in _ENDINGS]:
            self._remove_ended(map(instance_id, ended))

    def _remove_ended(self, names: Iterable[str]) -> None:
        """Remove the folder of each of these instances (short ids) that has ended, if it holds nothing but the token.

        An error of the file system is ignored; the folder then stays.
        """
        for name in {*names} - self._engine.peek(_living):
            folder = self._paths.instance_dir(name)
            with contextlib.suppress(OSError):
                if {item.name for item in folder.iterdir()} <= {_TOKEN}:
                    (folder / _TOKEN).unlink(missing_ok=True)
                    folder.rmdir()


def _living(workspace: Workspace) -> set[str]:
    """Return the short ids of the instances that have not ended; those that are being stopped are among them."""
    ended = (Phase.GONE, Phase.RECLAIMED)
    return {item.instance_id for item in workspace.instances.by_id.values() if item.phase not in ended}
