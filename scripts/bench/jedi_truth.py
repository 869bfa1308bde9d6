"""What jedi answers to the same questions as the code map: which function or class does each call reach?

Jedi is asked with `Script.infer` at the last name of what is called, for each call expression and each decorator. It
has to be importable; it is needed for this comparison alone (`pip install --target FOLDER jedi`, `PYTHONPATH=FOLDER`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple


class Reached(NamedTuple):
    """An answer: the call at a line of a file reaches what is defined at a line of a file of the same folder."""

    path: str
    line: int
    defined_in: str
    defined_at: int
    """The line of `def` or `class`."""


def has_jedi() -> bool:
    """Return whether jedi is importable."""
    return find_spec("jedi") is not None


def jedi_answers(source: Path, ran: set[tuple[str, int]]) -> Iterator[Reached]:
    """Yield jedi's answers for the calls on some lines; a call for which it has several answers counts with each.

    What is defined outside of the folder is left out, and what is neither a function nor a class.

    Args:
        source: The folder of the package.
        ran: Path and line of the calls that are wanted.
    """
    jedi = import_module("jedi")
    project = jedi.Project(source, smart_sys_path=False, sys_path=[str(source)])
    for path in sorted({path for path, _ in ran}):
        text = (source / path).read_text("utf-8")
        script = jedi.Script(text, path=source / path, project=project)
        for line, column in _places(text):
            if (path, line) not in ran:
                continue
            for name in _inferred(script, line, column):
                place = name.module_path
                if place is not None and name.type in ("function", "class") and place.is_relative_to(source):
                    yield Reached(path, line, place.relative_to(source).as_posix(), name.line)


def _inferred(script: Any, line: int, column: int) -> list[Any]:
    """Return jedi's names for the definition; none if jedi fails, which is printed on stderr."""
    try:
        return list(script.infer(line, column))
    except Exception as error:  # of any type: jedi does not say which it raises
        print(f"jedi fails at {script.path}:{line}: {error!r}", file=sys.stderr)
        return []


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Yield line and column (in characters) of the last letter of what each call and each decorator calls.

    The interpreter counts a call to the line where the name of what is called ends, and so does the map.
    """
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        called: list[ast.expr] = []
        if isinstance(node, ast.Call):
            called = [node.func]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            called = [item for item in node.decorator_list if not isinstance(item, ast.Call)]
        for expression in called:
            line, end = expression.end_lineno, expression.end_col_offset
            if isinstance(expression, ast.Name | ast.Attribute) and line is not None and end is not None:
                yield line, len(lines[line - 1].encode()[:end].decode("utf-8", "replace")) - 1
