"""The gateway as a process: its sockets, the file that announces it, and its end.

One runs per runtime folder. It outlives the hub. It ends on SIGTERM or SIGINT, when its `gateway.json` is gone, or when
the hub has been gone for so long that the agents have ended too.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import logging
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis_tui.errors import Refused, Unavailable
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.app import GatewayApp
from aegis_tui.gateway.client_connection import MOST_STRANGERS
from aegis_tui.gateway.egress import Egress
from aegis_tui.gateway.ledger import Ledger
from aegis_tui.gateway.server import GatewayServer
from aegis_tui.gateway.share import MOST_CALLS
from aegis_tui.gateway.upstream import Upstream
from aegis_tui.sdk.discovery import WorkspacePaths, find_process, process_start_time
from aegis_tui.sdk.gateway import EGRESS_NAME
from aegis_tui.sdk.orphan import orphan_s
from aegis_tui.sdk.private_file import write_private
from aegis_tui.sdk.strangers import QUEUED, raise_descriptor_limit

_LOG = logging.getLogger(__name__)
_SOCKET_PATH_LIMIT_BYTES = 104
_FOLDER_CHECK_S = 2.0
_UNUSED_S = 10.0
"""How long a gateway without callers outlives its hub, in seconds: long enough for a hub that is started again."""
_PORT_NAME = "gateway.port"
_SALT_NAME = "gateway.salt"
_AFTER_AGENTS_S = 20.0
"""Agents end AEGIS_ORPHAN_S after their hub; the gateway waits at most this much longer for their last calls."""


def run_gateway(runtime: Path, state: Path) -> None:
    """Serve until SIGTERM or SIGINT, until `gateway.json` is gone or another's, or until nobody needs it any more.

    That is when the hub has been gone, and no call has run, for longer than agents survive it (see
    `_stop_when_useless`). Blocks until then; the sockets are deleted at the end.

    Args:
        runtime: Owner-only folder with `gateway-map.json`; the sockets and `gateway.json` are created there.
        state: Calls are logged in its folder `logs`, with their texts if the map allows it.

    Raises:
        Refused: Other users can access the runtime folder.
        Unavailable: Another gateway runs for this folder, its path is too long for a socket, or no port is free.
        UsageError: AEGIS_ORPHAN_S is not a number.
        OSError: A folder or a file in it cannot be used.
    """
    agents_last_s = orphan_s(os.environ)
    _check_private(runtime)
    with _only_one(runtime / "gateway.lock"):
        asyncio.run(_serve(runtime, state, agents_last_s))


async def _serve(runtime: Path, state: Path, orphan_s: float) -> None:
    access = AccessMap(runtime / "gateway-map.json")
    ledger = Ledger(state / "logs", lambda: access.current.kept_mb)
    upstream = Upstream()
    most_strangers, most_calls = _limits()
    app = GatewayApp(access, upstream, ledger, most_calls, salt=_salt(state / _SALT_NAME))
    server = GatewayServer(app, most_fresh=most_strangers, most_idle=most_strangers)
    tcp = listen_tcp(_former_port(runtime / "gateway.json", state / _PORT_NAME))
    unix = _listen_unix(runtime / "gateway.sock")
    egress = await Egress(access, most_fresh=most_strangers).serve(_listen_unix(runtime / EGRESS_NAME))
    url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    paths = WorkspacePaths(state.name, state, runtime)
    beside = (_stop_when_useless(paths, server, ledger, access, orphan_s), app.engine.keep_learning())
    tasks = [asyncio.create_task(work) for work in beside]
    try:
        await server.start([tcp, unix])
        gc.freeze()  # what exists now stays, so that collections have little to look at
        _publish(runtime, state, url)
        await server.serve()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        egress.close()
        upstream.close()
        ledger.close()
        for item in (tcp, unix):
            item.close()
        for name in ("gateway.sock", EGRESS_NAME):
            (runtime / name).unlink(missing_ok=True)


def _salt(path: Path) -> str:
    """Return the salt of this workspace's prefix cache, the same for every gateway of it; nobody else can guess it.

    If it cannot be kept in the file at `path`, it is another one for the next gateway.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if kept := path.read_text("ascii").strip():
            return kept
    salt = secrets.token_hex(16)
    with contextlib.suppress(OSError):
        write_private(path, salt)
    return salt


