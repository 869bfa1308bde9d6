"""hub.json and the lock that lets one hub run per workspace (contract 1)."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis_tui.errors import HubUnavailable
from aegis_tui.sdk.discovery import WorkspacePaths, cannot_write, is_running, load_address
from aegis_tui.sdk.private_file import write_private
from aegis_tui.sdk.quick import HubAddress

RECORD = "hub.json"
_published: dict[Path, str] = {}
"""What this process wrote last, by runtime folder: the file may be gone when it is needed."""


@contextlib.contextmanager
def only_hub(paths: WorkspacePaths) -> Iterator[None]:
    """Hold the workspace's lock; it ends with this process, however it ends.

    Where there is no log, numbers begin again: then no token of an earlier log may be good.

    Raises:
        HubUnavailable: Another hub holds it, or the state folder cannot be written.
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
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        found = re.search(rb'"pid": *(\d+)', os.pread(descriptor, 4096, 0))
        name = f"hub {int(found[1])}" if found else "a hub"
        hint = "aegis-tui hub status; to repair its log, end it first: aegis-tui hub stop"
        raise HubUnavailable(f"{name} runs for this workspace already", hint, code="hub.running") from error
    if not (paths.log_db.exists() or paths.log_db.with_suffix(".mark").exists()):
        forget_key(paths)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "runtime_dir": str(paths.runtime_dir)}).encode(), 0)


def write_record(paths: WorkspacePaths, address: HubAddress) -> None:
    """Publish the address, 0600, in one step."""
    text = json.dumps(dataclasses.asdict(address))
    put_aside(paths.hub_json)
    write_private(paths.hub_json, text)
    _published[paths.runtime_dir] = text


def is_record_lost(runtime_dir: Path) -> bool:
    """Whether the folder leads to no hub that runs although this process published itself there."""
    text = _published.get(runtime_dir)
    if text is None:
        return False
    found = load_address(runtime_dir / RECORD)
    if found is None or found.pid == os.getpid():
        return found is None or found != HubAddress(**json.loads(text))
    return not is_running(found.pid, found.start_time)


def publish_again(runtime_dir: Path) -> None:
    """Write the address again that this process published there last."""
    put_aside(runtime_dir / RECORD)
    write_private(runtime_dir / RECORD, _published[runtime_dir])


def put_aside(path: Path) -> None:
    """Rename a folder, which no file can take the place of."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))


def withdraw_record(paths: WorkspacePaths) -> None:
    """Remove the address, so that nobody looks for a hub that has ended."""
    put_aside(paths.hub_json)
    paths.hub_json.unlink(missing_ok=True)


def set_gateway(paths: WorkspacePaths, url: str | None, socket: str | None) -> None:
    """Add the gateway's address to the record of the hub that runs, which is this process."""
    fields: dict[str, Any] = json.loads(_published[paths.runtime_dir])
    write_record(paths, HubAddress(**{**fields, "gateway_url": url, "gateway_socket": socket}))


def forget_key(paths: WorkspacePaths) -> None:
    """Let no token of an agent that joined by hand be good any more; the next hub makes a new key."""
    (paths.state_dir / "joining.key").unlink(missing_ok=True)


def load_or_create_key(path: Path) -> bytes:
    """32 random bytes that stay the same over restarts, in a 0600 file."""
    with contextlib.suppress(FileNotFoundError):
        key = bytes.fromhex(path.read_text())
        if len(key) == 32:
            return key
    key = secrets.token_bytes(32)
    write_private(path, key.hex())
    return key
