"""pytest: JUnit XML by PYTEST_ADDOPTS, which reaches it through `make`, `coverage` and scripts; else its summary."""

from __future__ import annotations

import re
import shlex

from aegis_tui.domain.qa.command import Words
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers import junit
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, Wanted, is_named, plain

_COUNTS = r"\d{1,9} (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|rerun|subtests passed)"
_SUMMARY = re.compile(rf"^(?:=+ )?((?:{_COUNTS}(?:, )?)+|no tests ran) in [\d.]+s\b", re.M)
_COUNT = re.compile(r"(\d{1,9}) (passed|failed|error|skipped|xfailed|xpassed|subtests passed)")
_NAMED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.M)
_UNLOADED = re.compile(r"^ERROR (\S+\.py)(?: - .*)?$|^_+ ERROR collecting (\S+) _+$", re.M)
_CONFTEST = re.compile(r"^ImportError while loading conftest '([^'\n]+)'", re.M)
_STOPS = (
    (re.compile(r"^INTERNALERROR> ?(\w*(?:Error|Exception)\b.*)$", re.M), "pytest broke: "),
    (re.compile(r"^(?:\S*__main__\.py|pytest|py\.test): error: (.+)$", re.M), "pytest did not accept its options: "),
    (re.compile(r"^ERROR: (file or directory not found: .+)$", re.M), ""),
    (re.compile(r"^ERROR: (not found: .+)$", re.M), ""),
    (
        re.compile(r"^!+ (Interrupted: .+?|KeyboardInterrupt.*?|_pytest\.outcomes\.Exit: .+?) !+$", re.M),
        "pytest stopped: ",
    ),
)
_EXITS = {2: "pytest was interrupted", 3: "pytest broke", 4: "pytest did not accept its options"}
_OWN_FILE = re.compile(r"--junit-?xml|no:junitxml")
_CONFIGURATION = ("pyproject.toml", "pytest.ini", ".pytest.ini", "setup.cfg", "tox.ini")


class PytestReader:
    """Reads pytest."""

    tool = "pytest"

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is pytest or py.test."""
        return words[0] in ("pytest", "py.test") or is_named(words, "pytest")

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command with a variable, PYTEST_ADDOPTS, that asks pytest for a result file.

        Any command gets it, unless it or the project's configuration has such a file written itself.
        """
        if any(_OWN_FILE.search(text) for text in (command, *map(place.read, _CONFIGURATION))):
            return Asked(command)
        path = f"{place.results_dir}/pytest.xml"
        options = f"--junitxml={shlex.quote(path)} -o junit_family=xunit1"
        return Asked(command, {"PYTEST_ADDOPTS": options}, (Wanted(self.tool, path),))

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results in the file if only one session ran, else in the summaries; None if pytest left no trace.

        The names of all tests are known from the file only. Modules that could not be imported are among `unloaded`; an
        interruption or a wrong option is `stopped`.
        """
        text = plain(outcome.output)
        summaries = _SUMMARY.findall(text)
        files = [file.content for file in outcome.files if file.tool == self.tool]
        stopped = next((words + match[1] for pattern, words in _STOPS if (match := pattern.search(text))), "")
        broken = tuple(_CONFTEST.findall(text))
        if not summaries and not files and not stopped and not broken:
            return None
        by_file = _by_file(files) if len(summaries) <= 1 else None
        reading = by_file or _by_text(text, summaries)
        unloaded = tuple(dict.fromkeys((*reading.unloaded, *broken)))
        return Reading(
            self.tool,
            reading.passed,
            reading.failed,
            reading.failures,
            reading.tests,
            unloaded,
            stopped,
            is_machine_readable=reading.is_machine_readable,
            is_from_file=reading.is_from_file,
        )

    def exit_reason(self, words: Words, exit_code: int | None) -> str:
        """Return why pytest itself gave up, by exit code 2, 3 or 4; empty for other programs and codes."""
        return _EXITS.get(exit_code or 0, "") if words[0] in ("pytest", "py.test") else ""


def _by_file(files: list[bytes]) -> Reading | None:
    counted = junit.total(files, _identity) if files else None
    if counted is None:
        return None
    cases, names = counted
    unloaded = tuple(case.file or case.name for case in cases if _is_unloaded(case))
    real = [(case, name) for case, name in zip(cases, names, strict=True) if case.ran and not _is_unloaded(case)]
    failures = tuple(name for case, name in real if case.is_bad)
    tests = frozenset(name for _, name in real)
    failed = tuple(dict.fromkeys(failures))
    passed = len(tests) - len(failed)
    return Reading("pytest", passed, len(failed), failed, tests, unloaded, is_machine_readable=True, is_from_file=True)


def _is_unloaded(case: junit.Case) -> bool:
    return case.state == "error" and case.message == "collection failure"


def _identity(case: junit.Case) -> str:
    """Return the node id of a case, such as `tests/test_a.py::TestA::test_b[1]`; without a file, class and name."""
    module = case.file.removesuffix(".py").replace("/", ".")
    if not case.file or not (case.classname == module or case.classname.startswith(f"{module}.")):
        return f"{case.classname}::{case.name}" if case.classname else case.name
    classes = case.classname[len(module) + 1 :].split(".") if case.classname != module else []
    return "::".join((case.file, *classes, case.name))


def _by_text(text: str, summaries: list[str]) -> Reading:
    counts: dict[str, int] = {}
    for summary in summaries:
        for number, word in _COUNT.findall(summary):
            counts[word] = counts.get(word, 0) + int(number)
    unloaded = tuple(dict.fromkeys(one or other for one, other in _UNLOADED.findall(text)))
    named = tuple(name for name in dict.fromkeys(_NAMED.findall(text)) if name not in unloaded and "::" in name)
    passed = counts.get("passed", 0) + counts.get("xpassed", 0)
    failed = counts.get("failed", 0) + max(0, counts.get("error", 0) - len(unloaded))
    return Reading("pytest", passed, failed, named, None, unloaded)
