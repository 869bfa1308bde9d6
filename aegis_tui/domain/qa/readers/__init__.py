"""One reader for each test tool: `READERS` in the order in which they are asked. Pure."""

from __future__ import annotations

from aegis_tui.domain.qa.command import Words, programs_of
from aegis_tui.domain.qa.readers.base import ExplainsExit, QaReader
from aegis_tui.domain.qa.readers.compiled import CargoReader, CtestReader, GoReader, JvmReader
from aegis_tui.domain.qa.readers.javascript import JestReader, MochaReader, VitestReader
from aegis_tui.domain.qa.readers.pytest import PytestReader
from aegis_tui.domain.qa.readers.ruby import MinitestReader, RspecReader
from aegis_tui.domain.qa.readers.tap import TapReader
from aegis_tui.domain.qa.readers.unittest import UnittestReader

READERS: tuple[QaReader, ...] = (
    PytestReader(),
    UnittestReader(),
    JestReader(),
    VitestReader(),
    MochaReader(),
    TapReader(),
    GoReader(),
    CargoReader(),
    CtestReader(),
    JvmReader(),
    RspecReader(),
    MinitestReader(),
)


def tool_parts(command: str) -> list[str]:
    """Return the parts of a command, separated by `&&`, that start a test tool themselves; empty if none does."""
    parts = command.split("&&")
    return [part for part in parts if any(reader.starts(words) for reader in READERS for words in programs_of(part))]


def exit_reason(words: Words, exit_code: int | None) -> str:
    """Return why the test tool that a program line starts gave up, by its exit code.

    Empty where the code does not say so, for tools whose codes are not known here, and if there is no code.

    Args:
        words: The program and its arguments; at least the program.
        exit_code: None if it was ended early.
    """
    explaining = [reader for reader in READERS if isinstance(reader, ExplainsExit)]
    return next((reason for reader in explaining if (reason := reader.exit_reason(words, exit_code))), "")
