"""The actions of the dashboard on what waits for the person: go to it, list it, and answer it (WISH-8)."""

from __future__ import annotations

from textual import work

from aegis_tui.domain.need import OF_INSTANCES, Need, needs
from aegis_tui.domain.wire.reply import SpecRescanReply
from aegis_tui.tui.screens.actions import InstanceActions, RunActions
from aegis_tui.tui.views.run import quiet_words


class NeedActions(InstanceActions, RunActions):
    """A screen that opens what answers a need of the person. A subclass says how an instance is shown."""

    def bring_instance(self, agent_id: str) -> None:
        """Show the instances, with the cursor on this one. Every such screen implements it."""
        raise NotImplementedError

    @work(group="rule", exclusive=True)
    async def answer_rule(self, need: Need) -> None:
        """Ask the person about what the merge rules found in a piece, and send the answer, yes or no."""
        from aegis_tui.tui.screens.rule import answer_rule

        await answer_rule(self, need)

    @work(group="permission", exclusive=True)
    async def answer_permission(self, need: Need) -> None:
        """Ask the person which choice the program of an instance gets for the question on its screen, and send it."""
        from aegis_tui.tui.screens.permission import answer_permission

        await answer_permission(self, need)

    def action_next_need(self) -> None:
        """Go to the most urgent need of the person; if there is none, say so.

        A design is opened; a scope request, what rules found, or QA that fails, is asked about; for a base that
        cannot be accepted, the gates are shown; a halted run is resumed; of a run that failed, the report is opened.
        An instance that waits is only selected, not opened: the next one at each call, while an instance is the most
        urgent need.
        """
        open_needs = needs(self.desk.store.workspace)
        if not open_needs:
            store = self.desk.store
            self.desk.tell(quiet_words(store.workspace, store.run) if store.is_current else store.absence)
            return
        instances = [item for item in open_needs if item.kind in OF_INSTANCES]
        if open_needs[0].kind not in OF_INSTANCES:
            self._answer(open_needs[0])
        else:
            keys = [item.key for item in instances]
            shown = self.current_instance()
            now = shown.agent_id if shown else ""
            at = (keys.index(now) + 1) % len(keys) if now in keys else 0
            self._answer(instances[at])

    def action_inbox(self) -> None:
        """Open the list of all that waits for the person; it stays open below what answers the one that is chosen.

        For an instance that asks or has failed, this is the prompt for it; for a question on its screen, the choices
        that the screen shows.
        """
        from aegis_tui.tui.screens.inbox import InboxScreen

        def answer(need: Need) -> None:
            self._answer(need)
            if need.kind == "instance":
                self.send_to([need.key])
            elif need.kind == "permission":
                self.answer_permission(need)

        self.app.push_screen(InboxScreen(self.desk, answer))

    @work(group="look", exclusive=True)
    async def read_ended(self, run: str) -> None:
        """Open the report of a run that ended without its whole result; the person has then seen it."""
        await self._show_report(run)

    @work(group="spec", exclusive=True)
    async def start_again(self, need: Need) -> None:
        """Have the hub try again to start a spec, and say what is still missing; `need` has the id of the spec."""
        reply = await self.desk.reply(SpecRescanReply, "spec:rescan", spec_id=need.key)
        if reply is not None:
            problems = [row["reason"] for row in reply["problems"]]
            self.desk.tell(problems[0] if problems else "nothing prevents its start any more", title=need.key)

    def _answer(self, need: Need) -> None:
        """Open what answers a need, as `action_next_need` says."""
        match need.kind:
            case "design":
                self.open_design()
            case "scope":
                self.answer_scope(need)
            case "rule":
                self.answer_rule(need)
            case "base" | "partial" | "piece":
                (self.action_accept_base if need.kind == "base" else self.action_leave_out)()
            case "machine":
                self.action_why_stage()
            case "halted":
                self.action_halt()
            case "spec":
                self.start_again(need)
            case "ended" | "done":
                self.read_ended(need.key)
            case _:
                self.bring_instance(need.key)
