"""What the keys of a dashboard do: to instances, and to the run. Each action is one command of contract 5."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from aegis_tui.application.prompt import DELIVERY_S, Delivery
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.model import RunStatus
from aegis_tui.errors import AegisError, Refused, UsageError
from aegis_tui.sdk.attaching import NO_CLIENT, assumed_terminal, without_popup
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.base import WorkspaceScreen
from aegis_tui.tui.screens.help import HelpScreen
from aegis_tui.tui.screens.past import PastActions
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.text import Line, Span, inert, wrap
from aegis_tui.tui.views.event import event_line
from aegis_tui.tui.views.explain import explain_stage
from aegis_tui.tui.views.need import Need

if TYPE_CHECKING:
    from aegis_tui.tui.screens.goal import StartRun


class InstanceActions(WorkspaceScreen):
    """Attach, send and stop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "attach", "Attach", id="instance.attach", tooltip="Hand the terminal to its pane (attach ID)."),
        Binding("A", "watch", "Watch", id="instance.watch", tooltip="Attach without typing (attach ID --read-only)."),
        Binding("t", "transcript", "Read", id="instance.read", tooltip="Read all that it showed (transcript ID)."),
        Binding("s", "send", "Send", id="instance.send", tooltip="Give it a prompt (send ID TEXT)."),
        Binding("x", "stop", "Stop", id="instance.stop", tooltip="End it; its work is saved first (stop ID)."),
    ]

    def current_instance(self) -> Instance | None:
        """The instance that the keys act on."""
        raise NotImplementedError

    def chosen_instances(self) -> list[Instance]:
        """The instances that the keys act on where several may be."""
        raise NotImplementedError

    def action_attach(self) -> None:
        """Hand the terminal over."""
        self._attach_pane(read_only=False)

    def action_watch(self) -> None:
        """Hand the terminal over, for looking only."""
        self._attach_pane(read_only=True)

    @work(group="attach", exclusive=True)
    async def _attach_pane(self, *, read_only: bool) -> None:
        item, parts = self.current_instance(), self.desk.parts
        if item is None or not item.pane or not item.is_alive or parts.open_terminal is None:
            name = item.instance_id if item else "nobody"
            self.desk.complain(Refused(f"{name} has no pane to attach to", "choose an instance that is at work"))
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
            self.desk.complain(UsageError("this terminal cannot be handed over", hint))

    async def _hand_over(self, argv: Sequence[str]) -> None:
        """Run a program that takes the terminal; a tmux popup lies over this screen, which goes on below it."""
        if list(argv[:2]) == ["tmux", "display-popup"]:
            shown = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True)
            code, words = shown.returncode, shown.stderr.decode("utf-8", "replace").strip()
            if code and NO_CLIENT in words:
                code, words = self._give_terminal(without_popup(argv)), ""
        else:
            code, words = self._give_terminal(argv), ""
        if code:
            self.desk.complain(UsageError(f"attach ended with {code}", words or "is the pane still open?"))

    def _give_terminal(self, argv: Sequence[str]) -> int:
        """Let a program have this terminal, and draw everything anew after it; nothing else may draw meanwhile."""
        with self.app.suspend():
            code = subprocess.run(argv, check=False).returncode
        self.app.refresh(repaint=True, layout=True)
        return code

    @work(group="look", exclusive=True)
    async def action_transcript(self) -> None:
        """Everything that an instance showed, also after its end."""
        item = self.current_instance()
        if item is None:
            self.desk.tell("go to a row of the instances first")
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

    @work(group="send")
    async def action_send(self) -> None:
        """Ask for a prompt, send it, and say what became of it."""
        from aegis_tui.tui.screens.send import SendScreen

        targets = [item.agent_id for item in self.chosen_instances() if item.is_alive]
        if not targets:
            self.desk.complain(Refused("nobody here can take a prompt", "choose an instance that is at work"))
            return
        text = await self.app.push_screen_wait(SendScreen(self.desk, targets))
        if text:
            await self.deliver(targets, text)

    async def deliver(self, targets: Sequence[str], text: str) -> None:
        """Send to each, then watch the mirror for the acknowledgement (PANE-4)."""
        sent: dict[str, int] = {}
        for target in targets:
            if reply := await self.desk.command("instance:send", agent_id=target, text=text):
                sent[target] = int(reply["seq"])
        if not sent:
            return
        delivery = Delivery(sent)

        def is_complete() -> bool:
            workspace = self.desk.store.workspace
            waiting = workspace.messages.waiting
            delivery.hear(seq for seq in sent.values() if seq <= workspace.seq and seq not in waiting)
            return delivery.is_complete

        await self.desk.store.until(is_complete, deadline_s=DELIVERY_S)
        told = [
            f"{instance_id(name)}: {'delivered' if delivery.is_delivered(name) else 'queued for its next turn'}"
            for name in sent
        ]
        self.desk.tell("\n".join(told), title="prompt")

    @work(group="stop")
    async def action_stop(self) -> None:
        """Show what would be lost; stop only after a yes."""
        from aegis_tui.tui.screens.stop import StopScreen

        targets = [item for item in self.chosen_instances() if item.is_alive]
        if not targets:
            self.desk.complain(Refused("nobody here can be stopped", "choose an instance that is at work"))
            return
        if await self.app.push_screen_wait(StopScreen(self.desk, targets)):
            for item in targets:
                if await self.desk.command("instance:stop", agent_id=item.agent_id, reason="stopped by the person"):
                    self.desk.tell("its work is saved before its worktree goes", title=f"{item.instance_id} stops")


