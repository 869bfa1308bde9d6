"""What one instance is told about its confinement, how it is started, and its MCP servers (SEC-4, AGENT-5, AGENT-7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aegis_tui.domain.environment.ports import FIRST_VARIABLE, LAST_VARIABLE
from aegis_tui.domain.glob.pattern import escape_glob
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.mcp_server import usable
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import UsageError
from aegis_tui.orchestrator import pane_exec
from aegis_tui.orchestrator.run_kinds import FindServers
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.ports.sandbox import SandboxLevel
from aegis_tui.ports.surroundings import EnvironmentSource, Surroundings
from aegis_tui.sdk.egress import EGRESS_VARIABLE
from aegis_tui.sdk.environments import ENVIRONMENT_NAME
from aegis_tui.sdk.gateway import EGRESS_NAME
from aegis_tui.sdk.mcp_servers_file import SERVERS_NAME, render_servers
from aegis_tui.sdk.private_file import write_private


def boundary_variables(instance: Instance, run: Run, level: SandboxLevel, sockets_dir: Path) -> dict[str, str]:
    """Return the environment variables (name -> value) from which an instance learns what confines it.

    AEGIS_SANDBOX is the level; AEGIS_STRICT is 1 in strict mode; AEGIS_EGRESS is the socket of the way out, only in a
    sandbox whose boundary lists addresses for the instance's kind.

    Args:
        instance: The instance.
        run: Its run.
        level: How it is isolated.
        sockets_dir: The folder with the sockets of hub and gateway, as it is inside the sandbox.
    """
    variables = {"AEGIS_SANDBOX": level.value}
    if run.options.sandbox == "strict":
        variables["AEGIS_STRICT"] = "1"
    if level is not SandboxLevel.NONE and run.options.boundary.get(instance.kind):
        variables[EGRESS_VARIABLE] = str(sockets_dir / EGRESS_NAME)
    return variables


def source_of(run: Run) -> EnvironmentSource:
    """Return what the environment of a run's worktrees is made from: its base commit and a prepared environment's name.

    The name is empty if the run has none.
    """
    return EnvironmentSource(run.facts.base_oid, run.environment.name if run.environment else "")


def write_environment(folder: Path, around: Surroundings, run: Run) -> None:
    """Record in `environment.json` what an instance's worktree has besides the tracked files; blocking.

    `worktree list` reads it: the prepared environment, folders, number of copied files, what was left out and why, and
    ports.

    Args:
        folder: The folder of the instance; it exists.
        around: What was prepared.
        run: Its run.

    Raises:
        OSError: The file cannot be written.
    """
    ports = [int(around.environment[name]) for name in (FIRST_VARIABLE, LAST_VARIABLE) if name in around.environment]
    record = {
        "prepared": source_of(run).prepared,
        "places": list(around.places),
        "copied": around.copied,
        "left_out": dict(around.left_out),
        "ports": ports,
    }
    write_private(folder / ENVIRONMENT_NAME, json.dumps(record, ensure_ascii=True))


def write_launch(folder: Path, argv: list[str], environment: dict[str, str], cwd: Path) -> None:
    """Write the launch record of an instance, from which its pane starts its program; blocking.

    Args:
        folder: The folder of the instance.
        argv: The program, in its sandbox.
        environment: All of its variables.
        cwd: The folder that it starts in.

    Raises:
        UsageError: `argv` is empty, a text contains a NUL, or the name of a variable contains `=`.
        OSError: The file cannot be written.
    """
    try:
        record = pane_exec.render_launch(argv, environment, str(cwd))
    except ValueError as error:
        raise UsageError(f"its program cannot be started: {error}", is_certain=True) from error
    write_private(folder / pane_exec.RECORD_NAME, record)


def write_servers(
    folder: Path, find_servers: FindServers, instance: Instance, run: Run, environment: Mapping[str, str]
) -> None:
    """Write the MCP servers that an instance gets, with their secrets, into the private file `mcp.json`; blocking.

    It gets those that the boundary of its kind lets it reach. If it gets none, an old file is removed.

    Args:
        folder: The folder of the instance.
        find_servers: Returns the servers of the person's settings.
        instance: The instance.
        run: Its run.
        environment: Its variables, of which that of its way out is used.

    Raises:
        UsageError: A setting is wrong.
        OSError: The file cannot be written or removed.
    """
    path = folder / SERVERS_NAME
    if servers := usable(find_servers(), run.options.boundary.get(instance.kind, ())):
        write_private(path, render_servers(servers, egress=environment.get(EGRESS_VARIABLE)))
    else:
        path.unlink(missing_ok=True)


def worktree_of(instance: Instance, run: Run, folder: Path, guard: Guard) -> WorktreeSpec:
    """Return the worktree that an instance needs, in `folder`, with the guard of its commits.

    It needs the files of its partition first, and those that it reviews. The built-in agent asks for the others.
    """
    review = run.reviews.get(instance.review_id or "")
    return WorktreeSpec(
        instance=instance.instance_id,
        path=folder / instance.instance_id,
        branch=instance.branch or "",
        base_oid=instance.base_oid or run.facts.base_oid,
        guard=guard,
        first=(*instance.partition, *(escape_glob(path) for path in (review.files if review else ()))),
        asks=instance.kind == NATIVE,
    )
