"""Judges a merged file of any language by what its versions hold, line by line in their places (GIT-3).

It knows nothing of how the file was merged. Where a language has no grammar, the whole file is one place: what is
proven then is that no line with a word in it is lost, doubled or out of order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aegis_tui.domain.merge.inventory import Inventory, Place
from aegis_tui.domain.merge.proof import MergeFault, Versions, compare
from aegis_tui.domain.merge.source import ReadSource, SourceNode, SourceTree

_WORD = re.compile(r"\w")


def judge_source(path: str, versions: Versions, merged: str, read: ReadSource) -> list[MergeFault] | None:
    """Return what speaks against a merged file; an empty list is the proof that nothing does.

    None if the language is not known.

    Raises:
        SyntaxError: One of the three versions has an error.
        RecursionError: One of them is nested too deeply.
    """
    trees = [read(path, text) for text in versions]
    sides = [_inventory(text, tree) for text, tree in zip(versions, trees, strict=True) if tree is not None]
    if len(sides) != len(versions):
        return None
    try:
        tree = read(path, merged)
    except (SyntaxError, RecursionError) as error:
        return [MergeFault("syntax", str(error))]
    return compare(sides, _inventory(merged, tree)) if tree is not None else None


def judge_text(versions: Versions, merged: str) -> list[MergeFault]:
    """Return what speaks against a merged file of which only the lines are known."""
    sides, result = [_plain(text) for text in versions], _plain(merged)
    return compare(sides, result)


def _plain(text: str) -> Inventory:
    inventory = Inventory()
    _add(inventory, (), "line", text.split("\n"))
    return inventory


def _inventory(text: str, tree: SourceTree) -> Inventory:
    inventory = Inventory()
    lines = text.split("\n")
    _suite(inventory, lines, tree.items, ())
    _add(inventory, ("comments",), "comment", (lines[at] for at in tree.comments))
    return inventory


def _suite(inventory: Inventory, lines: Sequence[str], nodes: Iterable[SourceNode], place: Place) -> None:
    for node in nodes:
        if node.is_single:
            inventory.defined[place, node.name] += 1
        if node.kind == "import":
            inventory.sequences.setdefault(place, []).extend(("import", f"{node.name}: {word}") for word in node.names)
        elif node.kind == "statement":
            _add(inventory, place, "line", lines[node.first : node.last])
        else:
            inner = (*place, f"{node.kind} {node.name}")
            inventory.sequences.setdefault(place, []).append(("definition", inner[-1]))
            start, end = node.body or (node.last, node.last)
            _add(inventory, (*inner, "header"), "line", lines[node.first : start])
            _suite(inventory, lines, node.items, inner)
            _add(inventory, (*inner, "end"), "line", lines[end : node.last])


def _add(inventory: Inventory, place: Place, kind: str, lines: Iterable[str]) -> None:
    """Add the lines that say something; brackets alone are for the parser to judge, and a last comma says nothing."""
    said = (line.strip().removesuffix(",") for line in lines)
    inventory.sequences.setdefault(place, []).extend((kind, line) for line in said if _WORD.search(line))
