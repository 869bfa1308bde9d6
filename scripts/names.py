"""Checks that a class has a name of its own in the package, and that no name is a word that says nothing of its value.

Run as `python scripts/names.py`. Fields of classes are not checked, because they are names of contracts;
scripts/names-allowed.txt names the exceptions and their reasons.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "aegis_tui"
FOLDERS = (PACKAGE, ROOT / "scripts")
ALLOWED = ROOT / "scripts" / "names-allowed.txt"
NOT_OURS = PACKAGE / "testing" / "sample"

EMPTY_WORDS = frozenset({"found", "told", "thing", "things"})


def main() -> int:
    """Print every class whose name another one has, every empty name and every exception not needed; 1 if any."""
    classes: defaultdict[str, list[str]] = defaultdict(list)
    empty: defaultdict[str, list[int]] = defaultdict(list)
    for path in _files():
        place, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and path.is_relative_to(PACKAGE):
                classes[node.name].append(f"{place}:{node.lineno}")
        for name, line in _names(tree):
            if name.strip("_").lower() in EMPTY_WORDS:
                empty[f"{place}:{name}"].append(line)
    wrong = [f"{name} is the name of {len(at)} classes: {', '.join(at)}" for name, at in classes.items() if len(at) > 1]
    allowed = _allowed(ALLOWED.read_text("utf-8"))
    for name, lines in empty.items():
        place, _, word = name.rpartition(":")
        if name not in allowed:
            wrong += [f"{place}:{line}: {word} does not say what it is" for line in sorted(set(lines))]
    wrong += [f"{name}: needs no exception in {ALLOWED.relative_to(ROOT)}" for name in allowed if name not in empty]
    for text in sorted(wrong):
        sys.stderr.write(f"{text}\n")
    return 1 if wrong else 0


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted(folder.rglob("*.py")) if not path.is_relative_to(NOT_OURS))


def _names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what the code itself names, with its line: variables, parameters, functions, classes, attributes."""
    fields = {
        id(part.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in fields:
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno


def _allowed(text: str) -> dict[str, str]:
    """Return the reason by file and name; each line is `FILE:NAME REASON`, and a line without a reason is refused."""
    reasons = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.partition(" ")
        if not reason.strip():
            raise SystemExit(f"{ALLOWED.relative_to(ROOT)}: {line} gives no reason")
        reasons[name] = reason
    return reasons


if __name__ == "__main__":
    raise SystemExit(main())
