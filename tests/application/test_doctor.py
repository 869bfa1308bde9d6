"""Real git, tmux, sandbox and HTTP; what is missing is missing because PATH does not lead to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application import model_check
from aegis_tui.application.check import Check, missing
from aegis_tui.bootstrap.environment import environment_checks_at
from aegis_tui.bootstrap.log import look_at_log
from aegis_tui.bootstrap.machine import make_doctor
from aegis_tui.config import Settings
from aegis_tui.testing.canned_llm import Canned, CannedModel, calls, says
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scripted_llm import ScriptedServer
from tests.forked import run_command

NOWHERE = "http://127.0.0.1:9/v1"
"""The discard port: nothing listens there."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    create_sample_repository(folder)
    return folder


def examine(folder: Path, *, path: str | None = None, **settings: Any) -> dict[str, Check]:
    return asyncio.run(examine_async(folder, path=path, **settings))


async def examine_async(folder: Path, *, path: str | None = None, **settings: Any) -> dict[str, Check]:
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "not" / "there"), "HOME": str(folder.parent)}
    if path is not None:
        environ["PATH"] = path
    chosen = Settings(**{"base_url": NOWHERE, **settings})
    return {check.name: check for check in await make_doctor(chosen, folder, environ).examine()}


def examine_with(folder: Path, *answers: Canned, model: str | None = None) -> tuple[dict[str, Check], CannedModel]:
    """The checks against a model server that gives these answers, and that server."""

    async def look() -> tuple[dict[str, Check], CannedModel]:
        async with CannedModel() as server:
            server.will(*answers)
            return await examine_async(folder, base_url=server.base_url, model=model), server

    return asyncio.run(look())


