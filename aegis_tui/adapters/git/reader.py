"""One `git cat-file` that stays and answers questions about objects, instead of one process for each question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aegis_tui.adapters.git.run import GitRunner, end_git

IDLE_S: Final = 2.0
"""Seconds after the last answer until the process is ended."""

_DEADLINE_S = 60.0


class ObjectFacts(NamedTuple):
    """An object that exists, without its content."""

    oid: str
    """Its full id, whatever name it was asked by."""
    kind: str
    """`blob`, `tree`, `commit` or `tag`."""
    size: int
    """The length of its content in bytes, not compressed."""


class NoAnswerError(Exception):
    """The process cannot be started, has ended, or does not answer; another git command may still, and says why not."""


@dataclass(slots=True)
class _Process:
    """A process and the event loop that can use it."""

    git: asyncio.subprocess.Process
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeper: asyncio.Task[None] | None = None
    used_at: float = 0.0


class ObjectReader:
    """Asks one `git cat-file --batch-command`, which starts with the first question and ends soon after the last.

    It sees objects and refs that are written while it runs. Questions are answered one after the other. When the event
    loop is closed with its tasks cancelled, as `asyncio.run` does, the process is ended.

    Args:
        runner: Runs git in the common folder.
    """

    def __init__(self, runner: GitRunner) -> None:
        self._runner = runner
        self._process: _Process | None = None
        self._start: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def facts(self, *names: str) -> list[ObjectFacts | None]:
        """Return what is known of each object; None for one that does not exist, and for an ambiguous name.

        Args:
            names: Revisions as in gitrevisions(7), for example `refs/heads/main^{commit}` or `HEAD:src/a.py`.

        Raises:
            NoAnswerError: git does not answer, or cannot be asked: a name is empty, contains a line end or NUL, or is
                no text that a file name can be.
            GitError: There is no folder to start git in.
            GitUnavailable: git is missing.
        """
        return [known for known, _ in await self._ask("info", names)]

    async def contents(self, *oids: str) -> list[bytes | None]:
        """Return the content of each object; None for one that does not exist. Of a large one, ask the size first.

        Raises:
            NoAnswerError: As for `facts`, and so are the others.
        """
        return [None if known is None else content for known, content in await self._ask("contents", oids)]

    async def _ask(self, question: str, names: Sequence[str]) -> list[tuple[ObjectFacts | None, bytes]]:
        if not names:
            return []
        request = _request(question, names)
        process = await self._running()
        async with process.turn:
            if process is not self._process:  # given up while this question waited
                return await self._ask(question, names)
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    answers = await _exchange(process.git, request, len(names), has_content=question == "contents")
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                self._give_up(process)
                raise NoAnswerError from error
            except BaseException:
                # Half an answer may still be in the pipe: nobody may take it for another one.
                self._give_up(process)
                raise
            process.used_at = process.loop.time()
        return answers

    async def _running(self) -> _Process:
        """Return the process that this event loop can use; it is started if there is none."""
        loop = asyncio.get_running_loop()
        if self._start is None or self._start[0] is not loop:
            self._start = (loop, asyncio.Lock())
        async with self._start[1]:
            process = self._process
            if process is None or process.loop is not loop or process.git.returncode is not None:
                git = await self._runner.start("cat-file", "--batch-command")
                process = self._process = _Process(git, loop, used_at=loop.time())
                process.keeper = loop.create_task(self._keep(process))
            return process

    async def _keep(self, process: _Process) -> None:
        """End the process when nobody has asked for `IDLE_S`, or when it is given up."""
        try:
            while self._process is process:
                left = process.used_at + IDLE_S - process.loop.time()
                if left > 0:
                    await asyncio.sleep(left)
                elif not process.turn.locked():
                    break
                else:
                    await asyncio.sleep(IDLE_S)
        finally:
            if self._process is process:
                self._process = None
            await end_git(process.git)

    def _give_up(self, process: _Process) -> None:
        if self._process is process:
            self._process = None
        if process.keeper is not None:
            process.keeper.cancel()


def _request(question: str, names: Sequence[str]) -> bytes:
    """Return what to write to git to ask about each name; `NoAnswerError` if one cannot be asked about."""
    if any(not name or "\n" in name or "\0" in name for name in names):
        raise NoAnswerError
    try:
        return "".join(f"{question} {name}\n" for name in names).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise NoAnswerError from error


async def _exchange(
    git: asyncio.subprocess.Process, request: bytes, count: int, *, has_content: bool
) -> list[tuple[ObjectFacts | None, bytes]]:
    """Send a request and return the answers to its questions in this order.

    Args:
        git: The process.
        request: One or more questions.
        count: How many they are.
        has_content: Whether they ask for contents; else those of the answers are empty.

    Raises:
        EOFError: git has ended.
        OSError: The questions cannot be written.
    """
    if git.stdin is None or git.stdout is None:
        raise EOFError
    git.stdin.write(request)
    drained = asyncio.ensure_future(git.stdin.drain())
    try:
        answers = [await _answer(git.stdout, has_content=has_content) for _ in range(count)]
        await drained
    finally:
        drained.cancel()
    return answers


async def _answer(stream: asyncio.StreamReader, *, has_content: bool) -> tuple[ObjectFacts | None, bytes]:
    facts = read_facts(await stream.readuntil(b"\n"))
    if facts is None:
        return None, b""
    content = (await stream.readexactly(facts.size + 1))[:-1] if has_content else b""
    return facts, content


def read_facts(line: bytes) -> ObjectFacts | None:
    """Return what the first line of an answer says of an object; None if there is none, or its name is ambiguous.

    Source: git-cat-file(1), BATCH OUTPUT.
    """
    text = line.decode("utf-8", "replace").rstrip("\n")
    oid, _, rest = text.partition(" ")
    kind, _, size = rest.partition(" ")
    if text.endswith((" missing", " ambiguous")) or not size.isdecimal():
        return None
    return ObjectFacts(oid, kind, int(size))
