"""Python files as items: imports, definitions, bindings and other statements, each with the comments above it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

ItemKind = Literal["comment", "doc", "import", "class", "function", "binding", "block", "statement"]
Key = tuple[ItemKind, str, int]
"""What an item is, its name or text, and how many of the same stand above it in its suite."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The items of a module or of a class body, and the blank lines and comments at its end."""

    items: tuple[MergeItem, ...]
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeadedSuite:
    """A header, such as `def f():` or `else:`, with the comments above it and decorators, and the suite below it."""

    head: tuple[str, ...]
    suite: Suite


@dataclass(frozen=True, slots=True)
class MergeItem:
    """One statement, or a paragraph of comments."""

    key: Key
    lead: tuple[str, ...]
    """Blank lines and comments that stand directly above it."""
    lines: tuple[str, ...]
    """Its own lines, with decorators; without `lead`."""
    segments: tuple[HeadedSuite, ...] = ()
    """What a compound statement consists of: its `lines` in parts; empty if a part of it is on one line."""

    @property
    def text(self) -> tuple[str, ...]:
        """All lines that belong to it."""
        return self.lead + self.lines


def read_suite(lines: Sequence[str], module: ast.Module) -> Suite:
    """Return the items of a module.

    Args:
        lines: The lines of its text, cut at line feeds only.
        module: What `ast.parse` made of the same text.
    """
    return _suite(lines, module.body, 0, len(lines))


def _suite(lines: Sequence[str], body: Sequence[ast.stmt], start: int, end: int) -> Suite:
    """Return the items of `lines[start:end]`, which hold the statements of `body` and what is between them."""
    items: list[MergeItem] = []
    seen: Counter[tuple[ItemKind, str]] = Counter()
    groups = _groups(lines, body, end)
    at = start
    for group, first, last in groups:
        comments, lead = paragraphs(lines[at:first])
        items += [comment_item(seen, above, text) for above, text in comments]
        items.append(_item(seen, lines, group, lead, (first, last), is_first=at == start))
        at = last
    comments, tail = paragraphs([*lines[at:end], ""])
    items += [comment_item(seen, above, text) for above, text in comments]
    return Suite(tuple(items), tail[:-1])


def _groups(lines: Sequence[str], body: Sequence[ast.stmt], end: int) -> list[tuple[list[ast.stmt], int, int]]:
    """Return the statements that share lines, with their first line and the line after their last, from 0.

    Comments below a compound statement that are indented deeper than it belong to it.
    """
    groups: list[tuple[list[ast.stmt], int, int]] = []
    for node in body:
        first, last = _first_line(node) - 1, node.end_lineno or node.lineno
        if groups and first < groups[-1][2]:
            groups[-1] = ([*groups[-1][0], node], groups[-1][1], last)
        else:
            groups.append(([node], first, last))
    bounds = [*(first for _, first, _ in groups[1:]), end][: len(groups)]
    return [
        (group, first, _with_own_comments(lines, group[-1], last, bound))
        for (group, first, last), bound in zip(groups, bounds, strict=True)
    ]


def _with_own_comments(lines: Sequence[str], node: ast.stmt, last: int, bound: int) -> int:
    if not isinstance(getattr(node, "body", None), list) and not isinstance(node, ast.Match):
        return last
    for at in range(last, bound):
        text = lines[at].lstrip(" \t")
        if text.startswith("#") and len(lines[at]) - len(text) > node.col_offset:
            last = at + 1
        elif text.strip():
            break
    return last


def _first_line(node: ast.stmt) -> int:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return node.lineno


def paragraphs(lines: Sequence[str]) -> tuple[list[tuple[tuple[str, ...], tuple[str, ...]]], tuple[str, ...]]:
    """Return the paragraphs of comments that a blank line ends, each with the blank lines above it, and the rest."""
    listed: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    blank: list[str] = []
    comment: list[str] = []
    for line in lines:
        if line.strip():
            comment.append(line)
        elif comment:
            listed.append((tuple(blank), tuple(comment)))
            blank, comment = [line], []
        else:
            blank.append(line)
    return listed, (*blank, *comment)


