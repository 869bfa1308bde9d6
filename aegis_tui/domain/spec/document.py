"""What a spec file says: its model, and the rules that its fields keep together (SPEC-2, SPEC-5).

`application/spec_text.py` knows how it is written in a file. Names of fields are those of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field

from aegis_tui.domain.field import MAX_TEXT
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.naming import check_spec_id, check_task_id
from aegis_tui.domain.spec.model import SpecStatus, find_cycle_from
from aegis_tui.errors import AegisError, UsageError

Place = tuple[str | int, ...]
"""Where a value stands in a spec: names of fields and positions in lists, from the outside in."""

Text = Annotated[str, Field(min_length=1)]
Priority = Literal["low", "medium", "high", "critical"]
SpecMode = Literal["", "SINGLE", "PAR-MULTI", "GCC", "GCC-RT"]
ItemStatus = Literal["pending", "in-progress", "completed", "failed", "blocked", "cancelled"]
"""The status of a requirement or a task."""

PRIORITIES: Final[Mapping[Priority, int]] = {"low": -1, "medium": 0, "high": 1, "critical": 2}
"""Priority -> its rank in the order of dispatch; the highest goes first (SPEC-5)."""

MOST_TASKS = 1000
MOST_CHANGES = 1000
"""The most entries that `changeLog` keeps: the newest."""


class SpecIssue(NamedTuple):
    """One rule that a spec breaks, and where."""

    place: Place
    message: str


class Metadata(FrozenModel):
    """What a spec is about, for people."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    """What is wanted, in one line; it becomes the goal of the run."""

    description: str = ""
    author: str = ""
    createdAt: str = ""
    """When the file was written, as RFC 3339, such as 2026-11-30T08:00:00Z; the program sets it and never reads it."""

    updatedAt: str = ""
    """When the program last changed the file, in the same form."""

    tags: tuple[str, ...] = ()
    estimatedDuration: str = ""
    extra: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of an upgraded file that no other field holds."""


class Requirement(FrozenModel):
    """What has to be true when the spec is completed."""

    id: Text
    description: Text
    priority: Priority = "medium"
    status: ItemStatus = "pending"
    acceptanceCriteria: tuple[str, ...] = ()


class SpecTask(FrozenModel):
    """A part of the work of a spec; tasks with files of their own are built by a worker each (`design_of`)."""

    id: Text
    title: Text
    type: str = "feature"
    status: ItemStatus = "pending"
    priority: Priority = "medium"
    assignedTo: str = ""
    """The instance that works on it; written by the hub."""
    estimatedTime: str = ""
    dependencies: tuple[str, ...] = ()
    """Ids of tasks of this spec that must be completed first."""
    files: tuple[str, ...] = ()
    """Globs of the files that the task may change."""


class SpecProgress(FrozenModel):
    """How many tasks have which status; written by the hub."""

    total: Annotated[int, Field(ge=0)] = 0
    completed: Annotated[int, Field(ge=0)] = 0
    inProgress: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0)] = 0
    blocked: Annotated[int, Field(ge=0)] = 0
    pending: Annotated[int, Field(ge=0)] = 0
    percentage: Annotated[float, Field(ge=0, le=100)] = 0


class SpecChange(FrozenModel):
    """An entry of the change log: who changed what, and when."""

    timestamp: Text
    """When, as RFC 3339 with the time zone."""
    author: str = ""
    change: Text


class SpecContext(FrozenModel):
    """What a worker needs beside the task."""

    files: tuple[str, ...] = ()
    """Files to read first."""
    dependencies: tuple[str, ...] = ()
    """Packages that the work needs, such as `httpx>=0.28`."""
    env_vars: tuple[str, ...] = ()
    """Names of environment variables."""


