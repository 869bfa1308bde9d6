"""Actions of the dashboard that open the list of runs and their reports."""

from __future__ import annotations

import asyncio

from textual import work

from aegis_tui.domain.run.report_model import PastRun
from aegis_tui.errors import AegisError
from aegis_tui.tui.screens.base import WorkspaceScreen


class PastActions(WorkspaceScreen):
    """A screen with actions that open the report of the last run, or the list of all runs."""

    @work(group="look", exclusive=True)
    async def action_report(self) -> None:
        """Open the report of the last run that has ended, in a dialog.

        If none has ended, a message says so. If the log or the report cannot be read, the error is shown.
        """
        names = list(self.desk.store.reports)
        if not names:
            runs = await self._past_runs()
            if runs is None:
                return
            names = [str(run["run"]) for run in runs if run["ok"] is not None]
        if not names:
            self.desk.tell(f"no run has ended yet; {self.desk.keys['w']} shows what this one is waiting for")
            return
        await self._show_report(names[-1])

    @work(group="look", exclusive=True)
    async def action_runs(self) -> None:
        """Open the list of all runs, then the report of the one that is chosen; if none is, nothing more.

        If the runs cannot be read, only the error is shown.
        """
        from aegis_tui.tui.screens.runs import RunsScreen

        # A callback, not a worker that waits: code that waits until all workers are done must not wait for a person.
        if (runs := await self._past_runs()) is not None:
            self.app.push_screen(RunsScreen(self.desk, runs), self._open_chosen)

    def _open_chosen(self, name: str | None) -> None:
        if name:
            self.run_worker(self._show_report(name), group="look", exclusive=True)

    async def _past_runs(self) -> list[PastRun] | None:
        try:
            return await asyncio.to_thread(self.desk.parts.history.runs)
        except AegisError as error:
            self.desk.complain(error)
            return None

    async def _show_report(self, name: str) -> None:
        """Open the report of a run in a dialog; if it cannot be read, show the error.

        The person has then seen how the run ended, so that it no longer waits for them (WISH-8).
        """
        from aegis_tui.tui.screens.report import ReportScreen

        try:
            kept = self.desk.store.reports.get(name)
            report = await asyncio.to_thread(self.desk.parts.history.report, name) if kept is None else kept
        except AegisError as error:
            self.desk.complain(error)
            return
        self.app.push_screen(ReportScreen(self.desk, name, report))
        workspace = self.desk.store.workspace
        run = workspace.runs.by_id.get(name)
        is_news = bool(workspace.specs.unseen(name)) or (run is not None and run.waits_to_be_seen)
        if is_news and self.desk.store.is_connected:
            await self.desk.command("run:acknowledge", run=name)
