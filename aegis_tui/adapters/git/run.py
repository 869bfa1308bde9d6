"""Starts git: argv, deadline, log. Never a shell, a prompt, a pager or a hook of the person."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aegis_tui.adapters.git.environment import outside_environment
from aegis_tui.adapters.git.folder import is_folder
from aegis_tui.adapters.priority import stand_back
from aegis_tui.adapters.process import end_child
from aegis_tui.domain.git_refusal import read_refusal
from aegis_tui.errors import GitError, GitUnavailable

logger = logging.getLogger(__name__)

DEADLINE_S = 60.0
"""How long one git command may take, in seconds, if the caller sets no other limit."""

OUTPUT_BYTES = 256 << 20
"""How many bytes one git command may print, if the caller sets no other limit: agents can make outputs large."""

_CHUNK = 1 << 16

OPTIONS = (
    "--no-pager",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.splitIndex=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "i18n.commitEncoding=UTF-8",
)
"""Options of every git command: no hook, helper or pager of the person, and no work in the background."""


@dataclass(frozen=True, slots=True)
class GitOutput:
    """What a git command that has ended printed, and its exit status."""

    code: int
    """Exit status."""
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output without trailing line ends; bytes that are not UTF-8 survive a round trip."""
        return decode(self.stdout).rstrip("\n")

    def fields(self) -> list[str]:
        """Return the parts of standard output between its NULs (a `-z` format), decoded as file names are.

        The empty part after a final NUL is left out, so the list is empty for no output.
        """
        parts = decode(self.stdout).split("\0")
        return parts[:-1] if parts and parts[-1] == "" else parts


def decode(raw: bytes) -> str:
    """Decode UTF-8; bytes that are not UTF-8 become surrogates, as in Python's file names. Never raises."""
    return raw.decode("utf-8", "surrogateescape")


def joined(names: Iterable[str]) -> bytes:
    """Return file names as git reads them with `-z`: as bytes, each with a NUL at its end."""
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


class GitRunner:
    """Runs git commands in one repository.

    Args:
        git_dir: The git folder to use; None to find it from `cwd`. For a worktree that an agent uses it is always the
            common folder: the agent can write its own git folder and configuration, and could name programs there for
            us to start.
        cwd: Where commands start by default.
        stands_back: Whether its commands let other processes go first, because nobody waits for them.
    """

    def __init__(self, *, git_dir: Path | None, cwd: Path, stands_back: bool = False) -> None:
        self._git_dir = git_dir
        self._cwd = cwd
        self._stands_back = stands_back

    @property
    def git_dir(self) -> Path | None:
        """The git folder that its commands use; None if git finds it."""
        return self._git_dir

    def in_background(self) -> GitRunner:
        """Return a runner of the same repository whose commands let other processes go first."""
        return GitRunner(git_dir=self._git_dir, cwd=self._cwd, stands_back=True)

    async def run(
        self,
        *args: str,
        cwd: Path | None = None,
        work_tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        stdin_file: Path | None = None,
        ok: Sequence[int] = (0,),
        deadline_s: float = DEADLINE_S,
        output_bytes: int = OUTPUT_BYTES,
        most_items: int | None = None,
    ) -> GitOutput:
        """Run one git command to its end; return its output and its exit status, which is one of `ok`.

        Args:
            args: The command and its arguments.
            cwd: The folder to start it in; by default `work_tree`, or else that of the runner.
            work_tree: The files that it works on, if not those of the person's checkout.
            env: Variables to add.
            stdin: The bytes for its standard input.
            stdin_file: A file for its standard input, instead of `stdin`.
            ok: Exit statuses that do not raise.
            deadline_s: Seconds until it is killed.
            output_bytes: It is also killed when it prints more than this.
            most_items: Only count the items of a `-z` format, and kill it when there are more; no output is returned.

        Raises:
            GitError: It had another exit status, took too long (code `git.timeout`), printed too much (`git.output`),
                or cannot be called with these arguments, for example because one contains a NUL; or there is no folder
                to start it in.
            GitUnavailable: git is missing or cannot be started, or `stdin_file` cannot be opened.
        """
        argv = self._argv(args, work_tree)
        started_at = time.monotonic()
        place = cwd or work_tree or self._cwd
        async with _within(deadline_s):
            process = await _start(argv, place, env or {}, stdin_file or stdin)
            if self._stands_back:
                stand_back(process.pid)
            output = await _communicate(process, stdin_file or stdin, (output_bytes, most_items))
        logger.debug(
            "git ran",
            extra={"git_argv": argv, "git_exit": output.code, "duration_s": round(time.monotonic() - started_at, 4)},
        )
        if output.code not in ok:
            raise failure(args, output)
        return output

    async def start(self, *args: str) -> asyncio.subprocess.Process:
        """Start a git command that stays, with pipes for its input and output; what it says on stderr is discarded.

        End it with `end_git`.

        Raises:
            GitError: It cannot be called with these arguments, or there is no folder to start it in.
            GitUnavailable: git is missing or cannot be started.
        """
        argv = self._argv(args, None)
        logger.debug("git starts", extra={"git_argv": argv})
        return await _start(argv, self._cwd, {}, b"", errors=asyncio.subprocess.DEVNULL)

    def _argv(self, args: Sequence[str], work_tree: Path | None) -> list[str]:
        argv = ["git", *OPTIONS]
        if self._git_dir is not None:
            argv.append(f"--git-dir={self._git_dir}")
        if work_tree is not None:
            argv.append(f"--work-tree={work_tree}")
        return [*argv, *args]