class RunActions(PastActions):
    """Give a goal, look at it, hold it, end it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new_goal", "New goal", id="run.new", tooltip="Give a goal (aegis-tui run GOAL)."),
        Binding("d", "new_feature", "Feature", id="run.feature", tooltip="Go ahead with a single feature."),
        Binding("D", "design", "Design", id="run.design", tooltip="Look at the design, or answer a proposed one."),
        Binding("exclamation_mark", "next_need", "Needs you", id="run.need", tooltip="Go to what needs you."),
        Binding("w", "why_stage", "Gates", id="run.gates", tooltip="Show the gates of the stage, and what meets them."),
        Binding("r", "report", "Report", id="run.report", tooltip="Show the final report (aegis-tui report)."),
        Binding("o", "runs", "Runs", id="run.list", tooltip="Open a past run (aegis-tui runs, report RUN)."),
        Binding("H", "halt", "Halt", id="run.halt", tooltip="Start nothing new, or go on again (halt, resume)."),
        Binding("Y", "accept_base", "Accept", id="run.accept", show=False, tooltip="Accept the base's QA failures."),
        Binding("C", "cancel", "Cancel", id="run.cancel", tooltip="End the run; what was written is kept (cancel)."),
        Binding("b", "break_lock", "Break", id="lock.break", tooltip="Break the lock under the cursor (lock break)."),
        Binding("R", "start_hub", "Hub", id="hub.start", tooltip="Start the hub again (aegis-tui hub start)."),
    ]

    @work(group="goal", exclusive=True)
    async def action_new_goal(self, offer: GoalOffer | None = None) -> None:
        """Ask for a goal and start it."""
        from aegis_tui.tui.screens.goal import GoalScreen

        await self.app.push_screen_wait(GoalScreen(self.desk, self._start, offer))

    @work(group="goal", exclusive=True)
    async def action_new_feature(self) -> None:
        """Ask for a single feature and start it."""
        from aegis_tui.tui.screens.goal import FeatureScreen

        await self.app.push_screen_wait(FeatureScreen(self.desk, self._start))

    async def _start(self, wish: StartRun) -> AegisError | None:
        """Start the hub where none runs, then the run; returns what stands in the way."""
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

    def action_design(self) -> None:
        """Open the design of the run."""
        self.open_design()

    @work(group="design", exclusive=True)
    async def open_design(self) -> None:
        """Show the design; carry out the answer to a proposed one."""
        from aegis_tui.tui.screens.design import DesignScreen

        run = self.desk.store.run
        if run is None or (run.design or run.proposed) is None:
            self.desk.tell("there is no design yet; the Commander proposes one, or give a file with the goal")
            return
        await self.app.push_screen_wait(DesignScreen(self.desk, run.run))

    def action_why_stage(self) -> None:
        """The gates of the present stage."""
        run, store = self.desk.store.run, self.desk.store
        if run is None:
            self.desk.tell("no run yet; n gives a goal")
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
        """Halt, or go on."""
        run = self.desk.store.workspace.runs.current()
        if run is None:
            self.desk.tell("no run is going")
            return
        is_halted = run.status is RunStatus.HALTED
        if await self.desk.command("run:resume" if is_halted else "run:halt", run=run.run):
            words = "new work starts again" if is_halted else "agents finish what they do; nothing new starts"
            self.desk.tell(words, title=f"{run.run} {'goes on' if is_halted else 'is halted'}")

    @work(group="run", exclusive=True)
    async def action_cancel(self) -> None:
        """End the run after a yes."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        run = self.desk.store.workspace.runs.current()
        if run is None:
            self.desk.tell("no run is going")
            return
        alive = sum(item.is_alive for item in self.desk.store.workspace.instances.of_run(run.run))
        consequences = [
            f"{counted(alive, 'agent')} {'is' if alive == 1 else 'are'} stopped; there will be no commit.",
            f"What they wrote is saved below refs/aegis/rescue/{run.run} before their worktrees go.",
        ]
        if await self.app.push_screen_wait(ConfirmScreen(self.desk, f"End {run.run}?", consequences)):
            await self.desk.command("run:cancel", run=run.run, reason="by the person")

    @work(group="run", exclusive=True)
    async def action_accept_base(self) -> None:
        """Take the base's own QA failures as they are, after a yes."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        run = self.desk.store.workspace.runs.current()
        if run is None:
            self.desk.tell("no run is going")
            return
        consequences = [
            "Checks that cannot be compared with the base no longer shut the gate; the report names you.",
            "A new failure, a test that is gone and a check that did not run shut it all the same.",
        ]
        question = ConfirmScreen(self.desk, f"Accept the failures of the base of {run.run}?", consequences)
        if await self.app.push_screen_wait(question) and await self.desk.command("qa:accept", run=run.run):
            self.desk.tell("the report will say so", title=f"the base of {run.run} is accepted")

    @work(group="lock", exclusive=True)
    async def action_break_lock(self) -> None:
        """Break the lock under the cursor after a yes."""
        from aegis_tui.tui.screens.stop import ConfirmScreen
        from aegis_tui.tui.widgets.panels import LockPanel

        panel = self.focused
        lock = self.desk.store.workspace.locks.find(panel.cursor_key) if isinstance(panel, LockPanel) else None
        if lock is None:
            self.desk.tell("go to a row of the locks first")
            return
        who = instance_id(lock.agent_id)
        consequences = [f"{who} is told; what it writes there after that is refused.", "Who waits is let in."]
        if await self.app.push_screen_wait(
            ConfirmScreen(self.desk, f"Break the lock of {lock.resource}?", consequences)
        ):
            await self.desk.command("lock:break", lock_id=lock.lock_id, reason="broken by the person")

    @work(group="hub", exclusive=True)
    async def action_start_hub(self) -> None:
        """Start the hub if it does not run."""
        if self.desk.store.is_connected:
            self.desk.tell("the hub answers; there is nothing to start")
            return
        try:
            await self.desk.parts.hub.start()
        except AegisError as error:
            self.desk.complain(error)

    @work(group="scope", exclusive=True)
    async def answer_scope(self, need: Need) -> None:
        """Let an instance write a path outside its partition, or not."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        asked = self.desk.store.workspace.scope_requests.get(need.key)
        reason = asked.reason if asked else ""
        consequences = [
            f"Its reason: {reason}",
            "Yes lets it write there under a lock; no tells it to find another way.",
        ]
        if (
            answer := await self.app.push_screen_wait(ConfirmScreen(self.desk, f"{need.words}?", consequences))
        ) is None:
            return
        await self.desk.command("scope:grant" if answer else "scope:refuse", request=need.key)

    def explain_event(self, key: str) -> None:
        """The whole of one event."""
        event = next((item for item in self.desk.store.events if str(item.seq) == key), None)
        if event is None:
            return
        text = event.data.model_dump_json(indent=2, exclude={"type"})

        def render(width: int) -> list[Line]:
            return [event_line(event, width=width), (), *[(Span(part),) for part in wrap(text, width)]]

        self.app.push_screen(WhyScreen(self.desk, f"Event #{event.seq} {event.type}", render))

    def action_help(self) -> None:
        """Every key of this place."""
        nodes = [self.focused, self, self.app] if self.focused else [self, self.app]
        self.app.push_screen(HelpScreen(self.desk, nodes))

    @work(group="leave", exclusive=True)
    async def action_close(self) -> None:
        """Close the screen; what runs goes on, and where it does not the person is asked first."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        run = self.desk.store.workspace.runs.current()
        lost = self.desk.ends_with_screen
        if (
            lost
            and run is not None
            and not await self.app.push_screen_wait(
                ConfirmScreen(self.desk, f"Leave while {run.run} is going?", list(lost))
            )
        ):
            return
        self.app.exit(0)
