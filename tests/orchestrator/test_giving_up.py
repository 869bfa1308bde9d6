"""Effects that fail: what is tried again, what is given up at once, and in which words (FLOW-10)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast, get_args

import pytest

from aegis_tui.domain import effect as effects
from aegis_tui.domain.cause import Cause
from aegis_tui.domain.core import THE_HUB
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import InstanceMarkExited, InstanceMarkFailed, InstanceMarkReclaimed
from aegis_tui.domain.model import Key
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.events import QaBaseChecked
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.commands import RunFail, RunMarkCommitted
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.report_model import CommitSeen
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import GitError, Refused
from aegis_tui.orchestrator import reconcile
from aegis_tui.orchestrator.giving_up import cause_of_failure, given_up_command
from aegis_tui.orchestrator.last_screen import WORD_CHARS, last_words, whole_lines
from aegis_tui.orchestrator.qa import TellBase
from aegis_tui.orchestrator.reconcile import TRIES, Reconciler
from tests.domain.test_core import DESIGN, Hub

T = TypeVar("T")
FULL = OSError(errno.ENOSPC, "No space left on device", "/state/x")


class Port:
    """The command port on a core in memory."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._changed = asyncio.Event()

    async def submit(self, command: Any, actor: Actor = THE_HUB, request_id: str | None = None) -> dict[str, Any]:
        self.hub.send(command, actor)
        self._changed.set()
        return {}

    async def read(self, view: Callable[[Workspace], T]) -> T:
        return view(self.hub.workspace)

    async def changes(self) -> AsyncIterator[frozenset[Key]]:
        yield frozenset()
        while True:
            await self._changed.wait()
            self._changed.clear()
            yield frozenset()


