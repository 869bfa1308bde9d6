"""The command line: one lazily imported module for each command group, one place where errors become exit codes."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from aegis_tui.cli import output
from aegis_tui.errors import AegisError, UsageError

COMMANDS: dict[str, tuple[str, str, str]] = {
    "dashboard": ("dashboard", "dashboard_app", "Watch and drive the agents of this repository."),
    "screenshot": ("screenshot", "screenshot_app", "Picture a screen as SVG."),
    "demo": ("demo", "demo_app", "Show the whole job on a throw-away repository, with a scripted model."),
    "doctor": ("doctor", "doctor_app", "What this machine has and lacks, each lack with its fix."),
    "init": ("init", "init_app", "Set this repository up, or undo that."),
    "vllm": ("vllm", "app", "Start, stop and look at a vLLM server on this machine."),
    "run": ("run", "run_app", "Turn a goal into one commit, by several agents at once."),
    "wait": ("run", "wait_app", "Follow a run to its end."),
    "cancel": ("run", "cancel_app", "End a run; what was written is kept."),
    "halt": ("run", "halt_app", "Start nothing new until resume."),
    "resume": ("run", "resume_app", "Go on after halt."),
    "hub": ("hub", "app", "Start, stop and look at the hub of this repository."),
    "server": ("hub", "app", "The same as hub."),
    "status": ("status", "status_app", "Stage, instances, locks and partitions now."),
    "events": ("events", "events_app", "The log, one event a line."),
    "report": ("status", "report_app", "The report of a run, from the log and git."),
    "conflicts": ("look", "conflicts_app", "Which pieces change the same path."),
    "review": ("look", "review_app", "The verdicts of a run, with their findings."),
    "qa": ("look", "qa_app", "What QA gave on the composed tree."),
    "rescue": ("look", "rescue_app", "Work that was saved before its worktree was removed."),
    "worktree": ("look", "worktree_app", "The worktrees that instances have."),
    "lock": ("lock", "app", "Acquire, release, list and break locks."),
    "partition": ("partition", "app", "Check whether globs or a design overlap."),
    "replay": ("replay", "replay_app", "Fold the log to the state after any event."),
    "schema": ("schema", "schema_app", "The contract of the hub in a form that programs read."),
    "mcp": ("mcp", "mcp_app", "The tools of an instance over MCP, on stdin and stdout."),
    "connect": ("connect", "connect_app", "Join the workspace with an agent of your own."),
    "attach": ("instance", "attach_app", "Hand this terminal to an instance's pane."),
    "send": ("instance", "send_app", "Give an instance a prompt."),
    "stop": ("instance", "stop_app", "End an instance; its work is saved first."),
}
"""Name -> module in this package, attribute, one line of help."""


class _Commands(TyperGroup):
    """Imports a command's module when the command runs, and only then."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, summary = COMMANDS[cmd_name]
        app = getattr(importlib.import_module(f"aegis_tui.cli.{module}"), attribute)
        command = typer.main.get_command(app)
        command.name = cmd_name
        command.short_help = summary
        return command


app = typer.Typer(
    cls=_Commands,
    add_completion=True,
    invoke_without_command=True,
    help="A terminal workspace for many coding agents at once.",
)


@app.callback()
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and end."),
) -> None:
    """A terminal workspace for many coding agents at once."""
    if version:
        from aegis_tui import __version__

        output.data(f"aegis-tui {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from aegis_tui.cli.dashboard import open_dashboard
        from aegis_tui.cli.place import here

        raise typer.Exit(open_dashboard(here()))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code of contract 3."""
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="aegis-tui", standalone_mode=False)
    except AegisError as error:
        return output.failure(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        output.talk("interrupted")
        return 130
    except Exception as error:
        if (usage := _as_usage(error)) is None:
            raise
        return output.failure(usage, as_json=as_json)
    return code if isinstance(code, int) else 0


def _as_usage(error: Exception) -> AegisError | None:
    """The usage error that a parser exception stands for; Typer carries a Click of its own."""
    show = getattr(error, "format_message", None)
    if show is None:
        return None
    return UsageError(str(show()) or "wrong usage", "aegis-tui --help")
