"""The wrapper joins for a program, runs it for each prompt, and commits and submits what it did (AGENT-1, FLOW-7)."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted.headless import HeadlessRunner
from aegis_tui.agent.hosted.program import adopt_orphans
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.session import HostedSession
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings, Scope
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import UsageError
from aegis_tui.ports.llm import Usage
from aegis_tui.testing.memory_hub import MemoryHub, Recorded
from tests.agent.conftest import git

ME = "PARROT-w01"
PROGRAM = """
import json, os, subprocess, sys
place = os.environ["PARROT_PLACE"]
said = sys.stdin.read() if "--stdin" in sys.argv else sys.argv[-1]
number = len(os.listdir(place))
with open(f"{place}/{number}", "w") as file:
    json.dump({"argv": sys.argv[1:], "said": said, "key": os.environ.get("PARROT_KEY")}, file)
with open(os.environ["PARROT_SCRIPT"]) as file:
    steps = json.load(file)
step = steps[min(number, len(steps) - 1)]
for path, text in step.get("write", {}).items():
    with open(path, "w") as file:
        file.write(text)
if "leave" in step:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(step["leave"], "w") as file:
        file.write(str(child.pid))
for line in step.get("print", []):
    print(json.dumps(line) if isinstance(line, dict) else line, flush=True)
if "sleep" in step:
    import time
    time.sleep(step["sleep"])
sys.exit(step.get("code", 0))
"""
KIND = {
    "title": "a parrot",
    "programs": [sys.executable],
    "headless": {
        "argv": [sys.executable, "{home}/parrot.py", "--session", "{session}", "{prompt}"],
        "again": [sys.executable, "{home}/parrot.py", "--resume", "{session}", "{prompt}"],
    },
    "output": {"format": "jsonl", "show": ["said"], "summary": ["result"], "failed": ["is_error"]},
    "environment": {"PARROT_KEY": "{token}"},
    "files": [{"path": ".parrot/config.json", "text": '{"url": <<gateway_v1>>, "seed": [<<worktree>>]}'}],
    "mcp": "mcp__aegis__{tool}",
}


@dataclass
class Cage:
    """A running wrapper, and what is around it."""

    worktree: Path
    home: Path
    hub: MemoryHub
    session: HostedSession
    console: io.StringIO
    base_oid: str

    def will(self, *steps: dict[str, Any]) -> None:
        """Set what the program does in its next runs; the last step is repeated."""
        (self.home / "script.json").write_text(json.dumps(list(steps)))

    async def work(self, text: str = "Add a.", **context: Any) -> None:
        await self.hub.prompt(ME, text, **{"spec_id": "a", "base_oid": self.base_oid, "task": "implement", **context})

    async def ends(self, state: str) -> Recorded:
        return await self.hub.wait_for("agent:report", state=state)

    async def begun(self) -> None:
        """Return once the program has been started; it is another process, so its files are looked at."""
        while True:
            if self.runs():
                return
            await asyncio.sleep(0.01)

    async def times(self, count: int, command_type: str, **fields: Any) -> None:
        """Return once that many commands of this type with these fields have come; the play's deadline bounds it."""
        while True:
            got = [item for item in self.hub.of_type(command_type) if fields.items() <= dict(item.fields).items()]
            if len(got) >= count:
                return
            await asyncio.sleep(0.01)

    def runs(self) -> list[dict[str, Any]]:
        files = sorted((self.home / "runs").iterdir(), key=lambda path: int(path.name))
        return [json.loads(path.read_text()) for path in files]

    @property
    def screen(self) -> str:
        return self.console.getvalue()


def settings_of(worktree: Path, home: Path, role: str) -> AgentSettings:
    return AgentSettings(
        orphan_s=600.0,
        instance_id="w01",
        agent_id=ME,
        role=role,
        hub="",
        token_file=worktree / "none",
        base_url="http+unix:/nowhere",
        model=None,
        scope=Scope(partition=("src/a/**",), joint=("src/routes.py",)),
        shared_context="# Repository\n\nA shop.",
        max_turns=12,
        worktree=worktree,
        tool_environment={"PARROT_PLACE": str(home / "runs"), "PARROT_SCRIPT": str(home / "script.json")},
    )


