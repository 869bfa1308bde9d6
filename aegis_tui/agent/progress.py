"""Reports to the hub and the pane what the instance is doing (FLOW-6), and sums up its tokens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from aegis_tui.agent.screen import Screen
from aegis_tui.domain.cause import Cause
from aegis_tui.domain.instance.model import MOST_NAMES, StateSource
from aegis_tui.errors import AegisError, Conflict, Refused, UsageError
from aegis_tui.ports.hub_link import HubLink
from aegis_tui.ports.llm import Usage

_SHARE: Mapping[str, float] = {
    "starting": 0.0,
    "idle": 0.0,
    "exploring": 0.1,
    "reviewing": 0.3,
    "implementing": 0.4,
    "self-QA": 0.8,
    "done": 1.0,
}
_REPORT_TIMEOUT_S = 10.0
_NOTE_CHARS = 2000
_NO_HOST_NAME = re.compile(r"[^0-9a-z._-]")


class Progress:
    """Reports the instance's state to the hub.

    A hub that does not answer or cannot write does not stop the work: the newest report is kept, and `tell_again` sends
    it.
    """

    def __init__(self, link: HubLink, screen: Screen) -> None:
        self._link = link
        self._screen = screen
        self._share = 0.0
        self._untold: tuple[str, Cause | None] | None = None
        self._newest: tuple[str, Cause | None] = ("", None)
        self._until: str | None = None
        self._known_by: tuple[StateSource, str] = ("hub", "")
        self._telling = asyncio.Lock()
        self._blocked_names: tuple[str, ...] = ()
        self.state = "starting"
        self.usage = Usage()
        self.write_checks: str | None = None
        """Which layers refuse the instance's wrong writes; goes with every report from then on."""

    def begin_task(self) -> None:
        """Reset the progress to 0, so that the next report shows that of the new task."""
        self._share = 0.0

    async def enter(
        self,
        state: str,
        note: str = "",
        cause: Cause | None = None,
        *,
        until: str | None = None,
        source: StateSource = "hub",
        evidence: str = "",
    ) -> None:
        """Enter a state and report it; do nothing if the instance is in it already, until the same time.

        Args:
            state: The new state.
            note: What the instance does or waits for, or the summary.
            cause: The first error that led to the state, if one did.
            until: When the state ends by itself (RFC 3339, UTC); None if that is not known.
            source: From what the state is known.
            evidence: What was seen, by which it was recognized; empty if the instance knows it by itself.
        """
        if (state, until) == (self.state, self._until):
            return
        self.state, self._until, self._known_by = state, until, (source, evidence)
        self._share = max(self._share, _SHARE.get(state, 0.0))
        self._screen.state(state, note)
        await self.report(note, cause)

    async def report(self, note: str = "", cause: Cause | None = None) -> None:
        """Send the present state, progress and tokens to the hub, after any earlier report; wait at most 10 s for it.

        Raises nothing: a failure is shown in the pane, and the report is sent again later unless the hub refused it.

        Args:
            note: What the instance does or waits for, or the summary; cut to 2,000 characters.
            cause: The first error that led to the state, if one did.
        """
        self._untold = self._newest = (note, cause)
        await self._tell()

    def name_blocked(self, name: str) -> None:
        """Show a name that a program wanted to reach and that was refused, and add it to the next report or heartbeat.

        Nothing happens if that was done before, or if `MOST_NAMES` other names were refused.

        Args:
            name: In lower case; a character that no host name has is shown as `?`.
        """
        shown = _NO_HOST_NAME.sub("?", name)[:253]
        if not shown or shown in self._blocked_names or len(self._blocked_names) >= MOST_NAMES:
            return
        self._screen.action("Refused", f"access to {shown}, which is outside the boundary")
        self._blocked_names += (shown,)
        self._untold = self._untold or self._newest

    async def tell_again(self) -> None:
        """Send the newest report again if the hub did not receive it; call this at each heartbeat. Raises nothing."""
        if self._untold is not None and not self._telling.locked():
            await self._tell()

    async def _tell(self) -> None:
        """Send the newest report, after one that is being sent; nothing if there is none to send.

        Raises nothing: a failure is shown in the pane, and the report kept unless the hub refused it. A refusal after
        the hub has ended a `done` instance is not shown.
        """
        async with self._telling:
            if self._untold is None:
                return
            (note, cause), self._untold = self._untold, None
            try:
                await self._send(note, cause)
            except AegisError as error:
                if self.state == "done" and error.code == "unauthorized":
                    return  # The hub ended the instance after its submission, so it accepts no more reports.
                self._screen.problem(f"the hub did not accept a report: {error}")
                if not isinstance(error, (Refused, Conflict, UsageError)):
                    self._untold = self._untold or (note, cause)

    async def _send(self, note: str, cause: Cause | None) -> None:
        more: dict[str, Any] = {"cause": cause.model_dump()} if cause else {}
        if self._blocked_names:
            more["blocked_names"] = self._blocked_names
        if self.write_checks:
            more["write_checks"] = self.write_checks
        if self._until:
            more["until"] = self._until
        source, evidence = self._known_by
        if source != "hub":
            more["source"], more["evidence"] = source, evidence[:_NOTE_CHARS] or None
        await self._link.command(
            "agent:report",
            timeout_s=_REPORT_TIMEOUT_S,
            state=self.state,
            progress=self._share,
            note=note[:_NOTE_CHARS] or None,
            tokens=self.usage.to_wire(),
            **more,
        )
