"""Checks before a run starts: repository, endpoint, model, sandbox, QA commands. Nothing is written (contract 4)."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from aegis_tui.config import DEFAULT_BASE_URL
from aegis_tui.domain.environment.model import EnvironmentPlan
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.qa.detectors import detect_qa, wanted_files
from aegis_tui.domain.qa.detectors.extra import detect_extra, wanted_extra
from aegis_tui.domain.qa.detectors.suggest import suggest_qa
from aegis_tui.domain.review.lens import GENERAL, ReviewLens
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError
from aegis_tui.orchestrator.model_choice import ModelChooser
from aegis_tui.orchestrator.objection import disk_objection, objection, remarks
from aegis_tui.orchestrator.run_kinds import FindServers, kind_facts, server_warnings, with_local_servers
from aegis_tui.ports.agent_kind import KindFacts
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.ports.lens import FindLens
from aegis_tui.ports.model_server import ChosenModel, ModelEndpoint, ProbeEndpoint, TryModel
from aegis_tui.ports.repository import RepositoryFacts
from aegis_tui.ports.repository_condition import InspectedRepository, RepositoryCondition
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel

_log = logging.getLogger(__name__)

MOST_NAMED = 20
"""How many other models of the server the record of a run names at most."""

REVIEW_AND_QA = 2
"""Worktrees that exist at the same time as those of the workers: one for a review, one for QA."""

_RUN_NAME = re.compile(r"run(\d+)")


ListFiles = Callable[[str], Awaitable[dict[str, str]]]
"""Takes a commit; returns tracked path -> blob id of its files."""


PlanEnvironment = Callable[[str, SandboxLevel], Awaitable[EnvironmentPlan]]
"""Takes the base commit and how commands are isolated; returns what worktrees get besides the tracked files."""


async def _plan_nothing(oid: str, level: SandboxLevel) -> EnvironmentPlan:
    """Return an empty plan, the default of `plan_environment`: worktrees get the tracked files only."""
    return EnvironmentPlan()


DescribeLayout = Callable[[int], Awaitable[str]]
"""Takes how many workers there are at most; returns a text for the Commander, or an empty one."""


async def _describe_nothing(workers: int) -> str:
    """Return an empty text, the default of `describe_layout`."""
    return ""


async def _accept_rules(oid: str) -> None:
    """Do nothing: the default of `check_rules`, which finds the merge rules of every commit valid."""


class Preflight:
    """Completes a `run:start` command with the facts of this machine and repository.

    Args:
        repository: The workspace's repository.
        sandbox: The sandbox that agents will run in.
        probe_endpoint: Checks the address of a model endpoint and asks it for its models.
        list_files: Lists the tracked files of a commit.
        port: Reads the hub's state, for the next free run id.
        try_model: Sends a model one small request, to choose among several.
        state_dir: Where worktrees and logs are kept; it exists.
        describe_kinds: Returns the facts about each agent kind; reads files.
        find_servers: Returns the MCP servers of the person's settings.
        find_lens: Returns a review lens by its name; reads files.
        find_warnings: Returns other warnings that a person should see before work starts.
        check_rules: Takes the base commit; raises `UsageError` if a file of merge rules in it is not valid.
        find_choice: Returns the QA commands that the person named for an earlier run; reads a file.
        plan_environment: Plans the environment of the worktrees, or refuses the run; reads files.
        describe_layout: Describes how the repository could be divided; takes a few seconds at most, and never raises.
    """

    def __init__(
        self,
        *,
        repository: InspectedRepository,
        sandbox: Sandbox,
        probe_endpoint: ProbeEndpoint,
        list_files: ListFiles,
        port: CommandPort,
        try_model: TryModel,
        state_dir: Path,
        describe_kinds: Callable[[], Sequence[KindFacts]] = lambda: (KindFacts(NATIVE, NATIVE, checks_edits=True),),
        find_servers: FindServers = dict,
        find_lens: FindLens = lambda _: GENERAL,
        find_warnings: Callable[[], Sequence[str]] = tuple,
        check_rules: Callable[[str], Awaitable[object]] = _accept_rules,
        find_choice: Callable[[], tuple[str, ...]] = tuple,
        plan_environment: PlanEnvironment = _plan_nothing,
        describe_layout: DescribeLayout = _describe_nothing,
    ) -> None:
        self._describe_layout = describe_layout
        self._plan_environment = plan_environment
        self._repository, self._sandbox, self._state_dir = repository, sandbox, state_dir
        self._chooser, self._describe_kinds = ModelChooser(try_model), describe_kinds
        self._find_warnings = find_warnings
        self._probe_endpoint, self._list_files, self._port = probe_endpoint, list_files, port
        self._find_lens, self._check_rules, self._find_choice = find_lens, check_rules, find_choice
        self._find_servers = find_servers

    async def complete(self, command: RunStart) -> RunStart:
        """Return the same command with `run` and `facts` filled in, and two options completed.

        These are the normalised address of the model server, and the boundary, which gets the addresses of this
        machine's MCP servers too. Nothing is started or written; the model server may get small requests.

        Raises:
            AegisError: The run cannot start; the first reason, with the command that helps as the hint.
            OSError: The disk of the state folder cannot be examined.
        """
        run = await self._next_run()
        await self._repository.preflight(run)
        design = None if command.design is None else parse_design(command.design)
        level, layers = await self._isolation(command.options)
        # Before `facts`: that runs `git status`, which fails with a less helpful message of git's own.
        condition = await self._condition()
        facts = await self._repository.facts()
        base_oid = _base_of(facts)
        await self._check_base(base_oid, command, design)
        around = await self._plan_environment(base_oid, level)
        lenses = await asyncio.to_thread(self._lenses, command.options.lenses)
        endpoint = await self._probe_endpoint(command.options.base_url or DEFAULT_BASE_URL)
        chosen = await self._choose_model(endpoint, command.options.model)
        kinds = await asyncio.to_thread(self._describe_kinds)
        asked = command.options.model_copy(update={"base_url": endpoint.base_url})
        options, remarks_on_servers = await self._admit_servers(asked, kinds, design)
        run_facts = RunFacts(
            workspace=facts.key,
            base_oid=base_oid,
            base_branch=facts.branch,
            ignore_case=facts.ignore_case,
            scripted=endpoint.scripted,
            model=chosen.model,
            other_models=chosen.others[:MOST_NAMED],
            warnings=(*self._find_warnings(), *remarks(condition), *remarks_on_servers, *around.missing),
            environment=around,
            submodules=condition.submodules,
            logs=str(self._state_dir / "logs"),
            uncommitted=facts.dirty_paths,
            **await self._checks(command.options, base_oid),
            started_unix=int(time.time()),
            boundary_level=str(level),
            boundary_layers=layers,
            **kind_facts(kinds, is_strict=options.sandbox == "strict"),
            lenses=lenses,
            layout=await self._describe_layout(options.workers) if design is None else "",
        )
        return command.model_copy(update={"run": run, "facts": run_facts, "options": options})

    async def _condition(self) -> RepositoryCondition:
        """Return the condition of the repository; raise an `AegisError` if a run cannot start in it."""
        condition = await self._repository.condition()
        if (problem := objection(condition)) is not None:
            raise problem
        return condition

    async def _isolation(self, options: RunOptions) -> tuple[SandboxLevel, dict[str, str]]:
        """Return how the agents of the run are isolated, and each layer with what enforces it or why nothing does.

        Raises:
            SandboxUnavailable: The options require a sandbox, and none works here; or none can be tried.
        """
        report = await self._sandbox.probe()
        level = self._sandbox.choose(options.sandbox, report)
        is_on = level == report.level
        return level, report.layers if is_on else dict.fromkeys(
            report.layers, "off, as --sandbox or the setting sandbox says"
        )

    async def _admit_servers(
        self, options: RunOptions, kinds: Sequence[KindFacts], design: Design | None
    ) -> tuple[RunOptions, list[str]]:
        """Return the options with the addresses of this machine's MCP servers added, and warnings about MCP servers.

        The addresses are added to those that agents of a kind may reach (`boundary`), if the kind takes MCP servers. A
        warning names a server that a kind of agent does not get; the list may be empty.

        Raises:
            UsageError: A setting is wrong.
        """
        servers = await asyncio.to_thread(self._find_servers)
        boundary = with_local_servers(options.boundary, servers, kinds)
        options = options.model_copy(update={"boundary": boundary})
        return options, server_warnings(servers, kinds, options, design)

    async def _check_base(self, oid: str, command: RunStart, design: Design | None) -> None:
        """Return if the merge rules of the base are valid and the worktrees of the run fit on the state folder's disk.

        Args:
            oid: The base commit.
            command: Its options say how many workers there are at most.
            design: The design, whose features limit the number of workers; None if it is not known yet.

        Raises:
            UsageError: A file of merge rules is not valid.
            Refused: The worktrees do not fit.
            GitError: git cannot tell the size of a worktree.
            OSError: The disk cannot be examined.
        """
        await self._check_rules(oid)
        free_bytes = (await asyncio.to_thread(shutil.disk_usage, self._state_dir)).free
        features = len(design.features) if design else command.options.workers
        worktrees = min(command.options.workers, features) + REVIEW_AND_QA
        problem = disk_objection(
            free_bytes=free_bytes,
            checkout_bytes=await self._repository.checkout_bytes(),
            worktrees=worktrees,
            place=str(self._state_dir),
        )
        if problem is not None:
            raise problem

    async def _choose_model(self, endpoint: ModelEndpoint, wanted: str | None) -> ChosenModel:
        if endpoint.scripted:
            return ChosenModel(wanted or (endpoint.models[0] if endpoint.models else None))
        return await self._chooser.choose(endpoint.base_url, endpoint.models, wanted=wanted)

    def _lenses(self, names: Sequence[str]) -> tuple[ReviewLens, ...]:
        """Return the general lens and those of these names, each once, in the given order.

        Raises:
            UsageError: No lens of the name, or none of them blocks, so that no piece would need an approval.
        """
        lenses = tuple(self._find_lens(name) for name in dict.fromkeys((GENERAL.name, *names)))
        if not any(lens.blocking for lens in lenses):
            listed = ", ".join(lens.name for lens in lenses)
            raise UsageError(
                f"a piece needs no approval in this run, because none of its lenses blocks: {listed}",
                f"write `blocking: yes` in the file of the lens {GENERAL.name}, or add a lens that blocks: --lens NAME",
                is_certain=True,
            )
        return lenses

    async def _next_run(self) -> str:
        known = await self._port.read(_runs)
        refs = [
            *await self._repository.list_refs("refs/heads/aegis"),
            *await self._repository.list_refs("refs/aegis/runs"),
            *await self._repository.list_refs("refs/aegis/rescue"),
        ]
        # A branch named exactly `aegis/run1` is the person's own: the preflight of that run refuses because of it.
        used = [parts[3] for ref in refs if len(parts := ref.name.split("/")) > 4]
        taken = [int(match[1]) for name in (*known, *used) if (match := _RUN_NAME.fullmatch(name))]
        return f"run{max(taken, default=0) + 1}"

    async def _checks(self, options: RunOptions, oid: str) -> dict[str, tuple[str, ...]]:
        """Return fields of the facts: always `qa_commands`, which may be empty.

        They are none if the person chose so, else the person's own, else those detected, else those that the person
        named for an earlier run. With detected ones there is `qa_extra`, the detected type checkers and linters; if no
        command is known, there is `qa_suggested`. Both may be empty.

        Raises:
            GitError: git fails.
        """
        own = tuple(filter(str.strip, options.checks))
        if options.unchecked or own:
            return {"qa_commands": () if options.unchecked else own}
        detected = await self._detect(oid)
        if not detected["qa_commands"] and (choice := await asyncio.to_thread(self._find_choice)):
            return {"qa_commands": choice}
        return detected

    async def _detect(self, oid: str) -> dict[str, tuple[str, ...]]:
        files = await self._list_files(oid)
        texts = {
            name: (await self._repository.read_blob(files[name])).decode("utf-8", "replace")
            for name in (*wanted_files(files), *wanted_extra(files))
        }
        read = partial(_text_in, texts)
        if commands := detect_qa(files, read):
            return {"qa_commands": commands, "qa_extra": detect_extra(files, read)}
        return {"qa_commands": (), "qa_suggested": suggest_qa(files, read)}


def _base_of(facts: RepositoryFacts) -> str:
    """Return the id of the commit that a run is based on: the checkout's HEAD.

    Raises:
        Refused: The repository has no commit yet.
    """
    if facts.head_oid is None:
        hint = "git add . && git commit --allow-empty -m 'Start'"
        raise Refused("the repository has no commit yet", hint, code="git.no-commit")
    return facts.head_oid


def _text_in(texts: Mapping[str, str], name: str) -> str:
    return texts.get(name, "")


def _runs(workspace: Workspace) -> list[str]:
    return workspace.runs.names()
