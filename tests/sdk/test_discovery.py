import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.sdk.discovery import (
    WorkspacePaths,
    find_hub,
    is_running,
    no_repository,
    process_start_time,
    start_hub,
    workspace_key_of,
    workspace_paths,
)
from aegis_tui.sdk.quick import HubAddress, HubQuick, open_connection


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_every_worktree_and_folder_of_a_repository_has_its_key_and_clones_have_their_own(tmp_path: Path) -> None:
    root = tmp_path / "저장소 one"
    (root / "deep").mkdir(parents=True)
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "m")
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"))
    git(tmp_path, "clone", "-q", str(root), "clone")
    (tmp_path / "link").symlink_to(root)
    keys = {workspace_key_of(folder) for folder in (root, root / "deep", tmp_path / "tree", tmp_path / "link")}
    assert len(keys) == 1
    assert workspace_key_of(tmp_path / "clone") not in keys
    (key,) = keys
    assert len(key) == 12 and int(key, 16) >= 0


def test_folders_follow_the_xdg_variables_and_sockets_stay_short(tmp_path: Path) -> None:
    runtime, long = tmp_path / "r", tmp_path / ("x" * 90)
    runtime.mkdir()
    long.mkdir()
    environ = {"HOME": "/home/me", "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": "/state"}
    paths = workspace_paths("0123456789ab", environ)
    assert paths.state_dir == Path("/state/aegis-tui/0123456789ab")
    if len(str(runtime)) < 60:
        assert paths.runtime_dir == runtime / "aegis-tui" / "0123456789ab"
    for variables in ({"HOME": "/home/me"}, {**environ, "XDG_RUNTIME_DIR": str(long), "XDG_STATE_HOME": "relative"}):
        paths = workspace_paths("0123456789ab", variables)
        assert paths.state_dir == Path("/home/me/.local/state/aegis-tui/0123456789ab")
        assert paths.runtime_dir == Path(f"/tmp/aegis-{os.getuid()}/0123456789ab")
        assert len(os.fsencode(paths.gateway_socket)) < 104


def test_the_sockets_that_agents_see_stay_short_as_well(tmp_path: Path) -> None:
    for extra in range(1, 90):
        base = tmp_path / ("x" * extra)
        base.mkdir()
        paths = workspace_paths("0123456789ab", {"HOME": "/home/me", "XDG_RUNTIME_DIR": str(base)})
        assert len(os.fsencode(paths.runtime_dir / "agents" / "gateway.sock")) < 104


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (
            "fatal: detected dubious ownership in repository at '/r'\nTo add an exception for this directory, call:\n\n"
            "\tgit config --global --add safe.directory /r\n",
            "git.ownership",
            ["dubious ownership", "git config --global --add safe.directory /r"],
        ),
        ("fatal: not a git repository (or any of the parent directories): .git", "git.unavailable", ["git init"]),
        ("fatal: bad config line 3 in file /r/.git/config", "git.unavailable", ["bad config line 3", "git status"]),
        ("", "git.unavailable", ["git init"]),
    ],
)
def test_why_git_finds_no_repository_is_said_in_its_words(said: str, code: str, words: list[str]) -> None:
    error = no_repository(Path("/r"), said)
    assert error.code == code
    assert [word for word in words if word not in f"{error.message} {error.hint}"] == []


def test_a_record_without_its_process_is_no_hub(paths: WorkspacePaths) -> None:
    paths.create()
    assert find_hub(paths) is None
    start_time = process_start_time(os.getpid())
    assert start_time is not None and is_running(os.getpid(), start_time)
    assert not is_running(os.getpid(), start_time - 100)
    record = {"pid": os.getpid(), "start_time": start_time, "url": "", "socket": "/nowhere", "token": "t"}
    for change in ({}, {"start_time": 1.0}, {"pid": 2**22 + 1}, {"unknown": 1}):
        paths.hub_json.write_text(json.dumps({**record, **change}))
        assert find_hub(paths) is None
    for text in ("", "[]", "{"):
        paths.hub_json.write_text(text)
        assert find_hub(paths) is None


def test_folders_are_made_private_and_a_planted_one_is_refused(paths: WorkspacePaths) -> None:
    paths.create()
    for folder in (paths.runtime_dir, paths.instances_dir, paths.worktrees_dir, paths.state_dir):
        assert folder.stat().st_mode & 0o077 == 0
    paths.runtime_dir.rmdir()
    target = paths.state_dir / "elsewhere"
    target.mkdir()
    paths.runtime_dir.symlink_to(target)
    with pytest.raises(HubUnavailable):
        paths.create()
    paths.runtime_dir.unlink()


def test_a_log_that_cannot_be_opened_is_a_plain_error(paths: WorkspacePaths, tmp_path: Path) -> None:
    paths.create()
    paths.hub_log.mkdir()
    with pytest.raises(HubUnavailable, match="cannot write in"):
        start_hub(paths, tmp_path, command=["true"])


def test_the_quick_client_says_when_nobody_answers_and_keeps_its_token_to_itself(tmp_path: Path) -> None:
    address = HubAddress(1, 1.0, "", str(tmp_path / "no.sock"), "the-secret")
    assert "the-secret" not in repr(address)
    quick = HubQuick(address)
    assert not quick.is_healthy()
    with pytest.raises(HubUnavailable) as caught:
        quick.command("context:get")
    assert "hub start" in caught.value.hint
    with pytest.raises(AegisError):
        open_connection("ftp://x", 1.0)


def test_command_lines_load_no_async_client() -> None:
    code = "import sys, aegis_tui.sdk.discovery, aegis_tui.sdk.quick; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "websockets", "pydantic", "starlette", "httpx", "psutil"} & set(loaded)
