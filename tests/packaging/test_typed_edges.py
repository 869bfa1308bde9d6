"""What hub, command line and dashboard exchange has types: no function passes on a dictionary of unknown fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

OPEN = {f"{kind}[str, {value}]" for kind in ("dict", "Mapping", "MutableMapping") for value in ("Any", "object")}
ALLOWED = {
    "aegis_tui/cli/bundle.py:_events": "facts for a bug report, which a person reads",
    "aegis_tui/cli/lock_verbs.py:_parse": "options by name, which it knows when the program runs",
    "aegis_tui/cli/output.py:_extra": "facts about an error, which each error has for itself",
    "aegis_tui/cli/output.py:result": "takes the type of any command, and prints it",
    "aegis_tui/cli/replay.py:digest": "takes any state, and returns its digest",
    "aegis_tui/cli/spec.py:spec_schema": "a JSON Schema, whose fields a standard defines",
    "aegis_tui/tui/choices.py:_load": "a file that a person may edit",
    "aegis_tui/tui/fetching.py:Fetched": "the state for a program of the same version, which checks it",
}
"""Function or class -> why its values have no type."""


def open_values(text: str) -> Iterator[str]:
    """Functions and classes that take, return or hold a mapping of any fields."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                hints = [item.annotation for item in every] + [node.returns]
            case ast.ClassDef():
                hints = [part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]
            case _:
                continue
        parts = {ast.unparse(part) for hint in hints if hint is not None for part in ast.walk(hint)}
        if not OPEN.isdisjoint(parts):
            yield node.name


def test_what_a_person_sees_is_passed_on_with_its_type(root: Path) -> None:
    seen = {
        f"{path.relative_to(root).as_posix()}:{name}"
        for folder in ("cli", "tui")
        for path in sorted((root / "aegis_tui" / folder).rglob("*.py"))
        for name in open_values(path.read_text("utf-8"))
    }
    assert seen - ALLOWED.keys() == set(), "give it a type of aegis_tui/domain/wire"
    assert ALLOWED.keys() - seen == set(), "needs no exception any more"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(a: list[dict[str, Any]]): ...", ["f"]),
        ("async def f(*, a: int) -> Mapping[str, object] | None: ...", ["f"]),
        ("class A:\n    state: dict[str, Any]", ["A"]),
        ("def f(a: dict[str, int], **fields: Any) -> Envelope: ...", []),
    ],
)
def test_the_check_sees_what_has_no_type(code: str, names: list[str]) -> None:
    assert list(open_values(code)) == names
