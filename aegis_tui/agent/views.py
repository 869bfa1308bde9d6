"""What a conversation has shown of each file: a file that is read again comes back as a diff (LLM-4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from aegis_tui.agent.files import MAX_LINES, cut_line, numbered

_MOST_COMPARED = 4_000_000
"""The largest product of two numbers of lines that are compared; beyond it, a diff would take seconds."""

_CONTEXT = 1
"""Lines around a difference that are shown with it."""

Change = tuple[str, int, int, int, int]
"""What `SequenceMatcher.get_opcodes` returns: tag, lines of the old text, lines of the new one."""


@dataclass(slots=True)
class _View:
    lines: list[str]
    """The file when it was last shown."""
    shown: set[int] = field(default_factory=set)
    """The indexes of those lines that the model has seen."""
    texts: list[str] = field(default_factory=list)
    """The results of the tools in which it saw them."""
    answered: tuple[int | None, int | None] | None = None
    """The lines that were asked for last, if a diff was the answer."""


class FileViews:
    """The parts of files that one conversation contains.

    Paths are results of `OwnWorktree.locate`.
    """

    def __init__(self) -> None:
        self._views: dict[str, _View] = {}
        self._plain: dict[str, str] = {}

    def show(self, path: str, text: str, *, start: int | None, end: int | None) -> str:
        """Return lines `start` to `end` as `numbered` does, or what has changed in them since they were shown.

        The difference is returned if all these lines were shown in this conversation and it is shorter than the lines.
        The same request again, for the same content, gets the lines: the model did not find what it needs.

        Args:
            path: The file.
            text: Its present content.
            start: The first line, from 1; None for the first of the file.
            end: The last line; None for the last of the file.
        """
        lines = text.splitlines()
        span = _span(len(lines), start, end)
        whole = numbered(text, start=start, end=end)
        view = self._views.get(path)
        changes = None if view is None else _changes(view.lines, lines)
        difference = None
        if view is not None and changes is not None and not (view.answered == (start, end) and view.lines == lines):
            difference = _difference(path, view, changes, lines, span)
        if difference is not None and len(difference) >= len(whole):
            difference = None
        result = whole if difference is None else difference
        now = _View(lines, set(range(*span)), [result], None if difference is None else (start, end))
        if view is not None and changes is not None:
            now.shown |= {
                new + at - old
                for tag, old, old_end, new, _ in changes
                if tag == "equal"
                for at in view.shown
                if old <= at < old_end
            }
            if difference is not None or len(now.shown) > span[1] - span[0]:
                now.texts = [*view.texts, result]
        self._views[path] = now
        return result

    def show_text(self, name: str, text: str) -> str:
        """Return a text that is derived from a file; if it was the last one shown under this name, only say so.

        The same text is returned in full when it is asked for again after that.

        Args:
            name: What it is, in words, such as `the signatures of src/a.py`.
            text: The text.
        """
        if self._plain.get(name) != text:
            self._plain[name] = text
            return text
        del self._plain[name]
        return f"({name}: unchanged since you read them)"

    def forget(self, path: str) -> None:
        """Show the file whole the next time: the model does not know it well enough."""
        self._views.pop(path, None)

    def keep_only(self, results: Collection[str]) -> None:
        """Forget what is in none of these texts, the results of tools that the conversation still contains."""
        held = tuple(results)
        self._views = {
            path: view
            for path, view in self._views.items()
            if all(any(text in result for result in held) for text in view.texts)
        }
        self._plain = {name: text for name, text in self._plain.items() if any(text in result for result in held)}


def _span(count: int, start: int | None, end: int | None) -> tuple[int, int]:
    """Return the half-open range of line indexes that `numbered` shows of a text with `count` lines."""
    first = (start or 1) - 1
    last = min(end or count, count, first + MAX_LINES)
    return (first, last) if first < last else (0, 0)


def _changes(old: Sequence[str], new: Sequence[str]) -> list[Change] | None:
    """Return how to turn `old` into `new`, as `SequenceMatcher.get_opcodes` does; None if that would take too long."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    left, right = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(left) * len(right) > _MOST_COMPARED:
        return None
    changes: list[Change] = [("equal", 0, head, 0, head)] if head else []
    changes += [
        (tag, head + a, head + b, head + c, head + d)
        for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    ]
    if tail:
        changes.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    return changes


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _difference(
    path: str, view: _View, changes: Sequence[Change], lines: Sequence[str], span: tuple[int, int]
) -> str | None:
    """Return what has changed in a range of lines; None if some of them were never shown.

    Args:
        path: The file.
        view: What was shown of it.
        changes: From the lines of the view to `lines`.
        lines: The present lines.
        span: The half-open range of indexes in `lines`.
    """
    first, last = span
    hunks: list[str] = []
    for tag, old, old_end, new, new_end in changes:
        if tag == "equal":
            wanted = range(max(new, first), min(new_end, last))
            if any(old + at - new not in view.shown for at in wanted):
                return None
        elif (new < last and new_end > first) or (new == new_end and first <= new <= last):
            hunks += _hunk(view.lines[old:old_end], lines, new, new_end)
    if first == last:
        return None
    what = f"lines {first + 1} to {last} of {path}"
    if not hunks:
        return f"({what}: unchanged since you read them)"
    return "\n".join(
        [f"({what}: changed since you read them, as follows; the line numbers are the present ones)", *hunks]
    )


def _hunk(gone: Sequence[str], lines: Sequence[str], new: int, new_end: int) -> Iterator[str]:
    before, after = max(new - _CONTEXT, 0), min(new_end + _CONTEXT, len(lines))
    yield f"@@ {before + 1} @@"
    yield from (f" {cut_line(line)}" for line in lines[before:new])
    yield from (f"-{cut_line(line)}" for line in gone)
    yield from (f"+{cut_line(line)}" for line in lines[new:new_end])
    yield from (f" {cut_line(line)}" for line in lines[new_end:after])
