"""`aegis-tui run GOAL`, and `wait`, `cancel`, `halt` and `resume` for a run that was started (contract 4)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aegis_tui.application.run_options import run_options
from aegis_tui.cli import output
from aegis_tui.cli.commands import COMMANDS
from aegis_tui.cli.hub_stop import stop_hub
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.qa_choice import ask_for_checks
from aegis_tui.cli.run_flags import (
    AcceptBase,
    AgentKind,
    AgentMode,
    AsJson,
    Checks,
    DesignFile,
    Lenses,
    MaxMinutes,
    MaxTokens,
    ModelName,
    Notes,
    OpenRun,
    Partial,
    Rounds,
    RunName,
    SandboxLevel,
    Scouts,
    Unchecked,
    Workers,
)
from aegis_tui.cli.setup_consent import ask_for_setup
from aegis_tui.domain.count import counted
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.domain.wire.output import RunOutput
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.domain.wire.run import GivenDesign, GivenOptions, StartFields
from aegis_tui.errors import AegisError, HubUnavailable, UsageError
from aegis_tui.sdk.quick import HubQuick

POLL_S = 0.2
RECONNECT_S = 60.0
PAGE = 500
INTERRUPTED = 130
GATE_CODES = frozenset(
    {"qa_passed", "composition_approved", "composition_whole", "left_out", "rounds", "rules_allowed"}
)
"""Error codes of a run that ended at a closed gate; the command then exits with 3."""


def _budget(**limits: float | None) -> dict[str, float]:
    return {name: limit for name, limit in limits.items() if limit is not None}


def _run(
    goal: Annotated[str, typer.Argument(help="What should be built.")],
    design: DesignFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the proposed design without asking.")] = False,
    headless: Annotated[bool, typer.Option("--headless", help="Ask nothing: needs --design or --yes.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Print the run id and return.")] = False,
    as_json: AsJson = False,
    workers: Workers = None,
    kind: AgentKind = None,
    agent_mode: AgentMode = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Model server, with or without /v1.")] = None,
    model: ModelName = None,
    sandbox: SandboxLevel = None,
    rounds: Rounds = None,
    scouts: Scouts = False,
    lens: Lenses = None,
    check: Checks = None,
    unchecked: Unchecked = False,
    accept_base: AcceptBase = False,
    partial: Partial = False,
    note: Notes = None,
    max_tokens: MaxTokens = None,
    max_minutes: MaxMinutes = None,
) -> int:
    """Turn a goal into one commit, with several agents at once.

    If no hub is running, one is started, and stopped again when the run has ended. After Ctrl-C the run and the hub
    continue, and the exit code is 130. With --detach they continue too.

    Exit code 3 if a gate stays closed, pieces are left out, or the design or the run is refused; 1 if the run fails for
    another reason; 2 if an option, a setting or the goal is wrong; 5 if the hub cannot be started or does not answer.
    """
    _check_flags(goal, has_design=design is not None or yes or not headless, sandbox=sandbox)
    place = here()
    options = run_options(
        place.settings,
        workers=workers,
        kind=_known_kind(kind or place.settings.kind),
        agent_mode=agent_mode,
        base_url=base_url or None,
        model=model or None,
        sandbox=sandbox or None,
        yes=yes,
        scouts=scouts,
        max_rounds=rounds,
        accept_base_failures=accept_base,
        partial=partial,
        role_notes=_notes(note or []),
        lenses=lens or [],
        checks=check or [],
        unchecked=unchecked,
        budget=_budget(run_tokens=max_tokens, run_minutes=max_minutes),
    )
    had_hub = place.find() is not None
    run = _started(place, goal, _design_fields(design), options, keep_hub=had_hub, may_ask=not headless)
    if detach:
        output.result(RunOutput(run=run), as_json=as_json, lines=[run])
    code = 0 if detach else follow(place, run, as_json=as_json)
    if not had_hub and not detach and code != INTERRUPTED:
        stop_hub(place)
    return code


def _started(
    place: Place, goal: str, design: GivenDesign | None, options: GivenOptions, *, keep_hub: bool, may_ask: bool
) -> str:
    """Start the run and return its id; ask the person, if possible, about a set-up command or unknown QA commands.

    After each answer the run is tried again. Without `may_ask`, nothing is asked. `keep_hub` as in `_start`.

    Raises:
        HubUnavailable: No hub can be started, or none replies within `RECONNECT_S` (60 s).
        AegisError: The hub refuses the run, and nobody can be asked about the reason, or gives no answer.
    """
    while True:
        try:
            return _start(place, {"goal": goal, "design": design, "options": options}, keep_hub=keep_hub)["run"]
        except AegisError as error:
            if not may_ask:
                raise
            if ask_for_setup(error, place.paths):
                continue
            checks = ask_for_checks(error)
            if checks is None:
                raise
        options = {**options, "checks": list(checks)}


def _start(place: Place, fields: StartFields, *, keep_hub: bool) -> RunReply:
    """Send the command `run:start` with these fields, starting the hub if none is running; return the hub's reply.

    Args:
        place: The workspace.
        fields: The fields of the command.
        keep_hub: Leave the hub running if that fails; otherwise it is stopped, even one that was running before, and
            then the error is raised. The same after Ctrl-C.

    Raises:
        HubUnavailable: No hub can be started, or none replies within `RECONNECT_S` (60 s).
        AegisError: The hub refuses the run.
    """
    try:
        return _ask(place, fields)
    except BaseException:
        if not keep_hub:
            stop_hub(place)
        raise


def _ask(place: Place, fields: StartFields) -> RunReply:
    """Send `run:start` and return the reply. If the hub ends before it replies, start it again and repeat the request.

    All attempts have the same request id, so that a run whose reply was lost is not started twice.

    Raises:
        HubUnavailable: No hub can be started, or none replies within `RECONNECT_S` (60 s).
        AegisError: The hub refuses the run; then the request is not repeated.
    """
    request_id, end = uuid.uuid4().hex, time.monotonic() + RECONNECT_S
    while True:
        hub = place.started_hub()
        try:
            return hub.reply(RunReply, "run:start", request_id=request_id, **fields)
        except AegisError as error:
            if not _is_of_another_life(error) or time.monotonic() > end:
                raise
            output.talk(f"{error.message}; trying again")
            time.sleep(POLL_S)


def _check_flags(goal: str, *, has_design: bool, sandbox: str | None) -> None:
    if not goal.strip():
        raise UsageError("the goal is empty", "say what should be built: aegis-tui run GOAL")
    if not has_design:
        raise UsageError(
            "--headless needs a design", "give --design FILE, or --yes to accept the design that is proposed"
        )
    if sandbox not in (None, "auto", "strict", "off"):
        raise UsageError(f"--sandbox {sandbox} is not a level of the sandbox", "use auto, strict or off")


def _known_kind(kind: str) -> str:
    from aegis_tui.bootstrap.agents import check_kind

    check_kind(kind)
    return kind


def _notes(notes: list[str]) -> dict[str, str]:
    by_role = {}
    for note in notes:
        role, equals, text = note.partition("=")
        if not equals or role not in ROLES:
            raise UsageError(
                f"--note {note} does not begin with a role", f"write ROLE=TEXT; the roles are {', '.join(ROLES)}"
            )
        by_role[role] = text
    return by_role


def _design_fields(path: Path | None) -> GivenDesign | None:
    if path is None:
        return None
    from aegis_tui.application.design import load_design, wire_fields
    from aegis_tui.bootstrap.agents import installed_kinds

    return wire_fields(load_design(path, kinds=installed_kinds()))


DESIGN_WAITS = (
    "  the run waits for you to accept the design: open aegis-tui in another terminal and answer there; "
    "with --yes it would have been accepted"
)


def follow(place: Place, run: str, *, as_json: bool, after: int = 0) -> int:
    """Report on stderr what happens until the run has ended, print its result, and return the exit code.

    The code is 0 if the run succeeded, 3 if a gate stayed closed, otherwise 1. If no hub is running, or it ends
    meanwhile, it is started (again), and the run continues from the log. After Ctrl-C the run continues and the result
    is 130.

    Args:
        place: The workspace.
        run: The id of the run.
        as_json: Print the report as JSON instead of a few lines.
        after: Read events with a greater number. If the start of the run is not among them, it waits for ever.

    Raises:
        HubUnavailable: No hub can be started again, or none answers for `RECONNECT_S` (60 s).
    """
    from aegis_tui.cli.narrate import narrate  # as slow to import as the events that it reads

    started: Mapping[str, Any] | None = None
    try:
        for event in _events(place, after):
            if event["type"] == "run:started" and event["data"]["run"] == run:
                started = event["data"]
            if started is None:
                continue
            if line := narrate(event):
                output.talk(line)
                if event["type"] == "design:proposed" and not started["options"]["yes"]:
                    output.talk(DESIGN_WAITS)
            if event["type"] == "run:finished":
                return _conclude(event["data"]["report"], as_json=as_json)
    except KeyboardInterrupt:
        output.talk(f"run {run} continues; follow it again: aegis-tui wait {run}")
        return INTERRUPTED
    raise HubUnavailable("the hub's stream of events has ended", f"aegis-tui wait {run}")


def _events(place: Place, after: int) -> Iterator[Envelope]:
    hub = place.started_hub()
    while True:
        hub, page = _patiently(place, hub, after)
        for event in page:
            after = int(event["seq"])
            yield event
        if not page:
            time.sleep(POLL_S)


def _patiently(place: Place, hub: HubQuick, after: int) -> tuple[HubQuick, list[Envelope]]:
    end = time.monotonic() + RECONNECT_S
    while True:
        try:
            return hub, hub.envelopes(after=after, limit=PAGE)
        except AegisError as error:
            if not _is_of_another_life(error) or time.monotonic() > end:
                raise
            time.sleep(0.5)
            hub = place.started_hub()


def _is_of_another_life(error: AegisError) -> bool:
    """Return whether a request failed because its hub has ended, so that it may be sent to a new one, with a new token.

    That is `HubUnavailable`, and the refusal of a token that the hub does not know.
    """
    return isinstance(error, HubUnavailable) or error.code == "unauthorized"


def _conclude(report: Report, *, as_json: bool) -> int:
    error = report.get("error")
    output.result(report, as_json=as_json, lines=_summary(report))
    if report["ok"]:
        return 0
    blocked = any(not gate["passed"] for stage in report["stages"] for gate in stage["gates"])
    return 3 if blocked or (error and error.get("code") in GATE_CODES) else 1


def _summary(report: Report) -> Iterator[str]:
    commit, error = report.get("commit"), report.get("error")
    if error:
        from aegis_tui.domain.run.failure import error_lines

        first, *rest = error_lines(error)
        yield f"run {report['run']} {'is incomplete' if commit else 'failed'}: {first}"
        yield from (f"  {line}" for line in rest)
        yield from (f"  left out: {item['piece']}: {item['reason']}" for item in report.get("left_out", ()))
        if not commit:
            return
    for problem in report.get("problems") or ():
        yield f"  note: {problem}"
    if commit:
        yield f"{commit['subject']}"
        place = f"{commit['oid'][:12]} on {commit['branch']}"
        yield f"{counted(commit['files'], 'file')} in {place}, after {report['duration_s']:.0f} s"
        yield f"to merge it: git merge --ff-only {commit['branch']}"


def _wait(run: RunName = None, as_json: AsJson = False) -> int:
    """Follow a run until it ends.

    Prints what has happened since the start of the run, then each new step as it happens; a run that has already ended
    is shown at once. If no hub is running, one is started and left running. After Ctrl-C the run continues, and the
    exit code is 130.

    Exit code 3 if a gate stays closed or pieces are left out, 1 if the run fails for another reason, 2 if there is no
    such run, or no run at all, 5 if the hub cannot be started or does not answer.
    """
    place = here()
    newest = place.started_hub().context()["run"]
    current = newest["run"] if newest else None
    name = run or current
    if name is None:
        raise UsageError("there is no run", "start one: aegis-tui run GOAL")
    if name != current and not _was_started(place, name):
        raise UsageError(f"there is no run {name}", "list the runs: aegis-tui runs")
    return follow(place, name, as_json=as_json)


def _was_started(place: Place, name: str) -> bool:
    """Return whether the log has a run with that id.

    Raises:
        UsageError: There is no log.
        StoreError: The log is damaged, or cannot be read.
    """
    from aegis_tui.bootstrap.log import log_reader
    from aegis_tui.domain.run.history import RUN_EVENTS, past_runs

    return any(item["run"] == name for item in past_runs(log_reader(place.paths).events(RUN_EVENTS)))


_STEER_CODES = "Exit code 2 if there is no such run or no run is open, 3 if the run has ended, 5 if no hub is running."


def _steer(command_type: str, words: str) -> Callable[..., int]:
    def act(run: OpenRun = None, as_json: AsJson = False) -> int:
        reply = here().hub().reply(RunReply, command_type, run=run)
        output.result(RunOutput(run=reply["run"]), as_json=as_json, lines=[f"run {reply['run']} {words}"])
        return 0

    act.__doc__ = f"{COMMANDS[command_type.removeprefix('run:')][2]}\n\n{_STEER_CODES}"
    return act


def _app(function: Callable[..., int]) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


run_app = _app(_run)
wait_app = _app(_wait)
cancel_app = _app(_steer("run:cancel", "is being cancelled"))
halt_app = _app(_steer("run:halt", "is halted"))
resume_app = _app(_steer("run:resume", "continues"))
