"""Merges one file: git's text where that is sound, else by structure, with a label that says what is proven (GIT-3)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath

from aegis_tui.domain.merge.brackets import merge_brackets
from aegis_tui.domain.merge.data_file import is_data_file, judge_data
from aegis_tui.domain.merge.generated import generating, generator_of
from aegis_tui.domain.merge.label import MergeLabel, Strategy
from aegis_tui.domain.merge.lines import merge_lines
from aegis_tui.domain.merge.lock_file import is_lock_file, regenerating
from aegis_tui.domain.merge.outline import Suite, read_suite
from aegis_tui.domain.merge.proof import BREAKING, LOSING, MergeFault, Versions, judge
from aegis_tui.domain.merge.source import ReadSource
from aegis_tui.domain.merge.source_outline import merge_names, read_source_suite
from aegis_tui.domain.merge.source_proof import judge_source, judge_text
from aegis_tui.domain.merge.structure import SuiteMerger
from aegis_tui.domain.merge.sum_file import is_sum_file, judge_sums, merge_sums
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


def merge_file(
    path: str,
    versions: Versions,
    textual: str | None,
    read: ReadSource = lambda path, text: None,
    *,
    is_generated: bool | None = None,
) -> FileMerge:
    """Merge a file that both sides changed.

    Args:
        path: Its path; the suffix tells the language.
        versions: Its three versions; the base is empty if both sides added it.
        textual: What git made of it; None if it found conflicts.
        read: Reads files in other languages than Python; those that it does not know are judged by their lines.
        is_generated: Whether the repository says that a program generates the file; None if it does not say it.
    """
    if is_lock_file(path):
        return FileMerge("refused", reason=regenerating(path))
    if is_sum_file(path):
        return _of_sums(versions, textual)
    programs = [program for text in versions[1:] if (program := generator_of(text)) is not None]
    if is_generated or (programs and is_generated is None):
        return FileMerge("refused", reason=generating(*programs[:1]))
    if PurePosixPath(path).suffix.lower() not in (".py", ".pyi"):
        return _of_other_kind(path, versions, textual, read)
    try:
        return _best([_checked(versions, "text", textual)] if textual is not None else _merged(versions))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _unknown(textual, "one of the versions is not Python that can be parsed")


def judge_merged(
    path: str, versions: Versions, text: str, strategy: Strategy, read: ReadSource = lambda path, text: None
) -> FileMerge:
    """Judge what another program made of a file with conflicts: it is parsed again, and nothing is lost or doubled.

    Args:
        path: The file; the suffix tells the language.
        versions: Its three versions.
        text: The merged text.
        strategy: What merged it.
        read: Reads files in other languages than Python; what it does not know can only be `unproven`.
    """
    try:
        if PurePosixPath(path).suffix.lower() in (".py", ".pyi"):
            return _checked(versions, strategy, text)
        if is_data_file(path):
            return _weighed(strategy, text, judge_data(path, versions, text))
        if (faults := judge_source(path, versions, text, read)) is not None:
            return _weighed(strategy, text, faults)
        judged = _weighed(strategy, text, judge_text(versions, text))
        return judged if judged.text is None else replace(judged, label="unproven", reason="it cannot be parsed here")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return FileMerge("refused", reason="what was merged, or one of the versions, cannot be parsed")


def _of_sums(versions: Versions, textual: str | None) -> FileMerge:
    try:
        text = merge_sums(versions) if textual is None else textual
    except Undecided as error:
        return FileMerge("refused", reason=str(error))
    faults = judge_sums(versions, text)
    if any(fault.kind in BREAKING for fault in faults):
        return FileMerge("refused", reason=_reason(faults))
    strategy: Strategy = "set" if textual is None else "text"
    return FileMerge("unproven" if faults else "proven", text, strategy, _reason(faults))


def _of_other_kind(path: str, versions: Versions, textual: str | None, read: ReadSource) -> FileMerge:
    """Merge a file by the items that `read` finds in it; judge one that it does not know by its lines alone."""

    def judged(text: str) -> list[MergeFault]:
        if is_data_file(path):
            return judge_data(path, versions, text)
        faults = judge_source(path, versions, text, read)
        return judge_text(versions, text) if faults is None else faults

    try:
        if textual is not None:
            return _weighed("text", textual, judged(textual))
        if is_data_file(path):
            text = "\n".join(merge_lines(*(_lines(text) for text in versions))) + "\n"
            return _proven("lines", text, judged(text))
        suites = [read_source_suite(_lines(text), tree) for text in versions if (tree := read(path, text)) is not None]
        if len(suites) != len(versions):
            return FileMerge("refused", reason="both sides change the same lines")
        merged = "\n".join(SuiteMerger(merge_names).merge(*suites)) + "\n"
        return _proven("structure", merged, judged(merged))
    except Undecided as error:
        return FileMerge("refused", reason=str(error))
    except (SyntaxError, ValueError, RecursionError):
        return _unknown(textual, "one of the versions cannot be parsed")


def _proven(strategy: Strategy, text: str, faults: list[MergeFault]) -> FileMerge:
    return FileMerge("refused", reason=_reason(faults)) if faults else FileMerge("proven", text, strategy)


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
    return _weighed(strategy, text, judge(versions, text))


def _weighed(strategy: Strategy, text: str, faults: list[MergeFault]) -> FileMerge:
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
