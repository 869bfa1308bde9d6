"""A failure that the memory holds."""

from __future__ import annotations

from aegis_tui.bootstrap.memory import open_memory
from aegis_tui.domain.memory.model import Failure
from aegis_tui.sdk.discovery import WorkspacePaths

QUESTIONS = (("last",), ("similar", "error"), ("by-agent",), ("forget", "id"))


def remember(paths: WorkspacePaths) -> None:
    words = {name: name for name in ("id", "at", "run", "piece", "spec", "agent_id", "kind", "model", "code")}
    texts = {name: name for name in ("error", "trace", "tried", "resolution", "resolved_by")}
    with open_memory(paths) as memory:
        memory.keep([Failure(**words, **texts, files=("a.py",))])
