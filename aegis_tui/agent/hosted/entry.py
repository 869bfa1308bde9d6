"""The wrapper as a program: it runs in a pane and a worktree, and reads keys and signals (AGENT-1)."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from aegis_tui.agent.descendants import adopt_orphans, end_descendants
from aegis_tui.agent.git import Git
from aegis_tui.agent.hosted.acp_runner import AcpRunner
from aegis_tui.agent.hosted.delivery import Requests
from aegis_tui.agent.hosted.headless import HeadlessRunner
from aegis_tui.agent.hosted.hear import hear_commands
from aegis_tui.agent.hosted.layers import guard_commands
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.relay import Counted, GatewayRelay
from aegis_tui.agent.hosted.runner import Runner
from aegis_tui.agent.hosted.session import HostedSession
from aegis_tui.agent.hosted.terminal import TerminalRunner
from aegis_tui.agent.keyboard import keyboard_lines
from aegis_tui.agent.name_server import NameServer, open_name_server
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.program import connect, follow_refusals, follow_signals, run_to_exit_code
from aegis_tui.agent.role import load_role
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import feed_keyboard, run_beside
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.model import first_problem
from aegis_tui.errors import UsageError
from aegis_tui.sdk.egress import find_egress

_UNIX = "http+unix:"


def main() -> int:
    """Run the wrapper in this process until a signal or the hub ends it; return its exit code.

    0 if it was ended; an error is shown in the pane, or in mode `terminal` in `wrapper.log` in the home folder, and
    gives the code (contract 3). At the end, every process below this one is ended.
    """
    adopt_orphans()
    names = open_name_server(os.environ)
    run = partial(_run, names=names)
    try:
        if os.environ.get("AEGIS_AGENT_MODE") != "terminal":
            return run_to_exit_code(run, Screen(Pane.of(sys.stdout, os.environ)))
        with (Path(os.environ["HOME"]) / "wrapper.log").open("a", encoding="utf-8") as log:
            return run_to_exit_code(run, Screen(Pane(log)))  # the pane belongs to the program's own interface
    finally:
        end_descendants()


async def _run(screen: Screen, *, names: NameServer | None) -> None:
    """Run the instance that the environment describes until a signal or the hub ends it.

    Args:
        screen: Shows in the pane what happens.
        names: The name server of the sandbox, if it has one.

    Raises:
        AegisError: It cannot start.
    """
    settings = AgentSettings.from_environment(os.environ, worktree=Path.cwd())
    egress = find_egress(os.environ, settings.read_token())
    name, kind = _kind_of(os.environ)
    is_terminal = os.environ.get("AEGIS_AGENT_MODE") == "terminal"
    requests, limits = Requests(), LimitWatch(kind.usage_limit)
    async with (
        GatewayRelay(
            settings.base_url.removeprefix(_UNIX),
            on_request=requests.add if is_terminal else None,
            on_answer=limits.take,
        ) as relay,
        egress or nullcontext(),
        await connect(screen, patience_s=settings.orphan_s) as link,
    ):
        settings = settings.with_egress(egress)
        values = await _values(settings, kind, relay.url)

        async def count() -> Counted | None:
            return await relay.count(values["token"])

        runner: Runner = _quiet_runner(settings, kind, values, screen)
        if is_terminal:
            runner = TerminalRunner(settings, kind, values, requests=requests, count=count)
        session = HostedSession(
            settings,
            name,
            kind,
            team_rules=_team_rules(settings.role, os.environ.get("AEGIS_ROLES")),
            link=link,
            screen=screen,
            values=values,
            runner=runner,
            limits=limits,
            count=count,
        )
        follow_signals(session)
        async with follow_refusals(session, names, egress):
            await _work(session, runner, screen, is_terminal=is_terminal)


def _quiet_runner(settings: AgentSettings, kind: KindFile, values: dict[str, str], screen: Screen) -> Runner:
    """Return what runs the program without an interface of its own: over ACP, or once for each prompt."""
    if kind.is_driven_by_acp(os.environ.get("AEGIS_AGENT_MODE", "")):
        return AcpRunner(settings, kind, values, screen, is_boxed=_is_boxed())
    return HeadlessRunner(settings, kind, values, screen)


async def _work(session: HostedSession, runner: Runner, screen: Screen, *, is_terminal: bool) -> None:
    """Run the session to its end and then end its program.

    Raises:
        AegisError: It cannot start, or it failed.
    """
    try:
        if is_terminal:
            await session.run()
            return
        async with keyboard_lines(sys.stdin.fileno(), echo=screen.typed, write=screen.control) as lines:
            await run_beside(session.run(), feed_keyboard(session, lines))
    finally:
        await runner.close()


def _kind_of(environ: Mapping[str, str]) -> tuple[str, KindFile]:
    """Return the name (AEGIS_KIND) and the description (AEGIS_KIND_FILE, as JSON) of the kind.

    Raises:
        UsageError: A variable is missing, or the description is not valid.
    """
    try:
        return environ["AEGIS_KIND"], KindFile.model_validate_json(environ["AEGIS_KIND_FILE"])
    except KeyError as error:
        raise UsageError(f"{error} is not set", "The wrapper is started by the hub: aegis-tui run") from error
    except ValidationError as error:
        raise UsageError(f"AEGIS_KIND_FILE is not valid: {first_problem(error)}") from error


def _team_rules(role: str, folder: str | None) -> str:
    """Return the text of the team's own file for a role, `ROLE.md` in `folder`; empty if there is none.

    Raises:
        UsageError: The file is not valid.
    """
    if folder is None or not (Path(folder) / f"{role}.md").is_file():
        return ""
    return load_role(role, folders=[Path(folder)]).prompt


async def _values(settings: AgentSettings, kind: KindFile, gateway: str) -> dict[str, str]:
    common = await Git(settings.worktree).run("rev-parse", "--path-format=absolute", "--git-common-dir")
    return {
        "gateway": gateway,
        "gateway_v1": f"{gateway}/v1",
        **guard_commands(sys.executable),
        **hear_commands(sys.executable),
        "home": os.environ["HOME"],
        "instance": settings.instance_id,
        "model": settings.model or "default",
        "permission": kind.permission.boxed if _is_boxed() else kind.permission.open,
        "python": sys.executable,
        "session": str(uuid.uuid4()),
        "repository": str(Path(common.output.strip()).parent),
        "token": settings.read_token(),
        "worktree": str(settings.worktree),
    }


def _is_boxed() -> bool:
    return os.environ.get("AEGIS_SANDBOX", "none") != "none"
