"""RSpec, by a JSON file that it is asked for, and minitest and test-unit, by their text."""

from __future__ import annotations

import json
import re
from typing import Any

from aegis_tui.domain.qa.command import Words, programs_of
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, Wanted, plain, repeated

_RSPEC_SUMMARY = re.compile(
    r"^(\d{1,9}) examples?, (\d{1,9}) failures?(?:, (\d{1,9}) pending)?(?:, (\d{1,9}) errors? occurred outside)?", re.M
)
_RSPEC_FAILED = re.compile(r"^rspec (\S+) # (.+)$", re.M)
_RSPEC_LOAD = re.compile(r"^An error occurred while loading (\S+?)\.(?: - |$)", re.M)
_FORMATS = re.compile(r"(?:^|\s)(?:-f|--format|-o|--out)\b")


class RspecReader:
    """Reads RSpec."""

    tool = "rspec"

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is `rspec`, also through bundler or a binstub."""
        return words[0] == "rspec"

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command with a variable, SPEC_OPTS, that asks RSpec for a JSON file besides the progress.

        Without it if the command does not start RSpec, or the command or the project chooses formats itself.
        """
        programs = programs_of(command)
        if not any(self.starts(words) for words in programs) or _FORMATS.search(command):
            return Asked(command)
        if (
            _FORMATS.search(place.read(".rspec"))
            or _FORMATS.search(place.read(".rspec-local"))
            or "SPEC_OPTS" in command
        ):
            return Asked(command)
        file = f"{place.results_dir}/rspec.json"
        options = f"--format progress --format json --out {file}"
        return Asked(command, {"SPEC_OPTS": options}, (Wanted(self.tool, file),))

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results in the JSON files, else those in the printed summaries; None without either.

        Files that could not be loaded are among `unloaded`. The names of all tests are known from the files only.
        """
        text = plain(outcome.output)
        files = [plain_json for file in outcome.files if file.tool == self.tool if (plain_json := _json(file.content))]
        if files:
            return _of_examples(files, text)
        summaries = _RSPEC_SUMMARY.findall(text)
        if not summaries:
            return None
        total, failed, pending, outside = (sum(int(item[at] or 0) for item in summaries) for at in range(4))
        unloaded = repeated(_RSPEC_LOAD.findall(text))
        stopped = "an error occurred outside of the examples" if outside and not unloaded else ""
        failures = repeated(f"{_file(place)}::{name}" for place, name in _RSPEC_FAILED.findall(text))
        passed = max(0, total - failed - pending)
        return Reading(self.tool, passed, failed, failures, None, unloaded, stopped)


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("examples"), list) else None


def _of_examples(files: list[dict[str, Any]], text: str) -> Reading:
    names: list[tuple[str, str]] = []
    for file in files:
        for example in file["examples"]:
            if isinstance(example, dict):
                place = str(example.get("file_path", "")).removeprefix("./")
                names.append((f"{place}::{example.get('full_description', '')}", str(example.get("status", ""))))
    failures = repeated(name for name, status in names if status == "failed")
    tests = frozenset(name for name, status in names if status in ("passed", "failed"))
    passed = sum(status == "passed" for _, status in names)
    unloaded = repeated(_RSPEC_LOAD.findall(text))
    outside = any(_outside(file) for file in files)
    stopped = "an error occurred outside of the examples" if outside and not unloaded else ""
    return Reading(
        "rspec", passed, len(failures), failures, tests, unloaded, stopped, is_machine_readable=True, is_from_file=True
    )


def _outside(file: dict[str, Any]) -> bool:
    summary = file.get("summary")
    return isinstance(summary, dict) and bool(summary.get("errors_outside_of_examples_count"))


def _file(place: str) -> str:
    return re.sub(r"(?::\d+|\[[\d:]+\])$", "", place).removeprefix("./")


_RUNS = re.compile(
    r"^(\d{1,9}) (?:runs|tests), \d+ assertions, (\d{1,9}) failures, (\d{1,9}) errors"
    r"(?:, (\d{1,9}) pendings, (\d{1,9}) omissions)?(?:, \d+ notifications)?(?:, (\d{1,9}) skips)?",
    re.M,
)
_MINITEST_FAILED = re.compile(r"^ +\d+\) (?:Failure|Error):\n([\w:]+#\S+?)(?: \[|:$)", re.M)
_TESTUNIT_FAILED = re.compile(r"^(?:Failure|Error): (\w+\([\w:]+\))", re.M)
_VERBOSE = re.compile(r"^([\w:]+#\S+) = [\d.]+ s = (.)$", re.M)
_LOAD = re.compile(r"cannot load such file -- (\S+) \(LoadError\)")


class MinitestReader:
    """Reads minitest and test-unit, which rake, Rails or a file itself starts."""

    tool = "minitest"

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is `rake test`, `rails test` or a test file of Ruby."""
        if words[0] in ("rake", "rails"):
            return any(word == "test" or word.startswith("test:") for word in words[1:])
        return words[0] == "ruby" and any(re.search(r"(?:^|/)(?:test_\w+|\w+_test)\.rb$", word) for word in words[1:])

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return a command with `rake test` with a variable, TESTOPTS, that makes it name every test.

        Others, and those that set it themselves, stay as they are. There is no result file.
        """
        programs = programs_of(command)
        if not any(words[0] == "rake" and self.starts(words) for words in programs) or "TESTOPTS" in command:
            return Asked(command)
        return Asked(command, {"TESTOPTS": "-v"})

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results of all sessions in the output together; None without a trace of either tool.

        The names of all tests are None unless a verbose run names as many as it counts.
        """
        text = plain(outcome.output)
        sessions = _RUNS.findall(text)
        if not sessions:
            missing = _LOAD.findall(text)
            return Reading(self.tool, unloaded=repeated(missing)) if missing and "rake" in text else None
        total, failed, errors, pending, omitted, skipped = (
            sum(int(item[at] or 0) for item in sessions) for at in range(6)
        )
        failures = repeated([*_MINITEST_FAILED.findall(text), *_TESTUNIT_FAILED.findall(text)])
        left_out = pending + omitted + skipped
        named = dict(_VERBOSE.findall(text))
        tests = frozenset(name for name, mark in named.items() if mark != "S") if len(named) == total else None
        passed = max(0, total - failed - errors - left_out)
        return Reading(self.tool, passed, failed + errors, failures, tests)
