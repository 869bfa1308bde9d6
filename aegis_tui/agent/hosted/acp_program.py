"""A program that speaks ACP on its standard input and output, and one session of it (AGENT-3, PANE-8)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from aegis_tui import __version__
from aegis_tui.agent.acp.peer import LINE_BYTES, AcpError, OnNotice, OnRequest, Peer
from aegis_tui.agent.descendants import descendants
from aegis_tui.agent.hosted.program import end_program
from aegis_tui.domain.inert import one_line
from aegis_tui.errors import Unavailable

VERSION: Final = 1
"""The version of the protocol."""
_LAST_LINES = 12
_LINE_CHARS = 2000
_LAST_WORDS_S = 1.0
_MOST_MODES = 20


@dataclass(frozen=True, slots=True)
class AcpAbilities:
    """What the program says about itself when it begins."""

    can_load: bool
    can_resume: bool


class AcpProgram:
    """A running program. `start` starts it; `end` ends it and everything that it started.

    Args:
        process: The program.
        peer: The connection to it.
        errors: Its standard error.
        pipes: The ends of the pipes that are read; `end` closes them.
        spared: The processes below this one that `end` lets run.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        peer: Peer,
        errors: asyncio.StreamReader,
        *,
        pipes: Sequence[asyncio.ReadTransport],
        spared: Collection[psutil.Process],
    ) -> None:
        self.peer = peer
        self._process, self._pipes, self._spared = process, pipes, spared
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._tasks = [
            asyncio.create_task(peer.run()),
            asyncio.create_task(self._follow_errors(errors)),
            asyncio.create_task(self._watch()),
        ]

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        on_request: OnRequest,
        on_notice: OnNotice,
    ) -> AcpProgram:
        """Start the program in a process group of its own.

        Args:
            argv: Program and arguments; no shell is involved.
            cwd: The worktree.
            environment: All variables of the program.
            on_request: Answers its requests.
            on_notice: Takes its notifications.

        Raises:
            OSError: It cannot be started.
        """
        spared = descendants()
        process, (into, out, err) = await _spawn(argv, cwd, environment)
        (reader, out_pipe), (errors, err_pipe) = await _reader(out, LINE_BYTES), await _reader(err, _LINE_CHARS)
        peer = Peer(reader, await _writer(into), on_request=on_request, on_notice=on_notice)
        return cls(process, peer, errors, pipes=(out_pipe, err_pipe), spared=spared)

    async def initialize(self) -> AcpAbilities:
        """Begin the connection; this end offers no files and no terminals, because the program has them in its sandbox.

        Raises:
            AcpError: The program refused, or has ended.
            Unavailable: It speaks another version of the protocol.
        """
        offers = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        about = {"name": "aegis-tui", "title": "aegis-tui", "version": __version__}
        said = await self.peer.request(
            "initialize", {"protocolVersion": VERSION, "clientCapabilities": offers, "clientInfo": about}
        )
        answer = _object(said)
        if answer.get("protocolVersion") != VERSION:
            words = one_line(str(answer.get("protocolVersion")))[:40]
            raise Unavailable(f"it speaks version {words} of ACP, not {VERSION}", code="agent.acp")
        can = _object(answer.get("agentCapabilities"))
        return AcpAbilities(can.get("loadSession") is True, "resume" in _object(can.get("sessionCapabilities")))

    async def new_session(self, fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Begin a conversation; return its id, and the answer with the modes that it offers.

        Args:
            fields: The folder in which it works (`cwd`), the MCP servers that it starts (`mcpServers`), and `_meta`.

        Raises:
            AcpError: The program refused, has ended, or named no session.
        """
        answer = _object(await self.peer.request("session/new", fields))
        session = answer.get("sessionId")
        if not isinstance(session, str) or not session:
            raise AcpError("it began a session without an id")
        return session, answer

    async def set_mode(self, session: str, mode: str, answer: Mapping[str, Any]) -> None:
        """Set the mode of a session, by the way in which its modes are offered.

        Args:
            session: Its id.
            mode: The id of the mode.
            answer: What the program answered when the session began.

        Raises:
            AcpError: The program does not offer this mode, refused it, or has ended.
        """
        modes = _ids(_object(answer.get("modes")).get("availableModes"), "id")
        if mode in modes:
            await self.peer.request("session/set_mode", {"sessionId": session, "modeId": mode})
            return
        options = answer.get("configOptions")
        for option in options if isinstance(options, list) else []:
            if _object(option).get("id") == "mode" or _object(option).get("category") == "mode":
                values = _ids(option.get("options"), "value")
                modes += values
                if mode in values and isinstance(number := option.get("id"), str):
                    fields = {"sessionId": session, "configId": number, "value": mode}
                    await self.peer.request("session/set_config_option", fields)
                    return
        offered = ", ".join(one_line(name) for name in modes[:_MOST_MODES]) or "none"
        raise AcpError(f"it does not offer the mode {mode}; it offers: {offered}")

    @property
    def is_alive(self) -> bool:
        """Whether the program runs and its connection is open."""
        return self._process.returncode is None and not self.peer.is_closed

    @property
    def last_lines(self) -> str:
        """The end of what it wrote to standard error, at most twelve lines."""
        return "\n".join(self._last)

    async def end(self) -> int:
        """End the program if it runs, and everything that it started; return its exit code."""
        self.peer.close()
        await end_program(self._process, self._spared)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pipe in self._pipes:
            pipe.close()
        return -signal.SIGKILL if self._process.returncode is None else self._process.returncode

    async def _watch(self) -> None:
        """Close the connection when the program has ended, even if a process that it left keeps the streams open."""
        await self._process.wait()
        await asyncio.sleep(_LAST_WORDS_S)
        self.peer.close()

    async def _follow_errors(self, errors: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await errors.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                line = await errors.readexactly(error.consumed)
            except asyncio.IncompleteReadError as error:
                self._note(error.partial)
                return
            self._note(line)

    def _note(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").rstrip():
            self._last.append(text[:_LINE_CHARS])


async def _spawn(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> tuple[asyncio.subprocess.Process, tuple[int, int, int]]:
    """Start the program; return it and our ends of its standard input, output and error, which the caller has to close.

    The pipes are not asyncio's, because then `wait` would also wait for processes that the program left behind.

    Raises:
        OSError: It cannot be started.
    """
    (stdin, into), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=cwd, env=dict(environment), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except BaseException:
        for end in (into, out, err):
            os.close(end)
        raise
    finally:
        for end in (stdin, stdout, stderr):
            os.close(end)
    return process, (into, out, err)


async def _reader(end: int, limit: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    stream = asyncio.StreamReader(limit=limit)
    pipe = os.fdopen(end, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    return stream, transport


async def _writer(end: int) -> asyncio.StreamWriter:
    loop, pipe = asyncio.get_running_loop(), os.fdopen(end, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _ids(value: object, name: str) -> list[str]:
    """Return the ids in a list of objects, also of those in its groups (`options`); others are left out."""
    items = value if isinstance(value, list) else []
    groups = [_object(item).get("options") for item in items]
    items = [*items, *(item for group in groups if isinstance(group, list) for item in group)]
    return [number for item in items if isinstance(number := _object(item).get(name), str)]
