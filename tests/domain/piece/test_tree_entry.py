"""Names and links that may stand in a tree which others check out."""

from __future__ import annotations

import pytest

from aegis_tui.domain.piece.tree_entry import escapes, link_problem, name_problem


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("b", "../c", True),
        ("b", "/etc/passwd", True),
        ("a/b/c", "d", False),
    ],
)
def test_links_are_judged_by_where_they_lead(path: str, target: str, expected: bool) -> None:
    assert escapes(path, target) is expected


@pytest.mark.boundary(
    layer="integration",
    tried="links that lead outside through another link, into .git or nowhere, and names longer than a file system "
    "permits",
    refused="sent back with the reason; nothing of it is merged",
)
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("src/x", "deep/up/../secret"),
        ("src/deep/y", "../other/../../etc"),
        ("x", "a/./../b"),
        ("src/x", "../.git/config"),
        ("src/x", "../.GIT/hooks"),
        ("src/x", "git~1/config"),
        ("src/x", ""),
        ("src/x", "a\0b"),
    ],
)
def test_a_link_that_may_lead_elsewhere_is_refused(path: str, target: str) -> None:
    assert link_problem(path, target)


@pytest.mark.parametrize(
    ("path", "target"), [("a/b", "../c"), ("a/b/c", "../../d/e"), ("b", "./c"), ("b", "c.."), ("b", "..c/d")]
)
def test_ordinary_links_stay(path: str, target: str) -> None:
    assert link_problem(path, target) == ""


@pytest.mark.parametrize(
    ("path", "fits"),
    [("a/" + "n" * 255, True), ("a/" + "n" * 256, False), ("한" * 86, False), ("nn/" * 1100 + "nn", False)],
    ids=["fits", "long part", "long in bytes", "long path"],
)
def test_a_name_has_to_fit_a_file_system(path: str, fits: bool) -> None:
    assert (name_problem(path) == "") is fits
