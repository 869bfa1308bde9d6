"""unittest and Django's runner: text only; it names failures, and counts the rest."""

from __future__ import annotations

import re

from aegis_tui.domain.qa.command import Words, is_simple, programs_of
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, plain

_SAYS_HOW = frozenset({"-v", "--verbose", "-q", "--quiet", "-h", "--help", "--"})
_RAN = re.compile(r"^Ran (\d{1,9}) tests? in [\d.]+s\n+(OK|FAILED|NO TESTS RAN)?(?: ?\(([^)\n]*)\))?", re.M)
_COUNT = re.compile(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d{1,9})")
_NAMED = re.compile(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S.*)$", re.M)
_VERBOSE = re.compile(r"^(\w+ \([\w.]+\))(?:\n.*)? \.\.\.(.*)$", re.M)
_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) ")
_FAILED_TEST = re.compile(r"\(unittest\.loader\.(?:_FailedTest|ModuleImportFailure|LoadTestsFailure)\b")
_START = re.compile(r"^ImportError: (Start directory is not importable: .+)$", re.M)


class UnittestReader:
    """Reads unittest."""

    tool = "unittest"

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is `python -m unittest` or `manage.py test`."""
        return words[0] == "unittest" or (any(word.endswith("manage.py") for word in words[:2]) and "test" in words)

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return a plain `python -m unittest` with `-v` added, so that it names its tests.

        Other commands stay as they are.

        There is no result file.
        """
        words = programs_of(command)[0] if is_simple(command) else ()
        if words[:1] != ("unittest",) or not _SAYS_HOW.isdisjoint(words):
            return Asked(command)
        return Asked(f"{command} -v")

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results of all sessions in the output together; None without a trace of unittest.

        Modules that could not be imported are among `unloaded`, not among the failures. The names of all tests are None
        unless a verbose run names as many as it counts.
        """
        text = plain(outcome.output)
        sessions = _RAN.findall(text)
        if not sessions:
            start = _START.search(text)
            return Reading(self.tool, stopped=start[1]) if start else None
        counts = dict.fromkeys(("failures", "errors", "skipped", "expected failures", "unexpected successes"), 0)
        for _, _, details in sessions:
            for word, number in _COUNT.findall(details):
                counts[word] += int(number)
        names = _NAMED.findall(text)
        unloaded = tuple(_module(name) for name in names if _FAILED_TEST.search(name))
        failures = tuple(name for name in names if not _FAILED_TEST.search(name))
        total = sum(int(number) for number, _, _ in sessions) - len(unloaded)
        named = _named_tests(text)
        # Python 3.12.1 leaves skipped tests out of the number that ran.
        if named and len(named) in (total, total + counts["skipped"]):
            tests = [name for name, has_run in named if has_run]
            ran, names_of_all = len(tests), frozenset(tests)
        else:
            ran, names_of_all = total - counts["skipped"] - counts["expected failures"], None
        failed = counts["failures"] + counts["errors"] + counts["unexpected successes"] - len(unloaded)
        return Reading(self.tool, max(0, ran - failed), failed, failures, names_of_all, unloaded, ran=ran)


def _named_tests(text: str) -> list[tuple[str, bool]]:
    """Return each test that a verbose run names, and whether it was really run: not skipped or expected to fail."""
    return [
        (name, not said.strip().startswith(("skipped", "expected failure")))
        for name, said in _VERBOSE.findall(text)
        if not _FAILED_TEST.search(name) and not _FIXTURE.match(name)
    ]


def _module(name: str) -> str:
    return name.partition(" ")[0]
