"""Every command that a hint, a help text or a docstring of the package names is one that can be run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import aegis_tui
from aegis_tui.cli.tree import app

PACKAGE = Path(aegis_tui.__file__).parent
NAMED = re.compile(r"aegis-tui((?: [a-z][a-z-]*)+)")
NO_COMMAND = ("again", "at", "guard", "in", "shows", "to")
"""What follows the name where no command is meant."""
ONLY_FOR_PANES = "pane-exec"


def strings() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "testing" / "sample"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.value


def missing(words: list[str]) -> tuple[str, ...]:
    """The shortest beginning that is no command; empty when the words name one."""
    command = typer.main.get_command(app)
    for number, word in enumerate(words):
        find = getattr(command, "get_command", None)
        if find is None:
            return ()
        command = find(None, word)
        if command is None:
            return tuple(words[: number + 1])
    return ()


def test_every_named_command_exists() -> None:
    wrong = {}
    for place, text in strings():
        for found in NAMED.finditer(text):
            words = found[1].split()
            if words[0] not in (*NO_COMMAND, ONLY_FOR_PANES) and (name := missing(words)):
                wrong[place] = name
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("hub start", ()),
        ("lock list now", ()),
        ("status", ()),
        ("sepc list", ("sepc",)),
        ("hub burn", ("hub", "burn")),
        ("gate status", ("gate",)),
    ],
)
def test_a_missing_command_is_noticed(line: str, name: tuple[str, ...]) -> None:
    assert missing(line.split()) == name
