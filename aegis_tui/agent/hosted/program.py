"""Runs the program headless for one prompt: its own process group, its output shown in the pane (AGENT-1, PANE-8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from aegis_tui.agent.descendants import descendants, end_descendants
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.hosting.kind_file import Output, is_true_at, texts_at

_LINE_BYTES = 8 * 1024 * 1024
"""The longest line of output that is read as JSON; a longer one is only counted."""
_LAST_LINES = 12
_LINE_CHARS = 2000
_SUMMARY_CHARS = 4000
_GRACE_S = 3.0
_SUBJECT = re.compile(r"[a-z]+(\([^)]+\))?!?: \S")
"""How a line of plain output begins that is a subject of a commit, and so says what was done."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of the program ended."""

    code: int
    """Exit code; negative: the signal that ended it."""
    summary: str
    """What the program says it has done; empty if it says nothing."""
    last_lines: str
    """The end of its output, for a message about a failure."""
    says_failed: bool = False
    """Whether its output says that it failed."""
    is_alive: bool = False
    """Whether the program still runs, in its own interface: then only a turn of its conversation is over."""
    is_interrupted: bool = False
    """Whether a person pressed a key in its interface meanwhile that ends a turn: what it has done may be half done."""

    @property
    def is_ok(self) -> bool:
        """Whether the program ended with exit code 0, and did not report a failure in its output."""
        return self.code == 0 and not self.says_failed


async def run_headless(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: str | None,
    output: Output,
    screen: Screen,
    on_tool: Callable[[str], None],
    started: Callable[[], Awaitable[None]] | None = None,
) -> Ran:
    """Run the program to its end and return how it ended; what it started is ended too, also when this is cancelled.

    Args:
        argv: Program and arguments; no shell is involved.
        cwd: The worktree.
        environment: All variables of the program.
        stdin: What it reads from standard input; None for an empty input.
        output: How its output is read.
        screen: Shows its output.
        on_tool: Takes the name of each tool that its output shows.
        started: Awaited once the program has been started.

    Raises:
        OSError: It cannot be started.
    """
    spared = descendants()
    reading = _Reading(output, screen, on_tool)
    process, read_end = await _start(argv, cwd, environment, stdin)
    following = asyncio.create_task(reading.follow(read_end))
    try:
        if started is not None:
            await started()
        await process.wait()
    finally:
        await end_program(process, spared)
        done, _ = await asyncio.wait({following}, timeout=_GRACE_S)
        if not done:
            following.cancel()
            await asyncio.wait({following})
    code = -signal.SIGKILL if process.returncode is None else process.returncode
    return reading.result(code)


async def _start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], stdin: str | None
) -> tuple[asyncio.subprocess.Process, int]:
    """Start the program in a process group of its own; return it and the read end of the pipe that receives its output.

    The pipe is not asyncio's, because then `wait` would also wait for processes that the program left behind. The
    caller has to close the read end. `stdin` is the text of its standard input; None for none.

    Raises:
        OSError: It cannot be started.
    """
    read_end, write_end = os.pipe()
    try:
        with tempfile.TemporaryFile() as said:
            said.write((stdin or "").encode("utf-8", "replace"))
            said.seek(0)
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=cwd,
                env=dict(environment),
                stdin=said if stdin is not None else asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return process, read_end


async def end_program(process: asyncio.subprocess.Process, spared: Collection[psutil.Process]) -> None:
    """End the program, if it runs (SIGINT first), and every process below this one that is not among the spared."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
    await asyncio.to_thread(end_descendants, spared)
    await process.wait()


class _Reading:
    """Reads the program's output line by line, shows it, and keeps what it says about its work."""

    def __init__(self, output: Output, screen: Screen, on_tool: Callable[[str], None]) -> None:
        self._output, self._screen, self._on_tool = output, screen, on_tool
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._shown = ""
        self._summary = ""
        self._says_failed = False

    async def follow(self, read_end: int) -> None:
        """Read and show the output line by line until every process that holds it has closed it.

        Then the read end is closed. The last lines, the summary, and whether the program reports a failure are kept. Of
        a line that is too long, the beginning is dropped.
        """
        stream = asyncio.StreamReader(limit=_LINE_BYTES)
        pipe = os.fdopen(read_end, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        try:
            await self._follow(stream)
        finally:
            transport.close()

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                self._take(error.partial)
                return
            except asyncio.LimitOverrunError as error:
                await stream.readexactly(error.consumed)
                continue
            self._take(line)

    def result(self, code: int) -> Ran:
        """Return how the run ended: `code`, a summary of what the program said about its work, and its last output.

        The summary is the one that the output names, else the last text shown, at most 4,000 characters.
        """
        summary = self._summary or self._shown
        return Ran(code, summary[:_SUMMARY_CHARS], "\n".join(self._last), self._says_failed)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        self._last.append(text[:_LINE_CHARS])
        value = _parsed(text) if self._output.format == "jsonl" else None
        if value is None:
            self._screen.output(text)
            if self._output.format == "text" and _SUBJECT.match(text):
                self._summary = text
            return
        for name in texts_at(value, self._output.tools):
            self._screen.action("Tool", name)
            self._on_tool(name)
        for said in texts_at(value, self._output.show):
            self._screen.output(said)
            self._shown = said
        self._summary = next(iter(texts_at(value, self._output.summary)[-1:]), self._summary)
        self._says_failed = self._says_failed or is_true_at(value, self._output.failed)


def _parsed(text: str) -> dict[str, object] | None:
    """Return a line as a JSON object; None for any other text."""
    try:
        value = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
