"""How the hub compares the copies of a joint file in two worktrees (LOCK-3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.hub.joint_news import _compare


@pytest.mark.parametrize(
    ("mine", "theirs", "change", "diff"),
    [
        (b"a\nb\n", b"a\nc\n", "changed", "@@ -1,2 +1,2 @@\n a\n-b\n+c"),
        (None, b"c\n", "created", "@@ -0,0 +1 @@\n+c"),
        (b"a\n", None, "deleted", ""),
        (None, None, "unknown", ""),
        (b"a\n", b"a\0", "binary", ""),
        (b"a\n", b"\x1b[31mred\n", "changed", "@@ -1 +1 @@\n-a\n+\N{REPLACEMENT CHARACTER}[31mred"),
        (b"", b"x" * (3 << 20), "unknown", ""),
    ],
    ids=["changed", "created", "deleted", "neither", "binary", "escape", "large"],
)
def test_copies_are_compared(tmp_path: Path, mine: bytes | None, theirs: bytes | None, change: str, diff: str) -> None:
    places = {name: tmp_path / name for name in ("me", "they", "same")}
    places["same"] = places["me"]
    for name, raw in (("me", mine), ("they", theirs)):
        places[name].mkdir()
        if raw is not None:
            (places[name] / "f").write_bytes(raw)
    (copy,) = _compare(places, "me", "f")
    assert (copy.agent_id, copy.change, copy.diff) == ("they", change, diff)


def test_a_link_in_another_worktree_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    for name in ("me", "they"):
        (tmp_path / name).mkdir()
    (tmp_path / "they/f").symlink_to(tmp_path / "secret")
    (copy,) = _compare({"me": tmp_path / "me", "they": tmp_path / "they"}, "me", "f")
    assert (copy.change, copy.diff) == ("unknown", "")


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    for name in ("me", "they"):
        (tmp_path / name).mkdir()
    (tmp_path / "me/f").write_text("")
    (tmp_path / "they/f").write_text("line\n" * 100)
    (copy,) = _compare({"me": tmp_path / "me", "they": tmp_path / "they"}, "me", "f")
    assert copy.diff.endswith("[61 more lines]")
