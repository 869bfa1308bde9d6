"""Loads the grammars of tree-sitter: installed packages, imported when needed and never downloaded at run time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language

_GRAMMARS: Mapping[str, tuple[str, str]] = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
}
"""Language -> the grammar's package and the function in it that returns the grammar."""


@cache
def grammar(language: str) -> Language:
    """Return the grammar of a language; it is imported at the first call, never downloaded.

    Args:
        language: One of python, javascript, typescript, tsx, go, rust, java, c, cpp.

    Raises:
        ImportError: Its package, or tree-sitter, is not installed.
        KeyError: It is another language.
    """
    from tree_sitter import Language

    module, function = _GRAMMARS[language]
    return Language(getattr(import_module(module), function)())
