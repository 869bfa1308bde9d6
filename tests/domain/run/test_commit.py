from __future__ import annotations

import pytest

from aegis_tui.domain.run.commit import author_of, commit_trailers, conventional_subject, render_message


@pytest.mark.parametrize(
    ("goal", "subject"),
    [
        ("Add a cart.", "feat: add a cart"),
        ("fix(api)!: Refuse negative sums", "fix(api)!: Refuse negative sums"),
        ("Add\na\tcart\x00 page", "feat: add a cart page"),
        ("장바구니 추가", "feat: 장바구니 추가"),
        ("  ", "feat: change nothing"),
        ("CREATE TABLE statements are read", "feat: CREATE TABLE statements are read"),
        ("JSON/CSV export", "feat: JSON/CSV export"),
        ("README: say more", "feat: README: say more"),
        ("GitHub links", "feat: GitHub links"),
        ("OAuth2 login", "feat: OAuth2 login"),
        ("C bindings", "feat: C bindings"),
        ("A cart", "feat: a cart"),
        ("Äpfel zählen", "feat: äpfel zählen"),
        ("Don't lose carts", "feat: don't lose carts"),
        ("note: this is no type", "feat: note: this is no type"),
    ],
)
def test_a_goal_becomes_a_conventional_subject(goal: str, subject: str) -> None:
    assert conventional_subject(goal) == subject


@pytest.mark.parametrize("goal", ["word " * 40, "x" * 200, "가" * 200])
def test_a_subject_is_never_longer_than_72_characters(goal: str) -> None:
    subject = conventional_subject(goal)
    assert len(subject) <= 72
    assert subject.endswith("…")
    noted = conventional_subject(goal, note=" (incomplete)")
    assert len(noted) <= 72 and noted.endswith("… (incomplete)")


def test_the_message_ends_with_trailers_for_run_instances_and_authors() -> None:
    trailers = commit_trailers("r1", ["NATIVE-w01", "CLAUDE-frontend", "NATIVE-w01"])
    assert render_message("feat: x", "Why.\n", trailers) == (
        "feat: x\n\nWhy.\n\n"
        "Aegis-Run: r1\n"
        "Aegis-Instance: NATIVE-w01\n"
        "Aegis-Instance: CLAUDE-frontend\n"
        "Co-Authored-By: NATIVE-w01 <w01@aegis.invalid>\n"
        "Co-Authored-By: CLAUDE-frontend <frontend@aegis.invalid>\n"
    )


def test_a_trailer_value_cannot_start_a_line_of_its_own() -> None:
    assert render_message("s", "", {"Aegis-Run": ["r1\nSigned-off-by: x"]}) == "s\n\nAegis-Run: r1 Signed-off-by: x\n"


def test_an_author_is_the_instance() -> None:
    assert author_of("NATIVE-w01") == ("NATIVE-w01", "w01@aegis.invalid")
