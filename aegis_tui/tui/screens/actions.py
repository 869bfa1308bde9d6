"""The actions of the dashboard's keys, on instances and on the run. Changes are made by commands of contract 5."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.need import Need
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.errors import AegisError, Refused, UsageError
from aegis_tui.sdk.attaching import NO_CLIENT, assumed_terminal, without_popup
from aegis_tui.tui.screens.help import HelpScreen
from aegis_tui.tui.screens.prompting import PromptActions
from aegis_tui.tui.screens.starting import StartActions
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.text import Line, Span, inert, wrap
from aegis_tui.tui.views.event import event_line
from aegis_tui.tui.views.explain import explain_stage


class InstanceActions(PromptActions):
    """A screen with actions on instances: attach, watch, transcript, send and stop. A subclass says on which."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "attach", "Attach", id="instance.attach", tooltip="Open the instance's pane here (attach ID)."),
        Binding("A", "watch", "Watch", id="instance.watch", tooltip="Watch the pane only (attach ID --read-only)."),
        Binding(
            "t", "transcript", "Read", id="instance.read", tooltip="Read all that its pane showed (transcript ID)."
        ),
        Binding("s", "send", "Send", id="instance.send", tooltip="Send the instance a prompt (send ID TEXT)."),
        Binding("x", "stop", "Stop", id="instance.stop", tooltip="Save its work and end the instance (stop ID)."),
    ]

    def current_instance(self) -> Instance | None:
        """Return the instance that the keys act on; None if there is none. Every such screen implements it."""
        raise NotImplementedError

    def chosen_instances(self) -> list[Instance]:
        """Return the instances that `send` and `stop` act on, which may be several; empty if there are none."""
        raise NotImplementedError

    def action_attach(self) -> None:
        """Open the pane of the current instance in this terminal; if it has none or that fails, show an error."""
        self._attach_pane(read_only=False)

    def action_watch(self) -> None:
        """Open the pane of the current instance here, read only; if it has none or that fails, show an error."""
        self._attach_pane(read_only=True)

    @work(group="attach", exclusive=True)
    async def _attach_pane(self, *, read_only: bool) -> None:
        item, parts = self.current_instance(), self.desk.parts
        if item is None or not item.pane or not item.is_alive or parts.open_terminal is None:
            name = item.instance_id if item else "this row"
            self.desk.complain(Refused(f"{name} has no pane to attach to", "choose an instance that is running"))
            return
        try:
            argv = parts.open_terminal().attach_argv(item.instance_id, read_only=read_only, environ=parts.environ)
            if term := assumed_terminal(argv):
                self.desk.tell(f"this machine does not know the terminal {parts.environ.get('TERM')!r}", title=term)
            await self._hand_over(argv)
        except AegisError as error:
            self.desk.complain(error)
        except OSError as error:
            self.desk.complain(UsageError(f"cannot run {argv[0]}: {error.strerror}", "aegis-tui doctor"))
        except SuspendNotSupported:
            hint = f"run it in another terminal: aegis-tui attach {item.instance_id}"
            self.desk.complain(UsageError("this terminal cannot show the pane", hint))

    async def _hand_over(self, argv: Sequence[str]) -> None:
        """Run a command that shows a pane; a tmux popup opens over this screen, other commands get the terminal.

        An exit code other than 0 is shown. If no client of the outer tmux can show a popup, it gets the terminal.

        Raises:
            OSError: The command cannot be started.
            SuspendNotSupported: This terminal cannot be given to it.
        """
        if list(argv[:2]) == ["tmux", "display-popup"]:
            shown = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True)
            code, words = shown.returncode, shown.stderr.decode("utf-8", "replace").strip()
            if code and NO_CLIENT in words:
                code, words = self._give_terminal(without_popup(argv)), ""
        else:
            code, words = self._give_terminal(argv), ""
        if code:
            self.desk.complain(UsageError(f"attach ended with exit code {code}", words or "is the pane still open?"))

    def _give_terminal(self, argv: Sequence[str]) -> int:
        """Suspend the app, run a program in this terminal, and draw the screen again; return its exit code.

        Raises OSError if it cannot be started, `SuspendNotSupported` if the terminal cannot be given to it.
        """
        with self.app.suspend():
            code = subprocess.run(argv, check=False).returncode
        self.app.refresh(repaint=True, layout=True)
        return code

    @work(group="look", exclusive=True)
    async def action_transcript(self) -> None:
        """Open a page with all that the current instance showed in its pane; without an instance or text, say so."""
        item = self.current_instance()
        if item is None:
            self.desk.tell("move the cursor to an instance first")
            return
        try:
            kept = await asyncio.to_thread(self.desk.parts.history.transcript, item.instance_id)
        except AegisError as error:
            self.desk.complain(error)
            return
        lines: list[Line] = [(Span(inert(line.expandtabs(8))),) for line in kept]
        screen = WhyScreen(
            self.desk, f"Transcript of {item.instance_id} {item.piece or item.task}", lambda width: lines
        )
        self.app.push_screen(screen)

    def action_send(self) -> None:
        """Ask for a prompt and `deliver` it to the chosen instances that are running; show an error if none is."""
        targets = [item.agent_id for item in self.chosen_instances() if item.is_alive]
        if not targets:
            self.desk.complain(Refused("there is no agent here to send to", "choose an instance that is running"))
        else:
            self.send_to(targets)

    @work(group="stop")
    async def action_stop(self) -> None:
        """Show what would be lost, and stop the chosen instances if the person agrees; if none runs, show an error."""
        from aegis_tui.tui.screens.stop import StopScreen

        targets = [item for item in self.chosen_instances() if item.is_alive]
        if not targets:
            self.desk.complain(Refused("there is no agent here to stop", "choose an instance that is running"))
            return
        if await self.app.push_screen_wait(StopScreen(self.desk, targets)):
            for item in targets:
                if await self.desk.command("instance:stop", agent_id=item.agent_id, reason="stopped by the person"):
                    words = "its work is saved before its worktree is removed"
                    self.desk.tell(words, title=f"{item.instance_id} is being stopped")


