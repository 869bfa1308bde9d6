"""Merges the history of repositories again: `scripts/bench merge REPO...`.

Of each merge commit with two parents, the files that both sides changed are merged as the program merges them: Python
files, or with `--suffix` those of another language (`.js`, `.ts`, `.go`, `.rs`, `.java`). The result is judged
by what the person committed. `holds the same` means that the two have the same statements in their
modules, in any order. `wrong` means that they do not, and the merge is at fault by the person's own file: it does not
parse although the three versions do, it has a definition twice that no version has twice, it lacks a line that one
side added and the person kept, or it has a line that one side removed and the person left out.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aegis_tui.adapters.symbols.source import read_source
from aegis_tui.domain.merge.file import FileMerge, merge_file
from aegis_tui.domain.merge.proof import Versions
from scripts.bench.merge_history import PYTHON, HistoricFile, History
from scripts.bench.merge_reading import SourceReading, squeezed

Counts = Counter[str]

_FREE = frozenset("()[]{},\\")
"""Tokens that formatters add and remove."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    file: HistoricFile
    merge: FileMerge


class Reading(Protocol):
    """Reads the versions of one file; see `SourceReading`."""

    def parses(self, text: str) -> bool:
        """Whether the text has no error."""
        ...

    def contents(self, text: str) -> Counts | None:
        """Return the items of the file, whatever their order; None if it has errors."""
        ...

    def words(self, text: str) -> Counts:
        """Return how often each word and each sign is there."""
        ...

    def lines(self, text: str) -> Counts:
        """Return the squeezed lines that say something; imported names one by one."""
        ...

    def definitions(self, text: str) -> Counter[tuple[str, ...]]:
        """Return how often each definition is there."""
        ...


def run_merge(repositories: Iterable[Path], every: int, suffixes: Sequence[str] = PYTHON) -> None:
    """Merge the histories again and print what came of it, for each repository and in all.

    Args:
        repositories: Checkouts or bare repositories.
        every: Of the files that git merges only one in so many is looked at; of those with conflicts all are.
        suffixes: The ends of the names of the files to look at.
    """
    everything: list[Outcome] = []
    for repository in repositories:
        with History(repository, suffixes) as history:
            merges = history.merges()
            files = [file for merge in merges for file in history.files(*merge)]
        clean = [file for file in files if file.textual is not None][::every]
        outcomes = [_merged(file) for file in (*(file for file in files if file.textual is None), *clean)]
        _print(
            f"{repository.resolve().parent.name if repository.name == 'repo' else repository.name}",
            len(merges),
            outcomes,
        )
        everything += outcomes
    _print("all", 0, everything)


def _merged(file: HistoricFile) -> Outcome:
    return Outcome(file, merge_file(file.path, file.versions, file.textual, read_source))


def reading_of(path: str) -> Reading:
    """Return what reads a file of this name."""
    return PythonReading() if path.endswith(".py") else SourceReading(path)


def _print(name: str, merges: int, outcomes: list[Outcome]) -> None:
    conflicts = [outcome for outcome in outcomes if outcome.file.textual is None and outcome.file.human is not None]
    both = [outcome for outcome in conflicts if outcome.file.human not in outcome.file.versions[1:]]
    clean = [outcome for outcome in outcomes if outcome.file.textual is not None and outcome.file.human is not None]
    write = sys.stdout.write
    write(f"{name}: {merges} merges; {len(clean)} files that git merges, {len(conflicts)} with conflicts\n")
    write(f"  person kept both sides: {len(both)}, of these all versions parse: {sum(map(_parses, both))}\n")
    for title, chosen in (("kept both", both), ("all conflicts", conflicts), ("git clean", clean)):
        for label in ("proven", "unproven", "refused"):
            _line(f"{title}, {label}", [item for item in chosen if item.merge.label == label], len(chosen))
        for strategy in ("structure", "lines"):
            resolved = [item for item in chosen if item.merge.strategy == strategy]
            if title != "git clean":
                _line(f"{title}, by {strategy}", resolved, len(chosen))
    if clean:
        git = [FileMerge("unproven", outcome.file.textual, "text") for outcome in clean]
        _line(
            "git's own clean merges",
            [Outcome(item.file, own) for item, own in zip(clean, git, strict=True)],
            len(clean),
        )


def _line(title: str, outcomes: list[Outcome], of: int) -> None:
    counts: Counts = Counter()
    for outcome in outcomes:
        counts.update(_verdict(outcome))
    share = f" ({len(outcomes) / of:.1%})" if of else ""
    listed = ", ".join(
        f"{word} {counts[word]}" for word in ("identical", "holds the same", "parses", "loses nothing", "wrong")
    )
    sys.stdout.write(f"  {title}: {len(outcomes)}{share}" + (f": {listed}\n" if counts else "\n"))


