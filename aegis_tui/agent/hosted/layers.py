"""Finds which layers refuse a program's writes outside its partition, by trying them at its start (AGENT-5, PART-3)."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.agent.git import Git
from aegis_tui.agent.hosted.runner import program_environment
from aegis_tui.agent.hosted.self_test import find_commit_hook, hook_problem, sandbox_problem
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.hosting.kind_file import KindFile

_FORBIDDEN = ".git/config"
"""A path that no partition and no grant can open."""
_ANSWER_S = 30.0
_AT_COMMIT = "writes outside the partition are refused at the commit"


@dataclass(frozen=True, slots=True)
class Layers:
    """Which layers are active for one instance."""

    words: str
    """The layers in one line for a person, such as `sandbox, commit hook, guard before each edit`."""
    problem: str = ""
    """Which layers should refuse wrong writes and do not; empty if each that there is works."""


def guard_commands(python: str) -> dict[str, str]:
    """Return the values of the placeholders `guard_before` and `guard_after`: command lines for hooks, run by a shell.

    `-E`: the environment of the program may have a PYTHONPATH into the worktree. Programs take any exit code but 2 for
    a hook that failed and make the edit, so every failure of `guard_before` becomes 2.

    Args:
        python: The Python of this program.
    """
    line = shlex.join([python, "-E", "-P", "-m", "aegis_tui.agent.hosted.guard"])
    return {"guard_before": f"{line} before || exit 2", "guard_after": f"{line} after"}


async def find_layers(settings: AgentSettings, kind: KindFile, values: Mapping[str, str]) -> Layers:
    """Return which layers are active, by trying each: one counts only if it refuses what nobody may write.

    The guard must also allow a path of the partition. A layer that cannot be tried is a problem in the result, no
    error.

    Args:
        settings: Identity and files of the instance.
        kind: The description of the kind.
        values: The placeholders of the kind file.
    """
    git = Git(settings.worktree)
    named, problems = [], []
    if os.environ.get("AEGIS_SANDBOX", "none") != "none":
        problems.append(await sandbox_problem(git, settings.instance_id))
        named += [] if problems[-1] else ["sandbox"]
    if hook := await find_commit_hook(git):
        problems.append(await hook_problem(git, hook, settings))
        named += [] if problems[-1] else ["commit hook"]
    if not kind.checks_edits:
        return Layers(f"{_listed(named)}; no guard: {_AT_COMMIT}", _joined(problems))
    if problem := await _guard_problem(settings, kind, values):
        return Layers(f"{_listed(named)}; the guard does not work: {_AT_COMMIT}", _joined([*problems, problem]))
    return Layers(_listed([*named, "guard before each edit"]), _joined(problems))


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "no sandbox, no commit hook"


def _joined(problems: list[str]) -> str:
    return "; ".join(filter(None, problems))


async def _guard_problem(settings: AgentSettings, kind: KindFile, values: Mapping[str, str]) -> str:
    """Return what is wrong with the guard; empty if it refuses a forbidden path and allows one of the partition.

    Without a path in the partition, only the former is tried.
    """
    environment = program_environment(settings, kind, values)
    code, said = await _ask(settings.worktree / _FORBIDDEN, values["guard_before"], settings.worktree, environment)
    if code != 2 or _FORBIDDEN not in said:
        return f"the guard does not refuse an edit of {_FORBIDDEN} as it must (exit code {code}): {said}"
    own = next((path for glob in settings.scope.partition if (path := overlap(glob, glob))), None)
    if own is None:
        return ""
    code, said = await _ask(settings.worktree / own, values["guard_before"], settings.worktree, environment)
    return "" if code == 0 else f"the guard refuses {own}, which is in the partition: {said}"


async def _ask(path: Path, command: str, worktree: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run the guard as the program's hook does, for an edit of a path; return its exit code and its standard error.

    The edit is not made. If the guard cannot be started or takes over 30 s, the result is -1 and the reason.

    Args:
        path: The absolute path.
        command: The command line of the hook, for a shell.
        worktree: The folder to start it in.
        environment: All its variables.
    """
    call = {"tool_name": "Write", "tool_input": {"file_path": str(path)}, "cwd": str(worktree)}
    try:
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=worktree,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return -1, str(error)
    try:
        async with asyncio.timeout(_ANSWER_S):
            _, said = await process.communicate(json.dumps(call).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, f"no answer within {_ANSWER_S:.0f} s"
    return process.returncode or 0, said.decode("utf-8", "replace").strip()[-400:]
