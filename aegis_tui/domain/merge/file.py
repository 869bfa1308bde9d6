"""Merges one file: git's text where that is sound, else by structure, with a label that says what is proven (GIT-3)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from aegis_tui.domain.merge.brackets import merge_brackets
from aegis_tui.domain.merge.label import MergeLabel, Strategy
from aegis_tui.domain.merge.lines import merge_lines
from aegis_tui.domain.merge.lock_file import is_lock_file, regenerating
from aegis_tui.domain.merge.outline import Suite, read_suite
from aegis_tui.domain.merge.proof import BREAKING, LOSING, MergeFault, Versions, judge
from aegis_tui.domain.merge.structure import SuiteMerger
from aegis_tui.domain.merge.undecided import Undecided


@dataclass(frozen=True, slots=True)
class FileMerge:
    """What was made of one file that both sides changed."""

    label: MergeLabel
    text: str | None = None
    """The merged text; None if refused."""
    strategy: Strategy | None = None
    """What merged it; None if nothing did."""
    reason: str = ""
    """Why it is refused, or not proven."""


def merge_file(path: str, versions: Versions, textual: str | None) -> FileMerge:
    """Merge a file that both sides changed.

    Args:
        path: Its path; the suffix tells the language.
        versions: Its three versions; the base is empty if both sides added it.
        textual: What git made of it; None if it found conflicts.
    """
    if is_lock_file(path):
        return FileMerge("refused", reason=regenerating(path))
    if PurePosixPath(path).suffix.lower() not in (".py", ".pyi"):
        return _unknown(textual, "no rule merges this kind of file")
    try:
        return _best([_checked(versions, "text", textual)] if textual is not None else _merged(versions))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _unknown(textual, "one of the versions is not Python that can be parsed")


def _unknown(textual: str | None, reason: str) -> FileMerge:
    if textual is None:
        return FileMerge("refused", reason=reason)
    return FileMerge("unproven", textual, "text", reason)


def _merged(versions: Versions) -> Iterator[FileMerge]:
    suites = [_suite(text) for text in versions]
    ways: list[tuple[Strategy, Callable[[], list[str]]]] = [
        ("structure", lambda: SuiteMerger(merge_brackets).merge(*suites)),
        ("lines", lambda: merge_lines(*(_lines(text) for text in versions))),
    ]
    for strategy, merge in ways:
        try:
            text = "\n".join(merge()) + "\n"
        except Undecided as error:
            yield FileMerge("refused", reason=str(error))
        else:
            yield _checked(versions, strategy, text)


@lru_cache(maxsize=32)
def _suite(text: str) -> Suite:
    """Return the items of a file; kept, because one version is often merged with several others.

    Raises:
        SyntaxError: It cannot be parsed.
        ValueError: It has a carriage return that ends a line alone, or a null byte.
    """
    return read_suite(_lines(text), ast.parse(text))


def _lines(text: str) -> list[str]:
    """Return the lines of a text, cut at line feeds, as the parser counts them.

    Raises:
        ValueError: It has a carriage return that ends a line alone.
    """
    if "\r" in text.replace("\r\n", ""):
        raise ValueError("a carriage return without a line feed")
    return text.removesuffix("\n").split("\n") if text else []


def _checked(versions: Versions, strategy: Strategy, text: str) -> FileMerge:
    faults = judge(versions, text)
    reason = _reason(faults)
    if any(fault.kind in BREAKING or (strategy != "text" and fault.kind in LOSING) for fault in faults):
        return FileMerge("refused", reason=reason)
    return FileMerge("unproven" if faults else "proven", text, strategy, reason)


def _reason(faults: list[MergeFault]) -> str:
    faults.sort(key=lambda fault: (fault.kind not in BREAKING, fault.kind not in LOSING))
    return f"{faults[0].kind}: {faults[0].what[:200]}" if faults else ""


def _best(candidates: Iterator[FileMerge] | list[FileMerge]) -> FileMerge:
    """Return the first proven merge, else the first that is not refused, else the first."""
    tried: list[FileMerge] = []
    for candidate in candidates:
        if candidate.label == "proven":
            return candidate
        tried.append(candidate)
    return next((merge for merge in tried if merge.label == "unproven"), tried[0])
