"""A model server on this machine that a person starts and stops (LLM-1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class ServedModel(Protocol):
    """A server that was started by `LocalServer.start`, and the model that it serves."""

    @property
    def pid(self) -> int:
        """Of the process that was started; it may have others below it."""
        ...

    @property
    def url(self) -> str:
        """Where it answers, as other commands take it for `--base-url`; ends in `/v1`."""
        ...

    @property
    def model(self) -> str:
        """The name or folder that it serves."""
        ...


class LocalServer(Protocol):
    """The one model server that this user has started on this machine, whichever process asks."""

    @property
    def log(self) -> Path:
        """The file that takes all that it prints, from its last start on; it need not exist."""
        ...

    def find(self) -> ServedModel | None:
        """The server whose process still runs, also while it loads; None when there is none."""
        ...

    def command(self, model: str | None, port: int, options: Sequence[str] = ()) -> list[str]:
        """The command line that would be run, the environment in front.

        Args:
            model: A name or a folder; what the environment says when None.
            port: On 127.0.0.1.
            options: More options of the server; the last one of a name counts.

        Raises:
            UsageError: A setting is wrong, or the model's form of tool calls is not known.
        """
        ...

    async def start(self, model: str | None, port: int, *, wait_s: float, options: Sequence[str] = ()) -> ServedModel:
        """Start it, and return when it answers or `wait_s` seconds have passed; one that runs is left as it is.

        Raises:
            UsageError: A setting is wrong.
            ModelUnavailable: It ended at once; the message ends with what it said.
        """
        ...

    async def stop(self) -> ServedModel | None:
        """End the server with all that it started; None when none runs."""
        ...
