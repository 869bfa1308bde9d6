"""A program that is asked in a process of its own: its whole output is read, up to a limit."""

from __future__ import annotations

import asyncio
import json

import pytest

from aegis_tui.adapters.code_map.program import ask_program

PATIENCE_S = 60.0


def test_an_output_that_comes_in_pieces_is_read_to_its_end() -> None:
    numbers = list(range(50_000))
    said = asyncio.run(ask_program("json.tool", json.dumps(numbers).encode(), timeout_s=PATIENCE_S))
    assert json.loads(said) == numbers


def test_of_a_longer_output_only_the_beginning_is_read() -> None:
    question = json.dumps(list(range(300_000))).encode()
    said = asyncio.run(ask_program("json.tool", question, timeout_s=PATIENCE_S))
    assert 1 << 20 < len(said) < 1 << 21


def test_a_program_that_fails_says_nothing_and_why_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert asyncio.run(ask_program("aegis_tui.no_such_module", b"", timeout_s=PATIENCE_S)) == b""
    assert asyncio.run(ask_program("aegis_tui.bootstrap.consultant_child", b"{}", timeout_s=PATIENCE_S)) == b""
    missing, broken = (record.getMessage() for record in caplog.records)
    assert "no_such_module" in missing and "Traceback" in broken and "KeyError: 'root'" in broken


def test_a_program_that_takes_too_long_says_nothing() -> None:
    assert asyncio.run(ask_program("json.tool", b"[]", timeout_s=0.0)) == b""
