"""The command line: what commands there are, and the one place where errors become exit codes.

Typer, with the pydantic that it checks arguments with, costs 0.15 s. Plain lock commands (LOCK-6), hubs and the session
without flags do without.
"""

from __future__ import annotations

from aegis_tui.cli import foreground, hub_start, lock_verbs, output, session
from aegis_tui.errors import AegisError

COMMANDS: dict[str, tuple[str, str, str]] = {
    "dashboard": ("dashboard", "dashboard_app", "Watch and drive the agents of this repository."),
    "screenshot": ("screenshot", "screenshot_app", "Picture a screen as SVG."),
    "demo": ("demo", "demo_app", "Show the whole job on a throw-away repository, with a scripted model."),
    "doctor": ("doctor", "doctor_app", "What this machine has and lacks, each lack with its fix."),
    "init": ("init", "init_app", "Set this repository up, or undo that."),
    "vllm": ("vllm", "app", "Start, stop and look at a vLLM server on this machine."),
    "config": ("config", "app", "The settings that hold here, and where each comes from."),
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
    "runs": ("history", "runs_app", "Every run of this repository, and what came of it."),
    "transcript": ("history", "transcript_app", "What an instance showed, also after its end."),
    "conflicts": ("look", "conflicts_app", "Which pieces change the same path."),
    "review": ("look", "review_app", "The verdicts of a run, with their findings."),
    "qa": ("qa", "qa_app", "What QA gave, check by check; what a check printed; accept a base."),
    "rescue": ("look", "rescue_app", "Work that was saved before its worktree was removed."),
    "worktree": ("worktree", "worktree_app", "The worktrees that instances have."),
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


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code of contract 3."""
    try:
        for run_plain in (foreground.run_plain, hub_start.run_plain, lock_verbs.run_plain, session.run_plain):
            if (code := run_plain(arguments)) is not None:
                return code
        return _run_any(arguments)
    except AegisError as error:
        return output.failure(error, as_json="--json" in arguments)
    except KeyboardInterrupt:
        output.talk("interrupted")
        return 130


def _run_any(arguments: list[str]) -> int:
    from aegis_tui.cli import tree

    return tree.run(arguments)
