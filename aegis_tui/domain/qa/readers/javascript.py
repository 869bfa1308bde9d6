"""jest and vitest by their JSON, which both write in jest's form; else, with mocha, by their summaries."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any

from aegis_tui.domain.qa.command import Words, is_simple, programs_of, script_of
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, Wanted, is_named, plain, relative, runs, script_text

MAX_BYTES = 16 * 1024 * 1024
_OWN = ("--json", "--outputFile", "--reporter", "--watch")
_VITEST_FILES = tuple(f"{stem}.config.{end}" for stem in ("vitest", "vite") for end in ("ts", "mts", "js", "mjs"))


class JestReader:
    """Reads jest."""

    tool = "jest"
    _options = "--json --outputFile={path}"
    _counts = re.compile(r"^Tests: +(?=\S)(.*\b\d{1,9} total)$", re.M)
    _failed_file = re.compile(r"^FAIL (\S+)(?: \([^)\n]*\))?\n+ +● Test suite failed to run", re.M)
    _named = re.compile(r"^ {2}● (?!Test suite failed|Console)(\S.*)$", re.M)
    _empty = re.compile(r"^No tests found, exiting with code \d", re.M)

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is this tool (jest; vitest in the subclass)."""
        return is_named(words, self.tool)

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command with options for a result file at its end, or behind `npm test --`.

        Where they might reach another program, or the command or the project has such options itself, it stays as it
        is.
        """
        path = f"{place.results_dir}/{self.tool}.json"
        longer = _appended(command, self.tool, self._options.format(path=shlex.quote(path)), place)
        if longer is None or self._is_configured(place):
            return Asked(command)
        return Asked(longer, {}, (Wanted(self.tool, path),))

    def _is_configured(self, place: CommandPlace) -> bool:
        return False

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results in the files, else in the printed summary; None without either.

        Files of tests that could not be loaded are among `unloaded`.
        """
        files = [file.content for file in outcome.files if file.tool == self.tool]
        return read_jest_json(self.tool, files, outcome.root) or self._by_text(plain(outcome.output))

    def _by_text(self, text: str) -> Reading | None:
        summaries = self._counts.findall(text)
        if not summaries:
            return Reading(self.tool, 0, 0) if self._empty.search(text) else None
        passed, failed = _sum("passed", summaries), _sum("failed", summaries)
        unloaded = tuple(dict.fromkeys(self._failed_file.findall(text)))
        return Reading(self.tool, passed, failed, tuple(dict.fromkeys(self._named.findall(text))), None, unloaded)


class VitestReader(JestReader):
    """Reads vitest."""

    tool = "vitest"
    _options = "--reporter=default --reporter=json --outputFile.json={path}"
    _counts = re.compile(r"^ +Tests +(?=\S)(.*\(\d{1,9}\))$", re.M)
    _failed_file = re.compile(r"^ FAIL +(\S+) \[ \1 \]", re.M)
    _named = re.compile(r"^ FAIL +(\S+ > .+)$", re.M)
    _empty = re.compile(r"^No test files found, exiting with code \d", re.M)

    def _is_configured(self, place: CommandPlace) -> bool:
        return any("outputFile" in place.read(name) for name in _VITEST_FILES)

    def _by_text(self, text: str) -> Reading | None:
        failed = re.search(r"^ Test Files +\d+ failed", text, re.M)
        return super()._by_text(text) or (
            Reading(self.tool, 0, 0, unloaded=tuple(self._failed_file.findall(text))) if failed else None
        )


class MochaReader:
    """Reads mocha's summary; it counts failures, so counts decide."""

    tool = "mocha"
    _passing = re.compile(r"^ +(\d{1,9}) passing\b", re.M)
    _failing = re.compile(r"^ +(\d{1,9}) failing\b", re.M)
    _empty = re.compile(r"^Error: No test files found", re.M)

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is mocha."""
        return is_named(words, self.tool)

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the same command, without a result file: a reporter would take the place of the person's."""
        return Asked(command)

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the counts of all its summaries together, without names; None when there is no trace of mocha."""
        text = plain(outcome.output)
        passing, failing = self._passing.findall(text), self._failing.findall(text)
        if not passing and not failing:
            return Reading(self.tool, 0, 0) if self._empty.search(text) else None
        return Reading(self.tool, sum(map(int, passing)), sum(map(int, failing)))


def _appended(command: str, tool: str, options: str, place: CommandPlace) -> str | None:
    """Return the command with options for the tool at its end; None where they might reach another program.

    None also if the command or its script has options about results or watching itself.
    """
    script = script_of(command)
    text = command if script is None else (script_text(place, script) or "")
    if not is_simple(command) or not is_simple(text) or not runs(command, tool, place):
        return None
    if any(own in part for own in _OWN for part in (command, text)):
        return None
    words = programs_of(command)[0]
    between = " --" if script is not None and words[0] == "npm" and "--" not in words else ""
    return f"{command}{between} {options}"


def _sum(word: str, summaries: Iterable[str]) -> int:
    return sum(int(number) for text in summaries for number in re.findall(rf"(?<!\d)(\d{{1,9}}) {word}", text))


def read_jest_json(tool: str, files: Iterable[bytes], root: str) -> Reading | None:
    """Return jest's JSON of several runs as one reading; None when there is none, or one cannot be read.

    A test is named `FILE::FULL NAME`. A file without results that failed is among `unloaded`.

    Args:
        tool: The name of the tool in the reading.
        files: The contents of the result files.
        root: The path of the tree; removed from the names of files.
    """
    suites: list[dict[str, Any]] = []
    for content in files:
        parsed = _suites(content)
        if parsed is None:
            return None
        suites += parsed
    if not suites:
        return None
    tests: list[tuple[str, str]] = []
    unloaded = []
    for suite in suites:
        path = relative(str(suite.get("name", "")), root)
        results = suite.get("assertionResults")
        cases = [item for item in results if isinstance(item, dict)] if isinstance(results, list) else []
        if not cases and suite.get("status") == "failed":
            unloaded.append(path)
        tests += [(f"{path}::{item.get('fullName')}", str(item.get("status"))) for item in cases]
    ran = [name for name, status in tests if status in ("passed", "failed")]
    failures = tuple(name for name, status in tests if status == "failed")
    passed = len(ran) - len(failures)
    return Reading(
        tool,
        passed,
        len(failures),
        failures,
        frozenset(ran),
        tuple(unloaded),
        is_machine_readable=True,
        is_from_file=True,
    )


def _suites(content: bytes) -> list[dict[str, Any]] | None:
    if len(content) > MAX_BYTES:
        return None
    try:
        plain_json = json.loads(content)
    except (ValueError, RecursionError):
        return None
    results = plain_json.get("testResults") if isinstance(plain_json, dict) else None
    return [item for item in results if isinstance(item, dict)] if isinstance(results, list) else None
