"""How a service inside the hub process uses the core: it submits commands, reads the state, and follows changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.model import Key
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.workspace import Workspace

T = TypeVar("T")


class CommandPort(Protocol):
    """The only way to change the workspace. A reply means that the change is on disk."""

    async def submit(
        self, command: AnyCommand | dict[str, Any], actor: Actor, request_id: str | None = None
    ) -> AnyReply:
        """Decide and log one command; return its reply once the change is on disk.

        A lock request that has to wait gets its reply when its wait ends.

        Args:
            command: A parsed command, or its wire form.
            actor: Who sends it; never taken from the command's fields.
            request_id: Chosen by the sender; the same id again returns the first reply again after a success, and waits
                with the first request while that waits. With None, a command that is sent again is decided again.

        Raises:
            AegisError: The core refused the command, the hub stops, or the log cannot be written (`StoreError`).
        """
        ...

    async def read(self, view: Callable[[Workspace], T]) -> T:
        """Return what `view` returns for the logged state; an error that `view` raises is passed on.

        Args:
            view: Called once with the workspace; it must neither keep nor change it.

        Raises:
            StoreError: The state cannot be rebuilt from the log.
        """
        ...

    def changes(self) -> AsyncIterator[frozenset[Key]]:
        """Yield the keys of what changed since the last item, without end; the first item comes at once and is empty.

        No change after the first item is missed, so read the state after it, not before. A later item is empty if the
        events since the one before changed no key. Latest-wins: keys that change while the receiver is busy are merged
        into one item.
        """
        ...
