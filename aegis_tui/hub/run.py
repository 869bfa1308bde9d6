"""The hub process from start to stop.

It opens lock, log, state, sockets, hub.json and services in this order, and closes them in reverse, so that no client
reaches a hub that is not ready.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from aegis_tui import __version__
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.fanout import Fanout
from aegis_tui.hub.heap import give_memory_back
from aegis_tui.hub.identity import Identity, new_token
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.mcp import McpDoor
from aegis_tui.hub.owner import OWNER, outlive
from aegis_tui.hub.record import JOINING_KEY, load_or_create_key, only_hub, withdraw_record, write_record
from aegis_tui.hub.rest import build_app
from aegis_tui.hub.server import HubServer, open_loopback, open_unix, parse_port
from aegis_tui.hub.snapshots import SNAPSHOT_EVENTS
from aegis_tui.ports.event_log import EventLog
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import (
    WorkspacePaths,
    process_start_time,
    workspace_key_of,
    workspace_paths,
)
from aegis_tui.sdk.quick import HubAddress
from aegis_tui.sdk.rotating_log import log_to, log_to_stderr
from aegis_tui.sdk.workspaces import remember_repository

MakeLog = Callable[[Path], EventLog]
"""Takes the path of the log file and returns the log, not yet opened."""

_TURN_S = 0.0005
_log = logging.getLogger(__name__)


class HubService(Protocol):
    """A service in the hub process; it changes the workspace only through the engine."""

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Start the service and return; the hub already serves clients.

        What it raises ends the start of the hub.
        """
        ...

    async def stop(self) -> None:
        """Stop everything that `start` began, and wait for it; the engine still accepts commands.

        Called only after `start`.
        """
        ...

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return how to fill in fields of a client's command that only this service knows, before it is decided.

        It does not wait itself.

        Returns:
            An awaitable of the completed command, which raises `AegisError` to refuse it; None for commands that do not
            concern this service.
        """
        ...


@asynccontextmanager
async def open_hub(
    paths: WorkspacePaths,
    *,
    make_log: MakeLog,
    services: Sequence[HubService] = (),
    port: int | None = None,
    snapshot_events: int = SNAPSHOT_EVENTS,
) -> AsyncIterator[tuple[HubAddress, Engine]]:
    """Run a hub while the context is open; yield its address and its engine.

    Args:
        paths: The workspace's folders; created when missing.
        make_log: Makes the log for a path.
        services: Started in order once clients can connect, stopped in reverse.
        port: Of the TCP socket on 127.0.0.1; 0 for any free port; None for 9999 or, if that is busy, any free port.
        snapshot_events: How many events after the newest snapshot make the next one due.

    Raises:
        HubUnavailable: Another hub runs, another user can write to the runtime folder, the lock cannot be written, or
            the port or the socket cannot be used.
        StoreError: The log is damaged or cannot be opened.
        OSError: A folder cannot be created, or hub.json or the key for tokens cannot be written.
        Exception: A service failed to start; what was opened is closed again.
    """
    paths.create()
    async with AsyncExitStack() as stack:
        stack.enter_context(only_hub(paths))
        engine = Engine(make_log(paths.log_db), SystemClock(), key=paths.key, snapshot_events=snapshot_events)
        _log.info("opening the log")
        await engine.open()
        stack.push_async_callback(engine.close)
        address = await _serve(stack, engine, paths, services=services, port=port)
        with _short_turns():
            for service in services:
                await service.start(engine, paths)
                stack.push_async_callback(service.stop)
        yield address, engine


@contextmanager
def _short_turns() -> Iterator[None]:
    """Set the interpreter's switch interval to 0.5 ms, a tenth of the default, while the context is open.

    So imports in threads delay clients less. Afterwards it is as before.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


