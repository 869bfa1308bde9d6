"""Where the hub is and which token to use: looked up for each connection, as a restarted hub has a new token."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.sdk.connection import Endpoint
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub, workspace_key_of, workspace_paths

Locate = Callable[[], Awaitable[Endpoint]]
"""Returns the hub's current address and token."""


def fixed(url: str, token: str) -> Locate:
    """Return a function that always gives this address and token; it raises nothing."""

    async def locate() -> Endpoint:
        return Endpoint(url, token)

    return locate


def of_instance(environ: Mapping[str, str]) -> Locate:
    """Return a function that gives the hub of the instance that this process runs as: AEGIS_HUB and AEGIS_TOKEN_FILE.

    Both are read now (contract 10), not for each connection.

    Raises:
        UsageError: A variable is missing, or the token file cannot be read.
    """
    url, token_file = environ.get("AEGIS_HUB"), environ.get("AEGIS_TOKEN_FILE")
    if not url or not token_file:
        raise UsageError("AEGIS_HUB and AEGIS_TOKEN_FILE are not set", "run inside an instance's pane")
    try:
        token = Path(token_file).read_text().strip()
    except OSError as error:
        raise UsageError(f"cannot read {token_file}: {error.strerror}", "start the instance again") from error
    return fixed(url, token)


def of_workspace(paths: WorkspacePaths) -> Locate:
    """Return a function that looks up a workspace's hub and gives its socket and the person's token.

    It raises `HubUnavailable` if no hub answers.
    """

    async def locate() -> Endpoint:
        address = await asyncio.to_thread(find_hub, paths)
        if address is None:
            raise HubUnavailable("no hub is running for this workspace", "start it with `aegis-tui hub start`")
        return Endpoint(f"unix:{address.socket}", address.token)

    return locate


def of_here(environ: Mapping[str, str] = os.environ) -> Locate:
    """Return such a function for the instance that this process runs as, if AEGIS_HUB is set (see `of_instance`).

    Else it is for the hub of the current folder's repository, with the person's token (see `of_workspace`).

    Raises:
        GitUnavailable: AEGIS_HUB is not set, and the folder is in no repository, or git does not answer.
        OSError: AEGIS_HUB is not set, and the current folder does not exist.
        UsageError: AEGIS_HUB is set, but AEGIS_TOKEN_FILE is not, or that file cannot be read.
    """
    if environ.get("AEGIS_HUB"):
        return of_instance(environ)
    return of_workspace(workspace_paths(workspace_key_of(Path.cwd()), environ))