class Broken:
    """Every act of it fails in one way, and is counted."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def act(*arguments: Any, **options: Any) -> None:
            self.calls.append(name)
            if self.error is not None:
                raise self.error

        return act


class Quiet(Broken):
    """QA that has looked ahead already."""

    def has_looked_ahead(self, run: str) -> bool:
        return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def reconciled(
    hub: Hub,
    condition: Callable[[], bool],
    *,
    keeper: Any = None,
    integrator: Any = None,
    idle: Any = None,
    quality: Any = None,
) -> None:
    """Reconcile until the condition holds."""

    async def events(after: int) -> AsyncIterator[Event]:
        for event in hub.log[max(0, after) :]:
            yield event

    async def describe(oid: str) -> CommitSeen:
        raise GitError(f"commit {oid} cannot be read")

    async def run() -> None:
        reconciler = Reconciler(
            port=cast(Any, Port(hub)),
            keeper=cast(Any, keeper or Broken()),
            integrator=cast(Any, integrator or Broken()),
            recomposer=cast(Any, Broken()),
            quality=cast(Any, quality or Quiet()),
            rules=cast(Any, Broken()),
            piece_qa=cast(Any, Broken()),
            read_events=events,
            describe_commit=describe,
            before_launch=Broken().quiet,
            when_idle=(idle or Broken()).quiet,
        )
        task = asyncio.create_task(reconciler.run())
        try:
            await until(condition)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE_S", 0.001)


class Early(Broken):
    """QA that knows at once what the base gives."""

    def __init__(self, result: CheckResult) -> None:
        super().__init__()
        self._check, self._seen = compare(1, "make", result, result), False

    def has_looked_ahead(self, run: str) -> bool:
        return self._seen

    def look_ahead(self, run: Run, tell: TellBase) -> None:
        self._seen = True
        self.task = asyncio.ensure_future(tell((self._check,)))


def test_a_base_that_would_shut_the_gate_is_logged_while_the_workers_work() -> None:
    hub = Hub()
    hub.start(DESIGN)
    missing = CheckResult(status="not_run", reason="pytest is missing", remedy="pip install pytest")
    reconciled(hub, lambda: hub.run.base_qa is not None, quality=Early(missing))
    (data,) = [event.data for event in hub.log if isinstance(event.data, QaBaseChecked)]
    assert (data.reason, data.command) == ("make: pytest is missing", "pip install pytest")
    assert hub.run.stage is Stage.MONITORING


def test_a_full_disk_ends_the_run_at_the_first_try_of_the_first_worker() -> None:
    hub = Hub()
    hub.start(DESIGN)
    keeper = Broken(FULL)
    reconciled(hub, lambda: hub.run.ok is False, keeper=keeper)
    assert hub.run.error is not None
    assert keeper.calls.count("prepare") == 1
    assert "No space left on device" in hub.run.error["message"]
    assert hub.run.error["hint"].startswith("free space")
    assert hub.run.error["instance"] == "NATIVE-w01"


def test_what_may_pass_is_tried_again_by_the_hub_and_by_successors() -> None:
    hub = Hub()
    hub.start(DESIGN, max_attempts=2)
    keeper = Broken(GitError("git worktree failed: fatal: busy"))
    reconciled(hub, lambda: hub.run.ok is False, keeper=keeper)
    assert hub.run.error is not None
    assert keeper.calls.count("prepare") == 2 * TRIES
    assert "alpha failed 2 times: NATIVE-w01: " in hub.run.error["message"]
    assert "git worktree failed: fatal: busy" in hub.run.error["message"]


def test_a_certain_failure_of_git_ends_the_run_with_gits_words() -> None:
    hub = Hub()
    hub.start(DESIGN)
    hub.run.prepared = False
    integrator = Broken(GitError("git update-ref failed: Read-only file system", is_certain=True))
    reconciled(hub, lambda: hub.run.ok is False, integrator=integrator)
    assert hub.run.error is not None
    assert integrator.calls.count("prepare_run") == 1
    assert hub.run.error["code"] == "effect.failed"
    assert hub.run.error["message"].startswith("the run could not be prepared: git update-ref failed")


def test_a_run_that_cannot_be_cleaned_up_ends_all_the_same_and_says_what_is_left() -> None:
    hub = Hub()
    hub.start(DESIGN)
    hub.to_final_qa()
    hub.qa(True)
    hub.send(
        RunMarkCommitted(
            run="run1", oid="c", branch="aegis/run1/result", subject="feat: g", tree="T", files=2, trailers={}
        )
    )
    hub.bring_down()
    integrator, idle = Broken(Refused("a branch is locked")), Broken(OSError("tmux"))
    reconciled(hub, lambda: hub.run.status is RunStatus.COMPLETED, integrator=integrator, idle=idle)
    report = next(event.data.report for event in hub.log if event.type == "run:finished")  # type: ignore[union-attr]
    assert report["ok"] is True and report["commit"]["oid"] == "c"
    assert report["problems"] == [
        "the run's branches are not cleaned up: a branch is locked",
        "git does not describe the commit: commit c cannot be read",
        "the terminal server is still there: tmux",
    ]
    assert integrator.calls.count("put_away") == TRIES


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (effects.PrepareRun("run1"), "the run could not be prepared: no"),
        (effects.InspectPiece("run1", "alpha", "a"), "the submission of alpha could not be compared"),
        (effects.ComposePiece("run1", "alpha", "a"), "alpha could not be merged: no"),
        (effects.CheckComposition("run1", "a"), "the merged pieces could not be checked: no"),
        (effects.RunQa("run1", 0, "a"), "QA could not run: no"),
        (effects.CommitRun("run1", "a"), "the result could not be committed: no"),
    ],
)
def test_an_effect_of_the_run_is_given_up_in_words_about_the_work(effect: effects.Effect, words: str) -> None:
    command = given_up_command(effect, Cause(message="no", hint="do this"))
    assert isinstance(command, RunFail)
    assert words in command.message and (command.cause, command.hint) == ("no", "do this")


def test_an_effect_of_an_instance_is_given_up_with_its_reason() -> None:
    cause = Cause(message="no", outlook="certain")
    failed = given_up_command(effects.PrepareInstance("NATIVE-w01"), cause)
    assert isinstance(failed, InstanceMarkFailed) and failed.cause is not None and failed.cause.is_certain
    launched = given_up_command(effects.LaunchInstance("NATIVE-w01"), cause)
    assert isinstance(launched, InstanceMarkFailed) and "its pane could not be created: no" in launched.reason
    stopped = given_up_command(effects.StopInstance("NATIVE-w01"), cause)
    assert isinstance(stopped, InstanceMarkExited) and "could not be stopped: no" in stopped.reason
    left = given_up_command(effects.ReclaimInstance("NATIVE-w01"), cause)
    assert isinstance(left, InstanceMarkReclaimed) and (left.removed, left.reason) == (False, "no")
    assert given_up_command(effects.FinishRun("run1"), cause) is None


@pytest.mark.parametrize(
    ("error", "outlook"),
    [
        (FULL, "certain"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "certain"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "certain"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "may-pass"),
        (GitError("git failed"), "may-pass"),
        (RuntimeError("a bug"), "may-pass"),
    ],
)
def test_what_the_system_says_tells_whether_another_try_is_of_use(error: Exception, outlook: str) -> None:
    cause = cause_of_failure(error)
    assert cause.outlook == outlook
    assert str(error.strerror if isinstance(error, OSError) else error) in cause.message


def test_the_last_words_of_a_pane_are_plain_and_bounded() -> None:
    lines = ["\x1b[31mbwrap: Can't bind mount\x1b[0m   ", "", "second\x07\x85 line", "Pane is dead (status 1, today)"]
    assert last_words(lines) == "bwrap: Can't bind mount\nsecond line"
    assert last_words([]) == ""
    assert whole_lines(["abcd", "ef", "gh", "ijkl"], 4) == ["abcdef", "gh", "ijkl"]
    assert len(last_words(["x" * 9000] * 9)) <= WORD_CHARS


def test_every_effect_is_done_by_the_reconciler() -> None:
    nothing = cast(Any, None)
    reconciler = Reconciler(
        port=nothing,
        keeper=cast(Any, Broken()),
        integrator=nothing,
        recomposer=nothing,
        quality=nothing,
        rules=nothing,
        piece_qa=nothing,
        read_events=nothing,
        describe_commit=nothing,
        before_launch=nothing,
        when_idle=nothing,
    )
    assert set(reconciler._do) == set(get_args(effects.Effect))
