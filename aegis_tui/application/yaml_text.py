"""Reads YAML as plain values with the line of each; a hostile file costs bounded time and memory.

Plain values are read as the text that was written (`id: 007` gives "007"); nothing but text, null, lists and mappings
is read, and no tag of YAML makes an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from aegis_tui.errors import UsageError

MAX_SIZE_BYTES: Final = 1024 * 1024
MAX_NODES: Final = 100_000
"""The most values of a file after its aliases are expanded, so that a small file cannot expand without limit."""

MAX_DEPTH: Final = 20
"""The deepest nesting that is read."""

QUOTES_HINT: Final = "put globs in quotes: YAML reads a leading *, [, { or ! as its own syntax"

Location = tuple[str | int, ...]
"""Where a value stands: keys and list positions, from the outside in."""

_PLAIN_TAGS: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge")
}


class YamlIssue(NamedTuple):
    """A value of a YAML text that is left out because it cannot be read, or that breaks a rule of its file."""

    path: Location
    """Where it stands; empty for the whole text."""

    message: str
    """What is wrong, as the end of a line that names the file and the place."""


class NotYaml(Exception):
    """The text is not YAML.

    Args:
        line: The 1-based line where reading ended; None if it is not known.
        message: Why, in one sentence.
        hint: What may help; empty if there is nothing to add.
    """

    def __init__(self, line: int | None, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


def read_file(path: Path, *, kind: str) -> bytes:
    """Return the content of a file; of one that `decoded` refuses for its size, only the beginning. Blocks.

    Args:
        path: The file.
        kind: What messages call it, such as `spec file`.

    Raises:
        UsageError: The file does not exist, or the system refuses to read it.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the {kind} {path} cannot be read: {error.strerror}", "name an existing file") from error


def decoded(content: bytes) -> str:
    """Return the content of a file as text, without a byte order mark.

    Raises:
        NotYaml: It is over 1 MiB, or not UTF-8.
    """
    if len(content) > MAX_SIZE_BYTES:
        raise NotYaml(None, "the file is over 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotYaml(content.count(b"\n", 0, error.start) + 1, "the file is not UTF-8") from error


def without_nulls(data: object, depth: int = 0) -> object:
    """Return the same values without the fields that are null: an empty `shared:` counts as absent.

    Items of lists that are null stay, and so does what is nested deeper than `MAX_DEPTH`; `depth` is how deep `data`
    itself is.
    """
    if isinstance(data, Mapping) and depth <= MAX_DEPTH:
        return {key: without_nulls(value, depth + 1) for key, value in data.items() if value is not None}
    if isinstance(data, list) and depth <= MAX_DEPTH:
        return [without_nulls(value, depth + 1) for value in data]
    return data


def compose(text: str) -> Node | None:
    """Return the root of the tree of nodes of a YAML text; None if it is empty.

    Raises:
        NotYaml: It is not YAML.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"this is not YAML: {error.problem or error.context}"
        raise NotYaml(mark.line + 1 if mark else None, message, QUOTES_HINT) from error
    except YAMLError as error:
        raise NotYaml(None, "it holds characters that YAML does not allow") from error
    except RecursionError as error:
        raise NotYaml(None, "it is nested too deeply") from error
    except NotImplementedError as error:  # ruamel.yaml: two comments for one place, also blank lines with odd line ends
        raise NotYaml(None, "a comment or a blank line cannot be read where it is: move or delete it") from error
    return node


class NodeReader:
    """Converts YAML nodes into plain values and records the line of each."""

    def __init__(self) -> None:
        self.issues: list[YamlIssue] = []
        self._lines: dict[Location, int] = {}
        self._nodes = 0

    def line_of(self, path: Location) -> int:
        """Return the 1-based line of the value at a path, or of the nearest value around it that has a line; else 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def read(self, node: Node | None, path: Location = ()) -> object:
        """Return the value of a node: text, None, a list or a dictionary; note its line and those of the values in it.

        What can be none of these, or makes the file too large or too deep, is added to `issues` and read as None.

        Args:
            node: The node; None for an empty file.
            path: Where it stands: field names and list positions.
        """
        if node is None or self._nodes > MAX_NODES:
            return None
        self._nodes += 1
        self._lines.setdefault(path, node.start_mark.line + 1)
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            self._nodes = MAX_NODES + 1
            self.issues.append(YamlIssue((), "it has too many values or levels"))
            return None
        if str(node.tag) not in _PLAIN_TAGS:
            self._complain(path, f"tags like {node.tag} are not allowed; {QUOTES_HINT}")
            return None
        if isinstance(node, ScalarNode):
            return None if str(node.tag).endswith(":null") else str(node.value)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Location) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            at = (*path, key)
            if key in values:
                first = self._lines[at]
                self._lines[at] = key_node.start_mark.line + 1
                self._complain(at, f"the field is given twice, first in line {first}")
            elif not isinstance(key_node, ScalarNode):
                self._complain(path, f"a field name must be text; {QUOTES_HINT}")
            else:
                self._lines[at] = key_node.start_mark.line + 1
                values[key] = self.read(value_node, at)
        return values

    def _complain(self, path: Location, message: str) -> None:
        self.issues.append(YamlIssue(path, message))
