"""`new`, `assign` and `broadcast`: how a person directs agents of their own from several terminals (CLI-4, contract 9).

A task is a spec file: `new` writes it, and `assign` gives parts of it to instances.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aegis_tui.cli import output
from aegis_tui.cli.client import speaking_as
from aegis_tui.cli.place import here
from aegis_tui.domain.wire.reply import SentReply
from aegis_tui.domain.wire.task import AssignedOutput, BroadcastOutput, NewTaskOutput
from aegis_tui.errors import Refused, UsageError
from aegis_tui.sdk.quick import HubQuick

if TYPE_CHECKING:
    from aegis_tui.application.yaml_edit import Edit
    from aegis_tui.domain.spec.document import Spec, SpecTask
    from aegis_tui.domain.wire.instance import InstanceView

Mode = Literal["SINGLE", "PAR-MULTI", "GCC", "GCC-RT"]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def _new(
    title: Annotated[str, typer.Option("--title", metavar="TITLE", help="What is wanted, in one line.")],
    mode: Annotated[
        Mode | None, typer.Option("--mode", help="How agents work on it; docs/specs.md says what each means.")
    ] = None,
    template: Annotated[str, typer.Option("--template", help="Name of a template of specs, such as fix.")] = "feature",
    as_json: AsJson = False,
) -> int:
    """Write the spec file of a new task, for agents that you connect, and print its id.

    The hub starts no run for it before you approve it: aegis-tui spec approve ID. Give parts of it to your agents with
    aegis-tui assign. No hub is needed.

    Exit code 2 if the title is empty or there is no such template, 3 if the template is not a valid spec.
    """
    from aegis_tui.application.spec_folder import SpecFolder
    from aegis_tui.cli.spec import author_in

    root = here().root
    path = SpecFolder(root).create(
        title, template=template, author=author_in(root), now=datetime.now(UTC), mode=mode or ""
    )
    place = str(path.relative_to(root))
    fields: NewTaskOutput = {"task": path.stem, "spec_ids": [path.stem], "mode": mode or "GCC", "path": place}
    output.result(fields, as_json=as_json, lines=[f"{path.stem}  {place}"])
    return 0


def _assign(
    instance: Annotated[str, typer.Option("--instance", metavar="ID", help="Who gets it: frontend, CLAUDE-frontend.")],
    subtask: Annotated[
        str, typer.Option("--subtask", metavar="TEXT", help="The id of a task in the spec, or the title of a new one.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", metavar="SPEC", help="The spec; the newest open one when left out.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Give a part of a task to an instance: it is noted in the spec file, and the instance gets a message.

    Exit code 2 if there is no such spec or instance, 3 if the instance has ended, or the spec or the part is completed
    or cancelled, 4 if another program keeps the file open, 5 if no hub is running: none is started.
    """
    from aegis_tui.application.spec_folder import SpecFolder
    from aegis_tui.cli.spec import author_in

    place = here()
    hub, folder = place.hub(), SpecFolder(place.root)
    agent = _living(hub, instance)
    spec_id = task or _newest(folder.entries_by_id())
    chosen: list[SpecTask] = []

    def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
        part, edits = _given(spec, subtask, agent["agent_id"])
        chosen[:] = [part]
        return edits, f"{part.id} is assigned to {agent['agent_id']}"

    folder.change(spec_id, plan, author=author_in(place.root) or "person", now=datetime.now(UTC))
    part = chosen[0]
    file = folder.find(spec_id).relative_to(place.root).as_posix()
    reply = hub.reply(SentReply, "message:send", to=agent["agent_id"], text=_words(file, spec_id, part))
    fields: AssignedOutput = {
        "task": spec_id,
        "spec_ids": [spec_id],
        "subtask": part.id,
        "agent_id": agent["agent_id"],
        "seq": reply["seq"],
        "delivery": reply["delivery"],
    }
    lines = [f"{part.id} of {spec_id} is assigned to {agent['agent_id']}: {part.title}"]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


