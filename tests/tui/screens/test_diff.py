"""The diff of a piece in the dashboard: the person comments on lines, and sends all comments at once (WISH-2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aegis_tui.domain.event import Event
from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.diff import parse_diff
from aegis_tui.domain.review.events import ReviewCommented
from aegis_tui.tui.screens.diff import CommentScreen, DiffScreen
from aegis_tui.tui.views.diff import diff_rows
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]

DIFF = """diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,4 @@
 import os
-x = 1
+x = 2
+y = "\x1b[2J[red]not markup[/red]"
 print(x)
diff --git a/src/b.py b/src/b.py
new file mode 100644
--- /dev/null
+++ b/src/b.py
@@ -0,0 +1 @@
+z = 3
"""


def submitted(scene: Any) -> str:
    """The name of the piece of the instance in the first row."""
    pieces = scene.workspace().runs.latest().pieces
    return str(next(item.name for item in pieces.values() if item.head_oid))


async def open_diff(pilot: Any, app: Any, piece: str) -> None:
    await ready(pilot, app)
    app.dashboard.board.bring("pieces")
    app.dashboard.board.panels["pieces"].move_to(piece)
    await pilot.press("c")
    await until(pilot, lambda: isinstance(app.screen, DiffScreen))


@to_the_end
async def test_a_comment_on_the_line_under_the_cursor_goes_to_the_hub_with_its_place(record: Record) -> None:
    scene = record(until=200)
    piece = submitted(scene)
    scene.hub.replies["review:comment"] = {"number": 1, "waiting": 1}
    app = scene.app(diff=DIFF)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await open_diff(pilot, app, piece)
        await until(pilot, lambda: "+x = 2" in screen_text(app))
        shown = screen_text(app)
        assert f"What {piece} changes" in shown and "S send all" in shown
        assert "[red]not markup[/red]" in shown and "\x1b[2J" not in shown
        await pilot.press(*["down"] * 4, "c")
        await until(pilot, lambda: isinstance(app.screen, CommentScreen))
        assert "Comment on src/a.py:2" in screen_text(app)
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: bool(scene.hub.commands))
    fields = {"piece": piece, "file": "src/a.py", "line": 2, "text": "why", "quote": "x = 2"}
    assert scene.hub.commands == [("review:comment", fields)]


@to_the_end
async def test_comments_that_wait_are_shown_below_their_lines_discarded_and_sent(record: Record) -> None:
    scene = record(until=200)
    piece = submitted(scene)
    noted = ReviewCommented(run="run1", piece=piece, number=4, file="src/a.py", line=3, text="too\nlong")
    event = Event(scene.events[-1].seq + 1, "PERSON", scene.events[-1].timestamp, noted)
    scene = type(scene)([*scene.events, event], scene.panes)
    scene.hub.replies["review:discard"] = {"numbers": [4]}
    scene.hub.replies["review:send"] = {"delivery": "queued", "seq": 1, "agent_id": "NATIVE-w01", "comments": 1}
    app = scene.app(diff=DIFF)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await open_diff(pilot, app, piece)
        await until(pilot, lambda: "» too⏎long" in screen_text(app))
        await until(pilot, lambda: f"What {piece} changes, 1 comment to send" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: "there is no comment here" in screen_text(app))
        await pilot.press(*["down"] * 6, "x")
        await until(pilot, lambda: bool(scene.hub.commands))
        await pilot.press("S")
        await until(pilot, lambda: "w01 gets them as one prompt" in screen_text(app))
    assert scene.hub.commands == [
        ("review:discard", {"piece": piece, "numbers": [4]}),
        ("review:send", {"piece": piece}),
    ]


@to_the_end
async def test_a_heading_takes_no_comment_and_the_next_file_is_one_key_away(record: Record) -> None:
    scene = record(until=200)
    app = scene.app(diff=DIFF)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await open_diff(pilot, app, submitted(scene))
        await pilot.press("c")
        await until(pilot, lambda: "this is not a line of a file" in screen_text(app))
        await pilot.press("n")
        assert app.screen._list.cursor_key == "10"
        await pilot.press("n")
        assert app.screen._list.cursor_key == "0"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, DiffScreen))


@to_the_end
async def test_without_a_piece_or_a_submission_it_is_said_what_is_missing(record: Record) -> None:
    app = record(nothing=True).app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("c")
        await until(pilot, lambda: "move the cursor to a piece" in screen_text(app))


def test_a_comment_on_a_line_that_the_diff_no_longer_shows_stands_at_the_end() -> None:
    lines = parse_diff(DIFF)
    lost = LineComment(number=1, piece="a", file="src/a.py", line=99, text="gone")
    assert diff_rows(lines, [lost], width=60)[-1].key == "comment 1"
    assert "src/a.py:99 gone" in "".join(span.text for span in diff_rows(lines, [lost], width=60)[-1].line)