class Spec(FrozenModel):
    """What a spec file says in the present form. The model checks single fields, `check_spec` the rules between."""

    id: Text
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$")] = "0.1.0"
    """SemVer 2.0.0."""
    priority: Priority = "medium"
    status: SpecStatus = "draft"
    diffPath: str = ""
    """Where the work was handed in; written by the hub (SPEC-7)."""
    error: str = ""
    """Why the spec failed; written by the hub."""
    result: str = ""
    """The branch with the result and its commit, when the spec is completed; written by the hub."""
    dependencies: tuple[str, ...] = ()
    """Ids of specs that must be completed first."""
    mode: SpecMode = ""
    """How agents work on it: one alone (SINGLE), one for each task (PAR-MULTI), with reviews at the end (GCC), or with
    reviews while the code is written too (GCC-RT). Empty for GCC."""
    agents: tuple[Text, ...] = ()
    """Kinds of agents that may work on it, of which the first is used; empty for the kind of the settings."""
    assignedAgent: str = ""
    """The instance that works on it; written by the hub."""
    metadata: Metadata
    context: SpecContext | None = None
    requirements: tuple[Requirement, ...] = ()
    tasks: Annotated[tuple[SpecTask, ...], Field(max_length=MOST_TASKS)] = ()
    progress: SpecProgress | None = None
    changeLog: tuple[SpecChange, ...] = ()


def check_spec(spec: Spec) -> Sequence[SpecIssue]:
    """Return the rules between fields that a spec breaks; empty if there are none.

    Ids are valid and unique, dependencies exist and form no cycle (the message has its path), and globs can be read.
    """
    return [*_check_id(spec), *_check_ids(spec), *_check_dependencies(spec), *_check_globs(spec)]


def count_progress(tasks: Iterable[SpecTask]) -> SpecProgress:
    """Return how many of the tasks have which status; cancelled ones count in no number."""
    counts = Counter(task.status for task in tasks if task.status != "cancelled")
    total = counts.total()
    return SpecProgress(
        total=total,
        completed=counts["completed"],
        inProgress=counts["in-progress"],
        failed=counts["failed"],
        blocked=counts["blocked"],
        pending=counts["pending"],
        percentage=round(100 * counts["completed"] / total, 1) if total else 0,
    )


def _check_id(spec: Spec) -> Iterator[SpecIssue]:
    for place, name in [(("id",), spec.id), *((("dependencies", n), name) for n, name in enumerate(spec.dependencies))]:
        try:
            check_spec_id(name)
        except UsageError as error:
            yield SpecIssue(place, f"{error.message}; {error.hint}")
    if spec.id in spec.dependencies:
        yield SpecIssue(("dependencies", spec.dependencies.index(spec.id)), "a spec cannot depend on itself")


def _check_ids(spec: Spec) -> Iterator[SpecIssue]:
    lists: dict[str, Sequence[Requirement | SpecTask]] = {"requirements": spec.requirements, "tasks": spec.tasks}
    for field, items in lists.items():
        first: dict[str, int] = {}
        for number, item in enumerate(items):
            if first.setdefault(item.id, number) != number:
                yield SpecIssue((field, number, "id"), f"{item.id} is already the id of {field}[{first[item.id]}]")
            try:
                check_task_id(item.id)
            except UsageError as error:
                yield SpecIssue((field, number, "id"), f"{error.message}; {error.hint}".replace("a task id", "an id"))


def _check_dependencies(spec: Spec) -> Iterator[SpecIssue]:
    needs = {task.id: task.dependencies for task in spec.tasks}
    for number, task in enumerate(spec.tasks):
        for position, name in enumerate(task.dependencies):
            if name not in needs:
                yield SpecIssue(("tasks", number, "dependencies", position), f"there is no task {name} in this spec")
    known = {name: [other for other in others if other in needs] for name, others in needs.items()}
    if cycle := find_cycle_from("", lambda name: known[name] if name else known):  # no task has an empty id
        number = next(n for n, task in enumerate(spec.tasks) if task.id == cycle[0])
        yield SpecIssue(("tasks", number, "dependencies"), f"the tasks wait for each other: {' -> '.join(cycle)}")


def _check_globs(spec: Spec) -> Iterator[SpecIssue]:
    for number, task in enumerate(spec.tasks):
        for position, text in enumerate(task.files):
            try:
                compile_glob(text)
            except AegisError as error:
                yield SpecIssue(("tasks", number, "files", position), error.message)
