"""Starts and stops the gateway process for the hub, and writes the map of its callers (design 1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from aegis_tui.adapters.llm.key import KEPT_NAME
from aegis_tui.adapters.process import end_child
from aegis_tui.domain.ids import hash_token
from aegis_tui.errors import Unavailable
from aegis_tui.ports.gateway_plan import GatewayPlan
from aegis_tui.sdk.discovery import WorkspacePaths, is_running, process_start_time
from aegis_tui.sdk.gateway import EGRESS_NAME
from aegis_tui.sdk.life import SILENT_S, StartWatch, tail
from aegis_tui.sdk.private_file import load_record, write_private

_log = logging.getLogger(__name__)

STOP_DEADLINE_S = 6.0
_POLL_S = 0.05


class GatewayProcess:
    """Starts the gateway in a session of its own and writes its map; the gateway outlives the hub.

    Args:
        paths: The workspace's folders.
        sockets_dir: Folder for a second name of its socket, for sandboxes that see only that folder.
        publish: Called with url and socket when the gateway serves, and with None and None when it has ended.
        find_key_file: Returns the file with the model server's key; the gateway gets the path, never the key.
        publish_problem: Called with the reason why the gateway is of no use, and with None when it is again.
    """

    def __init__(
        self,
        paths: WorkspacePaths,
        sockets_dir: Path,
        publish: Callable[[str | None, str | None], None],
        *,
        find_key_file: Callable[[], Path | None] = lambda: None,
        publish_problem: Callable[[str | None], None] = lambda problem: None,
    ) -> None:
        self._paths, self._sockets_dir, self._publish = paths, sockets_dir, publish
        self._find_key_file, self._publish_problem = find_key_file, publish_problem
        self._problem: str | None = None
        self._published = False
        self._written: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    @property
    def _record(self) -> Path:
        return self._paths.runtime_dir / "gateway.json"

    async def serve(self, plan: GatewayPlan) -> None:
        """Make sure that the gateway runs with this plan; return when it serves.

        A gateway that runs already, also one of an earlier hub, only gets the new plan, in the file `gateway-map.json`.
        After a start, and in the first call, its sockets are linked into `sockets_dir` and `publish` is called.

        Args:
            plan: Whom the gateway serves, and which model servers it asks.

        Raises:
            Unavailable: The gateway does not start: it ends, or shows no sign of life for 120 s. The message has the
                last lines of its log.
            UsageError: The person's settings, which name the key file, cannot be used.
            OSError: A file cannot be written, or the process cannot be started.
        """
        async with self._lock:
            key_file = self._find_key_file()
            fields = {
                **plan.fields(),
                "person": _person_hash(self._paths.hub_json),
                "upstream_token_file": str(key_file) if key_file else None,
            }
            text = json.dumps(fields, sort_keys=True)
            if text != self._written:
                write_private(self._paths.runtime_dir / "gateway-map.json", text)
                self._written = text
            if self._find() is None:
                await self._start()
                self._published = False
            if not self._published:
                link_socket(self._paths.gateway_socket, self._sockets_dir)
                if (egress := self._paths.runtime_dir / EGRESS_NAME).exists():  # one of an earlier version has none
                    link_socket(egress, self._sockets_dir)
                record = load_record(self._record)
                self._publish(str(record["url"]), str(self._paths.gateway_socket))
                self._published = True

    def report(self, problem: str | None) -> None:
        """Publish why the gateway is missing or can serve no call, None when it works; no effect if nothing changed.

        Args:
            problem: The reason, for a person; None if there is no problem.
        """
        if problem != self._problem:
            self._publish_problem(problem)
            self._problem = problem

    def _find(self) -> int | None:
        """Return the pid of the running gateway, which an earlier hub may have started.

        None if its file `gateway.json` is missing or invalid, or the process in it has ended. Raises nothing.
        """
        try:
            record = load_record(self._record)
            pid, started = int(record["pid"]), float(record["start_time"])
        except (ValueError, KeyError, TypeError):
            return None
        return pid if is_running(pid, started) else None

    async def _start(self) -> None:
        log = self._paths.state_dir / "logs" / "gateway.log"
        said_before = log.stat().st_size if log.exists() else 0
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "aegis_tui.gateway"),
                *("--runtime", str(self._paths.runtime_dir), "--state", str(self._paths.state_dir)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        try:
            await self._wait_until_it_serves(process, log, said_before)
        except BaseException:  # nothing else knows this process, so it must be killed here
            await end_child(process)
            raise
        self._process = process

    async def _wait_until_it_serves(self, process: asyncio.subprocess.Process, log: Path, said_before: int) -> None:
        """Wait until the new gateway serves, or another one in its place, for as long as it shows signs of life.

        Args:
            process: The new gateway.
            log: The file that it writes its log to.
            said_before: The size of that file in bytes before it was started.

        Raises:
            Unavailable: It ended, or showed no sign of life for 120 s; with the last lines of its log. The process is
                left to the caller.
        """
        watch = StartWatch(process.pid, log, said_before=said_before)
        while self._find() != process.pid:
            if process.returncode is not None and self._find() is not None:
                break
            if process.returncode is not None or watch.look() > SILENT_S:
                said = tail(log, said_before)
                raise Unavailable(f"the gateway did not start{said}", f"read {log}", code="gateway.unavailable")
            await asyncio.sleep(_POLL_S)

    async def close(self) -> None:
        """Stop the gateway if one runs, wait until it has ended, remove its files, and publish that there is none.

        One that an earlier hub started is stopped too. One that does not end by SIGTERM in six seconds is killed.

        Raises:
            OSError: The gateway may not be signalled, or one of the files cannot be removed; nothing is published then.
        """
        async with self._lock:
            self._written = None
            pid = self._find()
            if pid is not None:
                await _end(pid)
            await self._reap(pid)
            sockets = (self._paths.gateway_socket.name, EGRESS_NAME)  # a gateway that was given up did not remove them
            for name in ("gateway.json", "gateway-map.json", "gateway.lock", *sockets, KEPT_NAME):
                (self._paths.runtime_dir / name).unlink(missing_ok=True)
            for name in sockets:
                (self._sockets_dir / name).unlink(missing_ok=True)
            self._publish(None, None)

    async def _reap(self, ended: int | None) -> None:
        """Wait for our own child, 6 s at most, so that the event loop does not close while its transport is open.

        Args:
            ended: The pid of the gateway that was ended; no effect if that is not our child.
        """
        process, self._process = self._process, None
        if process is not None and process.pid == ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_DEADLINE_S):
                    await process.wait()


def _person_hash(hub_json: Path) -> str | None:
    """Return the hash of the person's token, with which the gateway shows the numbers of all instances.

    None if there is no token in the file `hub_json`, or it cannot be read. Raises nothing.
    """
    token = load_record(hub_json).get("token")
    return hash_token(token) if isinstance(token, str) else None


async def _end(pid: int) -> None:
    started = process_start_time(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + STOP_DEADLINE_S
        while time.monotonic() < end:
            if started is None or not is_running(pid, started):
                return
            await asyncio.sleep(_POLL_S)


def link_socket(socket: Path, folder: Path) -> None:
    """Hard-link a socket into `folder`, which is created, in place of an older socket of that name.

    A sandbox into which the folder is mounted then sees a replaced socket too; a mounted file would stay the old one.
    No effect if it is linked already.

    Raises:
        OSError: There is no such socket, the folder above `folder` is missing, or it cannot be linked.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / socket.name
    fresh = folder / f".{socket.name}.new"
    if target.exists() and target.samefile(socket):
        return  # rename(2) of one name of a file onto another of the same does nothing and leaves both
    fresh.unlink(missing_ok=True)
    fresh.hardlink_to(socket)
    fresh.replace(target)
