"""Source files of any language as suites, which `structure` merges as it merges those of Python (GIT-3)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from aegis_tui.domain.merge.outline import HeadedSuite, ItemKind, MergeItem, Suite, comment_item, item_key, paragraphs
from aegis_tui.domain.merge.source import SourceNode, SourceTree

_BRACED = re.compile(r"(?P<head>[^{}]*\{)(?P<names>[^{}]*)(?P<tail>\}[^{}]*)")


def read_source_suite(lines: Sequence[str], tree: SourceTree) -> Suite:
    """Return the items of a file.

    Args:
        lines: The lines of its text, cut at line feeds only.
        tree: What was read of the same text.
    """
    return _suite(lines, tree.items, 0, len(lines))


def _suite(lines: Sequence[str], nodes: Sequence[SourceNode], start: int, end: int) -> Suite:
    items: list[MergeItem] = []
    seen: Counter[tuple[ItemKind, str]] = Counter()
    at = start
    for group, first, last in _groups(nodes):
        comments, lead = paragraphs(lines[at:first])
        items += [comment_item(seen, above, text) for above, text in comments]
        own = tuple(lines[first:last])
        kind, name = (group[0].kind, group[0].name) if len(group) == 1 else ("statement", "\n".join(own))
        segments = tuple(_segments(lines, group[0])) if len(group) == 1 else ()
        items.append(MergeItem(item_key(seen, kind, name), lead, own, segments))
        at = last
    comments, tail = paragraphs([*lines[at:end], ""])
    items += [comment_item(seen, above, text) for above, text in comments]
    return Suite(tuple(items), tail[:-1])


def _groups(nodes: Iterable[SourceNode]) -> list[tuple[list[SourceNode], int, int]]:
    """Return the items that share lines, with their first line and the line after their last."""
    groups: list[tuple[list[SourceNode], int, int]] = []
    for node in nodes:
        if groups and node.first < groups[-1][2]:
            group, first, last = groups[-1]
            groups[-1] = ([*group, node], first, max(last, node.last))
        else:
            groups.append(([node], node.first, node.last))
    return groups


def _segments(lines: Sequence[str], node: SourceNode) -> Iterator[HeadedSuite]:
    """Yield the header of a class with what is in its body, and its last line with nothing below."""
    if node.body is not None:
        start, end = node.body
        yield HeadedSuite(tuple(lines[node.first : start]), _suite(lines, node.items, start, end))
        yield HeadedSuite(tuple(lines[end : node.last]), Suite((), ()))


def merge_names(base: MergeItem, ours: MergeItem, theirs: MergeItem) -> list[str] | None:
    """Return the lines of an import or export with the names that both sides added, without what either removed.

    None if it is not a list of names between one pair of braces, or if anything else differs.
    """
    mine, other = (_BRACED.fullmatch("\n".join(item.lines)) for item in (ours, theirs))
    old = _BRACED.fullmatch("\n".join(base.lines)) if base.lines else None
    if mine is None or other is None or (old is None and base.lines) or ours.key[0] != "import":
        return None
    frames = {(match["head"], match["tail"]) for match in (mine, other, old) if match is not None}
    lists = [_names(match["names"]) if match is not None else [] for match in (old, mine, other)]
    if len(frames) != 1 or any(names is None for names in lists):
        return None
    before, own, others = (names or [] for names in lists)
    merged = [name for name in own if name in others or name not in before]
    for name in others:
        if name not in own and name not in before:
            _insert(merged, name)
    return _rendered(mine, merged)


def _names(text: str) -> list[str] | None:
    """Return the names of a list; None if it has comments, or a name twice."""
    names = [" ".join(name.split()) for name in text.split(",") if name.strip()]
    return None if "//" in text or "/*" in text or len(set(names)) != len(names) else names


def _insert(names: list[str], name: str) -> None:
    """Put a name where sorted names want it, else at the end."""
    folded = [each.casefold() for each in names]
    is_sorted = len(names) > 1 and folded == sorted(folded)
    names.insert(sum(each < name.casefold() for each in folded) if is_sorted else len(names), name)


def _rendered(match: re.Match[str], names: Sequence[str]) -> list[str]:
    inner = match["names"]
    lead = inner[: len(inner) - len(inner.lstrip())]
    trail = inner[len(inner.rstrip()) :] if inner.strip() else ""
    between = f",{lead}" if "\n" in lead else ", "
    comma = "," if inner.rstrip().endswith(",") else ""
    return f"{match['head']}{lead}{between.join(names)}{comma}{trail}{match['tail']}".split("\n")
