"""The outline of a file: its classes and functions with line numbers, in about a fifth of the file's tokens."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_OTHER_LANGUAGES = re.compile(
    r"^\s*(?:(?:export|public|private|protected|internal|static|abstract|final|async|default|pub(?:\([a-z]+\))?|open|"
    r"override|virtual|inline|unsafe|extern|const)\s+)*"
    r"(?:class|interface|struct|enum|trait|impl|type|func|function|fn|def|module|namespace|record|object|protocol)\b"
    r"[^;{]*"
)
_MAX_LINES = 400


def outline(path: str, text: str) -> str:
    """Return the signatures in `text`, one per line, as `NUMBER: SIGNATURE`; 400 at most, then how many more there are.

    Python files (by the name `path`) are parsed; for other languages, and Python that is not valid, lines that look
    like a declaration are listed. Without any, a remark says so.
    """
    lines: list[str] = []
    if path.endswith((".py", ".pyi")):
        try:
            lines = list(_python(ast.parse(text).body, depth=0))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            lines = [f"(not valid Python: {error})", *_by_pattern(text)]
    else:
        lines = list(_by_pattern(text))
    if not lines:
        return "(no signatures found; use read)"
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], f"({len(lines) - _MAX_LINES} more)"]
    return "\n".join(lines)


def _python(body: list[ast.stmt], *, depth: int) -> Iterator[str]:
    pad = "    " * depth
    for node in body:
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in [*node.bases, *(key.value for key in node.keywords)])
            yield f"{node.lineno}: {pad}class {node.name}{f'({bases})' if bases else ''}:{_doc(node)}"
            yield from _python(node.body, depth=depth + 1)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            yield f"{node.lineno}: {pad}{kind} {node.name}({ast.unparse(node.args)}){returns}{_doc(node)}"
        elif depth == 0 and isinstance(node, ast.If | ast.Try):
            yield from _python(node.body, depth=depth)
        elif isinstance(node, ast.AnnAssign):
            yield f"{node.lineno}: {pad}{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
        elif depth == 0 and isinstance(node, ast.Assign):
            yield f"{node.lineno}: {', '.join(ast.unparse(target) for target in node.targets)} = ..."


def _doc(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    text = ast.get_docstring(node)
    return f"  # {text.splitlines()[0]}" if text else ""


def _by_pattern(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _OTHER_LANGUAGES.match(line[:500]):
            yield f"{number}: {match.group().rstrip()}"