def _broadcast(
    event: Annotated[str, typer.Argument(metavar="TYPE", help="Such as plan:proposed, review:requested or note:x.")],
    data: Annotated[str, typer.Option("--data", metavar="JSON", help="Its fields, as a JSON object.")] = "{}",
    instance: Annotated[
        str | None,
        typer.Option("--instance", metavar="ID", help="Speak as this instance, which you connected; else as you."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Broadcast a plan, code, review, fix or note event to all agents.

    For a feature (data with "feature"), plan:proposed opens an exchange: the plan, code, review and fix events of this
    feature must then come in a fixed order.

    Exit code 2 if the data is no JSON object or there is no such event, 3 if the event is out of order (the message
    names those that may come next) or the sender's role may not send it (the message names the roles that may), 5 if no
    hub is running: none is started.
    """
    try:
        fields: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--data is not JSON: {error}", """for example '{"feature": "cart"}'""") from error
    if not isinstance(fields, dict):
        raise UsageError("--data is not a JSON object", """for example '{"feature": "cart"}'""")
    speaking_as(here(), instance).command("broadcast", event=event, data=fields)
    said: BroadcastOutput = {"event": event, "data": fields}
    output.result(said, as_json=as_json, lines=[f"{event} was broadcast"])
    return 0


def _living(hub: HubQuick, name: str) -> InstanceView:
    instances = hub.context()["instances"]
    agent = next((item for item in instances if name in (item["agent_id"], item["instance_id"])), None)
    if agent is None:
        raise UsageError(
            f"there is no instance {name}", "connect it first: aegis-tui connect --agent KIND --instance ID"
        )
    if agent["phase"] in ("stopping", "gone", "reclaimed"):
        raise Refused(f"{agent['agent_id']} has ended", "connect it again", code="instance.gone")
    return agent


def _newest(specs: Sequence[Spec]) -> str:
    from aegis_tui.domain.spec.model import ENDED

    for spec in reversed(specs):
        if spec.status not in ENDED:
            return spec.id
    raise UsageError("there is no open task", "write one: aegis-tui new --title TITLE")


def _given(spec: Spec, subtask: str, agent_id: str) -> tuple[SpecTask, list[Edit]]:
    """Return the task of a spec that is meant, or a new one, and what to set so that an instance has it.

    Raises:
        UsageError: The text is empty.
        Refused: The spec or that task is completed or cancelled.
    """
    from aegis_tui.application.yaml_edit import Edit
    from aegis_tui.domain.spec.document import SpecTask

    if spec.status in ("completed", "cancelled"):
        raise Refused(f"{spec.id} is {spec.status}", "name an open spec, or write one", code="spec.task")
    title = " ".join(subtask.split())
    if not title:
        raise UsageError("the subtask is empty", "name a task of the spec, or say what is to be done")
    for number, item in enumerate(spec.tasks):
        if item.id == title:
            if item.status in ("completed", "cancelled"):
                raise Refused(f"{item.id} is {item.status}", "name another task", code="spec.task")
            return item, [] if item.assignedTo == agent_id else [Edit(("tasks", number, "assignedTo"), agent_id)]
    taken = {item.id for item in spec.tasks}
    name = next(f"T{number}" for number in range(1, len(taken) + 2) if f"T{number}" not in taken)
    entry = {"id": name, "title": title, "status": "pending", "assignedTo": agent_id, "files": []}
    return SpecTask(id=name, title=title, assignedTo=agent_id), [Edit(("tasks",), entry, is_entry=True)]


def _words(file: str, spec_id: str, part: SpecTask) -> str:
    files = f" Files: {', '.join(part.files)}." if part.files else ""
    return f"You have task {part.id} of spec {spec_id}: {part.title}.{files} It is in {file}."


new_app = typer.Typer(add_completion=False)
new_app.command()(_new)
assign_app = typer.Typer(add_completion=False)
assign_app.command()(_assign)
broadcast_app = typer.Typer(add_completion=False)
broadcast_app.command()(_broadcast)
