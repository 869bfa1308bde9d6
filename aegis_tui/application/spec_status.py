"""What the program writes into the file of a spec when its status changes (SPEC-3)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.spec.document import Spec, count_progress
from aegis_tui.domain.spec.model import SpecState


def status_edits(spec: Spec, state: SpecState, *, diff_path: str = "") -> Sequence[Edit]:
    """Return what to set in a file whose spec has another status now: status, error, result, tasks and progress.

    Args:
        spec: The spec as its file has it.
        state: What it is now.
        diff_path: Where the submitted work is; empty to leave that as it is.
    """
    edits = [Edit(("status",), state.status)]
    if state.error != spec.error:
        edits.append(Edit(("error",), state.error))
    if diff_path and diff_path != spec.diffPath:
        edits.append(Edit(("diffPath",), diff_path))
    if (result := result_of(state)) != spec.result:
        edits.append(Edit(("result",), result))
    if state.status == "completed" and spec.tasks:
        done = [
            task if task.status == "cancelled" else task.model_copy(update={"status": "completed"})
            for task in spec.tasks
        ]
        edits += [
            Edit(("tasks", number, "status"), task.status)
            for number, task in enumerate(done)
            if task != spec.tasks[number]
        ]
        edits.append(Edit(("progress",), count_progress(done).model_dump()))
    return edits


def status_change(spec: Spec, state: SpecState, refused: str) -> str:
    """Return what the change log says of it.

    Args:
        spec: The spec as its file has it.
        state: What it is now.
        refused: Why the status of the file was refused; empty if it was not.
    """
    if refused:
        return f"status {spec.status} was refused: {refused}"
    by = f", {state.by_run}" if state.by_run else ""
    result = f"; the result is on {result_of(state)}" if result_of(state) else ""
    return f"status {spec.status} -> {state.status}{by}{result}"


def result_of(state: SpecState) -> str:
    """Return the branch and the commit of the result, such as `aegis/run1/result 0123456789`; empty without one."""
    return f"{state.branch} {state.oid[:10]}" if state.status == "completed" and state.oid else ""
