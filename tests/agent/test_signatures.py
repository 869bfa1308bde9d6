from __future__ import annotations

from aegis_tui.agent.signatures import outline

PYTHON = '''
import os
LIMIT = 3


class Store(Base, metaclass=Meta):
    """Keeps things."""

    size: int

    async def put(self, key: str, *, ttl_s: float = 1.0) -> None:
        """Put one."""
        def inner(): ...


def load(path): return 1
'''


def test_python_shows_classes_functions_and_names_with_lines() -> None:
    assert outline("a.py", PYTHON).splitlines() == [
        "3: LIMIT = ...",
        "6: class Store(Base, Meta):  # Keeps things.",
        "9:     size: int",
        "11:     async def put(self, key: str, *, ttl_s: float=1.0) -> None  # Put one.",
        "16: def load(path)",
    ]


def test_broken_python_is_said_and_still_outlined() -> None:
    shown = outline("a.py", "def f(:\n    pass\n")
    assert shown.startswith("(not valid Python")
    assert "1: def f(:" in shown


def test_other_languages_go_by_pattern() -> None:
    assert outline("a.ts", "export async function go(x: number) {\n  return 1\n}\nclass A extends B {\n}\n") == (
        "1: export async function go(x: number)\n4: class A extends B"
    )
    assert outline("a.rs", "pub fn f(x: u8) -> u8 {\n") == "1: pub fn f(x: u8) -> u8"


def test_a_file_without_signatures_is_said() -> None:
    assert outline("a.txt", "hello") == "(no signatures found; use read)"
