from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.errors import AegisError, HubUnavailable, Refused, StaleToken
from aegis_tui.testing.canned_llm import Canned, calls

Play = Callable[..., None]
ME, OTHER = "NATIVE-w01", "NATIVE-w02"
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def test_a_foreign_file_is_not_written_and_the_owner_is_named(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(
                ("write", {"path": "src/b/other.py", "content": "x = 2\n"}),
                ("edit", {"path": "src/b/../b/other.py", "old": "1", "new": "2"}),
                ("write", {"path": "README.md", "content": "x"}),
                ("write", {"path": "../outside.txt", "content": "x"}),
                ("write", {"path": ".git", "content": "x"}),
                ("lock", {"action": "acquire", "path": "src/b/other.py"}),
                ("lock", {"action": "request", "path": "src/b/other.py", "reason": "the name is wrong"}),
            ),
            calls(("report", {"status": "blocked", "summary": "need src/b"})),
        )
        await bench.work()
        await bench.ends("blocked")
        results = bench.results()
        assert all(OTHER in result for result in (results[0], results[1], results[5]))
        assert "nobody" in results[2]
        assert "outside the worktree" in results[3]
        assert "is part of git's own folder" in results[4]
        assert bench.hub.of_type("scope:request")[0].fields == {"path": "src/b/other.py", "reason": "the name is wrong"}
        assert git(worktree, "status", "--porcelain") == ""
        assert not (worktree.parent / "outside.txt").exists()

    play(scenario)


