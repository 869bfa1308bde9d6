"""Reads the failures of a run off its events: who failed at what, and which later submission resolved it (MEM-1)."""

from __future__ import annotations

from dataclasses import replace

from aegis_tui.domain.cause import ended, one_line
from aegis_tui.domain.event import Event
from aegis_tui.domain.inert import without_hidden
from aegis_tui.domain.instance.events import InstanceLost
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.memory.model import Failure
from aegis_tui.domain.memory.secret_text import without_secrets
from aegis_tui.domain.piece.events import MergeApplied, PieceReopened
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace

SENT_BACK = "sent-back"
"""The code of a failure that is a refused submission."""

_ERROR_CHARS, _TEXT_CHARS, _MOST_FILES = 400, 4000, 50


class FailureFold:
    """Collects the failures of one run, event by event."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._workspace = Workspace()
        self._open: dict[str, list[str]] = {}
        self.failures: dict[str, Failure] = {}
        """All so far, by id, the oldest first."""

    def take(self, event: Event) -> None:
        """Add the next event of the log, starting with the run's first."""
        data = event.data
        failed: Failure | None = None
        match data:
            case PieceReopened(run=self._run) if not data.asked and data.counts:
                failed = self._sent_back(event, data)
            case InstanceLost():
                failed = self._lost(event, data)
            case _:
                pass
        self._workspace.evolve(event)
        if failed is not None:
            self.failures[failed.id] = failed
            self._open.setdefault(failed.piece, []).append(failed.id)
        if isinstance(data, MergeApplied) and data.run == self._run:
            self._resolve(data.piece)

    def _sent_back(self, event: Event, data: PieceReopened) -> Failure | None:
        run = self._workspace.runs.by_id.get(self._run)
        piece = run.pieces.get(data.piece) if run else None
        author = self._workspace.get_instance(piece.agent_id or "") if piece else None
        if run is None or piece is None or author is None:
            return None
        return _failure(event, run, author, data.piece, SENT_BACK, data.reason, files=piece.files)

    def _lost(self, event: Event, data: InstanceLost) -> Failure | None:
        instance = self._workspace.get_instance(event.agent_id)
        run = self._workspace.runs.by_id.get(self._run)
        if instance is None or run is None or instance.run != self._run or instance.piece is None:
            return None
        cause = instance.cause or data.cause
        text = cause.message if cause else data.reason
        code = cause.code if cause else "lost"
        return _failure(event, run, instance, instance.piece, code, text, files=())

    def _resolve(self, name: str) -> None:
        run = self._workspace.runs.by_id.get(self._run)
        piece = run.pieces.get(name) if run else None
        author = self._workspace.get_instance(piece.agent_id or "") if piece else None
        if piece is None or author is None:
            return
        words = one_line(_clean(author.said or "its submission was merged"), _ERROR_CHARS)
        files = _clean(", ".join(piece.files[:_MOST_FILES]))
        for failure_id in self._open.pop(name, ()):
            failure = self.failures[failure_id]
            self.failures[failure_id] = replace(
                failure,
                resolution=f"{words} (changed {files})" if files else words,
                resolved_by=author.agent_id,
            )


def _failure(
    event: Event, run: Run, instance: Instance, piece: str, code: str, text: str, *, files: tuple[str, ...]
) -> Failure:
    text, tried = _clean(text), _clean(instance.said or "")
    return Failure(
        id=f"{run.run}-{event.seq}",
        at=event.timestamp,
        run=run.run,
        piece=piece,
        spec=ended(_clean(task_words(run, piece)), _TEXT_CHARS),
        agent_id=instance.agent_id,
        kind=instance.kind,
        model=run.options.model or run.facts.model or "",
        code=code,
        error=one_line(_gist(text), _ERROR_CHARS),
        trace=ended(text, _TEXT_CHARS),
        tried=ended(tried, _TEXT_CHARS),
        files=tuple(_clean(name) for name in files[:_MOST_FILES]),
    )


def task_words(run: Run, piece: str) -> str:
    """Return the title and the brief of a piece, by the design; the goal of a run without one."""
    design = run.design
    if design is None:
        return run.goal
    if piece == FOUNDATION and design.foundation:
        return design.foundation.brief
    feature = next((item for item in design.features if item.id == piece), None)
    return f"{feature.title}\n{feature.brief}" if feature else run.goal


def _gist(text: str) -> str:
    """Return what a person would quote of a refusal: its listed findings if it has any, else its text."""
    listed = [line for line in text.splitlines() if line.startswith("- ")]
    return "\n".join(line.removeprefix("- ") for line in listed) or text


def _clean(text: str) -> str:
    """Return a text without secrets and hidden characters; call it before the text is cut: half a secret is one too."""
    return without_secrets(without_hidden(text, keep="\n\t"))
