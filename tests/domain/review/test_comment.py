"""A person's comments on lines of a piece wait, and go to its agent as one prompt (WISH-2)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_PERSON
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.commands import ReviewComment, ReviewDiscard, ReviewSend
from aegis_tui.domain.review.comment import MOST_COMMENTS
from aegis_tui.domain.review.lens import GENERAL
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError
from tests.domain.review.test_lens import Bench


@pytest.fixture
def bench() -> Bench:
    """A run whose piece alpha is submitted and in review."""
    return Bench(GENERAL)


def comment(bench: Bench, line: int = 3, text: str = "why?", piece: str = "alpha", **fields: Any) -> None:
    command = ReviewComment(piece=piece, file="src/a/x.py", line=line, text=text, **fields)
    bench.hub.send(command, THE_PERSON)


def waiting(bench: Bench) -> list[tuple[int, int, str]]:
    return [(item.number, item.line, item.text) for item in bench.hub.run.comments]


def test_comments_wait_and_reach_nobody(bench: Bench) -> None:
    comment(bench)
    comment(bench, line=1, text="rename")
    assert waiting(bench) == [(1, 3, "why?"), (2, 1, "rename")] and not bench.prompts()
    assert bench.stands() is PieceStatus.REVIEWING


def test_all_go_to_the_agent_of_the_piece_as_one_prompt_by_line(bench: Bench) -> None:
    comment(bench, text="why?\nand since when?", quote="    return x\x1b[2J")
    comment(bench, line=1, text="rename")
    bench.hub.send(ReviewSend(piece="alpha"), THE_PERSON)
    (text,) = bench.prompts()
    assert text.index("src/a/x.py:1\n  rename") < text.index("src/a/x.py:3\n  >     return x�")
    assert "  why?\n  and since when?" in text and text.endswith("report done again.")
    assert waiting(bench) == []


def test_a_submission_is_taken_back_so_that_the_next_work_counts(bench: Bench) -> None:
    comment(bench)
    bench.hub.send(ReviewSend(piece="alpha"), THE_PERSON)
    assert bench.stands() is PieceStatus.WORKING and bench.hub.run.pieces["alpha"].rejections == 0


def test_a_comment_is_discarded_by_its_number_and_all_of_a_piece_without(bench: Bench) -> None:
    for line in (1, 2, 3):
        comment(bench, line=line)
    bench.hub.send(ReviewDiscard(piece="alpha", numbers=(2,)), THE_PERSON)
    assert [number for number, _, _ in waiting(bench)] == [1, 3]
    with pytest.raises(UsageError, match="no unsent comment 2"):
        bench.hub.send(ReviewDiscard(piece="alpha", numbers=(1, 2)), THE_PERSON)
    bench.hub.send(ReviewDiscard(piece="alpha"), THE_PERSON)
    assert waiting(bench) == []


def test_the_comments_on_another_piece_wait_on(bench: Bench) -> None:
    comment(bench)
    comment(bench, piece="beta")
    bench.hub.send(ReviewSend(piece="alpha"), THE_PERSON)
    assert [item.piece for item in bench.hub.run.comments] == ["beta"]


def test_where_nobody_can_take_them_they_wait_on() -> None:
    bench = Bench(GENERAL, workers=1)
    comment(bench, piece="beta")
    with pytest.raises(Refused, match="no agent"):
        bench.hub.send(ReviewSend(piece="beta"), THE_PERSON)
    assert len(waiting(bench)) == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (ReviewComment(piece="nothing", file="a.py", line=1, text="x"), "no piece nothing"),
        (ReviewComment(piece="alpha", file="a.py", line=1, text=" \n"), "empty"),
        (ReviewSend(piece="alpha"), "no unsent comment on alpha"),
    ],
)
def test_what_makes_no_sense_is_refused(bench: Bench, command: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        bench.hub.send(command, THE_PERSON)


def test_a_draft_has_an_end(bench: Bench) -> None:
    for line in range(MOST_COMMENTS):
        comment(bench, line=line + 1)
    with pytest.raises(Refused, match="have not been sent yet"):
        comment(bench)


def test_a_draft_outlives_the_hub(bench: Bench) -> None:
    comment(bench)
    again = Workspace.load(bench.hub.workspace.dump())
    assert again.runs.get("run1").comments == bench.hub.run.comments
