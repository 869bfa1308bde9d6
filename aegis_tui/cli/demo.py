"""`aegis-tui demo`: a whole run in a temporary repository, with a scripted model (contract 4)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from aegis_tui.application.demo import Claim, DemoResult, judge, parse_promise, what_to_see
from aegis_tui.application.design import load_design, wire_fields
from aegis_tui.application.run_options import run_options
from aegis_tui.bootstrap.panes import close_workspace
from aegis_tui.cli import output
from aegis_tui.cli.dashboard import Layout, Model, Theme
from aegis_tui.cli.hub_stop import stop_hub
from aegis_tui.cli.narrate import narrate
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.run import GATE_CODES
from aegis_tui.cli.session import Look
from aegis_tui.domain import ids
from aegis_tui.domain.count import counted
from aegis_tui.domain.run.failure import error_lines
from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.machine import DemoOutput
from aegis_tui.domain.wire.run import GivenOptions
from aegis_tui.errors import AegisError, HubUnavailable, Unavailable
from aegis_tui.hub.owner import OWNER, own
from aegis_tui.testing.driver import DriverThread, follow_events
from aegis_tui.testing.playground import FOREIGN, Playground, open_playground

DEADLINE_S = 180.0
"""Seconds after which a demo run that has not ended counts as failed."""

CANCEL_DEADLINE_S = 10.0
ONLY_GOAL = "the demo's scripted model knows one goal only; for your own goals, run aegis-tui in your repository"
NEEDED = {"git": "git", "tmux": "tmux"}


def _demo(
    headless: Annotated[bool, typer.Option("--headless", help="Open no screen; print progress on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Create the repository in this folder and keep it.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Maximum number of workers.")] = 8,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME", help="Name of the scripted scenario.")
    ] = "default",
    pace: Annotated[
        float | None, typer.Option("--pace", min=0, help="Tokens per second of the scripted model.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Use this model server instead of the scripted model."),
    ] = None,
    model: Model = None,
    theme: Theme = None,
    layout: Layout = None,
) -> int:
    """Show a whole run in a temporary repository, with a scripted model.

    Several agents build one commit, which takes about a minute. Without --base-url, no GPU and no network are needed.
    The demo starts its own hub and stops it at the end.

    Exit code 0 if you close its screen early, 130 after Ctrl-C without a screen, 1 or 3 if the run fails or does not
    have the expected result, 2 if there is no such scenario, theme or layout, or the folder of --keep is not empty, 5
    if git or tmux is missing, if the hub or the scripted model does not start, or if the run has not ended after 180 s.
    """
    _check_programs()
    with _ended_as_by_interrupt(), open_playground(scenario, keep=keep, pace=pace) as ground, _own_environment(ground):
        place = here(ground.repository)
        look = Look(base_url=base_url, model=model, theme=theme, layout=layout)
        options = _options(ground, place, workers, look)
        try:
            if headless or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
                report: Report | None = _watch(ground, place, options, quiet=as_json)
            else:
                report = _show(ground, place, options, look, kept=keep)
        finally:
            _close(place)
        if report is None:
            left = f"its repository is kept: {keep}" if keep else "its repository was removed"
            output.talk(f"the demo was closed before its end; its agents were stopped, {left}")
            return 0
        return _conclude(ground, report, as_json=as_json, kept=keep)


def _check_programs() -> None:
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed", f"install it: sudo apt-get install -y {package}")


def _options(ground: Playground, place: Place, workers: int, look: Look) -> GivenOptions:
    """Return the options of the command `run:start` for the demo.

    The run uses the scripted model, or the model server that `look` names. All its agents are built-in ones.

    Raises:
        UsageError: A setting is wrong.
    """
    if look.base_url:
        return run_options(place.settings, workers=workers, kind=ids.NATIVE, base_url=look.base_url, model=look.model)
    may_be_partial = _may_be_partial(ground)
    return run_options(
        place.settings,
        workers=workers,
        kind=ids.NATIVE,
        base_url=ground.base_url,
        model=look.model or ground.model,
        role_notes={"reviewer": "[[script:reviewer]]"},
        partial=may_be_partial,
        max_rounds=1 if may_be_partial else None,
    )


def _watch(ground: Playground, place: Place, options: GivenOptions, *, quiet: bool) -> Report:
    """Start the run, and return its report, also that of a failed run, when it ends.

    Meanwhile, the scripted model is told when to go on: at the events that its script names. What happens is printed on
    stderr unless `quiet`. A hub that ends meanwhile is started again.

    Raises:
        HubUnavailable: The hub cannot be started, or the run has not ended within `DEADLINE_S` (180 s).
        ModelUnavailable: The scripted model does not answer when it is told to go on.
        AegisError: The hub refuses the run, or the design of the scenario cannot be read.
    """
    design = load_design(ground.scenario / "design.yaml")
    hub = place.started_hub()
    hub.command(
        "run:start",
        request_id=uuid.uuid4().hex,
        goal=design.goal,
        design=wire_fields(design),
        options=options,
    )
    driver = ground.driver()
    for event in follow_events(lambda: place.started_hub(), deadline_s=DEADLINE_S):
        driver.take(event)
        if not quiet and (line := narrate(event)):
            output.talk(line)
        if event["type"] == "run:finished":
            report: Report = event["data"]["report"]
            return report
    raise HubUnavailable(
        f"the demo did not end within {DEADLINE_S:g} s", f"closed gates: {', '.join(driver.waiting) or 'none'}"
    )


def _show(ground: Playground, place: Place, options: GivenOptions, look: Look, *, kept: Path | None) -> Report | None:
    """Open the dashboard with the demo's goal in the goal dialog, so that Enter starts the run.

    Return when the person closes the dashboard: the report, or None if no run had ended. `kept` is the folder of the
    repository if it is kept, for the question before leaving.

    Raises:
        HubUnavailable: The hub cannot be started.
        UsageError: There is no such theme or layout, or a setting or the scenario's promise is wrong.
        DesignRefused: The design of the scenario is not valid.
    """
    from aegis_tui.cli.session import build_app
    from aegis_tui.tui.parts import GoalOffer
    from aegis_tui.tui.session import run_session

    gone = f"Its repository is kept: {kept}" if kept else "Its repository is removed."

    path = ground.scenario / "design.yaml"
    goal = load_design(path).goal
    place.started_hub()
    ends = ("The demo ends when its screen is closed: its agents are stopped, and there will be no commit.", gone)
    offer = GoalOffer(
        goal,
        design=path,
        options=options,
        hint=what_to_see(parse_promise(ground.promise())),
        ends_with_screen=ends,
        only="" if look.base_url else ONLY_GOAL,
    )
    with DriverThread(ground.driver(), lambda: _running_hub(place)) as thread:
        run_session(build_app(place, look, offer=offer))
    return thread.report


def _running_hub(place: Place) -> Any:
    return place.hub() if place.find() else None


def _conclude(ground: Playground, report: Report, *, as_json: bool, kept: Path | None) -> int:
    claims = _claims(ground, report)
    ok = (bool(report["ok"]) or _may_be_partial(ground)) and all(claim.ok for claim in claims)
    fields: DemoOutput = {**report, "ok": ok, "demo": {"claims": [claim.to_wire() for claim in claims]}}
    if as_json:
        output.result(fields, as_json=True)
    else:
        for line in _summary(report, claims, kept):
            output.data(line)
    if ok:
        return 0
    error = report.get("error")
    return 3 if error and error["code"] in GATE_CODES else 1


def _may_be_partial(ground: Playground) -> bool:
    """Return whether the scenario shows a result without a piece; raises `UsageError` if its promise is not valid."""
    promise = parse_promise(ground.promise())
    return promise is not None and bool(promise.left_out)


def _claims(ground: Playground, report: Report) -> list[Claim]:
    """Return each promise of the demo about its run, with whether it was kept.

    This is checked with git and by running the tests of the result. The branch of the result stays checked out in the
    demo's repository.

    Raises:
        GitError: git fails in the demo's repository.
        UsageError: The promise of the scenario is not valid.
    """
    untouched, commit = ground.checkout_is_untouched(), report["commit"]
    if commit is not None:
        ground.check_out(commit["branch"])
    result = DemoResult(
        base_oid=ground.base_oid,
        commits=ground.commits_of(commit["branch"]) if commit else [],
        tests_pass=commit is not None and ground.run_tests().ok,
        checkout_untouched=untouched,
    )
    return judge(report, parse_promise(ground.promise()), result)


def _summary(report: Report, claims: list[Claim], kept: Path | None) -> Iterator[str]:
    if error := report.get("error"):
        first, *rest = error_lines(error)
        yield f"the run {'is incomplete' if report['commit'] else 'failed'}: {first}"
        yield from (f"  {line}" for line in rest)
    yield from output.table(("yes" if claim.ok else "NO", claim.name, claim.observed) for claim in claims)
    if commit := report["commit"]:
        yield f"{commit['subject']}"
        yield f"{counted(commit['files'], 'file')} in one commit, {report['duration_s']:.0f} s, scripted model"
    if kept is not None:
        yield f"to see the result: cd {kept} && git show --stat"
    else:
        yield "try it in your own repository: aegis-tui run GOAL"


@contextlib.contextmanager
def _own_environment(ground: Playground) -> Iterator[None]:
    """Set environment variables while the block runs: this process and its hub keep all files in the playground.

    The hub ends when this process does. The earlier values are restored at the end of the block.
    """
    changed = {**dict.fromkeys(FOREIGN), **ground.environment(), OWNER: own()}
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None] | dict[str, str]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _ended_as_by_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in the block, so that the demo cleans up.

    A signal that is ignored stays so. The earlier handlers are restored at the end.
    """
    wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    with _handled(wanted, signal.default_int_handler):
        yield


