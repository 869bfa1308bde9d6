"""How a service inside the hub process speaks to the core: commands in, changes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.model import Key
from aegis_tui.domain.workspace import Workspace

T = TypeVar("T")


class CommandPort(Protocol):
    """The only way to change the workspace. A reply means that the change is on disk."""

    async def submit(
        self, command: AnyCommand | dict[str, Any], actor: Actor, request_id: str | None = None
    ) -> dict[str, Any]:
        """Decide and log one command; return its reply, or raise the refusal as an `AegisError`.

        Args:
            command: A parsed command, or its wire form.
            actor: Who asks; never taken from the command's fields.
            request_id: Chosen by the asker; a success that is retried under the same id gives the first answer again.
        """
        ...

    async def read(self, view: Callable[[Workspace], T]) -> T:
        """What `view` sees in the logged state; it must not keep or change the workspace."""
        ...

    def changes(self) -> AsyncIterator[frozenset[Key]]:
        """Keys that changed since the last item; latest wins, bursts are merged. The first item comes at once."""
        ...
