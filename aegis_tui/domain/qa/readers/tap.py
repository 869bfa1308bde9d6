"""TAP, and `node --test`, which writes it (spec reporter read as well); see https://testanything.org.

What `tap-spec`, a program that makes TAP pleasant to read, prints is read too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aegis_tui.domain.count import counted
from aegis_tui.domain.qa.command import Words
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, plain, relative

_POINT = re.compile(r"^( *)(not )?ok\b(?: +\d+)?(?: +-)? ?(.*)$")
_PLAN = re.compile(r"^1\.\.(\d{1,9})", re.M)
_VERSION = re.compile(r"^TAP version \d+$", re.M)
_BAIL = re.compile(r"^Bail out!(.*)$", re.M)
_DIRECTIVE = re.compile(r"(?:^|\s)#\s*(skip|todo)\b", re.I)
_SUMMARY = re.compile(r"^(?:#|ℹ) (tests|pass|fail|cancelled) (\d{1,9})$", re.M)
_SPEC = re.compile(r"^ *✖ (.+?) \([\d.]+ms\)$", re.M)
_TOTALS = re.compile(r"^  total: +(\d{1,9})\n  passing: +(\d{1,9})(?:\n  failing: +(\d{1,9}))?$", re.M)
_NO_TESTS = re.compile(r"^  ✖ No tests found$", re.M)
_FAILED_PART = re.compile(r"^  Failed Tests: .*$", re.M)
_CODE_FILE = re.compile(r"\.[cm]?[jt]sx?$")


class TapReader:
    """Reads TAP."""

    tool = "tap"

    def starts(self, words: Words) -> bool:
        """Return whether a program writes TAP: prove, tap, tape, bats, or node with `--test`."""
        return words[0] in ("prove", "tap", "tape", "bats") or (words[0] == "node" and "--test" in words)

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the same command, without a result file: TAP comes on stdout by itself."""
        return Asked(command)

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results by the test lines, or by the counts and failures of node; None without a trace of TAP.

        A test with parents is named `PARENT > TEST`; a failed test that is named like a source file is `unloaded`
        instead. A bail-out, or fewer tests than were planned, is `stopped`.
        """
        text = plain(outcome.output)
        counts = {word: int(number) for word, number in _SUMMARY.findall(text)}
        is_tap = bool(_VERSION.search(text)) or (bool(_PLAN.search(text)) and "ok" in text)
        if not is_tap and "tests" not in counts:
            return _by_tap_spec(text)
        bail = _BAIL.search(text)
        stopped = f"it bailed out:{bail[1]}" if bail else ""
        if not is_tap:
            return _by_spec(text, counts, outcome.root)
        points = [(relative(name, outcome.root), bad, note) for name, bad, note in _points(text)]
        plan = sum(int(number) for number in _PLAN.findall(text))
        tops = sum(1 for line in text.splitlines() if (point := _POINT.match(line)) and not point[1])
        if not stopped and plan > tops:
            stopped = f"{counted(plan, 'test')} {'was' if plan == 1 else 'were'} planned, only {tops} reported"
        unloaded = tuple(name for name, bad, _ in points if bad and _CODE_FILE.search(name) and " > " not in name)
        ran = [(name, bad) for name, bad, note in points if not note and name not in unloaded]
        failures = tuple(name for name, bad in ran if bad)
        names = frozenset(name for name, _ in ran)
        return Reading(
            self.tool, len(ran) - len(failures), len(failures), failures, names, unloaded, stopped,
            is_machine_readable=True,
        )  # fmt: skip


def _by_spec(text: str, counts: dict[str, int], root: str) -> Reading:
    names = tuple(dict.fromkeys(relative(name, root) for name in _SPEC.findall(text)))
    unloaded = tuple(name for name in names if _CODE_FILE.search(name))
    failed = counts.get("fail", 0) + counts.get("cancelled", 0) - len(unloaded)
    failures = tuple(name for name in names if name not in unloaded)
    return Reading("tap", counts.get("pass", 0), max(0, failed), failures, None, unloaded)


def _by_tap_spec(text: str) -> Reading | None:
    """Return the results that tap-spec printed; None without a trace of it. Each assertion counts, as in TAP."""
    if _NO_TESTS.search(text):
        return Reading("tap", 0, 0, (), None)
    totals = _TOTALS.search(text)
    if totals is None:
        return None
    part, failures, section = _FAILED_PART.split(text)[-1], [], ""
    for line in part[: totals.start()].splitlines() if _FAILED_PART.search(text) else ():
        if line.startswith("      ✖ "):
            failures.append(f"{section} > {line[8:]}" if section else line[8:])
        elif line.startswith("    ") and line[4:5].strip():
            section = line[4:]
    return Reading("tap", int(totals[2]), int(totals[3] or 0), tuple(failures), None)


def _points(text: str) -> Iterator[tuple[str, bool, str]]:
    """Yield for each test line the name with its parents, whether it is not ok, and its directive.

    The directive is `skip`, `todo` or empty. Children come directly after their parent.
    """
    waiting: list[tuple[int, str, bool, str]] = []
    for line in text.splitlines():
        match = _POINT.match(line)
        if match is None:
            continue
        depth, is_bad, rest = len(match[1]) // 4, bool(match[2]), match[3].strip()
        directive = _DIRECTIVE.search(rest)
        name = (rest[: directive.start()] if directive else rest).strip().removeprefix("- ").strip() or "unnamed"
        below = [item for item in waiting if item[0] > depth]
        waiting = [item for item in waiting if item[0] <= depth]
        mine = (depth, name, is_bad, directive[1].lower() if directive else "")
        waiting.append(mine)
        waiting += [(depth, f"{name} > {item[1]}", item[2], item[3]) for item in below]
    for _, name, is_bad, note in waiting:
        yield name, is_bad, note
