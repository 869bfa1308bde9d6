"""Reads what an import statement takes, in each language that is written in a few words: all but Python."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aegis_tui.domain.code_map.facts import Import

_FROM = re.compile(r"""(?:from|import|require\s*\()\s*["']([^"']+)["']""")
_BRACES = re.compile(r"\{([^}]*)\}")
_STAR_AS = re.compile(r"\*\s*as\s+([\w$]+)")
_DEFAULT = re.compile(r"import\s+(?:type\s+)?([\w$]+)\s*(?:,|from)")
_REQUIRED = re.compile(r"\s*([\w$]+)\s*=")
_GO = re.compile(r"""(?:([\w.]+)\s+)?["`]([^"`]+)["`]""")
_JAVA = re.compile(r"import\s+(?:static\s+)?([\w.]+?)(?:\.(\*))?\s*;")
_INCLUDE = re.compile(r"""include\s*(["<])([^">]+)[">]""")
_RUST = re.compile(r"use\s+(.*?);?\s*\Z", re.DOTALL)


def imports_of(language: str, text: str, line: int, scope: int) -> Iterator[Import]:
    """Yield the imports in one statement; nothing for one that is not understood.

    Args:
        language: The statement's language, any but Python; an unknown one is read as C.
        text: The statement.
        line: Its line, from 1; it is taken over into each `Import`.
        scope: The index of the innermost definition around it, or that of the top level; taken over as `Import.scope`.
    """
    if language in ("javascript", "typescript", "tsx"):
        pairs = _script(text)
    elif language == "go":
        pairs = _go(text)
    elif language == "rust":
        match = _RUST.search(text)
        pairs = _rust(match[1].strip(), "") if match else iter(())
    elif language == "java":
        pairs = _java(text)
    else:
        match = _INCLUDE.search(text)
        pairs = iter([(match[2], "*", "*")] if match else [])
    for module, name, alias in pairs:
        yield Import(line, scope, module, name, alias)


def _script(text: str) -> Iterator[tuple[str, str, str]]:
    source = _FROM.search(text)
    if source is None:
        return
    module, head = source[1], text[: source.start()]
    if match := _STAR_AS.search(head):
        yield module, "", match[1]
    if match := _DEFAULT.search(text):
        yield module, "default", match[1]
    if match := _REQUIRED.match(text):
        yield module, "", match[1]
    for braces in _BRACES.findall(head):
        for part in braces.split(","):
            words = re.split(r"\s+as\s+|\s*:\s*", part.strip().removeprefix("type "))
            if words[0]:
                yield module, words[0], words[-1]


def _go(text: str) -> Iterator[tuple[str, str, str]]:
    if match := _GO.search(text):
        yield match[2], "", match[1] or match[2].rpartition("/")[2]


def _java(text: str) -> Iterator[tuple[str, str, str]]:
    if match := _JAVA.search(text):
        name = match[2] or match[1].rpartition(".")[2]
        yield match[1], name, name


def _rust(tree: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and alias of everything that a `use` tree takes: `a::{b, c as d}` takes b and c of module a.

    A lower-case name without an alias may be a module: then it is a part of the module's path too.

    Args:
        tree: The text after `use`, without its semicolon.
        prefix: The path in front of the tree; empty for a whole statement.
    """
    head, brace, rest = tree.partition("{")
    if brace:
        for part in _parts(rest.rpartition("}")[0]):
            yield from _rust(part.strip(), prefix + head.strip())
        return
    path, _, alias = (prefix + tree).partition(" as ")
    module, _, name = path.strip().rpartition("::")
    if name == "self":
        module, _, name = module.rpartition("::")
    if name:
        yield (f"{module}::{name}" if not alias and name[0].islower() else module), name, alias.strip() or name


def _parts(text: str) -> Iterator[str]:
    """Yield the parts of a text between commas that are not in braces; a blank part at the end is left out."""
    depth, begin = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and not depth:
            yield text[begin:at]
            begin = at + 1
    if text[begin:].strip():
        yield text[begin:]
