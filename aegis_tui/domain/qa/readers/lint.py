"""Linters and type checkers: each complaint is a failure, named by file and rule but not by its line, which moves.

They are asked only for commands that start nothing but such tools: their lines look like those of many programs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aegis_tui.domain.qa.command import Words
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, plain, relative, repeated

Find = Callable[[str], Iterator[tuple[str, str]]]
"""Yields file and complaint of each place in an output."""


@dataclass(frozen=True)
class LintReader:
    """Reads one linter or type checker."""

    tool: str
    program: tuple[str, ...]
    """The program and the verb by which it is recognised."""
    find: Find
    codes: tuple[int, ...] = (0, 1)
    """Exit codes with which it has looked at everything."""

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments begins with this tool's program, and verb if it has one."""
        return words[: len(self.program)] == self.program

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command as it is, without a result file."""
        return Asked(command)

    def read(self, outcome: Outcome) -> Reading | None:
        """Return each complaint of the output as a failure, `FILE: COMPLAINT`; an empty reading for exit code 0.

        With an exit code that is not among `codes`, the reading is `stopped`. None if it failed without a complaint.
        """
        text = plain(outcome.output)
        failures = repeated(f"{relative(file, outcome.root)}: {words}" for file, words in self.find(text))
        if outcome.exit_code is not None and outcome.exit_code not in self.codes:
            return Reading(
                self.tool, failures=failures, stopped=f"{self.tool} stopped with exit code {outcome.exit_code}"
            )
        if outcome.exit_code and not failures:
            return None
        if not outcome.exit_code:
            return Reading(self.tool)
        return Reading(self.tool, None, len(failures), failures)


_RUFF = re.compile(r"^(?P<words>[A-Z]+\d+ .+|invalid-syntax: .+)\n *--> (?P<file>\S.*?):\d+:\d+$", re.M)
_CONCISE = re.compile(r"^(?P<file>[^\s:][^:\n]*):\d+:(?:\d+:)? (?P<words>[A-Z]+\d+ .+)$", re.M)
_MYPY = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?:\d+:(?:\d+:)?)? error: (?P<words>.+)$", re.M)
_PYRIGHT = re.compile(r"^ +(?P<file>/\S[^:\n]*):\d+:\d+ - error: (?P<words>.+)$", re.M)
_TSC = re.compile(r"^(?P<file>[^\s(][^(\n]*)\(\d+,\d+\): error (?P<words>TS\d+: .+)$", re.M)
_TSC_PRETTY = re.compile(r"^(?P<file>[^\s:][^:\n]*):\d+:\d+ - error (?P<words>TS\d+: .+)$", re.M)
_ESLINT_FILE = re.compile(r"^(/\S.*|[\w.@-]+(?:/[\w.@ -]+)*\.\w+)$")
_ESLINT_LINE = re.compile(r"^ +\d+:\d+ +error +(\S.*?) {2,}(\S+)$")


def _matches(*patterns: re.Pattern[str]) -> Find:
    def find(text: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            yield from ((match["file"], _quiet(match["words"])) for match in pattern.finditer(text))

    return find


def _quiet(words: str) -> str:
    return re.sub(r" +", " ", words.replace("[*] ", "")).strip()


def _eslint(text: str) -> Iterator[tuple[str, str]]:
    file = ""
    for line in text.splitlines():
        if heading := _ESLINT_FILE.match(line):
            file = heading[1]
        elif file and (complaint := _ESLINT_LINE.match(line)):
            yield file, f"{complaint[2]} {complaint[1]}"


LINT_READERS = (
    LintReader("ruff", ("ruff", "check"), _matches(_RUFF, _CONCISE)),
    LintReader("flake8", ("flake8",), _matches(_CONCISE)),
    LintReader("mypy", ("mypy",), _matches(_MYPY)),
    LintReader("pyright", ("pyright",), _matches(_PYRIGHT)),
    LintReader("tsc", ("tsc",), _matches(_TSC, _TSC_PRETTY), codes=(0, 1, 2)),
    LintReader("eslint", ("eslint",), _eslint),
)
"""One for each tool."""
