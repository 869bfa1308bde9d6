"""Keeps the model gateway running with the hub, and tells it who may call and where calls go (LLM-10, contract 10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from aegis_tui.domain.cause import one_line
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.instance.urgency import urgencies
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.ports.gateway_plan import GatewayPlan
from aegis_tui.sdk.backoff import grown_pause_s

_log = logging.getLogger(__name__)

CHECK_S = 2.0
"""How often it is checked whether the gateway still runs and the settings are as before."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
_ACCESS_KINDS = ("instance", "run")
_ACCESS_S = 0.05
"""How late the gateway may learn of a change of instances that follows another one; a launch waits for it."""
_URGENCY_S = 0.5
"""How late the gateway may learn who holds locks that others wait for; there can be thousands of changes a second."""


class Gateway(Protocol):
    """The model gateway of the workspace."""

    async def serve(self, plan: GatewayPlan) -> None:
        """Start the gateway if it does not run, give it the plan, and return when it serves.

        Raises:
            Unavailable: It does not start.
            OSError: Its files cannot be written.
        """
        ...

    def report(self, problem: str | None) -> None:
        """Publish why the gateway is missing or can serve no call, or None when it works.

        Raises:
            OSError: It cannot be recorded, for example on a full disk.
        """
        ...

    async def close(self) -> None:
        """Stop the gateway and wait until it has ended; it may be called when none runs.

        One that does not end is killed.
        """
        ...


class UsualEndpoint(NamedTuple):
    """The model server of calls outside a run, and what is stored of all calls, by the person's settings."""

    base_url: str
    """In normalised form."""
    model: str | None
    """None for the first model that the server lists."""
    more: tuple[str, ...] = ()
    """Further servers for the same models, in normalised form."""
    kept_mb: int | None = None
    """How much the texts of calls may take on disk, in MiB; 0 deletes them. None if it is not known."""


FindEndpoint = Callable[[], UsualEndpoint]
"""Returns the endpoint of the person's settings, read again each time. Raises `UsageError` if they are wrong."""

HashJoined = Callable[[str, str], str]
"""Takes agent id and session of an agent that a person connected; returns the hash of its token."""


class _Wanted(NamedTuple):
    """What the state of the workspace asks of the gateway."""

    has_endpoint: bool
    """Whether the plan names the model server of a run."""
    plan: GatewayPlan


class GatewayKeeper:
    """Keeps the gateway in step with the state. A gateway that cannot start stops neither the hub nor its start.

    Args:
        gateway: The gateway.
        port: Reads the state.
        find_endpoint: Returns the endpoint of calls outside a run.
        hash_joined: Returns the hash of the token of an agent that a person connected.
    """

    def __init__(
        self, gateway: Gateway, port: CommandPort, *, find_endpoint: FindEndpoint, hash_joined: HashJoined
    ) -> None:
        self._gateway, self._port = gateway, port
        self._find_endpoint, self._hash_joined = find_endpoint, hash_joined
        self._wake = asyncio.Event()
        self._serving = asyncio.Lock()

    async def serve(self) -> None:
        """Make the gateway serve the present state and settings, and return when it does.

        If the person's settings are wrong and no run names a model server, it serves without one, and the problem is
        published.

        Raises:
            AegisError: It does not start, or the state cannot be read.
            OSError: Its files cannot be written, or the problem cannot be recorded.
        """
        async with self._serving:  # so that no older state can follow a newer one
            await self._serve()

    async def _serve(self) -> None:
        wanted = await self._port.read(self._wanted)
        problem = None
        try:
            usual = self._find_endpoint()
        except UsageError as error:
            usual, problem = UsualEndpoint("", None), one_line(error.message)
        plan = wanted.plan._replace(kept_mb=usual.kept_mb)
        if not wanted.has_endpoint:
            plan = plan._replace(upstream=usual.base_url, model=usual.model)
        if plan.upstream == usual.base_url:
            plan = plan._replace(more=tuple(url for url in usual.more if url != usual.base_url))
        await self._gateway.serve(plan)
        self._gateway.report(None if wanted.has_endpoint else problem)

    async def run(self) -> None:
        """Keep the gateway serving the present state, and the person's present settings, until cancelled.

        It is adjusted after each change of instances or runs, but only 50 ms after the one before, within half a second
        after a change of locks, and every 2 s. A failure (`AegisError` or `OSError`) is logged and published in the
        gateway's report, and tried again after a pause of 2 s, which doubles with each failure in a row, up to 60 s.
        Any other error is raised.
        """
        following = asyncio.create_task(self._follow())
        failures = 0
        try:
            while True:
                self._wake.clear()
                try:
                    await self.serve()
                    failures = 0
                except (AegisError, OSError) as error:
                    failures += 1
                    self._tell(error)
                    await asyncio.sleep(grown_pause_s(failures - 1, FIRST_PAUSE_S, LONGEST_PAUSE_S, is_varied=False))
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await self._wake.wait()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _tell(self, error: AegisError | OSError) -> None:
        reason = error.message if isinstance(error, AegisError) else str(error)
        _log.warning("the model gateway cannot serve: %s", reason)
        with suppress(OSError):  # for example a full disk
            self._gateway.report(one_line(reason))

    async def _follow(self) -> None:
        loop, soon, covered, later = asyncio.get_running_loop(), 0.0, 0.0, 0.0
        async for keys in self._port.changes():
            kinds = {kind for kind, _ in keys}
            if not keys:
                self._wake.set()
            elif not kinds.isdisjoint(_ACCESS_KINDS):
                now = loop.time()
                if now >= soon:
                    soon = now + _ACCESS_S
                    self._wake.set()
                elif now >= covered:
                    loop.call_at(soon, self._wake.set)
                    covered, soon = soon, soon + _ACCESS_S
            elif "lock" in kinds and loop.time() > later:
                later = loop.time() + _URGENCY_S
                loop.call_later(_URGENCY_S, self._wake.set)

    def _wanted(self, workspace: Workspace) -> _Wanted:
        run, alive = workspace.runs.current(), list(workspace.instances.alive())
        hashes = ((self._token_hash(item), item.agent_id) for item in alive)
        plan = GatewayPlan(
            instances={token_hash: agent_id for token_hash, agent_id in hashes if token_hash},
            urgencies=urgencies(workspace),
        )
        if run is None:
            return _Wanted(False, plan)
        options = run.options
        outside = {item.agent_id: options.boundary.get(item.kind, ()) for item in alive if item.run}
        plan = plan._replace(
            allowed={agent_id: addresses for agent_id, addresses in outside.items() if addresses},
            runs={item.agent_id: run.run for item in workspace.instances.of_run(run.run)},
            budget=options.budget.limits(),
        )
        if not options.base_url:
            return _Wanted(False, plan)
        return _Wanted(True, plan._replace(upstream=options.base_url, model=options.model or run.facts.model))

    def _token_hash(self, instance: Instance) -> str | None:
        if instance.run is not None or not is_connected(instance):
            return instance.token_hash
        return self._hash_joined(instance.agent_id, instance.session or "")


def is_connected(instance: Instance) -> bool:
    """Return whether an instance is an agent that a person connected, and that is still joined.

    It is not once it has left, its session has expired, or it is being stopped.
    """
    return instance.run is None and instance.phase is Phase.JOINED and instance.session is not None
