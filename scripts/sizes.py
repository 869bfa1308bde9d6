"""Checks that files have at most 400 lines and functions at most 40, docstring aside.

Run as `python scripts/sizes.py`; scripts/sizes-allowed.txt names the exceptions and their reasons.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = ROOT / "scripts" / "sizes-allowed.txt"
FOLDERS = ("aegis_tui", "tests", "scripts")
NOT_OURS = ROOT / "aegis_tui" / "testing" / "sample"

FILE_LINES = 400
FUNCTION_LINES = 40


def main() -> int:
    """Print every excess and every exception that is not needed; 1 if there is one."""
    sizes: dict[str, tuple[int, int]] = {}
    for path in _files():
        for name, size, limit in _sizes(path):
            sizes[name] = max(sizes.get(name, (0, 0)), (size, limit))
    allowed = _allowed(ALLOWED.read_text("utf-8"))
    wrong = [
        f"{name}: {size} lines, {allowed.get(name, limit)} at most"
        for name, (size, limit) in sorted(sizes.items())
        if size > allowed.get(name, limit)
    ]
    for name in sorted(allowed):
        size, limit = sizes.get(name, (0, 0))
        if size <= limit:
            wrong.append(f"{name}: needs no exception in {ALLOWED.relative_to(ROOT)}")
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if wrong else 0


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if not path.is_relative_to(NOT_OURS))


def _sizes(path: Path) -> Iterator[tuple[str, int, int]]:
    text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
    yield name, len(text.splitlines()), FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}:{node.name}", _lines(node), FUNCTION_LINES


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def _allowed(text: str) -> dict[str, int]:
    """Name to its own limit; each line is `NAME LIMIT REASON`, and a line without a reason is refused."""
    limits = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=2)
        if len(words) < 3:
            raise SystemExit(f"{ALLOWED.relative_to(ROOT)}: {line} gives no reason")
        limits[words[0]] = int(words[1])
    return limits


if __name__ == "__main__":
    raise SystemExit(main())
