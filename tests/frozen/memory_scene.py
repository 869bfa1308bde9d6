"""A failure that the memory holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any
from unittest import mock

from aegis_tui.bootstrap import mentor
from aegis_tui.bootstrap.memory import open_memory
from aegis_tui.domain.memory.model import Failure
from aegis_tui.domain.mentoring import Retrospective
from aegis_tui.sdk.discovery import WorkspacePaths

QUESTIONS = (("last",), ("similar", "error"), ("by-agent",), ("forget", "id"))


def remember(paths: WorkspacePaths) -> None:
    words = {name: name for name in ("id", "at", "run", "piece", "spec", "agent_id", "kind", "model", "code")}
    texts = {name: name for name in ("error", "trace", "tried", "resolution", "resolved_by")}
    with open_memory(paths) as memory:
        memory.keep([Failure(**words, **texts, files=("a.py",))])


def ask_mentor(ask: Callable[..., Any]) -> None:
    """A proposal of the mentor for a run that has ended."""
    change = {"role": "worker", "reason": "r", "old": "a", "new": "b"}

    async def answer(*_: Any, **__: Any) -> tuple[Retrospective, str]:
        return Retrospective.model_validate({"summary": "s", "changes": [change]}), "--- a\n"

    with mock.patch.object(mentor, "ask_mentor", answer):
        ask("mentor", "run1")
    shutil.rmtree(".agents/diffs")
