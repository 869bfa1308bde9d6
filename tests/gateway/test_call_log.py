"""The list of model calls and the files with their texts: what is stored, for whom, and how much (LLM-8)."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.gateway import call_log
from aegis_tui.gateway.call_list import CallList
from aegis_tui.gateway.call_log import CallLog
from aegis_tui.gateway.text_files import TextFiles, TextPlace
from tests.gateway.conftest import until

MIB = 1 << 20


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "model-calls.jsonl").read_text("utf-8").splitlines()]


def put(log: CallLog, number: int, request: bytes = b"{}", *answer: bytes, secrets: tuple[bytes, ...] = ()) -> None:
    text = log.listen("/v1/chat/completions", request, secrets)
    for part in answer:
        if text is not None:
            text.hear(part)
    log.put({"id": number, "at": f"at {number}"}, text)


def stored(folder: Path, line: dict[str, Any]) -> tuple[bytes, bytes] | None:
    """Request and answer of a call in the list."""
    found = TextFiles(folder / "model-calls").read(TextPlace(*line["kept"]), id=line["id"], at=line["at"])
    return None if found is None else (found.request, found.answer)


def test_texts_are_read_back_as_they_were(tmp_path: Path) -> None:
    log = CallLog(tmp_path, lambda: 1)
    bodies = [bytes([number]) * 1000 * number for number in range(20)]
    for number, body in enumerate(bodies):
        put(log, number, body, body[:10], b"\n\x00", body)
    log.close()
    for line, body in zip(written(tmp_path), bodies, strict=True):
        assert stored(tmp_path, line) == (body, body[:10] + b"\n\x00" + body)


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log = CallLog(tmp_path, lambda: 1)
        put(log, 1, b"mine", b"yours")
        log.close()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"model-calls.jsonl": 0o600, "model-calls": 0o700, "000001.calls": 0o600}


def test_keys_and_tokens_are_replaced(tmp_path: Path) -> None:
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b'{"a": "s3cret-token"}', b"the s3c", b"ret-token and the k3y", secrets=(b"s3cret-token", b"k3y", b""))
    log.close()
    assert stored(tmp_path, written(tmp_path)[0]) == (b'{"a": "[key]"}', b"the [key] and the [key]")


@pytest.mark.parametrize("limit_mb", [1, 3, 16])
def test_all_together_take_no_more_than_the_limit_and_the_newest_remain(tmp_path: Path, limit_mb: int) -> None:
    log, size_bytes = CallLog(tmp_path, lambda: limit_mb), 300_000
    for number in range(limit_mb * 8):
        put(log, number, bytes([number]) * size_bytes)
    log.close()
    there = sum(path.stat().st_size for path in (tmp_path / "model-calls").iterdir())
    assert limit_mb * MIB // 2 <= there <= limit_mb * MIB
    lines = written(tmp_path)
    kept = [line["id"] for line in lines if line["kept"] and stored(tmp_path, line)]
    assert kept == list(range(lines[-1]["id"] - len(kept) + 1, limit_mb * 8))
    assert len(kept) >= limit_mb * MIB // 2 // size_bytes


def test_a_text_that_is_too_large_alone_is_left_out(tmp_path: Path) -> None:
    log = CallLog(tmp_path, lambda: 16)
    put(log, 1, b"x" * 3 * MIB)
    put(log, 2, b"y")
    log.close()
    assert [line["kept"] for line in written(tmp_path)] == [None, [1, 0]]


def test_no_more_is_held_in_memory_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "_MOST_HELD_BYTES", 1000)
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b"x" * 400, b"y" * 400, b"z" * 400)
    put(log, 2, b"x" * 1001)
    log.close()
    put(log, 3, b"x" * 400, b"y" * 400)
    log.close()
    assert [bool(line["kept"]) for line in written(tmp_path)] == [False, False, True]


@pytest.mark.parametrize(("limit_mb", "remains"), [(0, False), (None, True)])
def test_a_limit_of_0_deletes_what_was_stored_and_an_unknown_one_does_not(
    tmp_path: Path, limit_mb: int | None, remains: bool
) -> None:
    limits: list[int | None] = [1]
    log = CallLog(tmp_path, lambda: limits[-1])
    put(log, 1, b"mine")
    log.close()
    limits.append(limit_mb)
    put(log, 2, b"secret")
    log.close()
    files = list((tmp_path / "model-calls").iterdir())
    assert bool(files) is remains
    assert all(b"secret" not in path.read_bytes() for path in files)
    assert [bool(line["kept"]) for line in written(tmp_path)] == [True, False]


def test_a_next_process_goes_on_after_a_torn_end(tmp_path: Path) -> None:
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b"first")
    log.close()
    with (tmp_path / "model-calls" / "000001.calls").open("ab") as file:
        file.write(b'{"id": 2, "at": "at 2", "request_by')
    log = CallLog(tmp_path, lambda: 1)
    put(log, 3, b"third")
    log.close()
    lines = written(tmp_path)
    assert [stored(tmp_path, line) for line in lines] == [(b"first", b""), (b"third", b"")]
    assert lines[1]["kept"][0] == 1


def test_a_line_that_was_torn_costs_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model-calls.jsonl").write_text('{"id": 1, "at": "at 1"}\n{"id": 2, "a')
    write, sizes = os.write, [5, 100]
    log = CallLog(tmp_path)
    put(log, 3)
    log.close()
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: sizes.pop(0)]))
    for number in (4, 5):
        put(log, number)
        log.close()
    monkeypatch.undo()
    lines = (tmp_path / "model-calls.jsonl").read_text().splitlines()
    assert [line[:9] for line in lines] == ['{"id": 1,', '{"id": 2,', '{"id": 3,', '{"id"', '{"id": 5,']
    assert [json.loads(lines[at])["id"] for at in (0, 2, 4)] == [1, 3, 5]


def test_texts_of_another_call_are_never_shown(tmp_path: Path) -> None:
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b"mine")
    log.close()
    (line,) = written(tmp_path)
    absurd = 10**40
    places = ([1, 3], [7, 0], [1, 9999], [1, 2**63 - 1], [1, absurd], [absurd, 0], [10**300, 0])
    wrongs: list[dict[str, Any]] = [{"id": 2}, {"at": "at 2"}, *({"kept": place} for place in places)]
    for wrong in wrongs:
        assert stored(tmp_path, {**line, **wrong}) is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_a_line_whose_time_no_clock_here_can_show_is_left_out(tmp_path: Path, at: str) -> None:
    numbers = dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "latency_s"), 1)
    lines = [{"id": 1, "agent_id": "A-one", "status": 200, "at": when, **numbers} for when in (at, "2026-01-01T00:00Z")]
    (tmp_path / "model-calls.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    assert [call["at"] for call in CallList(tmp_path).newest(9)] == ["2026-01-01T00:00Z"]


def test_links_and_pipes_in_the_place_of_files_are_not_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "logs" / "model-calls"
    elsewhere.write_bytes(b"")
    folder.mkdir(parents=True)
    (folder / "000001.calls").symlink_to(elsewhere)
    log = CallLog(folder.parent, lambda: 1)
    put(log, 1, b"mine")
    log.close()
    assert elsewhere.read_bytes() == b""
    os.mkfifo(folder / "000003.calls")
    put(log, 2, b"mine")
    log.close()
    lines = written(folder.parent)
    assert [line["kept"] for line in lines] == [[2, 0], [4, 0]]
    assert TextFiles(folder).read(TextPlace(3, 0)) is None
    with pytest.raises(OSError, match="symbolic"):
        TextFiles(folder).read(TextPlace(1, 0))


def test_a_disk_that_fails_loses_texts_and_no_call(tmp_path: Path) -> None:
    (tmp_path / "model-calls").write_text("no folder")
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b"mine")
    log.close()
    assert [line["kept"] for line in written(tmp_path)] == [None]


def test_a_fault_of_the_writer_is_logged_and_costs_no_room_for_later_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> TextPlace | None:
        raise ValueError("a fault")

    monkeypatch.setattr(call_log, "_MOST_HELD_BYTES", 1000)
    log = CallLog(tmp_path, lambda: 1)
    with monkeypatch.context() as broken:
        broken.setattr(TextFiles, "append", fail)
        for number in (1, 2):
            put(log, number, b"x" * 500)
        log.close()
    assert "a fault" in caplog.text
    put(log, 3, b"x" * 1000)
    log.close()
    assert [(line["id"], line["kept"]) for line in written(tmp_path)] == [(3, [1, 0])]


def test_a_disk_that_does_not_answer_delays_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, goes_on = threading.Event(), threading.Event()
    append = TextFiles.append

    def slowly(*words: Any, **more: Any) -> TextPlace | None:
        stuck.set()
        goes_on.wait(10)
        return append(*words, **more)

    monkeypatch.setattr(TextFiles, "append", slowly)
    log = CallLog(tmp_path, lambda: 1)
    put(log, 1, b"mine")
    assert stuck.wait(10)
    for number in range(2, 50):
        put(log, number, b"mine")
    assert not (tmp_path / "model-calls.jsonl").exists()
    goes_on.set()
    until(lambda: (tmp_path / "model-calls.jsonl").exists() and len(written(tmp_path)) == 49, "all are written")
    log.close()
    assert [line["id"] for line in written(tmp_path)] == list(range(1, 50))


def test_a_full_list_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "_ROTATE_AT_BYTES", 100)
    log = CallLog(tmp_path)
    for number in range(20):
        put(log, number)
        log.close()
    assert {path.name for path in tmp_path.iterdir()} <= {"model-calls.jsonl", "model-calls.1.jsonl"}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 400
