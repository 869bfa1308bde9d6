"""The table of all commands: where each is implemented, its help line, and an example. Imports none of them."""

from __future__ import annotations

from typing import Final

COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "dashboard": ("dashboard", "dashboard_app", "Watch and drive the agents of this repository."),
    "screenshot": ("screenshot", "screenshot_app", "Save a screen of the dashboard as SVG."),
    "demo": ("demo", "demo_app", "Show a whole run in a temporary repository, with a scripted model."),
    "doctor": ("doctor", "doctor_app", "Check this machine, and say how to fix what is missing."),
    "init": ("init", "init_app", "Write settings, roles, rules and spec templates to .agents, or undo that."),
    "vllm": ("vllm", "app", "Start, stop and inspect a vLLM server on this machine."),
    "config": (
        "config",
        "app",
        "Show the settings in effect here; config list --show-origin also shows where they come from.",
    ),
    "run": ("run", "run_app", "Turn a goal into one commit, with several agents at once."),
    "wait": ("run", "wait_app", "Follow a run until it ends."),
    "cancel": ("run", "cancel_app", "End a run; the work of its agents is kept."),
    "halt": (
        "run",
        "halt_app",
        "Pause a run until resume: nothing new starts, and agents wait after their current step.",
    ),
    "resume": ("run", "resume_app", "Continue a run that was halted."),
    "hub": ("hub", "app", "Start, stop and inspect the hub of this repository."),
    "server": ("hub", "app", "The same as hub."),
    "status": ("status", "status_app", "Show the stage, instances, locks and partitions of the current run."),
    "events": ("events", "events_app", "Print the log, one event per line."),
    "report": ("status", "report_app", "Print the report of a run, from the log and git."),
    "runs": ("history", "runs_app", "List every run of this repository with its outcome."),
    "transcript": (
        "history",
        "transcript_app",
        "Print what an instance has shown in its pane, even after it has ended.",
    ),
    "conflicts": ("look", "conflicts_app", "List pieces that change the same path."),
    "review": ("look", "review_app", "Show the verdicts of a run's reviewers, with their findings."),
    "qa": ("qa", "qa_app", "Show the QA results of a run, print the output of a check, or accept a failing base."),
    "rescue": ("look", "rescue_app", "List work that was saved before its worktree was removed."),
    "worktree": ("worktree", "worktree_app", "List, repair and remove the worktrees of instances."),
    "lock": ("lock", "app", "Acquire, release, list and break locks."),
    "partition": ("partition", "app", "Check whether two globs, or the features of a design, share a path."),
    "replay": ("replay", "replay_app", "Compute the state after any event of the log, and compare it with the hub's."),
    "schema": ("schema", "schema_app", "Print the hub's interface as OpenAPI or AsyncAPI."),
    "mcp": ("mcp", "mcp_app", "Serve the tools of an instance over MCP, on stdin and stdout."),
    "connect": ("connect", "connect_app", "Join the workspace with an agent of your own."),
    "explain": ("explain", "explain_app", "Show the state of an instance, where it is known from, and the evidence."),
    "inbox": ("inbox", "app", "List everything that waits for you, and answer it."),
    "attach": ("instance", "attach_app", "Open the pane of an instance in this terminal."),
    "send": ("instance", "send_app", "Send a prompt to an instance."),
    "stop": ("instance", "stop_app", "End an instance; its work is saved first."),
}
"""Name of a command -> its module in this package, the Typer app in that module, one line of help."""

EXAMPLES: Final = {
    "dashboard": "dashboard --layout focus --theme light",
    "screenshot": "screenshot dashboard --size 160x48 -o dashboard.svg",
    "demo": "demo --headless",
    "doctor": "doctor --base-url http://192.168.1.20:8001/v1",
    "init": "init --agent-docs",
    "vllm start": "vllm start Qwen/Qwen3-Coder-30B-A3B-Instruct --port 8001 -- --tensor-parallel-size 2",
    "vllm stop": "vllm stop",
    "vllm status": "vllm status --json",
    "vllm logs": "vllm logs",
    "config list": "config list --show-origin",
    "run": "run 'Add a search page' --design design.yaml --headless",
    "wait": "wait run1",
    "cancel": "cancel run1",
    "halt": "halt run1",
    "resume": "resume run1",
    "hub start": "hub start",
    "hub stop": "hub stop --force",
    "hub restart": "hub restart --wait 60",
    "hub status": "hub status --json",
    "hub repair": "hub repair",
    "status": "status",
    "events": "events --follow --type 'lock:*'",
    "report": "report run1 --json",
    "runs": "runs",
    "transcript": "transcript w01",
    "conflicts": "conflicts",
    "review": "review run1",
    "qa": "qa run1 --output pytest",
    "rescue list": "rescue list",
    "worktree list": "worktree list",
    "worktree repair": "worktree repair",
    "worktree remove": "worktree remove w01",
    "lock acquire": "lock acquire src/shop/routes.py --symbol add_route --wait 30",
    "lock release": "lock release src/shop/routes.py",
    "lock list": "lock list",
    "lock break": "lock break L7 --reason 'its holder is gone'",
    "lock import": "lock import _locks.json",
    "partition check": "partition check 'src/api/**' 'src/web/**'",
    "replay": "replay --to 120",
    "schema": "schema openapi -o openapi.json",
    "mcp": "mcp --instance frontend",
    "connect": "connect --agent claude --instance search --partition 'src/search/**' -- claude",
    "explain": "explain w01",
    "inbox": "inbox --json",
    "inbox answer": "inbox answer w01 'use the existing client'",
    "attach": "attach w01 --read-only",
    "send": "send w01 'use the existing client'",
    "stop": "stop w01 --reason 'not needed any more'",
}
"""Words of a command -> an example of its use; both without the program's name."""

EXIT_CODES: Final = (
    "0 done, 1 failed, 2 wrong usage, 3 refused by a gate or a rule, 4 held by another instance, "
    "5 something needed is missing or does not answer"
)
"""The exit codes of every command, as its help prints them (contract 3)."""
