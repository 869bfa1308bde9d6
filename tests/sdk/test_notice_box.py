"""A line is taken once, whoever takes it, and by whichever way (AGENT-6)."""

from __future__ import annotations

import threading
from pathlib import Path

from aegis_tui.sdk.notice_box import NOTICES, Notice, NoticeBox, numbers_of


def test_lines_are_taken_once_and_in_their_order(tmp_path: Path) -> None:
    box = NoticeBox(tmp_path / "box")
    lines = [Notice(f"line {number}\u200b\n", number if number % 2 else None) for number in range(12)]
    for notice in lines:
        box.put(notice)
    assert box.take() == lines
    assert box.take() == [] and list((tmp_path / "box").iterdir()) == []
    assert numbers_of(lines) == [1, 3, 5, 7, 9, 11]


def test_only_the_wanted_messages_are_taken(tmp_path: Path) -> None:
    box = NoticeBox(tmp_path)
    for notice in (Notice("a", 7), Notice("b"), Notice("c", 8)):
        box.put(notice)
    assert box.take({7, 99}) == [Notice("a", 7)]
    assert box.take({None}) == [Notice("b")]
    assert box.take() == [Notice("c", 8)]


def test_many_takers_at_once_get_each_line_once(tmp_path: Path) -> None:
    box, got = NoticeBox(tmp_path), list[Notice]()
    for number in range(200):
        box.put(Notice(str(number)))
    takers = [threading.Thread(target=lambda: got.extend(NoticeBox(tmp_path).take())) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(30)
    assert sorted(int(notice.line) for notice in got) == list(range(200))


def test_what_is_no_line_is_left_out_and_a_new_box_goes_on_with_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "00000001.-").write_text("{")
    (tmp_path / "00000002.-").write_text('["no text"]')
    (tmp_path / "00000003.-").mkdir()
    (tmp_path / "readme").write_text("x")
    box = NoticeBox.of({NOTICES: str(tmp_path)})
    assert box is not None
    box.put(Notice("four"))
    assert (tmp_path / "00000004.-").exists()
    assert box.take() == [Notice("four")]
    assert NoticeBox.of({}) is None and NoticeBox(tmp_path / "none").take() == []
