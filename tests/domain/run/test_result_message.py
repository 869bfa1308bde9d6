"""The message of a result: the forms that hooks are asked about, what of them is committed (GIT-5, GIT-6)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.run.result_message import ResultMessage, finished_message, messages_to_try

TRAILERS = {
    "Aegis-Run": ["run1"],
    "Aegis-Instance": ["NATIVE-w01"],
    "Co-Authored-By": ["NATIVE-w01 <w01@aegis.invalid>"],
}
OURS = "Aegis-Run: run1\nAegis-Instance: NATIVE-w01\nCo-Authored-By: NATIVE-w01 <w01@aegis.invalid>\n"
MADE = ResultMessage("feat: all", "- a: A\n- b: B", TRAILERS)


def test_the_usual_message_is_tried_first_and_then_the_form_of_each_author() -> None:
    written = ["X-1: a\n\nWhy.\n\nRefs: 9\nAegis-Run: old\n", "X-1: a\n", "feat: all\n\n- a: A\n- b: B\n"]
    assert messages_to_try(MADE, written) == [
        f"feat: all\n\n- a: A\n- b: B\n\n{OURS}",
        f"X-1: a\n\n- a: A\n- b: B\n\n{OURS}",
        f"X-1: a\n\nWhy.\n\nRefs: 9\n\n{OURS}",
        f"X-1: a\n\n{OURS}",
    ]


def test_only_the_first_pieces_are_tried_and_an_empty_message_never() -> None:
    tried = messages_to_try(MADE, ["\n", *(f"X-{number}: a" for number in range(9))])
    assert [text.split("\n")[0] for text in tried] == [
        "feat: all",
        "X-0: a",
        "X-0: a",
        "X-1: a",
        "X-1: a",
        "X-2: a",
        "X-2: a",
    ]


@pytest.mark.parametrize(
    ("left", "committed"),
    [
        (f"feat: all\n\nbody\n\n{OURS}", f"feat: all\n\nbody\n\n{OURS}"),
        (f"feat: all  \n\n\n\nbody\x1b[2J\n\n{OURS}\nRefs: 9\n\n", f"feat: all\n\nbody[2J\n\nRefs: 9\n{OURS}"),
        (f"feat: all\n\n{OURS}Signed-off-by: P <p@x.org>\n", f"feat: all\n\nSigned-off-by: P <p@x.org>\n{OURS}"),
        ("feat: all\n", "feat: all\n\nAegis-Run: run1\nAegis-Instance: NATIVE-w01\n"),
        ("feat: all", "feat: all\n\nAegis-Run: run1\nAegis-Instance: NATIVE-w01\n"),
    ],
    ids=["as it was", "a trailer in a paragraph of its own", "a trailer added to ours", "ours removed", "no line end"],
)
def test_our_trailers_come_last_with_those_that_a_hook_adds(left: str, committed: str) -> None:
    assert finished_message(left.encode(), TRAILERS) == committed


@pytest.mark.parametrize("left", [b"", b"\n \n", b"\xff\xfe", OURS.encode()])
def test_what_is_no_message_is_empty(left: bytes) -> None:
    assert finished_message(left, TRAILERS) == ""


def test_a_message_of_the_persons_gets_no_trailers() -> None:
    assert finished_message(b"fix: it\n\nbody\n", {}) == "fix: it\n\nbody\n"
