"""Ask the person for a prompt, send it to instances, and say how it was delivered (PANE-4)."""

from __future__ import annotations

from collections.abc import Sequence

from textual import work

from aegis_tui.application.prompt import DELIVERY_S, PromptDelivery
from aegis_tui.domain.ids import instance_id
from aegis_tui.tui.screens.base import WorkspaceScreen


class PromptActions(WorkspaceScreen):
    """A screen that can send prompts to instances."""

    @work(group="send")
    async def send_to(self, targets: Sequence[str]) -> None:
        """Ask for a prompt and `deliver` it to these agent ids; nothing is sent if the person leaves it open."""
        from aegis_tui.tui.screens.send import SendScreen

        if text := await self.app.push_screen_wait(SendScreen(self.desk, targets)):
            await self.deliver(targets, text)

    async def deliver(self, targets: Sequence[str], text: str) -> None:
        """Send a text to these agent ids; after 5 s at most, show which have got it and which get it later (PANE-4).

        For an agent for which the hub refuses it, the error is shown.
        """
        sent: dict[str, int] = {}
        for target in targets:
            if reply := await self.desk.command("instance:send", agent_id=target, text=text):
                sent[target] = int(reply["seq"])
        if not sent:
            return
        delivery = PromptDelivery(sent)

        def is_complete() -> bool:
            workspace = self.desk.store.workspace
            waiting, undelivered = workspace.messages.waiting, workspace.messages.undelivered
            answered = [seq for seq in sent.values() if seq <= workspace.seq and seq not in waiting]
            delivery.hear({seq: undelivered.get(seq, "delivered") for seq in answered})
            return delivery.is_complete

        await self.desk.store.until(is_complete, deadline_s=DELIVERY_S)
        lines = [f"{instance_id(name)}: {delivery.words(name)}" for name in sent]
        self.desk.tell("\n".join(lines), title="prompt")
