"""Changes values in a YAML text and leaves every other character as it is: comments, order, quotes, blank lines.

Each change replaces the text of one value or adds lines, and the result is read again and compared with what it must
say. Where a text cannot be changed so (a value behind an alias, an odd layout), ruamel.yaml writes the whole text anew,
which keeps comments, order and quotes, but not every blank.
"""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.util import load_yaml_guess_indent

from aegis_tui.application.yaml_text import Location, NodeReader, NotYaml, compose
from aegis_tui.errors import Refused

_PLAIN: Final = re.compile(r"[A-Za-z](?:[\w./@+ -]*[\w./@+-])?\Z", re.ASCII)
_WORDS_OF_YAML: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Edit(NamedTuple):
    """A value to set, or with `is_entry` an entry to add to the end of a list, which is created if it is missing."""

    place: Location
    value: Any
    """Text, a number, a list, or a mapping of such."""
    is_entry: bool = False


def edited(text: str, changes: Sequence[Edit]) -> str:
    """Return the text with these changes, as if they were made one after the other.

    All are made at once where that gives the wanted values; otherwise each half of them on its own, so that only the
    few that need it cost a further reading of the text.

    Args:
        text: YAML whose root is a mapping.
        changes: The mappings around each place must exist, except for the innermost key.

    Raises:
        NotYaml: The text is not YAML.
        Refused: A change cannot be made without changing another value (code `spec.edit`).
    """
    wanted = _expected(_read(text), changes)
    new = _spliced(text, changes)
    if new is not None and _says(new, wanted):
        return new
    if len(changes) > 1:
        half = len(changes) // 2
        return edited(edited(text, changes[:half]), changes[half:])
    new = _rewritten(text, changes[0])
    if new is None or not _says(new, wanted):
        raise _impossible(changes[0])
    return new


def _read(text: str) -> Any:
    return NodeReader().read(compose(text))


def _says(text: str, wanted: Any) -> bool:
    try:
        return bool(_read(text) == wanted)
    except NotYaml:
        return False


def _expected(data: Any, changes: Sequence[Edit]) -> Any:
    """Return a copy of the values of a text with the changes made, as reading it gives them: numbers are text."""
    data = copy.deepcopy(data)
    for change in changes:
        _set(data, change)
    return data


def _set(around: Any, change: Edit) -> None:
    try:
        for key in change.place[:-1]:
            around = around[key]
        last, value = change.place[-1], _as_read(change.value)
        around[last] = [*(around.get(last) or ()), value] if change.is_entry else value
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _impossible(change) from error


def _impossible(change: Edit) -> Refused:
    field = ".".join(map(str, change.place))
    return Refused(f"{field} cannot be changed without changing another value", code="spec.edit")


def _as_read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_read(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_read(item) for item in value]
    return str(value)


class _Splice(NamedTuple):
    """A part of a text, from `start` up to `end`, and what takes its place."""

    start: int
    end: int
    new: str


def _spliced(text: str, changes: Sequence[Edit]) -> str | None:
    """Return the text with a part replaced for each change; None if a place has no layout for that, or two overlap."""
    root, end, parts = compose(text), 0, []
    splices = [_splice(text, root, change) for change in changes]
    for splice in sorted((item for item in splices if item is not None), key=lambda item: item.start):
        if splice.start < end:
            return None
        parts += [text[end : splice.start], splice.new]
        end = splice.end
    return None if None in splices else "".join([*parts, text[end:]])


def _splice(text: str, root: Node | None, change: Edit) -> _Splice | None:
    """Return the part of a text that a change replaces; None if the place has no layout for that."""
    around = _at(root, change.place[:-1])
    node = _child(around, change.place[-1]) if around is not None else None
    if not isinstance(around, CollectionNode):
        return None
    if node is None:
        value = [change.value] if change.is_entry else change.value
        return _with_key(text, around, str(change.place[-1]), value) if isinstance(around, MappingNode) else None
    if not change.is_entry:
        style = getattr(node, "style", None)
        # A comment after the value would become a part of a block.
        is_last = not text[node.end_mark.index :].partition("\n")[0].strip()
        is_long = isinstance(change.value, str) and "\n" in change.value and not around.flow_style and is_last
        if isinstance(node, CollectionNode) and not node.flow_style and isinstance(around, MappingNode):
            return _on_the_line_of_its_key(text, around, node, _flow(change.value))
        new = _literal(change.value, around.start_mark.column + 2) if is_long else _flow(change.value, style)
        return _replaced(text, node, new)
    if isinstance(node, SequenceNode) and node.value and not node.flow_style:
        column = node.start_mark.column
        return _with_lines(text, _end_of(node), [*_entry(change.value, column)])
    if isinstance(node, SequenceNode) and node.value:
        return _replaced(
            text,
            node,
            text[node.start_mark.index : node.end_mark.index - 1].rstrip().rstrip(",") + f", {_flow(change.value)}]",
        )
    lines = ["", *_entry(change.value, around.start_mark.column + 2)]
    return _replaced(text, node, "\n".join(lines), after_key=True) if not around.flow_style else None