def values_of(worktree: Path, home: Path) -> dict[str, str]:
    return {
        "session": str(uuid.uuid4()),
        "gateway": "http://127.0.0.1:1",
        "gateway_v1": "http://127.0.0.1:1/v1",
        "home": str(home),
        "instance": "w01",
        "model": "m",
        "permission": "",
        "python": sys.executable,
        "repository": str(worktree.parent),
        "token": "secret-token",
        "worktree": str(worktree),
    }


async def counted() -> Counted:
    return Counted(Usage(100, 10, 50), 1, 0)


@asynccontextmanager
async def running(worktree: Path, *, role: str = "worker", **changes: Any) -> AsyncIterator[Cage]:
    partitions = PartitionTable()
    partitions.set(ME, ("src/a/**",))
    partitions.set_scope(joint=("src/routes.py",))
    hub = MemoryHub(partitions)
    home = worktree.parent / "home"
    (home / "runs").mkdir(parents=True)
    (home / "parrot.py").write_text(PROGRAM)
    settings, values = settings_of(worktree, home, role), values_of(worktree, home)
    kind, console = KindFile.model_validate({**KIND, **changes}), io.StringIO()
    session = HostedSession(
        settings,
        "parrot",
        kind,
        team_rules="",
        link=hub.link(ME),
        screen=Screen(Pane(console)),
        values=values,
        runner=HeadlessRunner(settings, kind, values, Screen(Pane(console))),
        count=counted,
        beat_s=0.05,
    )
    task = asyncio.create_task(session.run())
    try:
        ready = asyncio.create_task(hub.wait_for("agent:report", state="idle"))
        await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        await ready
        yield Cage(worktree, home, hub, session, console, git(worktree, "rev-parse", "HEAD"))
    finally:
        session.stop("test over")
        await task


Play = Callable[..., None]


@pytest.fixture
def play(worktree: Path) -> Play:
    """Runs a scenario, a coroutine function of a `Cage`."""

    def run(scenario: Callable[[Cage], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(30), running(worktree, **options) as cage:
                await scenario(cage)

        asyncio.run(bounded())

    return run


def test_a_program_that_ends_well_has_its_work_committed_and_submitted(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(
            {
                "write": {"src/a/new.py": "x = 1\n"},
                "print": [{"said": "I am on it"}, "no json", {"result": "feat(a): add new"}],
            }
        )
        await cage.work()
        submitted = (await cage.hub.wait_for("diff:submit")).fields
        done = await cage.ends("done")
        assert submitted["spec_id"] == "a" and submitted["base_oid"] == cage.base_oid
        assert git(cage.worktree, "log", "-1", "--format=%s", submitted["head_oid"]) == "feat(a): add new"
        assert git(cage.worktree, "show", "--name-only", "--format=", submitted["head_oid"]) == "src/a/new.py"
        assert "feat(a): add new" in done.fields["note"]
        assert done.fields["tokens"] == {"prompt": 100, "completion": 10, "cached": 50}
        assert "I am on it" in cage.screen and "no json" in cage.screen
        joined = await cage.hub.wait_for("agent:register")
        assert joined.fields["agent_type"] == "PARROT"

    play(scenario)


def test_the_first_prompt_has_context_rules_scope_and_brief_and_the_next_one_goes_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}}, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work("Add a.")
        await cage.ends("done")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        first, second = cage.runs()
        for words in ("A shop.", "src/a/**", "mcp__aegis__acquire_lock", "Add a.", str(cage.worktree)):
            assert words in first["said"]
        assert first["argv"][0] == "--session" and second["argv"][0] == "--resume"
        assert first["argv"][1] == second["argv"][1]
        assert second["said"] == "Make it 2."

    play(scenario)


def test_a_program_that_cannot_go_on_gets_the_earlier_prompts_again_and_stdin_takes_any_length(play: Play) -> None:
    headless = {"argv": [sys.executable, "{home}/parrot.py", "--stdin"], "prompt": "stdin"}

    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}}, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work("Add a. " + "ä" * 200_000)
        await cage.ends("done")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        first, second = cage.runs()
        assert first["said"].count("ä") == 200_000
        assert second["said"].startswith(first["said"]) and second["said"].endswith("Make it 2.")

    play(scenario, headless=headless)