@contextlib.contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _close(place: Place) -> None:
    """End the run, hub, gateway and panes of the demo, and remove its runtime folder; blocking.

    Ctrl-C, SIGTERM and SIGHUP are ignored meanwhile. If the run cannot be cancelled, the hub is ended all the same; a
    hub that does not end is left, without an error.

    Raises:
        TerminalUnavailable: There is no tmux.
        TerminalError: tmux does not answer or does not end.
    """
    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN):
        _cancel_run(place)
        with contextlib.suppress(HubUnavailable):
            stop_hub(place)
        asyncio.run(close_workspace(place.paths, os.environ))
        if place.paths.runtime_dir.exists():
            shutil.rmtree(place.paths.runtime_dir, ignore_errors=True)


def _cancel_run(place: Place) -> None:
    """Cancel a run that is still open, and wait at most `CANCEL_DEADLINE_S` (10 s) until it has ended.

    Without a hub, do nothing; if the hub refuses or does not answer, return without an error.
    """
    with contextlib.suppress(AegisError):
        if place.find() is None:
            return
        hub = place.hub()
        hub.command("run:cancel", reason="the demo was closed")
        for event in follow_events(lambda: hub, deadline_s=CANCEL_DEADLINE_S):
            if event["type"] == "run:finished":
                return


demo_app = typer.Typer(add_completion=False)
demo_app.command()(_demo)
