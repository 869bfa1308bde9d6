"""A run that ended without its whole result waits until the person says that they know it (WISH-8)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.answer import answers_to
from aegis_tui.domain.command import AnyCommand, parse_command
from aegis_tui.domain.core import THE_HUB, THE_PERSON, execute
from aegis_tui.domain.need import needs
from aegis_tui.domain.run.commands import RunAcknowledge, RunCancel, RunFail, RunMarkFinished, RunStart
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

FACTS = RunFacts(workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=("pytest",))


class Runs:
    """A workspace whose runs are started and ended."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self._count = 0

    def send(self, command: AnyCommand, *, by_hub: bool = False) -> list[str]:
        self._count += 1
        actor = THE_HUB if by_hub else THE_PERSON
        done = execute(
            self.workspace,
            command,
            actor=actor,
            request_id=str(self._count),
            now=float(self._count),
            timestamp="2026-01-01T00:00:00Z",
        )
        return [event.type for event in done.events]

    def end(self, name: str, command: AnyCommand) -> None:
        self.send(RunStart(goal="g", run=name, facts=FACTS))
        self.send(command, by_hub=isinstance(command, RunFail))
        self.send(RunMarkFinished(run=name, report={}), by_hub=True)

    def waiting(self) -> list[tuple[str, str, str]]:
        return [(need.kind, need.key, need.words) for need in needs(self.workspace)]


def test_a_failed_run_waits_until_it_is_acknowledged_and_its_answer_does_that() -> None:
    runs = Runs()
    runs.end("run1", RunFail(run="run1", code="x", message="the disk is full\nmore", hint=""))
    assert runs.waiting() == [("ended", "run1", "run1 ended without a result: the disk is full")]
    (need,) = needs(runs.workspace)
    (answer,) = answers_to(need)
    assert answer.twin(need) == "aegis-tui inbox answer run1 seen"
    assert runs.send(parse_command({"type": answer.command, **answer.fields})) == ["run:acknowledged"]
    assert runs.waiting() == []
    assert runs.send(RunAcknowledge(run="run1")) == []


def test_a_run_that_the_person_cancelled_or_that_another_one_followed_does_not_wait() -> None:
    runs = Runs()
    runs.end("run1", RunCancel(run="run1"))
    assert runs.waiting() == []
    runs.end("run2", RunFail(run="run2", code="x", message="no model", hint=""))
    runs.send(RunStart(goal="g", run="run3", facts=FACTS))
    assert [name for kind, name, _ in runs.waiting() if kind == "ended"] == []


def test_an_open_or_unknown_run_cannot_be_acknowledged() -> None:
    runs = Runs()
    runs.send(RunStart(goal="g", run="run1", facts=FACTS))
    with pytest.raises(Refused, match="run1 has not ended"):
        runs.send(RunAcknowledge(run="run1"))
    with pytest.raises(UsageError, match="there is no run run9"):
        runs.send(RunAcknowledge(run="run9"))