def test_the_token_reaches_the_program_by_its_environment_and_its_files_hold_what_they_name(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.ends("done")
        (run,) = cage.runs()
        assert run["key"] == "secret-token" and not any("secret-token" in word for word in run["argv"])
        config = cage.home / ".parrot" / "config.json"
        assert json.loads(config.read_text()) == {"url": "http://127.0.0.1:1/v1", "seed": [str(cage.worktree)]}
        assert config.stat().st_mode & 0o777 == 0o600

    play(scenario)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"code": 3, "print": ["no such model"]}, "ended with exit code 3:\nno such model"),
        ({"print": [{"is_error": True, "result": "API Error"}]}, "says that it failed"),
    ],
)
def test_a_program_that_fails_fails_the_task_with_the_end_of_its_output(
    play: Play, step: dict[str, Any], words: str
) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(step)
        await cage.work()
        failed = await cage.ends("failed")
        assert words in failed.fields["note"]
        assert failed.fields["cause"]["code"] == "agent.program"

    play(scenario)


def test_a_program_that_is_not_there_fails_the_task_with_how_to_install_it(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        await cage.work()
        failed = await cage.ends("failed")
        assert "cannot be started" in failed.fields["note"]

    play(scenario, headless={"argv": ["/no/such/parrot", "{prompt}"]})


def test_a_refused_submission_is_told_to_the_program_which_repairs_it(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"print": [{"said": "nothing to do"}]}, {"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.ends("done")
        first, second = cage.runs()
        assert "Add a." in first["said"]
        assert second["said"].startswith("Your work was not accepted: nothing was changed")

    play(scenario)


def test_a_program_that_never_does_the_work_fails_after_a_few_attempts(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({})
        await cage.work()
        failed = await cage.ends("failed")
        assert "nothing was changed" in failed.fields["note"]
        assert len(cage.runs()) == 4

    play(scenario)


def test_a_joint_file_is_submitted_under_the_token_of_its_lock(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/routes.py": "ROUTES = [1]\n"}})
        await cage.work()
        await cage.ends("done")
        submitted = await cage.hub.wait_for("diff:submit")
        (lock,) = [event.data for event in cage.hub.events if event.type == "lock:acquired"]
        assert lock["path"] == "src/routes.py"
        assert submitted.fields["tokens"] == [lock["token"]]

    play(scenario)


def test_what_a_program_leaves_running_ends_with_its_turn(play: Play, tmp_path: Path) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}, "leave": str(tmp_path / "pid")})
        await cage.work()
        await cage.ends("done")
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    adopt_orphans()
    try:
        play(scenario)
    finally:
        adopt_orphans(does=False)


def test_an_interrupt_ends_the_program_and_the_next_prompt_goes_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"sleep": 60}, {"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.begun()
        cage.session.interrupt()
        await cage.times(2, "agent:report", state="idle")
        cage.session.person_says("Go on.")
        await cage.ends("done")
        assert len(cage.runs()) == 2

    play(scenario)


def test_a_kind_that_cannot_take_the_role_leaves_with_the_reason(worktree: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), running(worktree, role="reviewer", mcp=""):
            raise AssertionError("it has started")

    with pytest.raises(UsageError, match="a parrot cannot be a reviewer"):
        asyncio.run(scenario())