def test_a_link_out_of_the_worktree_or_the_partition_is_not_followed(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (worktree / "src/a/out").symlink_to(worktree.parent)
        (worktree / "src/a/peer.py").symlink_to("../b/other.py")
        bench.server.will(
            calls(
                ("write", {"path": "src/a/out/x.txt", "content": "x"}),
                ("read", {"path": "src/a/out/repository/src/routes.py"}),
                ("edit", {"path": "src/a/peer.py", "old": "1", "new": "2"}),
            ),
            calls(("report", {"status": "failed", "summary": "no"})),
        )
        await bench.work()
        await bench.ends("failed")
        results = bench.results()
        assert "outside the worktree" in results[0]
        assert "outside the worktree" in results[1]
        assert OTHER in results[2]
        assert (worktree / "src/b/other.py").read_text() == "x = 1\n"

    play(scenario)


def test_a_joint_file_is_edited_under_a_lock_that_is_waited_for(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        peer = bench.hub.link(OTHER)
        held = await peer.acquire_lock("src/routes.py")
        bench.server.will(calls(("edit", {"path": "src/routes.py", "old": "[\n", "new": "[\n    'a',\n"})), DONE)
        await bench.work()
        await bench.ends("waiting")
        assert "'a'" not in (worktree / "src/routes.py").read_text()
        await peer.release_lock(held.lock_id, held.token)
        await bench.ends("done")
        writing, written = bench.hub.of_type("broadcast")
        assert (writing.fields["event"], written.fields["event"]) == ("code:writing", "code:written")
        token = written.fields["data"]["token"]
        assert token > held.token
        assert written.fields["data"] == {
            "file": "src/routes.py",
            "token": token,
            "base_oid": git(worktree, "rev-parse", "HEAD~1:src/routes.py"),
            "new_oid": git(worktree, "rev-parse", "HEAD:src/routes.py"),
        }
        assert bench.hub.of_type("diff:submit")[0].fields["tokens"] == [token]
        assert bench.hub.holder_of("src/routes.py") is None

    play(scenario)


def test_a_lock_taken_by_hand_is_kept_over_edits_until_released(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py"})),
            calls(
                ("edit", {"path": "src/routes.py", "old": "[\n", "new": "[\n    'a',\n"}),
                ("edit", {"path": "src/routes.py", "old": "]", "new": "]  # end"}),
                ("lock", {"action": "list"}),
            ),
            calls(("lock", {"action": "release", "path": "src/routes.py"}), ("lock", {"action": "list"})),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        results = bench.results()
        assert results[3] == "src/routes.py (token 1)"
        assert results[5] == "you hold no locks"
        assert len([event for event in bench.hub.events if event.type == "lock:acquired"]) == 1

    play(scenario)


def test_a_held_lock_is_told_with_its_holder_and_time(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.hub.link(OTHER).acquire_lock("src/routes.py")
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py", "wait_s": 0})),
            calls(("report", {"status": "blocked", "summary": "locked"})),
        )
        await bench.work()
        await bench.ends("blocked")
        assert f"held by {OTHER} for at most 300 s" in bench.results()[0]

    play(scenario)


def test_a_write_under_a_lock_that_lapsed_is_undone(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py"})),
            calls(("edit", {"path": "src/routes.py", "old": "[", "new": "[ "})),
            calls(("lock", {"action": "list"})),
            calls(("report", {"status": "blocked", "summary": "x"})),
        )
        bench.hub.refuse_next("broadcast", StaleToken("token 1 is not the current one"), after=1)
        await bench.work()
        await bench.ends("blocked")
        assert (worktree / "src/routes.py").read_text() == "ROUTES = [\n]\n"
        assert "not the current one" in bench.results()[1]
        assert bench.results()[2] == "you hold no locks"

    play(scenario)


@pytest.mark.parametrize("error", [HubUnavailable("the hub is away"), Refused("not now"), StaleToken("lapsed")])
def test_an_edit_that_the_hub_does_not_take_is_undone_so_that_it_can_be_tried_again(
    worktree: Path, play: Play, error: AegisError
) -> None:
    edit = ("edit", {"path": "src/routes.py", "old": "]", "new": "]  # end"})

    async def scenario(bench: Any) -> None:
        bench.hub.refuse_next("broadcast", error, after=1)
        bench.server.will(calls(edit), calls(edit), DONE)
        await bench.work()
        await bench.ends("done")
        assert str(error) in bench.results()[0]
        assert (worktree / "src/routes.py").read_text() == "ROUTES = [\n]  # end\n"
        assert bench.hub.holder_of("src/routes.py") is None

    play(scenario)


@pytest.mark.parametrize("name", ["a\u200db.py", "a\\b.py", "a\tb.py"])
def test_a_path_that_cannot_be_locked_is_refused_and_the_work_goes_on(play: Play, name: str) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(
                ("lock", {"action": "acquire", "path": f"src/a/{name}"}),
                ("lock", {"action": "acquire", "path": f"src/a/{name}", "symbol": "f"}),
                ("lock", {"action": "release", "path": f"src/a/{name}"}),
            ),
            calls(("report", {"status": "blocked", "summary": "no lock"})),
        )
        await bench.work()
        await bench.ends("blocked")
        assert all("no lock can be taken" in result and "rename" in result for result in bench.results()[:2])
        assert "you hold no lock" in bench.results()[2]

    play(scenario)


def test_what_became_of_a_lock_is_told_with_the_result_of_the_call(worktree: Path, play: Play) -> None:
    (worktree / "src/routes.py").write_text("import os\ndef one():\n    return 1\n")

    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py", "lines": [2, 3]})),
            calls(
                ("bash", {"command": "sed -i '1i # licence' src/routes.py"}),
                ("edit", {"path": "src/routes.py", "old": "return 1", "new": "return 2"}),
                ("edit", {"path": "src/routes.py", "old": "return 2", "new": "return 3"}),
                ("lock", {"action": "list"}),
                ("lock", {"action": "release", "path": "src/routes.py"}),
            ),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        told = "your lock on src/routes.py:2-3 covers src/routes.py:3-4 now"
        assert [told in result for result in bench.results()[:5]] == [False, False, True, False, False]
        assert bench.results()[4] == "src/routes.py:3-4 (token 2)"

    play(scenario)


def test_a_lock_that_expires_is_forgotten_and_told(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        hold = asyncio.Event()
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py"})),
            Canned(calls(("lock", {"action": "list"})).pieces, hold=hold),
            calls(("report", {"status": "blocked", "summary": "x"})),
        )
        await bench.work()
        await bench.until(lambda: bench.hub.holder_of("src/routes.py") == ME and len(bench.server.requests) == 2)
        await bench.hub.lapse("src/routes.py")
        await bench.heard()
        hold.set()
        await bench.ends("blocked")
        assert bench.results()[1] == "you hold no locks"
        assert "you no longer hold the lock on src/routes.py" in bench.users()[-1]

    play(scenario)


def test_an_edit_locks_only_the_function_it_changes(worktree: Path, play: Play) -> None:
    (worktree / "src/routes.py").write_text("import os\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n")

    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(
                ("edit", {"path": "src/routes.py", "old": "return 1", "new": "return 10"}),
                ("edit", {"path": "src/routes.py", "old": "import os", "new": "import re"}),
                ("edit", {"path": "src/routes.py", "old": "10\n\n\ndef two", "new": "11\n\n\ndef both"}),
                ("write", {"path": "src/routes.py", "content": "def one(:\n"}),
                ("edit", {"path": "src/routes.py", "old": "one(:", "new": "one():"}),
            ),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        asked = [event.data["region"] for event in bench.hub.events if event.type == "lock:acquired"]
        assert asked == ["one", "<imports>", "5-8", None, None]
        assert "under a lock on the whole file, as it cannot be parsed" in bench.results()[4]
        assert "whole file" not in "".join(bench.results()[:4])
        assert len(bench.hub.of_type("diff:submit")[0].fields["tokens"]) == 5

    play(scenario)


def test_a_region_held_by_hand_serves_edits_inside_it_only(worktree: Path, play: Play) -> None:
    (worktree / "src/routes.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    inside = {"path": "src/routes.py", "old": "return 1", "new": "x = 1\n    return x"}

    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": "src/routes.py", "lines": [1, 2]})),
            calls(
                ("edit", inside),
                ("edit", {"path": "src/routes.py", "old": "return x", "new": "return 2 * x"}),
                ("lock", {"action": "list"}),
                ("lock", {"action": "release", "path": "src/routes.py"}),
            ),
            calls(("lock", {"action": "acquire", "path": "src/routes.py", "symbol": "two"})),
            calls(
                ("edit", {"path": "src/routes.py", "old": "return 2\n", "new": "return 3\n"}),
                ("lock", {"action": "list"}),
                ("lock", {"action": "release", "path": "src/routes.py"}),
                ("lock", {"action": "acquire", "path": "src/routes.py", "symbol": "two", "lines": [1, 2]}),
            ),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        results = bench.results()
        assert "you hold the lock on src/routes.py:1-2, token 1" in results[0]
        assert results[3] == "src/routes.py:1-2 (token 1)"
        assert results[7] == "src/routes.py:two (token 2)"
        assert "give lines or a symbol" in results[9]
        assert [event.data["region"] for event in bench.hub.events if event.type == "lock:acquired"] == ["1-2", "two"]
        assert bench.hub.holder_of("src/routes.py") is None

    play(scenario)