def only(tmp_path: Path, *programs: str) -> str:
    """A PATH that leads to these programs and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in programs:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


def test_what_is_there_is_found_with_its_version(folder: Path) -> None:
    checks = examine(folder)
    assert list(checks)[:5] == ["python", "git", "tmux", "repository", "log"]
    assert checks["log"].observed == "none yet"
    assert all(checks[name].ok for name in ("python", "git", "tmux", "repository", "port", "agents", "disk"))
    assert checks["tmux"].observed.startswith("tmux 3")
    assert checks["agents"].observed.startswith("native") and checks["agent native"].observed.startswith(
        "the built-in agent"
    )
    assert [check.name for check in missing(list(checks.values()))] == ["model"]


def test_a_program_that_is_missing_is_essential_and_its_fix_installs_it(folder: Path, tmp_path: Path) -> None:
    checks = examine(folder, path=only(tmp_path, "git"))
    assert (checks["git"].ok, checks["tmux"].ok, checks["sandbox"].ok) == (True, False, False)
    assert checks["tmux"].observed == "not installed"
    assert "tmux" in checks["tmux"].fix
    assert "tmux" in [check.name for check in missing(list(checks.values()))]
    assert "sandbox" not in [check.name for check in missing(list(checks.values()))]


def test_a_program_that_cannot_be_started_is_missing(folder: Path, tmp_path: Path) -> None:
    path = only(tmp_path, "git")
    broken = Path(path) / "tmux"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    check = examine(folder, path=path)["tmux"]
    assert (check.ok, check.observed) == (False, "not installed")


def test_a_program_that_is_too_old_is_missing(folder: Path, tmp_path: Path) -> None:
    path = only(tmp_path, "git")
    old = Path(path) / "tmux"
    old.write_text("#!/bin/sh\necho tmux 2.9a\n")
    old.chmod(0o755)
    check = examine(folder, path=path)["tmux"]
    assert (check.ok, check.observed) == (False, "tmux 2.9a")
    assert "3.2" in check.fix


def test_without_a_sandbox_strict_cannot_run(folder: Path, tmp_path: Path) -> None:
    checks = examine(folder, path=only(tmp_path, "git", "tmux"), sandbox="strict")
    assert "sandbox" in [check.name for check in missing(list(checks.values()))]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bwrap")
def test_a_sandbox_that_cannot_be_tried_is_told_with_the_reason(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    check = examine(folder)["sandbox"]
    assert (check.ok, check.essential) == (False, True)
    assert check.observed == "the sandbox cannot be tried: No such file or directory"
    assert "TMPDIR" in check.fix


def test_each_agent_kind_is_listed_with_version_and_place_or_the_command_that_installs_it(
    folder: Path, tmp_path: Path
) -> None:
    path = only(tmp_path, "git")
    codex = Path(path) / "codex"
    codex.write_text("#!/bin/sh\necho codex-cli 0.171.0\n")
    codex.chmod(0o755)
    checks = examine(folder, path=path)
    assert checks["agents"].observed == "native, codex"
    words = "every role; writes are checked at the commit; speaks ACP through codex-acp"
    assert (
        checks["agent codex"].observed
        == f"Codex: 0.171.0 at {codex}; {words}; looks up raw.githubusercontent.com, which the sandbox refuses"
    )
    codex.write_text("#!/bin/sh\necho codex-cli 0.172.0\n")
    newer = examine(folder, path=path)["agent codex"]
    assert newer.observed.endswith(f"{words}; the host names that this version looks up are not known")
    absent = checks["agent claude-code"]
    assert (absent.ok, absent.observed) == (False, "not installed: claude")
    assert absent.fix == "npm install -g @anthropic-ai/claude-code" and absent.is_extra and not absent.essential


NODE = "#!/bin/sh\necho 0.61.0\n"
TOO_OLD = "#!/bin/sh\necho 'Error: Node.js v18.19.1 is too old'\nexit 1\n"
NO_OPTION = "#!/bin/sh\necho 'This is mini-swe-agent version 2.4.6.'\necho 'No such option' >&2\nexit 2\n"


def test_a_version_is_found_with_what_is_installed_beside_the_program_or_in_the_words_of_an_error(
    folder: Path, tmp_path: Path
) -> None:
    path, beside = only(tmp_path, "git", "env"), tmp_path / "beside"
    beside.mkdir()
    files = {
        beside / "gemini": "#!/usr/bin/env node\n",
        beside / "node": NODE,
        beside / "mini": NO_OPTION,
        Path(path) / "node": TOO_OLD,
        Path(path) / "qwen": "#!/usr/bin/env node\n",
    }
    for file, text in files.items():
        file.write_text(text)
        file.chmod(0o755)
    checks = examine(folder, path=f"{path}:{beside}")
    assert checks["agent gemini-cli"].observed.startswith(f"Gemini CLI: 0.61.0 at {beside}/gemini; ")
    assert checks["agent mini-swe-agent"].observed.startswith(f"mini-SWE-agent: 2.4.6 at {beside}/mini; ")
    old = checks["agent qwen-code"].observed
    assert old.startswith(f"Qwen Code: version unknown at {path}/qwen; "), "that of its interpreter is not its own"
    assert old.endswith("the host names that this version looks up are not known")


def test_a_folder_outside_a_repository_and_one_without_a_commit_are_told_apart(tmp_path: Path) -> None:
    check = examine(tmp_path)["repository"]
    assert (check.ok, check.essential) == (False, False)
    assert "aegis-tui demo" in check.fix
    (tmp_path / "new").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "new", check=True)
    assert examine(tmp_path / "new")["repository"].observed == "no commit yet"


def test_what_would_be_refused_before_a_run_is_told(folder: Path) -> None:
    (folder / ".git/objects/info/alternates").write_text("/nowhere/objects\n")
    check = examine(folder)["repository"]
    assert not check.ok and "/nowhere/objects" in check.observed and "alternates" in check.fix


def test_what_worktrees_would_lack_is_told_with_a_way_to_get_it(folder: Path) -> None:
    assert examine(folder)["environment"].ok
    (folder / "requirements.txt").write_text("left-pad==1\nno-such-package>=2\n")
    git = ["git", "-C", str(folder), "-c", "user.name=P", "-c", "user.email=p@example.org"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "needs"], check=True)
    check = examine(folder)["environment"]
    assert (check.ok, check.essential) == (False, False)
    assert "requirements.txt asks for left-pad, no-such-package" in check.observed
    assert "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt" in check.fix
    (folder / ".agents").mkdir(exist_ok=True)
    (folder / ".agents/config.toml").write_text('[environment]\nsetup = "make env"\n')
    check = examine(folder)["environment"]
    assert not check.ok and "make env" in check.observed and "aegis-tui environment allow" in check.fix


def test_an_environment_that_cannot_be_looked_at_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".worktreeinclude").write_text("local.env\n")
    git = ["git", "-C", str(folder), "-c", "user.name=P", "-c", "user.email=p@example.org"]
    subprocess.run([*git, "add", ".worktreeinclude"], check=True)
    subprocess.run([*git, "commit", "-qm", "include"], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))
    (check,) = asyncio.run(environment_checks_at(folder, {**os.environ, "XDG_STATE_HOME": str(folder.parent)}))
    assert not check.ok and "nowhere" in check.observed


def test_a_folder_for_sockets_that_tmux_cannot_use_is_told(folder: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 95)
    long.mkdir()

    async def look() -> Check:
        environ = {**os.environ, "TMUX_TMPDIR": str(long), "XDG_STATE_HOME": str(tmp_path)}
        checks = await make_doctor(Settings(base_url=NOWHERE), folder, environ).examine()
        return next(check for check in checks if check.name == "tmux")

    check = asyncio.run(look())
    assert check.ok and "TMUX_TMPDIR is too long" in check.observed and "/tmp is used instead" in check.observed


def test_a_repository_without_an_identity_is_told_with_the_command(folder: Path) -> None:
    subprocess.run(["git", "config", "--unset", "user.email"], cwd=folder, check=True)
    check = examine(folder)["repository"]
    assert "user.email" in check.observed
    assert check.fix.startswith("git config --global user.email")


def test_name_and_email_are_told_at_once_if_both_are_missing(folder: Path) -> None:
    for key in ("user.name", "user.email"):
        subprocess.run(["git", "config", "--unset", key], cwd=folder, check=True)
    check = examine(folder)["repository"]
    assert check.observed == "git has no user.name, user.email"
    assert "user.name 'Your Name' && git config --global user.email" in check.fix


def test_a_port_that_was_asked_for_must_be_free_and_the_usual_one_need_not(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check = examine(folder, port=taken.getsockname()[1])["port"]
    assert (check.ok, check.essential) == (False, True)


def test_a_model_server_outside_the_boundary_is_refused(folder: Path) -> None:
    check = examine(folder, base_url="http://192.0.2.7:8001")["model"]
    assert not check.ok
    assert "192.0.2.7" in check.observed


def test_a_streamed_tool_call_is_tried(folder: Path) -> None:
    checks, model = examine_with(folder, calls(("ping", {"word": "ready"})))
    assert (checks["model"].ok, checks["tool call"].ok) == (True, True)
    assert "canned" in checks["model"].observed
    assert (model.requests[0]["stream"], model.requests[0]["tools"][0]["function"]["name"]) == (True, "ping")
    assert missing(list(checks.values())) == []


@pytest.mark.parametrize("answer", [says("I would rather talk"), calls(("ping", "{not json")), Canned([b"{}"], 400)])
def test_a_model_that_cannot_call_tools_is_told_with_the_flags(folder: Path, answer: Canned) -> None:
    checks, _ = examine_with(folder, answer)
    assert (checks["model"].ok, checks["tool call"].ok) == (True, False)
    assert "--tool-call-parser" in checks["tool call"].fix


def test_a_model_that_never_ends_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_check, "TOOL_CALL_DEADLINE_S", 0.3)

    async def look() -> Check:
        held = asyncio.Event()
        async with CannedModel() as server:
            server.will(says("never", hold=held))
            check = (await examine_async(folder, base_url=server.base_url))["tool call"]
            held.set()
            return check

    check = asyncio.run(look())
    assert (check.ok, check.observed) == (False, "no tool call within 0.3 s")


def test_a_model_that_is_not_served_is_told_with_those_that_are(folder: Path) -> None:
    checks, _ = examine_with(folder, model="other")
    assert not checks["model"].ok
    assert "serves no model other" in checks["model"].observed
    assert checks["model"].fix.endswith(": canned")
    assert "tool call" not in checks


def test_a_scripted_server_is_called_scripted(folder: Path) -> None:
    async def look() -> dict[str, Check]:
        async with ScriptedServer(scenario_directory("calm")) as server:
            return await examine_async(folder, base_url=server.base_url)

    checks = asyncio.run(look())
    assert checks["tool call"].ok
    assert "scripted" in checks["tool call"].observed


def test_low_inotify_limits_come_with_the_command(folder: Path, tmp_path: Path) -> None:
    limits = tmp_path / "proc" / "sys" / "fs" / "inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_instances").write_text("16\n")
    (limits / "max_user_watches").write_text("1000000\n")
    doctor = make_doctor(Settings(base_url=NOWHERE), folder, dict(os.environ), proc=tmp_path / "proc")
    check = {item.name: item for item in asyncio.run(doctor.examine())}["inotify"]
    if sys.platform.startswith("linux"):
        assert (check.ok, check.fix) == (False, "sudo sysctl fs.inotify.max_user_instances=128")


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    yield {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "AEGIS_BASE_URL": NOWHERE}


def test_the_command_ends_with_5_and_every_fix_when_something_essential_is_missing(
    folder: Path, environ: dict[str, str]
) -> None:
    done = run_command("doctor", "--json", folder=folder, environ=environ)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["schema_version"]) == (5, False, 1)
    for check in told["checks"]:
        assert {"name", "ok", "found", "fix"} <= set(check)
        assert bool(check["fix"]) != check["ok"]
    done = run_command("doctor", folder=folder, environ=environ)
    assert done.returncode == 5
    assert ["FAILED", "model"] in [line.split()[:2] for line in done.stdout.splitlines()]


def test_a_log_that_cannot_be_looked_at_is_told_and_ends_nothing(folder: Path) -> None:
    found = look_at_log(folder, {"XDG_STATE_HOME": f"/tmp/{'x' * 300}", "HOME": "/tmp"})
    assert found.condition == "cannot be read: File name too long"
    assert found.error is not None and found.error.hint.startswith("make it readable")


def test_a_state_folder_that_cannot_be_examined_is_a_result_and_no_error(folder: Path) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / ("n" * 300)), "HOME": str(folder.parent)}
    doctor = make_doctor(Settings(base_url=NOWHERE), folder, environ)
    checks = {check.name: check for check in asyncio.run(doctor.examine())}
    assert checks["repository"].ok and {"disk", "leftovers", "agents"} <= checks.keys()