def _at(node: Node | None, place: Location) -> Node | None:
    for key in place:
        node = _child(node, key)
    return node


def _child(node: Node | None, key: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        item: Node = node.value[key]
        return item
    return None


def _replaced(text: str, node: Node, new: str, *, after_key: bool = False) -> _Splice:
    """Return what replaces the text of a node; with `after_key` also the blanks before it."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        end = len(text[:end].rstrip("\r\n"))
    before = text[:start].rstrip(" ") if after_key else text[:start]
    # An empty value has no text: what follows its key is the place.
    blank = " " if start == end and before.endswith(":") and not new.startswith("\n") else ""
    return _Splice(len(before), end, blank + new)


def _on_the_line_of_its_key(text: str, around: MappingNode, node: CollectionNode, new: str) -> _Splice:
    """Return what replaces a value of several lines by one after its key; comments between them are kept."""
    key = next(name for name, value in around.value if value is node)
    colon = text.index(":", key.end_mark.index) + 1
    between = text[colon : node.start_mark.index].rstrip(" ").removesuffix("\n").removesuffix("\r")
    return _Splice(colon, _end_of(node), f" {new}{between}")


def _with_key(text: str, around: MappingNode, key: str, value: Any) -> _Splice | None:
    """Return what adds a key after the last one of a mapping; None if it is empty and has no layout."""
    if around.flow_style:
        inner = text[around.start_mark.index : around.end_mark.index - 1].rstrip().rstrip(",")
        comma = ", " if around.value else ""
        return _replaced(text, around, f"{inner}{comma}{key}: {_flow(value)}}}")
    if not around.value:
        return None
    column = around.value[0][0].start_mark.column
    return _with_lines(text, _end_of(around), list(_block(key, value, column)))


def _with_lines(text: str, end: int, lines: Sequence[str]) -> _Splice:
    """Return what adds lines after the line in which the position `end` is."""
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    newline = "\r\n" if text[:stop].endswith("\r") else "\n"
    stop -= len(newline) - 1
    return _Splice(stop, stop, "".join(newline + line for line in lines))


def _end_of(node: Node) -> int:
    """Return the position at which the last value inside a node ends, before blank lines and comments after it."""
    while isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return end - 1  # it includes its last line end
    return end


def _entry(value: Any, column: int) -> Iterator[str]:
    """Yield the lines of an entry of a block list whose dashes stand in a column."""
    lines = [line for key, item in value.items() for line in _block(key, item, 0)] if value else []
    if not isinstance(value, Mapping) or not lines:
        yield f"{' ' * column}- {_flow(value)}"
        return
    yield f"{' ' * column}- {lines[0]}"
    yield from (f"{' ' * column}  {line}" for line in lines[1:])


def _block(key: str, value: Any, column: int) -> Iterator[str]:
    blanks = " " * column
    if isinstance(value, Mapping) and value:
        yield f"{blanks}{key}:"
        for name, item in value.items():
            yield from _block(name, item, column + 2)
    elif isinstance(value, list | tuple) and value and any(isinstance(item, Mapping) for item in value):
        yield f"{blanks}{key}:"
        for item in value:
            yield from _entry(item, column + 2)
    else:
        yield f"{blanks}{key}: {_flow(value)}"


def _flow(value: Any, style: str | None = None) -> str:
    """Return a value on one line; a text in the given quotes, if it can be, or without any if that is safe."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if style != '"' and not isinstance(value, str):
        return text
    if style != '"' and _PLAIN.match(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return "".join(char if char.isprintable() or char == " " else _escaped(char) for char in _json(text))


def _literal(text: str, column: int) -> str:
    """Return a text as a block of lines, each after that many blanks; it must not end with a line end."""
    return "|-\n" + "\n".join(" " * column + line if line else "" for line in text.split("\n"))


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escaped(char: str) -> str:
    return f"\\U{ord(char):08x}" if ord(char) > 0xFFFF else f"\\u{ord(char):04x}"


def _rewritten(text: str, change: Edit) -> str | None:
    """Return the text as ruamel.yaml writes it with the change; None if it cannot."""
    try:
        yaml = YAML(typ="rt", pure=True)
        yaml.preserve_quotes = True
        data, indent, offset = load_yaml_guess_indent(text, yaml=yaml)
        around = data
        for key in change.place[:-1]:
            around = around[key]
        if change.is_entry:
            around[change.place[-1]] = [*(around.get(change.place[-1]) or ()), change.value]
        else:
            around[change.place[-1]] = change.value
        yaml.width = 1 << 16
        yaml.indent(mapping=indent or 2, sequence=(indent or 2) + (offset or 0), offset=offset or 0)
        stream = io.StringIO()
        yaml.dump(data, stream)
    except (YAMLError, LookupError, TypeError, ValueError, AttributeError, RecursionError, NotImplementedError):
        return None  # it makes dates and numbers of values that only look like them, and fails at 2026-13-45
    return stream.getvalue()
