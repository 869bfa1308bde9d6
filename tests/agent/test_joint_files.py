"""Joint files of the built-in agent: deleted, renamed, changed by commands, and with newer content (LOCK-3, PART-1)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.fenced_writes import GONE, NOTHING, FileState, state_of
from aegis_tui.agent.joint_files import literal_start
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import HubUnavailable
from aegis_tui.testing.canned_llm import calls
from tests.agent.conftest import OTHER, git

Play = Callable[..., None]
JOINT = "src/routes.py"
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))


def written(bench: Any) -> list[dict[str, Any]]:
    sent = [item.fields for item in bench.hub.of_type("broadcast")]
    return [item["data"] for item in sent if item["event"] == "code:written"]


def test_a_joint_file_is_deleted_under_its_lock(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("delete", {"path": JOINT}), ("delete", {"path": "src/a/app.py"})), DONE)
        await bench.work()
        await bench.ends("done")
        assert bench.results()[:2] == [f"deleted {JOINT}", "deleted src/a/app.py"]
        assert [(item["file"], item["new_oid"]) for item in written(bench)] == [(JOINT, GONE)]
        assert bench.hub.holder_of(JOINT) is None
        assert git(worktree, "show", "--name-status", "--format=", "HEAD").split() == [
            *("D", "src/a/app.py"),
            *("D", JOINT),
        ]
        assert bench.hub.of_type("diff:submit")[0].fields["tokens"] == [1]

    play(scenario)


def test_a_rename_of_a_joint_file_keeps_content_and_mode(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (worktree / JOINT).write_bytes(b"\0binary\xff")
        (worktree / JOINT).chmod(0o755)
        bench.server.will(
            calls(
                ("rename", {"path": JOINT, "to": "src/a/deep/routes.bin"}),
                ("rename", {"path": JOINT, "to": "src/a/x"}),
                ("rename", {"path": "src/a/deep/routes.bin", "to": "src/a/app.py"}),
                ("rename", {"path": "src/a/app.py", "to": "src/b/app.py"}),
            ),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        results = bench.results()
        assert results[0] == f"renamed {JOINT} to src/a/deep/routes.bin"
        assert "there is no file" in results[1] and "already" in results[2] and OTHER in results[3]
        assert [item["file"] for item in written(bench)] == [JOINT]
        new = worktree / "src/a/deep/routes.bin"
        assert new.read_bytes() == b"\0binary\xff" and os.access(new, os.X_OK)

    play(scenario)


def test_a_deletion_that_the_hub_does_not_record_is_undone(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (worktree / JOINT).chmod(0o755)
        bench.hub.refuse_next("broadcast", HubUnavailable("gone"), after=1)
        bench.server.will(calls(("delete", {"path": JOINT})), calls(("report", {"status": "failed", "summary": "no"})))
        await bench.work()
        await bench.ends("failed")
        assert (worktree / JOINT).read_text() == "ROUTES = [\n]\n" and os.access(worktree / JOINT, os.X_OK)
        assert "was undone" in bench.screen

    play(scenario)


def test_a_command_may_change_a_joint_file_while_its_lock_is_held(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("lock", {"action": "acquire", "path": JOINT})),
            calls(("bash", {"command": f"printf 'ROUTES = [9]\\n' > {JOINT}"})),
            calls(("bash", {"command": "true"})),
            calls(("bash", {"command": f"chmod +x {JOINT}"})),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        assert bench.results()[1:4] == ["[exit code 0]"] * 3
        new = blob_id(b"ROUTES = [9]\n")
        assert [(item["token"], item["new_oid"]) for item in written(bench)] == [(1, new), (1, new)]
        assert bench.hub.of_type("diff:submit")[0].fields["tokens"] == [1]

    play(scenario)


def test_a_formatter_over_a_free_joint_file_is_recorded_and_told(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("bash", {"command": f"printf 'ROUTES = []\\n' > {JOINT}; rm src/a/app.py"})), DONE)
        await bench.work()
        await bench.ends("done")
        assert f"{JOINT} is a joint file: its change was recorded under its lock" in bench.results()[0]
        assert [(item["file"], item["new_oid"]) for item in written(bench)] == [(JOINT, blob_id(b"ROUTES = []\n"))]
        assert bench.hub.holder_of(JOINT) is None

    play(scenario)


def test_a_command_that_changes_a_joint_file_of_another_holder_is_told_once(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        grant = await bench.hub.link(OTHER).acquire_lock(JOINT)
        bench.server.will(
            calls(("bash", {"command": f"git rm -q {JOINT}"})),
            calls(("bash", {"command": "true"})),
            calls(("bash", {"command": f"git checkout -q HEAD -- {JOINT}"})),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        told, *others = bench.results()[:3]
        assert f"{OTHER} holds its lock" in told and "git checkout" in told
        assert others == ["[exit code 0]"] * 2
        assert written(bench) == []
        await bench.hub.link(OTHER).release_lock(grant.lock_id, grant.token)

    async def after_edit(bench: Any) -> None:
        (worktree / "src/a/app.py").write_text("x = 1\n")
        await scenario(bench)

    play(after_edit)


def test_a_change_that_a_command_made_is_recorded_at_the_latest_when_it_is_submitted(
    worktree: Path, play: Play
) -> None:
    async def scenario(bench: Any) -> None:
        peer = bench.hub.link(OTHER)
        grant = await peer.acquire_lock(JOINT)
        bench.server.will(calls(("bash", {"command": f"printf 'ROUTES = [1]\\n' > {JOINT}"})), DONE)
        await bench.work()
        await bench.hub.wait_for("agent:report", state="waiting")
        await peer.release_lock(grant.lock_id, grant.token)
        await bench.ends("done")
        assert [item["new_oid"] for item in written(bench)] == [blob_id(b"ROUTES = [1]\n")]
        assert bench.hub.of_type("diff:submit")[0].fields["tokens"] == [written(bench)[0]["token"]]

    play(scenario)


def test_an_edit_is_made_on_the_newest_merged_content(
    worktree: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_INTEGRATION_REF", "main")

    async def scenario(bench: Any) -> None:
        repository = worktree.parent / "repository"
        peer = bench.hub.link(OTHER)
        held = await peer.acquire_lock(JOINT)
        bench.server.will(calls(("edit", {"path": JOINT, "old": "]\n", "new": "    'mine',\n]\n"})), DONE)
        await bench.work()
        await bench.hub.wait_for("agent:report", state="waiting")
        await asyncio.to_thread(_merge_route, repository)
        await peer.release_lock(held.lock_id, held.token)
        await bench.ends("done")
        assert "has changed on the integration branch" in bench.results()[0]
        assert git(worktree, "show", f"HEAD:{JOINT}") == "ROUTES = [\n    'theirs',\n    'mine',\n]"
        assert git(worktree, "diff", "--name-only", "main", "HEAD") == JOINT
        assert git(worktree, "show", "HEAD:src/b/new.py") == "theirs = 1"

    play(scenario)


def _merge_route(repository: Path) -> None:
    (repository / JOINT).write_text("ROUTES = [\n    'theirs',\n]\n")
    (repository / "src/b/new.py").write_text("theirs = 1\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "merge theirs")


@pytest.mark.parametrize(
    ("glob", "start"),
    [("src/routes.py", "src/routes.py"), ("src/**", "src"), ("*.lock", ""), ("a/{b,c}/d", "a"), ("docs/", "docs")],
)
def test_the_start_of_a_glob_without_wildcards(glob: str, start: str) -> None:
    assert literal_start(glob) == start


def test_the_state_of_a_path_has_its_mode_and_follows_no_link(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "l"
    file.write_bytes(b"x")
    link.symlink_to("a")
    assert state_of(file) == FileState(blob_id(b"x"), "file")
    file.chmod(0o755)
    assert state_of(file) == FileState(blob_id(b"x"), "executable")
    assert state_of(link) == FileState(blob_id(b"a"), "link")
    assert state_of(tmp_path) == state_of(tmp_path / "a/b") == state_of(tmp_path / "none") == NOTHING
