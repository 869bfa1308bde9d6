"""What a reader of one test tool is, and how its results are asked for without changing what a command means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from aegis_tui.domain.qa.command import Words, programs_of, script_of
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.package import scripts_of

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """Where a command is going to run, as far as a reader may know it."""

    results_dir: str
    """An empty folder outside the worktree that the command may write to; absolute."""
    read: Callable[[str], str]
    """The text of a file of the worktree; empty when there is none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Files of results to look for once a command has ended."""

    tool: str
    pattern: str
    """An absolute path, or a glob below the worktree (`**/target/surefire-reports/TEST-*.xml`)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to run a command so that its tool also writes a file of results."""

    command: str
    environment: dict[str, str] = field(default_factory=dict)
    files: tuple[Wanted, ...] = ()


@runtime_checkable
class QaReader(Protocol):
    """Reads one test tool."""

    @property
    def tool(self) -> str:
        """Its name; no other reader has the same."""
        ...

    def starts(self, words: Words) -> bool:
        """Return whether one program of a command is this tool, and not a script or build tool that starts it.

        Args:
            words: The program and its arguments, a result of `programs_of`: without its folder, wrappers such as `npx`
                or `python -m`, and variables.
        """
        ...

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return how to run a command so that the results of this tool can be read, without another effect.

        The command is returned as it is where nothing can be asked for safely, or it does not run the tool.
        """
        ...

    def read(self, outcome: Outcome) -> Reading | None:
        """Return what the tool reports in its result files or else in the output; None when there is no trace of it."""
        ...


@runtime_checkable
class ExplainsExit(Protocol):
    """A reader whose tool says by its exit code why it gave up."""

    def exit_reason(self, words: Words, exit_code: int | None) -> str:
        """Return why the tool gave up, in words; empty for program lines of other tools and for other exit codes.

        Args:
            words: The program and its arguments.
            exit_code: None if it was ended early.
        """
        ...


def plain(output: str) -> str:
    """Return an output without colours and other terminal sequences, with plain newlines as line ends."""
    return _ANSI.sub("", output).replace("\r\n", "\n").replace("\r", "\n")


def relative(name: str, root: str) -> str:
    """Return a name or text with every occurrence of the path of the tree `root` and a slash left out.

    So it is the same in two trees. Unchanged without a root.
    """
    return name.replace(f"{root.rstrip('/')}/", "") if root else name


def repeated(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order of first sight, each as often as it comes; equal names stand together."""
    return tuple(Counter(names).elements())


def runs(command: str, name: str, place: CommandPlace) -> bool:
    """Return whether a command starts a tool by its name, directly or in the package script that it runs.

    Args:
        command: The command line.
        name: The name of the tool's program.
        place: Where package.json is read.
    """
    return any(is_named(words, name) for words in programs_of(_text_run(command, place)))


def _text_run(command: str, place: CommandPlace) -> str:
    script = script_of(command)
    return command if script is None else (script_text(place, script) or command)


def is_named(words: Words, name: str) -> bool:
    """Return whether a program line starts the tool: by its name, or by `yarn`, `pnpm` or `bun` and its name."""
    return words[0] == name or (words[0] in ("yarn", "pnpm", "bun") and words[1:2] == (name,))


def script_text(place: CommandPlace, script: str) -> str | None:
    """Return the command of a script in the worktree's package.json; None when there is no such script or file."""
    return scripts_of(place.read("package.json")).get(script)