def _parses(outcome: Outcome) -> bool:
    return all(map(reading_of(outcome.file.path).parses, outcome.file.versions))


def _verdict(outcome: Outcome) -> Iterable[str]:
    """Yield what is true of a merge."""
    file, text = outcome.file, outcome.merge.text
    if text is None or file.human is None:
        return
    versions, human = file.versions, file.human
    if text == human:
        yield "identical"
    reading = reading_of(file.path)
    merged, theirs = reading.contents(text), reading.contents(human)
    same = merged is not None and merged == theirs
    if same or text == human:
        yield "holds the same"
    if merged is not None:
        yield "parses"
    if not _lost(versions, text, reading):
        yield "loses nothing"
    if not same and text != human and wrong(versions, text, human, reading):
        yield "wrong"


def wrong(versions: Versions, text: str, human: str, reading: Reading | None = None) -> str:
    """Return what is wrong with a merge by what the person committed; empty if nothing is."""
    reading = reading or PythonReading()
    if not reading.parses(text) and all(map(reading.parses, versions)):
        return "does not parse"
    base, ours, theirs = (reading.lines(version) for version in versions)
    text_lines, human_lines = reading.lines(text), reading.lines(human)
    here, there = squeezed(text), squeezed(human)
    for line in human_lines.keys() - text_lines.keys():
        if line not in here and (ours[line] > base[line] or theirs[line] > base[line]):
            return f"lost: {line}"
    for line in text_lines.keys() - human_lines.keys():
        changes = ours[line] - base[line], theirs[line] - base[line]
        if line not in there and min(changes) < 0 and max(changes) <= 0:
            return f"kept: {line}"
    twice = reading.definitions(text)
    known = [reading.definitions(version) for version in (*versions, human)]
    doubled = [name for name, count in twice.items() if count > max(1, *(each[name] for each in known))]
    return f"twice: {doubled[0]}" if doubled else ""


def _lost(versions: Versions, text: str, reading: Reading) -> list[str]:
    """Return the words that the merge has less often than the changes of the sides allow; brackets and commas aside."""
    base, ours, theirs, merged = (reading.words(each) for each in (*versions, text))
    lost = []
    for word in ours | theirs:
        by_us, by_them = ours[word] - base[word], theirs[word] - base[word]
        added = max(by_us, by_them) if by_us > 0 and by_them > 0 else by_us + by_them
        if merged[word] < base[word] + added:
            lost.append(word)
    return lost


class PythonReading:
    """Reads Python; see `Reading`."""

    def parses(self, text: str) -> bool:
        """Whether the text has no error."""
        return _tree(text) is not None

    def contents(self, text: str) -> Counts | None:
        """Return the statements of the module, whatever their order; None if it has errors."""
        tree = _tree(text)
        return None if tree is None else _contents(tree)

    def words(self, text: str) -> Counts:
        """Return how often each name, operator, literal and comment is there."""
        return _words(text)

    def lines(self, text: str) -> Counts:
        """Return the squeezed lines that say something; imported names one by one."""
        return _lines(text)

    def definitions(self, text: str) -> Counter[tuple[str, ...]]:
        """Return how often each function and class is there."""
        return _definitions(text)


def _words(text: str) -> Counter[str]:
    """Return how often each name, operator, literal and comment is there; texts word by word."""
    words: Counter[str] = Counter()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING and token.string[0] in "\"'":
                words.update(str(ast.literal_eval(token.string)).split())
            elif token.string.strip() and token.string not in _FREE:
                words[token.string.strip()] += 1
    except (tokenize.TokenError, SyntaxError, ValueError):
        return words
    return words


def _lines(text: str) -> Counter[str]:
    """Return the squeezed lines of a text that say something; imported names one by one."""
    tree = _tree(text)
    lines = text.split("\n")
    named: Counter[str] = Counter()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = "." * getattr(node, "level", 0) + (getattr(node, "module", "") or "")
            named.update(f"import {module} {alias.name} {alias.asname}" for alias in node.names)
            for at in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[at] = ""
    return named + Counter(short for line in lines if (short := squeezed(line)))


def _contents(tree: ast.Module) -> Counter[str]:
    """Return the statements of a module, whatever their order, with imported names one by one."""
    return Counter(
        part
        for node in tree.body
        for part in (
            [f"{ast.dump(alias)} {getattr(node, 'module', '')}" for alias in node.names]
            if isinstance(node, ast.Import | ast.ImportFrom)
            else [ast.dump(node)]
        )
    )


def _definitions(text: str) -> Counter[tuple[str, ...]]:
    tree = _tree(text)
    counted: Counter[tuple[str, ...]] = Counter()
    todo: list[tuple[tuple[str, ...], ast.AST]] = [((), tree)] if tree else []
    while todo:
        scope, node = todo.pop()
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*scope, child.name)
                counted[inner] += 1
            todo.append((inner, child))
    return counted


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
