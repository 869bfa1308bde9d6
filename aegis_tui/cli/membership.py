"""An agent that a person connected, as long as its `aegis-tui connect` runs: it beats, notices its end, and leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from aegis_tui.cli import output
from aegis_tui.cli.place import Place
from aegis_tui.errors import AegisError
from aegis_tui.sdk.quick import HubQuick

if TYPE_CHECKING:
    from aegis_tui.domain.wire.instance import InstanceView

_UNKNOWN_TOKEN = "unauthorized"


class Membership:
    """A context manager that keeps an agent, which a person connected, in the workspace while the block runs.

    It sends heartbeats, without which the hub would end the agent's session, and at the end of the block the agent
    leaves. Use it once.

    Args:
        place: The workspace.
        hub: A client that acts as the agent.
        agent_id: The agent's full id.
        beat_s: Seconds between two heartbeats.
    """

    def __init__(self, place: Place, hub: HubQuick, agent_id: str, *, beat_s: float) -> None:
        self._place, self._hub, self._agent_id, self._beat_s = place, hub, agent_id, beat_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._at_stop: Callable[[], None] = lambda: None
        self._is_stopped = False
        self._is_refused = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether the agent was stopped, or the hub does not know it any more; noticed at the next heartbeat.

        False if the hub has only ended the session, for example because heartbeats failed for too long.
        """
        return self._is_stopped

    def at_stop(self, act: Callable[[], None]) -> None:
        """Call `act` once, in another thread, when somebody stops the agent; now, in this thread, if that has happened.

        A later call replaces the action of an earlier one.
        """
        with self._lock:
            self._at_stop, is_stopped = act, self._is_stopped
        if is_stopped:
            act()

    def __enter__(self) -> Membership:
        """Begin to send heartbeats, in a thread; return this object.

        The first failure of each series is printed on stderr, and sending goes on. If the hub no longer accepts the
        agent's token, the reason is printed and the heartbeats end; `has_ended` and `at_stop` say what more happens if
        the agent was stopped or is unknown.
        """
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the heartbeats and let the agent leave the workspace, unless the hub has ended its session already.

        If leaving fails, that is printed on stderr; nothing is raised, and an exception of the block goes on.
        """
        self._over.set()
        self._thread.join()
        if self._is_refused:
            return
        try:
            self._hub.command("agent:leave", reason="connect has ended")
        except AegisError as problem:
            if problem.code != _UNKNOWN_TOKEN:
                output.talk(f"could not leave the workspace: {problem.message}")

    def _beat(self) -> None:
        was_silent = False
        while not self._over.wait(self._beat_s):
            try:
                self._hub.command("heartbeat")
                was_silent = False
            except AegisError as error:
                if error.code == _UNKNOWN_TOKEN and self._notice_end():
                    return
                if not was_silent and error.code != _UNKNOWN_TOKEN:
                    output.talk(f"a heartbeat failed: {error.message}")
                was_silent = True

    def _notice_end(self) -> bool:
        """Find out why the hub refuses the token, print it on stderr, and return True.

        If the agent was stopped, or the hub does not know it any more, `has_ended` is set and the action of `at_stop`
        is called. Return False, with nothing printed, if the hub cannot be asked now.
        """
        try:
            instance = self._find()
        except AegisError:
            return False
        self._is_refused = True
        reason = instance["stop_reason"] if instance else None
        if instance is not None and reason is None:
            output.talk(
                f"the session of {self._agent_id} has ended, so hub and gateway refuse its requests: "
                "end the agent and connect it again"
            )
            return True
        output.talk(f"{self._agent_id} was stopped: {reason or 'the hub does not know it any more'}")
        with self._lock:
            self._is_stopped, act = True, self._at_stop
        act()
        return True

    def _find(self) -> InstanceView | None:
        """Return the agent's entry in the hub's state (contract 6); None if it has none.

        It asks as the person, as the agent's own token may be invalid.

        Raises:
            HubUnavailable: No hub is running, or it does not answer.
        """
        instances = self._place.hub().context()["instances"]
        return next((item for item in instances if item["agent_id"] == self._agent_id), None)
