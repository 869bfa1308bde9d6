"""At its start the wrapper finds by trying which layers refuse writes outside the partition, and says so (AGENT-5)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.git.guard import write_guard
from aegis_tui.agent.hosted.layers import Layers, find_layers, guard_commands
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.errors import Refused
from aegis_tui.ports.repository import Guard
from tests.agent.conftest import git
from tests.agent.hosted.cage import KIND, ME, add_hook, running, settings_of, values_of

HOOKS = [{"path": ".parrot/hooks.json", "text": '{"before": <<guard_before>>, "after": <<guard_after>>}'}]
WORKING = guard_commands(sys.executable)


@pytest.fixture
def scoped(worktree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The worktree, and the variables that every instance gets."""
    scope_file = worktree.parent / "scope.json"
    scope_file.write_text(json.dumps({"partition": ["src/a/**"], "joint": ["src/routes.py"]}), "utf-8")
    monkeypatch.setenv("AEGIS_AGENT_ID", ME)
    monkeypatch.setenv("AEGIS_SCOPE_FILE", str(scope_file))
    monkeypatch.delenv("AEGIS_SANDBOX", raising=False)
    return worktree


def layers_of(worktree: Path, *, has_guard: bool = True, **commands: str) -> Layers:
    home = worktree.parent / "home"
    home.mkdir()
    kind = KindFile.model_validate({**KIND, "files": HOOKS if has_guard else []})
    values = {**values_of(worktree, home), **commands}
    return asyncio.run(find_layers(settings_of(worktree, home, "worker"), kind, values))


def install_hook(worktree: Path, *allow: str) -> Path:
    """The hooks that every worktree gets, with the person's own behind them, which writes down that it ran."""
    own, hooks = worktree.parent / "own", worktree.parent / "hooks"
    own.mkdir()
    (own / "pre-commit").write_text(f"#!/bin/sh\ntouch {own}/ran\n")
    (own / "pre-commit").chmod(0o700)
    write_guard(
        Guard(agent_id=ME, own_ref="refs/heads/main", integration_ref="refs/heads/i", allow=allow, hooks_dir=hooks),
        str(own),
    )
    git(worktree, "config", "core.hooksPath", str(hooks))
    return hooks


def test_layers_that_refuse_a_forbidden_write_are_named(scoped: Path) -> None:
    install_hook(scoped, "src/a/**")
    before = git(scoped, "status", "--porcelain")
    assert layers_of(scoped) == Layers("commit hook, guard before each edit")
    assert git(scoped, "status", "--porcelain") == before, "the try leaves nothing behind"
    assert not (scoped.parent / "own" / "ran").exists(), "the person's own hook is not started for the try"


def test_a_hook_that_lets_everything_through_is_found(scoped: Path) -> None:
    (install_hook(scoped) / "pre-commit").write_text("#!/bin/sh\n")
    layers = layers_of(scoped)
    assert layers.words == "guard before each edit"
    assert layers.problem == "the commit hook does not refuse aegis-self-test/forbidden (exit code 0): "


def test_a_sandbox_that_lets_writes_through_is_found(scoped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_SANDBOX", "bubblewrap")
    layers = layers_of(scoped)
    assert layers.words == "guard before each edit"
    common = git(scoped, "rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    assert layers.problem == f"the sandbox allows a write to {common}"
    assert not list(Path(common).glob("aegis-self-test*"))


def test_a_kind_without_a_guard_is_named_as_such(scoped: Path) -> None:
    words = "no sandbox, no commit hook; no guard: writes outside the partition are refused at the commit"
    assert layers_of(scoped, has_guard=False) == Layers(words)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("true", "the guard does not refuse an edit of .git/config as it must (exit code 0): "),
        ("exit 2", "the guard does not refuse an edit of .git/config as it must (exit code 2): "),
        (
            "echo AEGIS: .git/config >&2; exit 2",
            "the guard refuses src/a/a, which is in the partition: AEGIS: .git/config",
        ),
    ],
)
def test_a_guard_that_decides_wrongly_does_not_count(scoped: Path, command: str, problem: str) -> None:
    layers = layers_of(scoped, guard_before=command)
    assert layers.words.endswith("; the guard does not work: writes outside the partition are refused at the commit")
    assert layers.problem == problem


def test_a_guard_that_cannot_be_started_refuses_every_edit() -> None:
    line = guard_commands("/no/such/python")["guard_before"]

    async def ends() -> int:
        process = await asyncio.create_subprocess_shell(line, stderr=asyncio.subprocess.DEVNULL)
        return await process.wait()

    assert asyncio.run(ends()) == 2


def test_the_pane_and_the_first_report_of_the_instance_name_the_layers(scoped: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(30), running(scoped, files=HOOKS) as cage:
            first = cage.hub.of_type("agent:report")[0]
            assert first.fields["note"] == "waiting for a prompt; writes: guard before each edit"
            assert first.fields["write_checks"] == "guard before each edit"
            assert "Writes guard before each edit" in cage.screen
            hooks = json.loads((cage.home / ".parrot/hooks.json").read_text("utf-8"))
            assert hooks == {"before": WORKING["guard_before"], "after": WORKING["guard_after"]}

    asyncio.run(scenario())


def test_in_strict_mode_an_instance_whose_guard_does_not_work_ends_before_its_program_starts(
    worktree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_STRICT", "1")
    add_hook(worktree, "exit 0")

    async def start() -> None:
        async with running(worktree):
            pass

    with pytest.raises(Refused, match="strict mode: the commit hook does not refuse") as caught:
        asyncio.run(start())
    assert caught.value.code == "agent.guard" and caught.value.is_certain
    assert not list((worktree.parent / "home" / "runs").iterdir())
