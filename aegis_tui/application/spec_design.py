"""Makes the design of the run that does the work of a spec: a run of one goal is a set of tasks of a spec (SPEC-5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.naming import RESERVED
from aegis_tui.domain.run.design import Design, Feature
from aegis_tui.domain.spec.document import Spec, SpecTask
from aegis_tui.errors import Refused

_ODD = re.compile(r"[^a-z0-9_-]+")
_ID_CHARS = 41
_ALL = "**"


def design_of(spec: Spec, *, kind: str | None = None) -> Design:
    """Return the design for a spec.

    If all tasks name files, and no two of them the same, each task becomes a feature with a worker of its own, and the
    dependencies of tasks those of features. Otherwise one worker does the whole spec, and may change the files that the
    tasks name, or all files if a task names none. Tasks that are completed or cancelled are left out. The mode SINGLE
    always gives one worker, and PAR-MULTI one for each task.

    Args:
        spec: A valid spec.
        kind: The agent kind; None leaves it to the options of the run.

    Raises:
        Refused: Globs of the tasks cost too much to compare. Or the mode is PAR-MULTI, and a task names no files, or
            two name the same (code `spec.mode`).
    """
    tasks = [task for task in spec.tasks if task.status not in ("completed", "cancelled")]
    more: dict[str, str] = {} if kind is None else {"kind": kind}
    around = "\n".join(_about(spec))
    names = _names(tasks)
    is_apart = spec.mode != "SINGLE" and len(tasks) > 1 and len(names) == len(tasks) and _are_apart(tasks)
    if spec.mode == "PAR-MULTI" and not is_apart:
        hint = "give each task files of its own, or choose another mode"
        raise Refused(
            f"{spec.id}: the mode is PAR-MULTI, but its tasks cannot be built at once", hint, code="spec.mode"
        )
    if is_apart:
        features = [
            Feature(
                id=names[task.id],
                title=task.title,
                brief=f"{_about_task(task)}\n\nIt is one task of this spec; others do the rest.\n{around}",
                partition=task.files,
                depends_on=tuple(names[name] for name in task.dependencies if name in names),
                **more,
            )
            for task in tasks
        ]
    else:
        lines = [_about_task(task) for task in tasks]
        globs = tuple(dict.fromkeys(glob for task in tasks for glob in task.files))
        every = globs if globs and all(task.files for task in tasks) else (_ALL,)
        brief = "\n".join([around, *(["Tasks:"] if lines else []), *(f"- {line}" for line in lines)])
        features = [Feature(id=feature_name(spec.id), title=spec.metadata.title, brief=brief, partition=every, **more)]
    return Design(goal=spec.metadata.title, features=tuple(features))


def _about(spec: Spec) -> Iterable[str]:
    yield f"{spec.id}: {spec.metadata.title}"
    if spec.metadata.description.strip():
        yield spec.metadata.description.strip()
    if spec.requirements:
        yield "Requirements:"
    for item in spec.requirements:
        yield f"- {item.id}: {item.description}"
        yield from (f"  - {criterion}" for criterion in item.acceptanceCriteria)
    if spec.context and spec.context.files:
        yield f"Read first: {', '.join(spec.context.files)}"
    if spec.context and spec.context.dependencies:
        yield f"Packages: {', '.join(spec.context.dependencies)}"


def _about_task(task: SpecTask) -> str:
    return f"{task.id}: {task.title}"


def _names(tasks: Iterable[SpecTask]) -> dict[str, str]:
    """Return a feature id for each task; fewer than there are tasks if two would get the same."""
    names = {task.id: feature_name(task.id) for task in tasks}
    return names if len(set(names.values())) == len(names) else {}


def feature_name(text: str) -> str:
    """Return a text as the id of a feature; one that no feature may have gets `task-` before it."""
    name = _ODD.sub("-", text.lower())
    return (name if name[:1].isalnum() and name not in RESERVED else f"task-{name}")[:_ID_CHARS]


def _are_apart(tasks: Sequence[SpecTask]) -> bool:
    """Return whether all tasks name files, and no path belongs to two tasks.

    Raises:
        Refused: Their globs cost too much to compare.
    """
    if not all(task.files for task in tasks):
        return False
    effort = Effort()
    owned = [(task.id, compile_glob(text)) for task in tasks for text in task.files]
    return not any(
        overlap(one, other, effort=effort) for (mine, one), (yours, other) in combinations(owned, 2) if mine != yours
    )
