"""Applies merge rules to the changes of one piece. Works on text only; which rules are in effect is not its concern."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.inert import inert
from aegis_tui.domain.rule.change import PathChange
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.rule.model import Kind, MergeRule

SHOWN_PER_RULE = 20
"""How many findings of one rule are named; a last one says how many more there are."""

WINDOW, OVERLAP = 2000, 200
"""A longer line is searched in overlapping parts: the time of some patterns grows with the square of its length."""

UNREADABLE = "unreadable"
"""The rule of what no rule could look at. It is not in a file, so that no file can turn it off."""

NO_SCANNER = "no-secret-scanner"
"""The rule that a secret scanner must have run; like `UNREADABLE`, it cannot be turned off."""


@dataclass(frozen=True, slots=True)
class SecretHit:
    """A place where a scanner found a secret; never the secret."""

    path: str
    line: int
    kind: str
    """What it looks like, in the scanner's words: `AWS Access Key`."""


@dataclass(frozen=True, slots=True)
class SecretScan:
    """What the secret scanner said about one piece."""

    scanner: str = ""
    """Which one ran, with its version; empty if none could."""
    hits: tuple[SecretHit, ...] = ()
    problems: tuple[str, ...] = ()
    """Why others did not run."""


Neighbours = Mapping[str, tuple[str, ...]]
"""Path of a new file -> the first lines of similar files of the base."""


def judge(
    rules: Sequence[MergeRule],
    changes: Sequence[PathChange],
    scan: SecretScan,
    neighbours: Neighbours = MappingProxyType({}),
) -> tuple[RuleFinding, ...]:
    """Return what the rules find in a piece, in the order of the rules and then of the changes.

    Each rule names at most `SHOWN_PER_RULE` places, and then how many more there are. At the end come findings of
    severity `person`: one for each file that is too large to be read, and one if no secret scanner ran.

    Args:
        rules: The rules in effect.
        changes: What the piece changes.
        scan: What the secret scanner found in these changes. That none ran counts only if a rule asks for a scan and a
            line was added.
        neighbours: For rules of the kind `header`: path of a new file -> the first lines of similar files of the base.
    """
    findings: list[RuleFinding] = []
    for rule in rules:
        if rule.kind == "secret":
            mine = _secrets(rule, changes, scan)
        else:
            mine = (hit for change in changes if rule.applies_to(change.path) for hit in _of(rule, change, neighbours))
        findings += _few(rule, mine)
    findings += [_unreadable(change) for change in changes if not change.is_read]
    if not scan.scanner and any(rule.kind == "secret" for rule in rules) and any(change.added for change in changes):
        findings.append(_unscanned(changes, scan))
    return tuple(findings)


def needs_neighbours(rules: Iterable[MergeRule], path: str) -> bool:
    """Return whether a rule would compare the header of a new file at this path with those of files beside it."""
    return any(rule.kind == "header" and rule.like_neighbours and rule.applies_to(path) for rule in rules)


def windows(line: str) -> Iterator[str]:
    """Yield the parts of a line in which patterns are searched: the line itself, unless it is longer than `WINDOW`.

    Then they are parts of `WINDOW` characters that overlap by `OVERLAP`.
    """
    if len(line) <= WINDOW:
        yield line
        return
    for start in range(0, len(line), WINDOW - OVERLAP):
        yield line[start : start + WINDOW]


def _of(rule: MergeRule, change: PathChange, neighbours: Neighbours) -> Iterator[RuleFinding]:
    return _BY_KIND[rule.kind](rule, change, neighbours)


def _lines(rule: MergeRule, change: PathChange, _: Neighbours) -> Iterator[RuleFinding]:
    for number, line in change.added:
        if any(rule.finds(part) for part in windows(line)):
            yield _finding(rule, change, line.strip(), line=number)


def _path(rule: MergeRule, change: PathChange, _: Neighbours) -> Iterator[RuleFinding]:
    if change.status != "D" or rule.deletions:
        yield _finding(rule, change, f"{change.status == 'D'}{change.blob}")


def _binary(rule: MergeRule, change: PathChange, _: Neighbours) -> Iterator[RuleFinding]:
    if change.is_binary and not change.is_moved:
        yield _finding(rule, change, change.blob)


