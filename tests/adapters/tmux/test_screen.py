from __future__ import annotations

from aegis_tui.adapters.tmux.screen import parse_screen


def test_a_screen_has_its_size_cursor_and_all_its_lines() -> None:
    shot = parse_screen("80|3|4|1|1", ["한글", "\x1b[31mred"])
    assert shot is not None
    assert shot.lines == ("한글", "\x1b[31mred", "")
    assert (shot.width, shot.height, shot.cursor_x, shot.cursor_y, shot.alternate) == (80, 3, 4, 1, True)


def test_line_drawing_is_turned_into_box_characters_also_across_lines() -> None:
    shot = parse_screen("80|2|0|0|0", ["a\x0elq\x1b[31mqk", "x\x0fx"])
    assert shot is not None
    assert shot.lines == ("a┌─\x1b[31m─┐", "│x")


def test_links_and_stray_escapes_are_dropped_and_colours_stay() -> None:
    shot = parse_screen("80|1|0|0|0", ["\x1b]8;;http://x\x1b\\\x1b[1;38:5:1mgo\x1b]8;;\x1b\\\x1b[0m \x1bP"])
    assert shot is not None
    assert shot.lines == ("\x1b[1;38:5:1mgo\x1b[0m P",)


def test_a_header_that_is_none_gives_no_screen() -> None:
    assert parse_screen("", []) is None
    assert parse_screen("80|x|0|0|0", []) is None
