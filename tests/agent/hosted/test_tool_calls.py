"""What hooks write down about a program's tool calls is read as it comes, whatever else is in the file (FLOW-6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_tui.agent.hosted import tool_calls
from aegis_tui.agent.hosted.tool_calls import HookCall, ToolCallLog


def line(tool: str, **arguments: str) -> bytes:
    event = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": arguments}
    return json.dumps(event).encode() + b"\n"


def test_lines_are_read_once_and_a_part_waits_for_its_end(tmp_path: Path) -> None:
    log = ToolCallLog(tmp_path / "calls")
    assert log.read() == []
    whole = line("Edit", file_path="a.py") + line("Bash", command="ls")
    with (tmp_path / "calls").open("ab") as file:
        file.write(whole[:-5])
        file.flush()
        assert log.read() == [HookCall("PreToolUse", "Edit", ("a.py",))]
        file.write(whole[-5:])
    assert log.read() == [HookCall("PreToolUse", "Bash", ())]
    assert log.read() == []


def test_what_is_no_call_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(b'no json\n[1]\n\xff\n{"tool_name": 4}\n{"hook_event_name": []}\n' + line("Read", path="x"))
    assert ToolCallLog(path).read() == [HookCall("PreToolUse", "Read", ("x",))]


def test_a_long_file_is_emptied_once_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_calls, "_MOST_BYTES", 100)
    log, path = ToolCallLog(tmp_path / "calls"), tmp_path / "calls"
    path.write_bytes(line("Edit", file_path="a.py") * 3)
    assert len(log.read()) == 3 and path.stat().st_size == 0
    path.write_bytes(line("Write", file_path="b.py"))
    assert log.read() == [HookCall("PreToolUse", "Write", ("b.py",))]


def test_a_line_of_endless_length_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_calls, "_READ_BYTES", 200)
    log, path = ToolCallLog(tmp_path / "calls"), tmp_path / "calls"
    path.write_bytes(line("Write", content="x" * 1000) + line("Bash", command="ls"))
    calls = [call for _ in range(20) for call in log.read()]
    assert calls == [HookCall("PreToolUse", "Bash", ())]