def failure(args: Sequence[str], output: GitOutput) -> GitError:
    """Return (not raise) the error for a git command that failed, with the reason that git gave.

    The hint is what helps, if that is known, or else to run the command by hand.

    Args:
        args: The command and its arguments.
        output: What it printed.
    """
    lines = [line for line in output.stderr.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    command = next((arg for arg, before in zip(args, ("", *args), strict=False) if "-c" not in (arg, before)), "")
    message = f"git {command} failed: {reason or f'exit {output.code}'}"
    meaning = read_refusal(output.stderr)
    hint = meaning.hint if meaning and meaning.hint else "run the command by hand to see more"
    return GitError(
        message, hint, is_certain=meaning.is_certain if meaning else None, argv=list(args), exit=output.code
    )


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for our git commands: this process's without variables that redirect git, plus `extra`.

    git then asks no person, starts no pager or editor, and writes its messages in English.
    """
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "GIT_EDITOR": "true"}
    return {**outside_environment(os.environ), **quiet, "LC_ALL": "C", **extra}


@contextlib.asynccontextmanager
async def _within(deadline_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except TimeoutError as error:
        raise GitError(
            f"git took longer than {deadline_s:g} s",
            "another program may have locked the repository",
            code="git.timeout",
        ) from error


async def _communicate(
    process: asyncio.subprocess.Process, stdin: bytes | Path, limits: tuple[int, int | None]
) -> GitOutput:
    out, err = _BoundedOutput(process, *limits), _BoundedOutput(process, limits[0])
    try:
        given = b"" if isinstance(stdin, Path) else stdin
        await asyncio.gather(_feed(process.stdin, given), out.read(process.stdout), err.read(process.stderr))
        await process.wait()
    finally:
        if process.returncode is None:
            await end_git(process)
    if out.is_over or err.is_over:
        raise GitError("git printed more than is allowed", "the commit that it read is too large", code="git.output")
    return GitOutput(process.returncode or 0, bytes(out.content), err.content.decode("utf-8", "replace"))


async def _start(
    argv: list[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | Path,
    *,
    errors: int = asyncio.subprocess.PIPE,
) -> asyncio.subprocess.Process:
    try:
        with _source(stdin) as source:
            return await asyncio.create_subprocess_exec(
                *argv,
                cwd=cwd,
                env=environment(env),
                stdin=source,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
    except FileNotFoundError as error:
        if not is_folder(cwd):
            raise GitError(f"there is no folder {cwd}") from error
        raise GitUnavailable("git is not installed", "install git 2.38 or newer") from error
    except ValueError as error:
        raise GitError(f"git cannot be called with these arguments: {error}") from error
    except OSError as error:
        raise GitUnavailable(f"git cannot be started: {error.strerror}", "check that git is executable") from error


async def _feed(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(given)
        await stream.drain()
    stream.close()


class _BoundedOutput:
    """Collects what a git command prints on one stream; the command is killed if that exceeds a limit."""

    def __init__(self, process: asyncio.subprocess.Process, limit: int, most_items: int | None = None) -> None:
        self._process, self._limit, self._most_items = process, limit, most_items
        self._size = self._items = 0
        self.content = bytearray()
        self.is_over = False

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        """Read one of git's two streams to its end into `content`; do nothing for None.

        With `most_items`, the NULs are counted and nothing is kept. Once there are more bytes or items than the limit,
        set `is_over`, kill git, and keep no more of it.
        """
        while stream is not None and (chunk := await stream.read(_CHUNK)):
            self._size += len(chunk)
            if self._most_items is not None:
                self._items += chunk.count(0)
            is_over = self._size > self._limit or self._items > (self._most_items or 0)
            if is_over and not self.is_over:
                self.is_over = True
                _kill(self._process)
            elif not is_over and self._most_items is None:
                self.content += chunk


@contextlib.contextmanager
def _source(stdin: bytes | Path) -> Iterator[int | BinaryIO]:
    if isinstance(stdin, Path):
        with stdin.open("rb") as file:
            yield file
    else:
        yield asyncio.subprocess.PIPE


async def end_git(process: asyncio.subprocess.Process) -> None:
    """Kill a git command that is no longer needed, with the processes of its group, and wait for its end."""
    _kill(process)
    await end_child(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
