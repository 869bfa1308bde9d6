"""Where the hub is and as whom to speak there: asked anew for each connection, as a restarted hub has a new token."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.sdk.connection import Endpoint
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub, workspace_key_of, workspace_paths

Locate = Callable[[], Awaitable[Endpoint]]
"""Where the hub is now."""


def fixed(url: str, token: str) -> Locate:
    """One place that never changes."""

    async def locate() -> Endpoint:
        return Endpoint(url, token)

    return locate


def of_instance(environ: Mapping[str, str]) -> Locate:
    """The hub of the instance that this process runs as: AEGIS_HUB and AEGIS_TOKEN_FILE (contract 10).

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
    """The hub of a workspace, as the person."""

    async def locate() -> Endpoint:
        address = await asyncio.to_thread(find_hub, paths)
        if address is None:
            raise HubUnavailable("no hub runs for this workspace", "start it with `aegis-tui hub start`")
        return Endpoint(f"unix:{address.socket}", address.token)

    return locate


def of_here(environ: Mapping[str, str] = os.environ) -> Locate:
    """As the instance that this process runs as, else as the person in the repository of the present folder.

    Raises:
        GitUnavailable: Neither: the folder is in no repository.
        UsageError: As `of_instance`.
    """
    if environ.get("AEGIS_HUB"):
        return of_instance(environ)
    return of_workspace(workspace_paths(workspace_key_of(Path.cwd()), environ))
