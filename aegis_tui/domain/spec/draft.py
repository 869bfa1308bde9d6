"""What a consultant makes of a sentence: requirements and tasks for the draft of a spec (ROLE-5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from aegis_tui.domain.inert import inert
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.spec.document import Requirement, Spec, SpecTask, check_spec
from aegis_tui.domain.tool.model import Tool, ToolArguments

CONSULTANT: Final = "consultant"
"""The role, and what `assignedAgent` of a draft says as long as the consultant has it."""

_MOST_ITEMS: Final = 50
_MOST_CHARS: Final = 12_000
_Words = Annotated[str, Field(min_length=1, max_length=4000)]


class DraftRequirement(FrozenModel):
    """One thing that has to be true in the end."""

    description: _Words
    criteria: tuple[_Words, ...] = Field(min_length=1, max_length=_MOST_ITEMS, description="How each is checked.")


class DraftTask(FrozenModel):
    """One part of the work."""

    title: _Words
    files: tuple[_Words, ...] = Field((), max_length=_MOST_ITEMS, description="Globs of the files that it changes.")
    after: tuple[int, ...] = Field((), description="Numbers of the tasks, from 1, that must be done before it.")


class SpecDraft(ToolArguments):
    """Arguments of `propose_spec`, which ends a consultation."""

    description: _Words = Field(description="What is wanted and what is not included, in a few sentences.")
    assumptions: tuple[_Words, ...] = Field((), max_length=_MOST_ITEMS, description="What the person did not say.")
    requirements: tuple[DraftRequirement, ...] = Field(min_length=1, max_length=_MOST_ITEMS)
    tasks: tuple[DraftTask, ...] = Field(min_length=1, max_length=_MOST_ITEMS)


PROPOSE_SPEC: Final = Tool("propose_spec", "Hand in the specification; the task ends.", SpecDraft)


def draft_brief(spec: Spec, paths: Sequence[str]) -> str:
    """Return the task of a consultant in words.

    Args:
        spec: The draft as the person's sentence and a template made it.
        paths: The files of the repository; as many of them are listed as fit into 12,000 characters.
    """
    listed: list[str] = []
    for path in paths:
        if sum(map(len, listed)) + len(listed) + len(path) > _MOST_CHARS:
            break
        listed.append(path)
    rest = f"\n({len(paths) - len(listed)} more)" if len(listed) < len(paths) else ""
    wanted = spec.metadata.description or spec.metadata.title
    return (
        "Turn what the person wants into a specification, and hand it in with propose_spec.\n\n"
        f"# What the person wants\n\n{wanted}\n\nKind of work: {', '.join(spec.metadata.tags) or 'not said'}\n\n"
        f"# Files of the repository\n\n" + "\n".join(listed) + rest
    )


def with_draft(spec: Spec, draft: SpecDraft, *, before: Spec) -> Spec:
    """Return the spec with the consultant's parts, for review; what the person changed in the meantime stays.

    Args:
        spec: The spec as it is now.
        draft: What the consultant handed in.
        before: The spec as it was when the consultant was asked.
    """
    description = spec.metadata.description
    if description == before.metadata.description:
        assumed = "\n".join(f"- {text}" for text in draft.assumptions)
        parts = (description, draft.description, f"Assumptions:\n{assumed}" if assumed else "")
        description = "\n\n".join(part for part in parts if part)
    fields = {
        "status": "review",
        "assignedAgent": "",
        "metadata": spec.metadata.model_copy(update={"description": description}),
        "requirements": _requirements(draft) if spec.requirements == before.requirements else spec.requirements,
        "tasks": _tasks(draft) if spec.tasks == before.tasks else spec.tasks,
    }
    return spec.model_copy(update=fields)


def problems_of(spec: Spec, draft: SpecDraft) -> list[str]:
    """Return what is wrong with a draft, each with its place in the spec; empty if nothing is."""
    missing = [
        f"tasks[{number}].after: there is no task {other}"
        for number, task in enumerate(draft.tasks)
        for other in task.after
        if not 1 <= other <= len(draft.tasks)
    ]
    if missing:
        return missing
    if hidden := sorted(_with_hidden(draft.model_dump(), "")):  # nobody would see what is approved
        return [f"{place}: it contains an invisible character" for place in hidden]
    issues = check_spec(with_draft(spec, draft, before=spec))
    return [f"{'.'.join(map(str, issue.place))}: {issue.message}" for issue in issues]


def _with_hidden(value: object, place: str) -> Iterator[str]:
    """Yield the places of texts with characters that a reader of the spec does not see."""
    if isinstance(value, str):
        if inert(value, keep="\n\t") != value:
            yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _with_hidden(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from _with_hidden(item, f"{place}[{number}]")


def _requirements(draft: SpecDraft) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(id=f"R{number}", description=item.description, acceptanceCriteria=item.criteria)
        for number, item in enumerate(draft.requirements, start=1)
    )


def _tasks(draft: SpecDraft) -> tuple[SpecTask, ...]:
    return tuple(
        SpecTask(
            id=f"T{number}",
            title=item.title,
            dependencies=tuple(f"T{other}" for other in item.after),
            files=item.files,
        )
        for number, item in enumerate(draft.tasks, start=1)
    )
