"""Merges statements whose brackets both sides changed: imports, lists, dictionaries, keywords of calls (GIT-3)."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from textwrap import dedent, indent

from aegis_tui.domain.merge.elements import (
    Element,
    Located,
    Splice,
    StatementSource,
    by_name,
    insertion,
    removal,
    spliced,
)
from aegis_tui.domain.merge.outline import MergeItem
from aegis_tui.domain.merge.undecided import Undecided

_LINE_CHARS = 79
"""A longer import is put in parentheses, unless a side has longer lines itself."""


def merge_brackets(base: MergeItem, ours: MergeItem, theirs: MergeItem) -> list[str] | None:
    """Return the lines of a statement with the elements that both sides added to it, and without what either removed.

    Ours is the text into which their changes are put. None if the changes are not of that kind.
    """
    margin = ours.lines[0][: len(ours.lines[0]) - len(ours.lines[0].lstrip())]
    try:
        mine, other = (StatementSource(_flat(item.lines)) for item in (ours, theirs))
        root = StatementSource(_flat(base.lines)) if base.lines else _empty(mine, other)
        if root is None:
            return None
        splices = _Merge(root, mine, other).statement()
    except (SyntaxError, ValueError, Undecided):
        return None
    text = spliced(mine.raw, splices).decode()
    width = max(_LINE_CHARS, *(len(line) for item in (ours, theirs) for line in item.lines))
    return indent(_fitted(text, width - len(margin)), margin).split("\n")


def _flat(lines: Sequence[str]) -> str:
    return dedent("\n".join(lines))


def _empty(ours: StatementSource, theirs: StatementSource) -> StatementSource | None:
    """Return an import of no name of ours, as what both added imports started from; None if they are no such."""
    match ours.node, theirs.node:
        case ast.ImportFrom(module=one, level=depth), ast.ImportFrom(module=other, level=other_depth):
            if (one, depth) == (other, other_depth):
                root = StatementSource(f"from {'.' * depth}{one or ''} import _")
                assert isinstance(root.node, ast.ImportFrom)
                root.node.names = []
                return root
    return None


def _fitted(text: str, width: int) -> str:
    """Return a text of an import in parentheses if it is one line that is too long."""
    if "\n" in text or len(text) <= width or not text.startswith("from ") or "(" in text or "#" in text:
        return text
    head, _, names = text.partition(" import ")
    return f"{head} import (\n" + "".join(f"    {name.strip()},\n" for name in names.split(",")) + ")"


class _Merge:
    """Collects the replacements in our text that make their changes.

    Raises:
        Undecided: A change cannot be made.
    """

    def __init__(self, base: StatementSource, ours: StatementSource, theirs: StatementSource) -> None:
        self._base, self._ours, self._theirs = base, ours, theirs
        self._splices: list[Splice] = []

    def statement(self) -> list[Splice]:
        """Return the replacements for the whole statement."""
        self._node(self._base.node, self._ours.node, self._theirs.node)
        return self._splices

    def _node(self, base: Located, ours: Located, theirs: Located) -> None:
        old, mine, other = map(ast.dump, (base, ours, theirs))
        if other in (old, mine):
            return
        if mine == old:
            start, end = self._theirs.span(theirs)
            self._splices.append(Splice(*self._ours.span(ours), self._theirs.raw[start:end]))
            return
        if not type(base) is type(ours) is type(theirs):
            raise Undecided("both sides change the same expression")
        self._inside(base, ours, theirs)

    def _inside(self, base: ast.AST, ours: ast.AST, theirs: ast.AST) -> None:
        match base, ours, theirs:
            case (
                (ast.Assign(), ast.Assign(), ast.Assign())
                | (ast.AnnAssign(), ast.AnnAssign(), ast.AnnAssign())
                | (ast.AugAssign(), ast.AugAssign(), ast.AugAssign())
                | (ast.Expr(), ast.Expr(), ast.Expr())
            ):
                self._same(*(ast.Tuple(elts=_targets(node)) for node in (base, ours, theirs)))
                self._node(*(_value(node) for node in (base, ours, theirs)))
            case ast.Call(func=one), ast.Call(func=two), ast.Call(func=three):
                self._same(one, two, three)
                self._elements(base, ours, theirs)
            case ast.ImportFrom(), ast.ImportFrom(), ast.ImportFrom():
                if len({(node.module, node.level) for node in (base, ours, theirs)}) != 1:
                    raise Undecided("both sides change the module of an import")
                self._elements(base, ours, theirs)
            case ast.Tuple(elts=one), ast.Tuple(elts=two), ast.Tuple(elts=three):
                if not all(map(_is_row, (*one, *two, *three))):
                    raise Undecided("both sides change a tuple")
                self._elements(base, ours, theirs)
            case (
                (ast.List(), ast.List(), ast.List())
                | (ast.Set(), ast.Set(), ast.Set())
                | (ast.Dict(), ast.Dict(), ast.Dict())
            ):
                self._elements(base, ours, theirs)
            case _:
                raise Undecided("both sides change the same expression")

    def _same(self, *nodes: ast.AST) -> None:
        if len(set(map(ast.dump, nodes))) != 1:
            raise Undecided("both sides change the same statement")

    def _elements(self, *nodes: ast.AST) -> None:
        sources = (self._base, self._ours, self._theirs)
        listed = [source.elements(node) for source, node in zip(sources, nodes, strict=True)]
        base, ours, theirs = map(by_name, listed)
        if base is None or ours is None or theirs is None or not listed[1]:
            raise Undecided("an element occurs twice")
        gone = [name for name in base if name not in ours and name not in theirs]
        new = [{name for name in side if name not in base} for side in (ours, theirs)]
        if gone and new[0] != new[1] and any(new):
            raise Undecided("both sides change the same element")
        for name in theirs:
            if name in ours:
                self._both(base.get(name), ours[name], theirs[name])
            elif name in base and ast.dump(base[name].value) != ast.dump(theirs[name].value):
                raise Undecided("one side removes what the other changes")
        for at, element in enumerate(listed[1]):
            if element.name in base and element.name not in theirs:
                if ast.dump(base[element.name].value) != ast.dump(element.value):
                    raise Undecided("one side removes what the other changes")
                self._splices.append(removal(self._ours, listed[1], at))
        self._insert(listed[1], listed[2], [item for item in listed[2] if item.name in new[1] - new[0]])

    def _both(self, base: Element | None, ours: Element, theirs: Element) -> None:
        if base is not None:
            self._node(base.value, ours.value, theirs.value)
        elif ast.dump(ours.value) != ast.dump(theirs.value):
            raise Undecided("both sides add the same entry, with different values")

    def _insert(self, ours: Sequence[Element], theirs: Sequence[Element], new: Sequence[Element]) -> None:
        """Put their new elements where sorted elements want them, else below what is above them on their side."""
        if any(item.name.startswith("#") for item in new):
            raise Undecided("both sides change the arguments of a call")
        is_sorted = all(_is_sorted(side) for side in (ours, theirs))
        places: dict[int, list[Element]] = {}
        for item in new:
            below = _sorted_place(ours, item) if is_sorted else _place(ours, theirs, item)
            places.setdefault(below, []).append(item)
        for below, items in places.items():
            texts = [self._text(item) for item in items]
            self._splices.append(insertion(self._ours, ours, below, texts))

    def _text(self, item: Element) -> tuple[bytes, bytes, bytes]:
        alone = self._theirs.indent_before(item.start) is not None
        _, comment, end = self._theirs.line_end(item.end)
        notes = self._theirs.notes_above(item.start) if alone else b""
        return self._theirs.raw[item.start : item.end], comment if end is not None else b"", notes


def _value(node: ast.AST) -> ast.expr:
    """Return the value of a statement; `Undecided` if it is a declaration without one."""
    value = getattr(node, "value", None)
    if not isinstance(value, ast.expr):
        raise Undecided("both sides change a declaration")
    return value


def _targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target, annotation=annotation):
            return [target, annotation]
        case ast.AugAssign(target=target, op=op):
            return [target, ast.Constant(value=type(op).__name__)]
    return []


def _is_row(item: ast.expr) -> bool:
    """Whether an element of a tuple shows that the tuple is a list of entries: a text, a name, a call or a tuple."""
    match item:
        case ast.Constant(value=str()) | ast.Name() | ast.Attribute() | ast.Call() | ast.Tuple() | ast.Dict():
            return True
    return False


def _is_sorted(elements: Sequence[Element]) -> bool:
    names = [element.name.casefold() for element in elements]
    return len(names) > 1 and names == sorted(names)


def _sorted_place(ours: Sequence[Element], item: Element) -> int:
    return sum(element.name.casefold() < item.name.casefold() for element in ours) - 1


def _place(ours: Sequence[Element], theirs: Sequence[Element], item: Element) -> int:
    """Return the index in ours of the nearest element above an item of theirs, below new ones of ours; -1 if none."""
    at = {element.name: place for place, element in enumerate(ours)}
    known = {element.name for element in theirs}
    above = [element.name for element in theirs[: theirs.index(item)] if element.name in at]
    place = at[above[-1]] if above else -1
    while place + 1 < len(ours) and ours[place + 1].name not in known:
        place += 1
    return place