def _size(rule: MergeRule, change: PathChange, _: Neighbours) -> Iterator[RuleFinding]:
    if change.status != "D" and change.size > rule.max_bytes >= change.old_size:
        words = f"{rule.message}: {change.size:,} bytes; up to {rule.max_bytes:,} need no permission"
        yield _finding(rule, change, change.blob, words=words)


def _header(rule: MergeRule, change: PathChange, neighbours: Neighbours) -> Iterator[RuleFinding]:
    if change.status == "D" or not change.text.strip() or rule.has_header(change.head):
        return
    if change.old_head:
        if rule.has_header(change.old_head):
            yield _finding(rule, change, change.blob, words=f"{rule.message}: the change removes it")
        return
    near = neighbours.get(change.path, ())
    if not rule.like_neighbours or (len(near) > 2 and all(rule.has_header(head) for head in near)):
        yield _finding(rule, change, change.blob)


_BY_KIND: Final[Mapping[Kind, Callable[[MergeRule, PathChange, Neighbours], Iterator[RuleFinding]]]] = MappingProxyType(
    {"line": _lines, "path": _path, "binary": _binary, "size": _size, "header": _header}
)


def _secrets(rule: MergeRule, changes: Sequence[PathChange], scan: SecretScan) -> Iterator[RuleFinding]:
    by_path = {change.path: change for change in changes}
    for hit in scan.hits:
        change = by_path.get(hit.path)
        line = dict(change.added).get(hit.line) if change else None
        if change is None or line is None or not rule.applies_to(hit.path):
            continue
        if not rule.excuses(line):
            words = f"{rule.message}: {inert(hit.kind)[:100]}"
            yield _finding(rule, change, line.strip(), line=hit.line, words=words)


def _few(rule: MergeRule, findings: Iterable[RuleFinding]) -> list[RuleFinding]:
    every = list({item.key: item for item in findings}.values())
    if len(every) <= SHOWN_PER_RULE:
        return every
    shown, rest = every[:SHOWN_PER_RULE], every[SHOWN_PER_RULE:]
    key = _key(rule.name, *(item.key for item in rest))
    words = f"and {len(rest)} more places: {rule.message}"
    return [*shown, rest[0].model_copy(update={"key": key, "msg": words, "line": None})]


def _finding(
    rule: MergeRule, change: PathChange, content: str, *, line: int | None = None, words: str = ""
) -> RuleFinding:
    return RuleFinding(
        rule=rule.name,
        key=_key(rule.name, change.path, content),
        file=change.path,
        line=line,
        msg=words or rule.message,
        remedy=rule.remedy,
        severity=rule.severity,
    )


def _unreadable(change: PathChange) -> RuleFinding:
    return RuleFinding(
        rule=UNREADABLE,
        key=_key(UNREADABLE, change.path, change.blob),
        file=change.path,
        msg=f"no rule could be applied to this file, as it is too large: {change.size:,} bytes",
        remedy="leave it out, or make it smaller",
        severity="person",
    )


def _unscanned(changes: Sequence[PathChange], scan: SecretScan) -> RuleFinding:
    first = next(change for change in changes if change.added)
    return RuleFinding(
        rule=NO_SCANNER,
        key=_key(NO_SCANNER, *(change.blob for change in changes)),
        file=first.path,
        msg=f"no secret scanner ran: {'; '.join(scan.problems) or 'none is installed'}"[:500],
        remedy="",
        severity="person",
    )


def unjudged(changes: Sequence[PathChange], reason: str) -> RuleFinding:
    """Return the finding, of severity `person`, that stands for all others if the rules could not be applied.

    Args:
        changes: What the piece changes; at least one.
        reason: Why they could not be applied; shortened.
    """
    return RuleFinding(
        rule=UNREADABLE,
        key=_key(UNREADABLE, *(change.blob for change in changes)),
        file=changes[0].path,
        msg=f"the rules could not be applied: {inert(reason)}"[:500],
        remedy="submit less at once",
        severity="person",
    )


def _key(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"), usedforsecurity=False)
    return digest.hexdigest()[:12]