async def _serve(
    stack: AsyncExitStack,
    engine: Engine,
    paths: WorkspacePaths,
    *,
    services: Sequence[HubService],
    port: int | None,
) -> HubAddress:
    """Serve clients, publish the address in hub.json and return it; both are undone when the stack unwinds.

    Raises:
        HubUnavailable: The port or the socket cannot be used.
        OSError: hub.json or the key for tokens cannot be written.
    """
    token = new_token()
    identity = Identity(engine, token, load_or_create_key(paths.state_dir / JOINING_KEY))
    ingress = Ingress(engine, identity, paths, prepare=[service.prepare for service in services])
    mcp = McpDoor(engine, identity, ingress)
    stack.push_async_callback(mcp.close)
    app = build_app(engine=engine, identity=identity, ingress=ingress, fanout=Fanout(engine), mcp=mcp)
    tcp = open_loopback(port)
    stack.callback(tcp.close)
    unix = open_unix(paths.hub_socket)
    stack.callback(paths.hub_socket.unlink, missing_ok=True)
    stack.callback(unix.close)
    server = HubServer(app, [unix, tcp])
    await server.open()
    stack.push_async_callback(server.close)
    address = HubAddress(
        pid=os.getpid(),
        start_time=process_start_time(os.getpid()) or 0.0,
        url=f"http://127.0.0.1:{tcp.getsockname()[1]}",
        socket=str(paths.hub_socket),
        token=token,
        version=__version__,
    )
    write_record(paths, address)
    stack.callback(withdraw_record, paths)
    _log.info("the hub serves", extra={"aegis_url": address.url})
    return address


async def run_hub(
    root: Path, *, make_log: MakeLog, services: Sequence[HubService] = (), environ: Mapping[str, str] = os.environ
) -> None:
    """Serve the workspace of the repository at `root` until SIGTERM, SIGINT, or the end of the owner.

    The owner is the process that `environ` names in `OWNER`, if any; its open run is cancelled first.

    Raises:
        AegisError: `root` is not in a repository, AEGIS_PORT is not a port, another hub runs, the port or the socket
            cannot be used, or the log is damaged.
        OSError: A file of the hub cannot be written.
        Exception: A service failed to start.
    """
    key = await asyncio.to_thread(workspace_key_of, root)
    paths = workspace_paths(key, environ)
    log_to(paths.hub_log)
    remember_repository(paths, root)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    port = parse_port(environ.get("AEGIS_PORT"))
    async with open_hub(paths, make_log=make_log, services=services, port=port) as (_, engine):
        gc.collect()
        gc.freeze()
        gc.enable()
        ends: list[asyncio.Task[object]] = [asyncio.create_task(stopped.wait())]
        if owner := environ.get(OWNER):
            ends.append(asyncio.create_task(outlive(owner, engine)))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()


def watch_children_by_handle() -> None:
    """Let asyncio wait for programs by pidfd, as it does from Python 3.12 on, instead of by a thread for each.

    Call it before the event loop starts. No effect from Python 3.12 on, and where the system has no pidfd.
    """
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:  # the kernel is too old, or a filter refuses the call
            return
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())


def main_hub(root: Path, *, make_log: MakeLog, services: Sequence[HubService] = ()) -> int:
    """Run the hub of the repository at `root` in this process until it is told to end, logging to stderr too.

    Args:
        root: The repository.
        make_log: Makes the log of events for a path.
        services: The hub's services, in the order of their start.

    Returns:
        The exit code: 0 after an orderly end, its own for an `AegisError`, 5 for an `OSError`; both errors are written
        to stderr, and any other is raised.
    """
    give_memory_back()
    watch_children_by_handle()
    log_to_stderr()
    try:
        asyncio.run(run_hub(root, make_log=make_log, services=services))
    except AegisError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    except OSError as error:
        failed = HubUnavailable(f"the hub cannot run: {error}", "run `aegis-tui doctor`")
        sys.stderr.write(f"{failed.message}\n{failed.hint}\n")
        return failed.exit_code
    return 0
