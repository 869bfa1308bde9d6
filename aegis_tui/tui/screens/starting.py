"""The actions that start a run: a goal for several agents, or a single feature for one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType

from aegis_tui.errors import AegisError
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.reviewing import DiffActions

if TYPE_CHECKING:
    from aegis_tui.application.first_use import FirstUse
    from aegis_tui.tui.screens.goal import StartRun


class StartActions(DiffActions):
    """A screen with actions that open the dialogs for a goal and for a single feature."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new_goal", "New goal", id="run.new", tooltip="Enter a goal (aegis-tui run GOAL)."),
        Binding("d", "new_feature", "Feature", id="run.feature", tooltip="Start a run of one agent, without a design."),
    ]

    @work(group="goal", exclusive=True)
    async def action_new_goal(self, offer: GoalOffer | None = None) -> None:
        """Open the dialog for a goal, which starts the run; `offer` is what it contains at first."""
        from aegis_tui.tui.screens.goal import GoalScreen

        if offered := offer or self.desk.next_offer():
            await self.app.push_screen_wait(GoalScreen(self.desk, self._start, offered))

    @work(group="goal", exclusive=True)
    async def action_new_feature(self) -> None:
        """Open the dialog for a single feature, which starts the run."""
        from aegis_tui.tui.screens.goal import FeatureScreen

        if self.desk.next_offer(any_goal=True):
            await self.app.push_screen_wait(FeatureScreen(self.desk, self._start))

    @work(group="first-use", exclusive=True)
    async def open_first_use(self, make: Callable[[], FirstUse]) -> None:
        """Open the dialog of a first session; `make` returns what it works with, and is called in a thread."""
        from aegis_tui.tui.screens.first_use import FirstUseScreen

        use = await asyncio.to_thread(make)
        await self.app.push_screen_wait(FirstUseScreen(self.desk, use))

    async def _start(self, wish: StartRun) -> AegisError | None:
        """Start the hub if none is running, then the run; return the `AegisError` if one fails, else None."""
        hub, request = self.desk.parts.hub, uuid.uuid4().hex
        try:
            await hub.start()
            options = {**wish.options, "attended": True}
            reply = await hub.command(
                "run:start", request_id=request, goal=wish.goal, design=wish.design, options=options
            )
        except AegisError as error:
            return error
        self.desk.tell(wish.goal, title=f"{reply['run']} has started")
        return None