def comment_item(seen: Counter[tuple[ItemKind, str]], above: tuple[str, ...], text: tuple[str, ...]) -> MergeItem:
    """Return the item of a paragraph of comments, with the blank lines above it; `seen` counts it."""
    return MergeItem(item_key(seen, "comment", "\n".join(text)), above, text)


def _item(
    seen: Counter[tuple[ItemKind, str]],
    lines: Sequence[str],
    group: list[ast.stmt],
    lead: tuple[str, ...],
    span: tuple[int, int],
    *,
    is_first: bool,
) -> MergeItem:
    own = tuple(lines[span[0] : span[1]])
    node = group[0]
    kind, name = _named(node, own, is_first=is_first) if len(group) == 1 else ("statement", "\n".join(own))
    key = item_key(seen, kind, name)
    segments = tuple(_segments(lines, node, span)) if len(group) == 1 else ()
    return MergeItem(key, lead, own, segments)


def _segments(lines: Sequence[str], node: ast.stmt, span: tuple[int, int]) -> Iterator[HeadedSuite]:
    """Yield the parts of a compound statement; nothing if one of its suites begins on the line of a header."""
    bodies = list(_bodies(lines, node))
    if not bodies or not all(_starts_line(lines, body[0]) for body in bodies):
        return
    tops = [_first_line(body[0]) - 1 for body in bodies]
    ends = [_end_of(body) for body in bodies[:-1]] + [span[1]]
    at = span[0]
    for body, top, end in zip(bodies, tops, ends, strict=True):
        while top > at + 1 and (not lines[top - 1].strip() or lines[top - 1].lstrip().startswith("#")):
            top -= 1
        yield HeadedSuite(tuple(lines[at:top]), _suite(lines, body, top, end))
        at = end


def _bodies(lines: Sequence[str], node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield the suites of a compound statement in the order of the text; those of `elif` are suites of the `if`."""
    if isinstance(node, ast.Match):
        yield from (case.body for case in node.cases)
        return
    body = getattr(node, "body", None)
    if isinstance(body, list):
        yield body
    for handler in getattr(node, "handlers", ()):
        yield handler.body
    if other := getattr(node, "orelse", None):
        first = other[0]
        if isinstance(node, ast.If) and isinstance(first, ast.If) and _word(lines, first).startswith("elif"):
            yield from _bodies(lines, first)
        else:
            yield other
    if final := getattr(node, "finalbody", None):
        yield final


def _word(lines: Sequence[str], node: ast.stmt) -> str:
    return lines[node.lineno - 1].encode()[node.col_offset :].decode()


def _starts_line(lines: Sequence[str], node: ast.stmt) -> bool:
    return not lines[node.lineno - 1].encode()[: node.col_offset].strip()


def _end_of(body: list[ast.stmt]) -> int:
    return body[-1].end_lineno or body[-1].lineno


def item_key(seen: Counter[tuple[ItemKind, str]], kind: ItemKind, name: str) -> Key:
    """Return the key of the next item of this kind and name in a suite; `seen` counts it."""
    seen[kind, name] += 1
    return kind, name, seen[kind, name]


def _named(node: ast.stmt, own: tuple[str, ...], *, is_first: bool) -> tuple[ItemKind, str]:
    """Return what a statement is and the name that it keeps when its content is edited."""
    match node:
        case ast.ClassDef():
            return "class", node.name
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "function", node.name + "".join(_property_parts(node))
        case ast.ImportFrom():
            return "import", "." * node.level + (node.module or "")
        case ast.Import():
            return "import", " ".join(alias.name for alias in node.names)
        case ast.Assign(targets=targets):
            return "binding", "=".join(map(ast.unparse, targets))
        case ast.AnnAssign(target=target):
            return "binding", ast.unparse(target)
        case ast.AugAssign(target=target):
            return "binding", f"{ast.unparse(target)} {type(node.op).__name__}"
        case ast.Expr(value=ast.Constant(value=str())) if is_first:
            return "doc", ""
        case _ if hasattr(node, "body"):
            return "block", "\n".join(line.strip() for line in own[: 2 if isinstance(node, ast.Try) else 1])
    return "statement", "\n".join(line.strip() for line in own)


def _property_parts(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "getter", "deleter"):
            yield f".{decorator.attr}"
