"""`aegis-tui environment`: what worktrees get besides the tracked files, and the person's answer about it (GIT-1)."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.errors import Refused, UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.environment.model import EnvironmentPlan
    from aegis_tui.domain.wire.environment import (
        EnvironmentOutput,
        ForgottenOutput,
        SetupAllowedOutput,
        SetupLogOutput,
    )

environment_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="What the worktrees get besides the tracked files."
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@environment_app.callback()
def environment() -> None:
    """What the worktrees of agents and QA get besides the tracked files."""


@environment_app.command()
def show(as_json: AsJson = False) -> int:
    """Show what worktrees of the current commit would get: environments, copied files, and the set-up command.

    No hub is needed, and no program of the repository is run. Exit code 2 if a setting is wrong, 3 if more would be
    copied than is allowed, 5 outside a repository.
    """
    from aegis_tui.bootstrap.environment import view_environment

    place = here()
    seen = asyncio.run(view_environment(place.root, dict(os.environ), place.paths))
    plan = seen.plan
    fields: EnvironmentOutput = {
        "setup": plan.setup,
        "network": plan.network,
        "key": plan.key,
        "inputs": list(plan.inputs),
        "allowed": seen.is_allowed,
        "places": list(seen.places),
        "included": list(seen.included),
        "missing": list(seen.missing),
        "suggested": seen.suggested,
        "made": [
            {
                "name": item.name,
                "command": item.command,
                "network": item.network,
                "duration_s": item.duration_s,
                "copied": list(item.made),
                "left_out": list(item.left_out),
            }
            for item in seen.made
        ],
    }
    rows = [
        ["set-up command", *_setup_words(plan, is_allowed=seen.is_allowed)],
        ["linked", ", ".join(fields["places"]) or "nothing"],
        ["copied", ", ".join(fields["included"]) or "nothing (no .worktreeinclude names an ignored file)"],
        *(["missing", words] for words in fields["missing"]),
        *_suggestion(seen.suggested),
        *_stored(fields),
    ]
    output.result(fields, as_json=as_json, lines=output.table(rows))
    return 0


@environment_app.command()
def allow(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]", help="Allow the command only if this is still its key, as `environment show` prints it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Allow the set-up command of the settings, for the current content of its inputs, such as lock files.

    You are asked again when the command, one of its inputs, or its permission to use the network changes. No hub is
    needed. Exit code 2 if a setting is wrong or KEY is not the current key, 3 if there is no set-up command, 5 outside
    a repository.
    """
    from aegis_tui.bootstrap.environment import environments_of, setup_at

    place = here()
    plan = asyncio.run(setup_at(place.root, dict(os.environ), place.paths))
    if not plan.setup:
        raise Refused("no set-up command is set", "set environment.setup in .agents/config.toml", code="environment")
    if key not in (None, plan.key):
        raise UsageError(
            f"the set-up command has the key {plan.key} now, not {key}", "read it: aegis-tui environment show"
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    environments_of(place.paths).allow(plan.key, plan.setup, network=plan.network, at=now)
    fields: SetupAllowedOutput = {"key": plan.key, "setup": plan.setup, "network": plan.network}
    lines = [f"allowed: {plan.setup}", *_conditions(plan)]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


@environment_app.command()
def forget(as_json: AsJson = False) -> int:
    """Withdraw all permissions for set-up commands of this repository; you are asked again for each. No hub is needed.

    Exit code 5 outside a repository.
    """
    from aegis_tui.bootstrap.environment import environments_of

    count = environments_of(here().paths).forget()
    fields: ForgottenOutput = {"forgotten": count}
    output.result(fields, as_json=as_json, lines=[f"{counted(count, 'permission')} withdrawn"])
    return 0


@environment_app.command()
def log(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The environment; the newest when left out.")] = (
        None
    ),
    as_json: AsJson = False,
) -> int:
    """Print the output of a set-up command, even if it failed. No hub is needed. Exit code 2 if there is no log."""
    from aegis_tui.bootstrap.environment import environments_of

    logs = environments_of(here().paths).logs()
    chosen = next((path for path in logs if name in (None, path.stem)), None)
    if chosen is None:
        of = f"of the environment {name}" if name else "of a set-up command"
        raise UsageError(f"there is no log {of}", "list the environments: aegis-tui environment show")
    text = chosen.read_text("utf-8", "replace")
    fields: SetupLogOutput = {"name": chosen.stem, "log": str(chosen), "output": text}
    output.result(fields, as_json=as_json, lines=[text.rstrip("\n")])
    return 0


def _suggestion(command: str) -> list[list[str]]:
    """Return the row with a suggested command as a line of a TOML file; no row for an empty command."""
    return [["suggested", f"environment.setup = {json.dumps(command, ensure_ascii=False)}"]] if command else []


def _stored(fields: EnvironmentOutput) -> list[list[str]]:
    made = fields["made"]
    return [["stored", f"{item['name']}, made by {item['command']} in {item['duration_s']:.0f} s"] for item in made]


def _setup_words(plan: EnvironmentPlan, *, is_allowed: bool) -> list[str]:
    if not plan.setup:
        return ["none"]
    state = "allowed" if is_allowed else "NOT ALLOWED yet: aegis-tui environment allow"
    return [f"{plan.setup} (key {plan.key}, {state})"]


def _conditions(plan: EnvironmentPlan) -> list[str]:
    network = "it may use the network" if plan.network else "it has no network"
    changing = ", ".join(["the command", "its network access", *plan.inputs])
    return [network, f"you are asked again when one of these changes: {changing}"]