def _limits() -> tuple[int, int]:
    """Return two limits: connections whose caller is not known yet, and calls of one caller at once.

    Both fit the open-file limit of the process, which is raised first, as far as the system permits.
    """
    descriptors = raise_descriptor_limit()
    return min(MOST_STRANGERS, descriptors // 8), min(MOST_CALLS, descriptors // 16)  # a call needs two descriptors


async def _stop_when_useless(
    paths: WorkspacePaths, server: GatewayServer, ledger: Ledger, access: AccessMap, orphan_s: float
) -> None:
    """Stop the server once its `gateway.json` is gone or another's, or once nobody has needed it for long enough.

    Nobody needs it while neither the hub's process nor a call runs. Long enough is `orphan_s`, the seconds after which
    agents end, and at most 20 s more; 10 s at most if the gateway's map names no instance. With its `gateway.json`
    gone, it stops even while calls run. Checks this every 2 s, and returns once it has told the server to stop.
    """
    limit_s = orphan_s + min(orphan_s, _AFTER_AGENTS_S)
    loop = asyncio.get_running_loop()
    alive_at = loop.time()
    while True:
        await asyncio.sleep(_FOLDER_CHECK_S)
        if find_process(paths) is not None or ledger.running:
            alive_at = loop.time()
        is_lost = server.is_serving and _published(paths.runtime_dir / "gateway.json").get("pid") != os.getpid()
        lasts_s = limit_s if access.current.instances else min(limit_s, _UNUSED_S)
        if is_lost or loop.time() - alive_at > lasts_s:
            server.stop()
            return


def _check_private(runtime: Path) -> None:
    status = runtime.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Refused(f"other users can access {runtime}", hint=f"chmod 700 {runtime}", code="runtime.mode")


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock of this workspace's gateway while the block runs; the system releases it if the process ends.

    Raises:
        Unavailable: Another gateway holds it (code `gateway.running`).
        OSError: The lock file at `path` cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = f"its pid is in {path.with_name('gateway.json')}"
            raise Unavailable("another gateway serves this workspace", hint=hint, code="gateway.running") from error
        yield
    finally:
        os.close(descriptor)


def listen_tcp(port: int) -> socket.socket:
    """Return a listening TCP socket on 127.0.0.1: on the previous gateway's port if it is free, else on any.

    Args:
        port: The port of the previous gateway, which agents may still use; 0 if there was none.

    Raises:
        Unavailable: No port is free (code `gateway.port`).
    """
    for candidate in dict.fromkeys((port, 0)):
        # asyncio sets TCP_NODELAY only where the protocol is named; without it tokens wait 20 ms for an ACK (measured).
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(QUEUED)
        except OSError:
            listener.close()
            continue
        return listener
    raise Unavailable("no loopback port is free", code="gateway.port")


def _listen_unix(path: Path) -> socket.socket:
    """Return a listening unix socket, usable only by the owner from the start. A file at `path` is replaced.

    Raises:
        Unavailable: The path is too long for a socket.
        OSError: The socket cannot be created.
    """
    if len(os.fsencode(path)) >= _SOCKET_PATH_LIMIT_BYTES:
        raise Unavailable(f"{path} is too long for a socket", hint="set XDG_RUNTIME_DIR to a folder with a short path")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(QUEUED)
    return listener


def _publish(runtime: Path, state: Path, url: str) -> None:
    """Write `gateway.json` in one step, readable only by the owner, and the port for the next gateway.

    If only the port cannot be written, nothing is raised.

    Raises:
        OSError: `gateway.json` cannot be written.
    """
    facts = {
        "pid": os.getpid(),
        "start_time": process_start_time(os.getpid()),
        "url": url,
        "socket": str(runtime / "gateway.sock"),
    }
    descriptor, name = tempfile.mkstemp(dir=runtime, prefix=".gateway-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    Path(name).replace(runtime / "gateway.json")
    with contextlib.suppress(OSError):  # the next gateway then listens on another port
        write_private(state / _PORT_NAME, url.rpartition(":")[2])
    _LOG.info("gateway is ready", extra={"gateway_url": url})


def _published(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _former_port(record: Path, kept: Path) -> int:
    """Return the port of the previous gateway, which programs may still use or have in their settings; 0 if unknown.

    Args:
        record: The `gateway.json` that it left, which counts first.
        kept: The file in which it stored its port.
    """
    port = str(_published(record).get("url", "")).rpartition(":")[2]
    if not port:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            port = kept.read_text()[:8]
    return int(port) if port.isdecimal() and 1024 <= int(port) <= 65535 else 0
