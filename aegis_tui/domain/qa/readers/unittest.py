"""unittest and Django's runner: text only; it names failures, and counts the rest."""

from __future__ import annotations

import re

from aegis_tui.domain.qa.command import Words
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, Place, plain

_RAN = re.compile(r"^Ran (\d+) tests? in [\d.]+s\n+(OK|FAILED|NO TESTS RAN)?(?: ?\(([^)\n]*)\))?", re.M)
_COUNT = re.compile(r"(failures|errors|skipped|unexpected successes)=(\d+)")
_NAMED = re.compile(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S.*)$", re.M)
_FAILED_TEST = re.compile(r"\(unittest\.loader\.(?:_FailedTest|ModuleImportFailure|LoadTestsFailure)\b")
_START = re.compile(r"^ImportError: (Start directory is not importable: .+)$", re.M)


class UnittestReader:
    """Reads unittest."""

    tool = "unittest"

    def starts(self, words: Words) -> bool:
        """True for `python -m unittest` and `manage.py test`."""
        return words[0] == "unittest" or (any(word.endswith("manage.py") for word in words[:2]) and "test" in words)

    def ask(self, command: str, place: Place) -> Asked:
        """It writes no file of results."""
        return Asked(command)

    def read(self, outcome: Outcome) -> Reading | None:
        """The sum of the sessions in the output."""
        text = plain(outcome.output)
        sessions = _RAN.findall(text)
        if not sessions:
            start = _START.search(text)
            return Reading(self.tool, stopped=start[1]) if start else None
        counts = {"failures": 0, "errors": 0, "skipped": 0, "unexpected successes": 0}
        for _, _, details in sessions:
            for word, number in _COUNT.findall(details):
                counts[word] += int(number)
        names = _NAMED.findall(text)
        unloaded = tuple(_module(name) for name in names if _FAILED_TEST.search(name))
        failures = tuple(name for name in names if not _FAILED_TEST.search(name))
        ran = sum(int(number) for number, _, _ in sessions) - counts["skipped"] - len(unloaded)
        failed = counts["failures"] + counts["errors"] + counts["unexpected successes"] - len(unloaded)
        return Reading(self.tool, max(0, ran - failed), failed, failures, None, unloaded, ran=ran)


def _module(name: str) -> str:
    return name.partition(" ")[0]
