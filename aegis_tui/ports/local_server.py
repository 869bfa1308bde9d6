"""The model server on this machine that a person starts and stops with this program (LLM-1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class ServedModel(Protocol):
    """A server that `LocalServer.start` started, and the model that it serves."""

    @property
    def pid(self) -> int:
        """The process id of the server; it may have child processes."""
        ...

    @property
    def url(self) -> str:
        """The address to give other commands as `--base-url`; it ends in `/v1`."""
        ...

    @property
    def model(self) -> str:
        """The model that it serves, as it was named when the server was started: a name or a folder."""
        ...


class LocalServer(Protocol):
    """The one model server of this user on this machine; every process of the user sees the same one."""

    @property
    def log(self) -> Path:
        """The file with the output of the server since its last start; it may not exist yet."""
        ...

    def find(self) -> ServedModel | None:
        """Return the server if its process runs, even while it still loads the model.

        None if none runs or was recorded, or the record of it is damaged; nothing is raised.
        """
        ...

    def command(self, model: str | None, port: int, options: Sequence[str] = ()) -> list[str]:
        """Return the command line that `start` would run, with its environment variables (`NAME=value`) in front.

        Blocking.

        Args:
            model: A name or a folder; None for the one that the environment names, else the usual one.
            port: The port on 127.0.0.1.
            options: Further options of the server; of two with the same name the last one counts.

        Raises:
            UsageError: A setting is wrong, or no parser for the model's tool calls is known.
            OSError: The script that checks the settings cannot be started.
            Unavailable: That script does not answer within 20 s.
        """
        ...

    async def start(self, model: str | None, port: int, *, wait_s: float, options: Sequence[str] = ()) -> ServedModel:
        """Start the server; return it when it answers, or after `wait_s` seconds even if it still loads the model.

        A server that runs already is returned as it is, whatever its model and port.

        Args:
            model: A name or a folder; None for the one that the environment names, else the usual one.
            port: The port on 127.0.0.1.
            wait_s: How long to wait for the first answer, in seconds; less than 1 counts as 1.
            options: Further options of the server; of two with the same name the last one counts.

        Raises:
            UsageError: A setting is wrong, or no parser for the model's tool calls is known.
            ModelUnavailable: The server ended during the start; the message ends with the server's last output.
            Unavailable: The script that checks the settings does not answer.
            OSError: Its record or its log cannot be written, or there is no bash.
        """
        ...

    async def stop(self) -> ServedModel | None:
        """Stop the server and its child processes, and return it when they have ended; None when no server runs.

        Processes that do not end by SIGTERM within 20 seconds are killed. The record of the server is deleted.

        Raises:
            OSError: The record cannot be deleted.
        """
        ...
