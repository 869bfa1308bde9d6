"""The file hub.json, which leads clients to the hub, and the lock that allows one hub per workspace (contract 1)."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis_tui.errors import HubUnavailable
from aegis_tui.sdk.discovery import ENDING_S, WorkspacePaths, cannot_write, find_hub, is_running, load_address
from aegis_tui.sdk.private_file import write_private
from aegis_tui.sdk.quick import HubAddress

RECORD = "hub.json"
JOINING_KEY = "joining.key"
"""The file in the state folder with the key of the tokens of agents that a person connects."""
_POLL_S = 0.02
_published: dict[Path, str] = {}
"""The text that this process last wrote to hub.json, by runtime folder; needed when the file was deleted."""


@contextlib.contextmanager
def only_hub(paths: WorkspacePaths) -> Iterator[None]:
    """Hold the workspace's lock while the context is open; the system releases it even if this process is killed.

    This process's id and runtime folder are written to the lock file. If the hub that holds it does not answer, wait
    up to `ENDING_S` for its end, because a killed one needs a moment on a busy machine. Without a log, event numbers
    start again; then tokens of an earlier log are made invalid (`forget_key`).

    Raises:
        HubUnavailable: Another hub holds it (code `hub.running`), or the state folder cannot be written.
    """
    descriptor = -1
    try:
        try:
            descriptor = os.open(paths.hub_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _lock(paths, descriptor)
        except OSError as error:
            raise cannot_write(paths.state_dir, error) from error
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(paths: WorkspacePaths, descriptor: int) -> None:
    try:
        _take(paths, descriptor)
    except BlockingIOError as error:
        match = re.search(rb'"pid": *(\d+)', os.pread(descriptor, 4096, 0))
        name = f"hub {int(match[1])}" if match else "a hub"
        hint = "aegis-tui hub status; to repair its log, end it first: aegis-tui hub stop"
        raise HubUnavailable(f"{name} is already running for this workspace", hint, code="hub.running") from error
    if not (paths.log_db.exists() or paths.log_db.with_suffix(".mark").exists()):
        forget_key(paths)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "runtime_dir": str(paths.runtime_dir)}).encode(), 0)


def _take(paths: WorkspacePaths, descriptor: int) -> None:
    """Take the lock; `BlockingIOError` if a hub that answers holds it, or one that does not is there for `ENDING_S`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        if find_hub(paths) is not None:
            raise
    end = time.monotonic() + ENDING_S
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_POLL_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_record(paths: WorkspacePaths, address: HubAddress) -> None:
    """Write the hub's address to hub.json, atomically and with mode 0600; a folder of that name is renamed.

    The text is remembered in this process, for `publish_again` and `set_gateway`.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(dataclasses.asdict(address))
    put_aside(paths.hub_json)
    write_private(paths.hub_json, text)
    _published[paths.runtime_dir] = text


def is_record_lost(runtime_dir: Path) -> bool:
    """Return whether hub.json in this folder leads neither to the hub of this process nor to another running hub.

    False if this process has written no hub.json there. A file with another address of this process counts as lost.
    """
    text = _published.get(runtime_dir)
    if text is None:
        return False
    recorded = load_address(runtime_dir / RECORD)
    if recorded is None or recorded.pid == os.getpid():
        return recorded is None or recorded != HubAddress(**json.loads(text))
    return not is_running(recorded.pid, recorded.start_time)


def publish_again(runtime_dir: Path) -> None:
    """Write again the hub.json that this process last wrote in the folder.

    Raises:
        KeyError: It has written none there.
        OSError: It cannot be written.
    """
    put_aside(runtime_dir / RECORD)
    write_private(runtime_dir / RECORD, _published[runtime_dir])


def put_aside(path: Path) -> None:
    """If `path` is a folder, give it a hidden, random name beside the old one; a file or a link stays as it is.

    It is for a path where a file shall be written: no file can replace a folder.

    Raises:
        OSError: The folder cannot be renamed.
    """
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))


def withdraw_record(paths: WorkspacePaths) -> None:
    """Delete hub.json, so that no client looks for a hub that has ended; no effect if it is gone.

    A folder of that name is renamed instead.

    Raises:
        OSError: It cannot be deleted.
    """
    put_aside(paths.hub_json)
    paths.hub_json.unlink(missing_ok=True)


def set_gateway(paths: WorkspacePaths, url: str | None, socket: str | None) -> None:
    """Set or, with None, remove the gateway's addresses in hub.json, which is written anew.

    Args:
        paths: The workspace's folders.
        url: The address over TCP.
        socket: The path of the unix socket.

    Raises:
        KeyError: This process has written no hub.json there: only the running hub may call this.
        OSError: The file cannot be written.
    """
    _set(paths, gateway_url=url, gateway_socket=socket)


def set_gateway_problem(paths: WorkspacePaths, problem: str | None) -> None:
    """Set in hub.json why the gateway is missing or can serve no call; None removes the reason.

    Raises:
        KeyError: This process has written no hub.json there: only the running hub may call this.
        OSError: The file cannot be written.
    """
    _set(paths, gateway_problem=problem)


def _set(paths: WorkspacePaths, **changed: str | None) -> None:
    fields: dict[str, Any] = json.loads(_published[paths.runtime_dir])
    write_record(paths, HubAddress(**{**fields, **changed}))


def forget_key(paths: WorkspacePaths) -> None:
    """Make all tokens of agents that were connected by hand invalid, by deleting the key; the next hub creates one.

    No effect if there is none.

    Raises:
        OSError: The key cannot be deleted.
    """
    (paths.state_dir / JOINING_KEY).unlink(missing_ok=True)


def load_or_create_key(path: Path) -> bytes:
    """Return the 32 random bytes in the file at `path`, in hexadecimal.

    Create it with mode 0600 if it holds no such key.

    Raises:
        OSError: The file exists but cannot be read, or cannot be written.
    """
    with contextlib.suppress(FileNotFoundError, ValueError):
        key = bytes.fromhex(path.read_text())
        if len(key) == 32:
            return key
    key = secrets.token_bytes(32)
    write_private(path, key.hex())
    return key