class RunActions(StartActions):
    """A screen with actions on the run, its design, its locks and the hub, and with leaving."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("D", "design", "Design", id="run.design", tooltip="Look at the design, or answer a proposed one."),
        Binding("exclamation_mark", "next_need", "Needs you", id="run.need", tooltip="Go to what needs you."),
        Binding("i", "inbox", "Inbox", id="run.inbox", tooltip="List what is waiting for you (aegis-tui inbox)."),
        Binding("w", "why_stage", "Gates", id="run.gates", tooltip="Show the gates of the stage, and what opens them."),
        Binding("r", "report", "Report", id="run.report", tooltip="Show the final report (aegis-tui report)."),
        Binding("o", "runs", "Runs", id="run.list", tooltip="Open a past run (aegis-tui runs, report RUN)."),
        Binding("H", "halt", "Halt", id="run.halt", tooltip="Halt the run, or continue it (halt, resume)."),
        Binding(
            "Y",
            "accept_base",
            "Accept",
            id="run.accept",
            show=False,
            tooltip="Accept QA failures of the base (qa --accept-base-failures).",
        ),
        Binding(
            "P", "leave_out", "Leave out", id="run.partial", show=False, tooltip="Omit pieces that fail (merge apply)."
        ),
        Binding("C", "cancel", "Cancel", id="run.cancel", tooltip="End the run; its work is kept (cancel)."),
        Binding("b", "break_lock", "Break", id="lock.break", tooltip="Break the lock under the cursor (lock break)."),
        Binding(
            "R", "start_hub", "Hub", id="hub.start", tooltip="Start the hub if none is running (aegis-tui hub start)."
        ),
    ]

    def action_design(self) -> None:
        """Open the design of the run; if there is none, say so."""
        self.open_design()

    @work(group="design", exclusive=True)
    async def open_design(self) -> None:
        """Open the design of the run, to accept or change a proposed one; if there is none, say so."""
        from aegis_tui.tui.screens.design import DesignScreen

        run = self.desk.store.run
        if run is None or (run.design or run.proposed) is None:
            self.desk.tell(
                "there is no design yet; the Commander proposes one, unless you name a design file with the goal"
            )
            return
        await self.app.push_screen_wait(DesignScreen(self.desk, run.run))

    def action_why_stage(self) -> None:
        """Show the gates of the current stage of the run; without a run, say so."""
        run, store = self.desk.store.run, self.desk.store
        if run is None:
            self.desk.tell(f"no run yet; press {self.desk.keys['n']} to enter a goal")
            return
        name = run.run
        self.app.push_screen(
            WhyScreen(
                self.desk,
                "Gates",
                lambda width: explain_stage(store.workspace, store.workspace.runs.get(name), width=width),
            )
        )

    @work(group="run", exclusive=True)
    async def action_halt(self) -> None:
        """Halt the run, or resume it if it is halted; show a refusal. If no run is active, say so."""
        if (run := self._active_run()) is None:
            return
        is_halted = run.status is RunStatus.HALTED
        if await self.desk.command("run:resume" if is_halted else "run:halt", run=run.run):
            words = (
                "new work starts again" if is_halted else "nothing new starts, and agents wait after their current step"
            )
            self.desk.tell(words, title=f"{run.run} {'continues' if is_halted else 'is halted'}")

    @work(group="run", exclusive=True)
    async def action_cancel(self) -> None:
        """End the run if the person agrees; show a refusal. If no run is active, say so."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        if (run := self._active_run()) is None:
            return
        alive = sum(item.is_alive for item in self.desk.store.workspace.instances.of_run(run.run))
        consequences = [
            f"{counted(alive, 'agent')} will be stopped; there will be no commit.",
            f"Their work is saved in refs/aegis/rescue/{run.run} before their worktrees are removed.",
        ]
        if await self.app.push_screen_wait(ConfirmScreen(self.desk, f"End {run.run}?", consequences)):
            await self.desk.command("run:cancel", run=run.run, reason="by the person")

    @work(group="run", exclusive=True)
    async def action_accept_base(self) -> None:
        """Accept the QA failures of the run's base if the person agrees; show a refusal. Without a run, say so."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        if (run := self._active_run()) is None:
            return
        consequences = [
            "Checks that cannot be compared with the base no longer keep the QA gate closed.",
            "The report says that you accepted them.",
            "A new failure, a missing test or a check that did not run still keeps it closed.",
        ]
        question = ConfirmScreen(self.desk, f"Accept the failures of the base of {run.run}?", consequences)
        if await self.app.push_screen_wait(question) and await self.desk.command("qa:accept", run=run.run):
            self.desk.tell("the report will say so", title=f"the failures of the base of {run.run} are accepted")

    @work(group="run", exclusive=True)
    async def action_leave_out(self) -> None:
        """Let the run end without pieces that fail if the person agrees; show a refusal. Without a run, say so."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        if (run := self._active_run()) is None:
            return
        consequences = [
            "A piece that cannot be finished, or breaks QA in the last round, is left out with those that need it.",
            f"Its commits are kept in refs/aegis/runs/{run.run}. The other pieces are committed as the result.",
        ]
        question = ConfirmScreen(self.desk, f"Accept a result of {run.run} without the pieces that fail?", consequences)
        if await self.app.push_screen_wait(question) and await self.desk.command("merge:apply", run=run.run):
            self.desk.tell("the report will name them", title=f"{run.run} leaves out pieces that fail")

    def _active_run(self) -> Run | None:
        """Return the run that is open or ending; without one, say so and return None."""
        run = self.desk.store.workspace.runs.current()
        if run is None:
            self.desk.tell("no run is active")
        return run

    @work(group="lock", exclusive=True)
    async def action_break_lock(self) -> None:
        """Break the lock under the cursor, in the list of locks, if the person agrees; show a refusal.

        If that list has no focus, or no lock is under its cursor, say so.
        """
        from aegis_tui.tui.screens.stop import ConfirmScreen
        from aegis_tui.tui.widgets.panels import LockPanel

        panel = self.focused
        lock = self.desk.store.workspace.locks.find(panel.cursor_key) if isinstance(panel, LockPanel) else None
        if lock is None:
            self.desk.tell("move the cursor to a lock first")
            return
        who = instance_id(lock.agent_id)
        consequences = [
            f"{who} is notified; its later writes there are refused.",
            "An agent that waits for the lock gets it.",
        ]
        if await self.app.push_screen_wait(
            ConfirmScreen(self.desk, f"Break the lock on {lock.resource}?", consequences)
        ):
            await self.desk.command("lock:break", lock_id=lock.lock_id, reason="broken by the person")

    @work(group="hub", exclusive=True)
    async def action_start_hub(self) -> None:
        """Start the hub, and show an `AegisError` if it does not start; if it is running already, only say so."""
        if self.desk.store.is_connected:
            self.desk.tell("the hub is running already")
            return
        try:
            await self.desk.parts.hub.start()
        except AegisError as error:
            self.desk.complain(error)

    @work(group="scope", exclusive=True)
    async def answer_scope(self, need: Need) -> None:
        """Ask the person whether an instance may write a path outside its partition, and send the answer, yes or no.

        `need` has the key of the request. If the person leaves the question open, nothing is sent.
        """
        from aegis_tui.tui.screens.stop import ConfirmScreen

        asked = self.desk.store.workspace.scope_requests.get(need.key)
        reason = asked.reason if asked else ""
        consequences = [
            f"Its reason: {reason}",
            "With yes it may write there while it holds a lock; with no it has to find another way.",
        ]
        if (
            answer := await self.app.push_screen_wait(
                ConfirmScreen(self.desk, f"{need.words}. Allow it?", consequences)
            )
        ) is None:
            return
        await self.desk.command("scope:grant" if answer else "scope:refuse", request=need.key)

    def explain_event(self, key: str) -> None:
        """Open a dialog with all fields of the event of number `key`; if it is not kept any more, do nothing."""
        event = next((item for item in self.desk.store.events if str(item.seq) == key), None)
        if event is None:
            return
        text = event.data.model_dump_json(indent=2, exclude={"type"})

        def render(width: int) -> list[Line]:
            return [event_line(event, width=width), (), *[(Span(part),) for part in wrap(text, width)]]

        self.app.push_screen(WhyScreen(self.desk, f"Event #{event.seq} {event.type}", render))

    def action_help(self) -> None:
        """Open a dialog with the keys of the focused widget, this screen and the app."""
        nodes = [self.focused, self, self.app] if self.focused else [self, self.app]
        self.app.push_screen(HelpScreen(self.desk, nodes))

    @work(group="leave", exclusive=True)
    async def action_close(self) -> None:
        """Close the app; agents continue. If a run would end with the app, as in the demo, ask the person first."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        run = self.desk.store.workspace.runs.current()
        lost = self.desk.offer.ends_with_screen
        if (
            lost
            and run is not None
            and not await self.app.push_screen_wait(
                ConfirmScreen(self.desk, f"Leave before {run.run} has ended?", list(lost))
            )
        ):
            return
        self.app.exit(0)
