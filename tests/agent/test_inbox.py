from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aegis_tui.agent.hand_in import TaskContext
from aegis_tui.agent.inbox import Inbox, notice_line
from aegis_tui.ports.hub_link import HubEvent

ME, OTHER = "NATIVE-w01", "NATIVE-w02"


def message(seq: int, text: str, *, kind: str = "prompt", **context: str) -> HubEvent:
    return HubEvent(seq, "message:sent", "hub", "", {"to": ME, "text": text, "kind": kind, "context": context})


def take(inbox: Inbox, event: HubEvent) -> bool:
    return inbox.take(event, read_paths=(), lost_paths=())


def test_an_event_that_came_before_changes_nothing() -> None:
    inbox = Inbox(ME)
    assert take(inbox, message(4, "One"))
    assert not take(inbox, message(4, "One"))
    prompts, _ = inbox.drain_for(TaskContext())
    assert [prompt.text for prompt in prompts] == ["One"]


def test_prompts_of_another_piece_stay_until_they_are_asked_for() -> None:
    inbox = Inbox(ME)
    take(inbox, message(1, "Mine", spec_id="a"))
    take(inbox, message(2, "Other", spec_id="b"))
    take(inbox, message(3, "Mine too", spec_id="a"))
    prompts, _ = inbox.drain_for(TaskContext(spec_id="a"))
    assert [prompt.text for prompt in prompts] == ["Mine"]
    assert asyncio.run(inbox.next_prompt()).text == "Other"


def test_notices_are_told_once_and_cut() -> None:
    inbox = Inbox(ME)
    take(inbox, message(1, "x" * 5000, kind="note"))
    _, notices = inbox.drain_for(TaskContext())
    assert len(notices) == 1
    assert len(notices[0]) == 400
    assert inbox.drain_for(TaskContext()) == ([], [])


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (HubEvent(1, "partition:changed", ME, "", {"globs": ["x/**"]}), "your partition is now x/**"),
        (HubEvent(1, "partition:changed", OTHER, "", {"globs": ["x/**"]}), None),
        (HubEvent(1, "code:written", OTHER, "", {"file": "a.py"}), f"{OTHER} changed a.py in its own worktree"),
        (HubEvent(1, "code:written", ME, "", {"file": "a.py"}), None),
        (HubEvent(1, "code:written", OTHER, "", {"file": "b.py"}), None),
        (
            HubEvent(1, "conflict:detected", "hub", "", {"a": "x", "b": "y", "path": "a.py"}),
            "x and y both change a.py",
        ),
        (HubEvent(1, "lock:broken", ME, "", {"lock_id": "L1"}), "you no longer hold the lock on j.py (broken)"),
        (HubEvent(1, "spec:created", "hub", "", {}), None),
    ],
)
def test_only_events_that_touch_the_instance_are_told(event: HubEvent, line: str | None) -> None:
    lost: Any = ["j.py"] if event.type.startswith("lock:") else []
    assert notice_line(event, ME, read_paths={"a.py"}, lost_paths=lost) == line


def test_a_persons_word_keeps_the_task_and_the_piece() -> None:
    context = TaskContext(task="design", spec_id="a", base_oid="1")
    assert context.merged({"task": "free"}) == context
    assert context.merged({"task": "fix", "base_oid": "2"}) == TaskContext("fix", "a", None, "2")


def test_a_write_to_a_related_file_is_told_once_with_its_relation() -> None:
    inbox = Inbox(ME)
    for seq, sender in enumerate((OTHER, OTHER, ME, "NATIVE-w03"), 1):
        event = HubEvent(seq, "code:written", sender, "", {"file": "b.py"})
        inbox.take(event, read_paths=("a.py",), lost_paths=(), relation="a.py imports pay from it")
    _, notices = inbox.drain_for(TaskContext())
    assert notices == [
        f"{OTHER} changed b.py in its own worktree; a.py imports pay from it",
        "NATIVE-w03 changed b.py in its own worktree; a.py imports pay from it",
    ]
