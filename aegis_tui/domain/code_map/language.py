"""Languages by the end of a file's name, and which files hold tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys((".py", ".pyi"), "python"),
        **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
        **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
        ".tsx": "tsx",
        ".go": "go",
        ".rs": "rust",
        ".java": "java",
        **dict.fromkeys((".c", ".h"), "c"),
        **dict.fromkeys((".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), "cpp"),
        **dict.fromkeys((".md", ".markdown"), "markdown"),
    }
)
"""End of a file's name, in lower case -> language."""

TEXT: Final = "text"
"""The language of all other files: size, number of lines and headings are known of them."""

_TEST_FILE: Final = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec)/"
    r"|(?:^|/)test_[^/]*\.pyi?$|_test\.(?:py|go|cc|cpp)$|(?:^|/)conftest\.py$"
    r"|\.(?:test|spec)\.[cm]?[jt]sx?$|(?:^|/)[A-Z]\w*Tests?\.java$"
)


def language_of(path: str) -> str:
    """Return the language that the suffix of a path stands for in `SUFFIXES`, in any case of letters; else `text`."""
    return SUFFIXES.get(suffix_of(path).lower(), TEXT)


def suffix_of(path: str) -> str:
    """Return the end of a file's name from its last dot on; empty without one, or with nothing before or after it.

    As `PurePosixPath.suffix`, in a tenth of its time: a repository has tens of thousands of paths.
    """
    name = path.rpartition("/")[2]
    at = name.rfind(".")
    return name[at:] if 0 < at < len(name) - 1 else ""


def is_test(path: str) -> bool:
    """Return whether a file holds tests, by its path alone.

    It does if it lies in a folder `test`, `tests`, `__tests__` or `spec` at any depth, or its name follows the custom
    of a test tool: `test_x.py`, `conftest.py`, `x_test.go`, `x.spec.ts`, `XTest.java` and the like.
    """
    return _TEST_FILE.search(path) is not None
