"""Joins what several reviewers found: each problem once, with a score, in one order (REV-2)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.wire.review import JointFinding

WEIGHTS: Final = {"error": 10.0, "warning": 4.0, "info": 1.0}
"""What a finding of a severity weighs."""

ASSUMED_CONFIDENCE: Final = 0.6
"""The confidence of a finding whose reviewer does not say how sure it is."""

_SURELY: Final = 0.99
"""The highest confidence; reviewers with one model make the same mistakes."""

NEAR: Final = 0.3
"""How similar two messages about overlapping lines have to be to mean one problem: shared words over all words."""

ALIKE: Final = 0.6
"""The same where one of two findings names no lines."""

_WORD = re.compile(r"[^\W_]+")
_EMPTY_WORDS: Final = frozenset(
    {
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "not",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "was",
        "which",
        "with",
    }
)


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding, and whose it is."""

    finding: Finding
    lens: str
    reviewer: str


def joined(remarks: Iterable[Remark]) -> list[JointFinding]:
    """Return each problem once, by score, then by place.

    Two findings are one problem if they are about the same file and overlapping lines, and name the same rule or use
    similar words; without lines, the words have to be more similar. The text, lines and suggestion are those of the
    most severe finding, then of the most confident one. The result does not depend on the order of `remarks`.
    """
    return sorted((_joint(group) for group in _groups(remarks)), key=_rank)


def distinct(remarks: Iterable[Remark]) -> list[Finding]:
    """Return one finding for each problem, the most severe and most confident first, as `joined` groups them.

    It is the finding that tells the problem best, with the rule and the suggestion of another one where it has none.
    """
    return [_clearest(group) for group in _groups(remarks)]


def _groups(remarks: Iterable[Remark]) -> list[list[Remark]]:
    groups: list[list[Remark]] = []
    for remark in sorted(remarks, key=_order):
        group = next((item for item in groups if any(is_same(remark.finding, one.finding) for one in item)), None)
        if group is None:
            groups.append([remark])
        else:
            group.append(remark)
    return groups


def is_same(a: Finding, b: Finding) -> bool:
    """Return whether two findings are about one problem, as `joined` describes it."""
    if a.file != b.file:
        return False
    if a.lines is None or b.lines is None:
        return similarity(a.msg, b.msg) >= ALIKE
    if a.lines[0] > b.lines[1] or b.lines[0] > a.lines[1]:
        return False
    return bool(a.rule and a.rule == b.rule) or similarity(a.msg, b.msg) >= NEAR


def similarity(a: str, b: str) -> float:
    """Return the share of the words of two texts that both have, from 0 to 1; case and empty words do not count."""
    one, other = _words(a), _words(b)
    return len(one & other) / len(one | other) if one | other else 1.0


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if word not in _EMPTY_WORDS}


def _clearest(group: Sequence[Remark]) -> Finding:
    first = group[0].finding
    rule = next((item.finding.rule for item in group if item.finding.rule), "")
    suggestion = next((item.finding.suggestion for item in group if item.finding.suggestion), "")
    return first.model_copy(update={"rule": rule, "suggestion": suggestion})


def _order(remark: Remark) -> tuple[float, float, str, int, str, str, str]:
    item = remark.finding
    sure = ASSUMED_CONFIDENCE if item.confidence is None else item.confidence
    line = item.line or 0
    return -WEIGHTS[item.severity], -sure, item.file or "", line, remark.lens, remark.reviewer, item.model_dump_json()


def _joint(group: Sequence[Remark]) -> JointFinding:
    clearest = _clearest(group)
    confidence = _confidence(group)
    return {
        "file": clearest.file,
        "line": clearest.lines[0] if clearest.lines else None,
        "end_line": clearest.lines[1] if clearest.lines else None,
        "severity": clearest.severity,
        "rule": clearest.rule,
        "msg": clearest.msg,
        "suggestion": clearest.suggestion,
        "confidence": confidence,
        "score": round(WEIGHTS[clearest.severity] * confidence, 2),
        "lenses": sorted({item.lens for item in group}),
        "reviewers": sorted({item.reviewer for item in group}),
    }


def _confidence(group: Sequence[Remark]) -> float:
    """Return how likely a problem is real: 1 minus the chance that all its reviewers are wrong, 0.99 at most."""
    sure: dict[str, float] = {}
    for item in group:
        said = ASSUMED_CONFIDENCE if item.finding.confidence is None else item.finding.confidence
        sure[item.reviewer] = max(said, sure.get(item.reviewer, 0.0))
    return round(min(_SURELY, 1.0 - math.prod(1.0 - said for said in sure.values())), 2)


def _rank(item: JointFinding) -> tuple[float, str, int, str]:
    return -item["score"], item["file"] or "", item["line"] or 0, item["msg"]
