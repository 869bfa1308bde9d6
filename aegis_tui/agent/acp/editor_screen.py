"""Shows the built-in agent's work in an editor in place of a pane: each step becomes an update (AGENT-3).

See https://agentclientprotocol.com/protocol/prompt-turn and https://agentclientprotocol.com/protocol/tool-calls.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen, inert

_KINDS: Final[Mapping[str, str]] = {
    "Reading": "read",
    "Outlining": "read",
    "Searching": "search",
    "Asking the map": "search",
    "Editing": "edit",
    "Writing": "edit",
    "Deleting": "delete",
    "Renaming": "move",
}
"""What an action is called on the screen -> the kind of its tool call; any other is `other`."""
_TITLE_CHARS = 300
_OUTPUT_CHARS = 20_000

EDITOR: Final = "the editor"
"""The source of the prompts that come from the editor."""

Update = dict[str, Any]


class EditorScreen(Screen):
    """Turns what a pane would show into updates.

    Args:
        worktree: The folder in which the agent works.
        send: Takes each update, in order.
    """

    def __init__(self, worktree: Path, send: Callable[[Update], None]) -> None:
        super().__init__(Pane(io.StringIO()))
        self._worktree, self._send = worktree, send
        self._calls = 0
        self._call: str | None = None
        """The id of the tool call that goes on; what is shown now belongs to it."""
        self._path = ""
        self._content: list[Update] = []
        self._has_text = False

    @override
    def welcome(self, agent_id: str, *, role: str, model: str) -> None:
        """Do nothing: the editor knows whom it has started."""

    @override
    def stream(self, text: str) -> None:
        """Send the next part of the model's text."""
        self.finish()
        self._say(text)

    @override
    def end_stream(self) -> None:
        """Let the next text begin a paragraph of its own."""
        if self._has_text:
            self._has_text = False
            self._say("\n\n", is_text=False)

    @override
    def prompt(self, text: str, *, source: str) -> None:
        """Show a prompt that others than the editor sent; the editor shows its own."""
        if source != EDITOR:
            self._say(f"Prompt from {source}: {text}\n\n", is_text=False)

    @override
    def action(self, verb: str, detail: str) -> None:
        """Begin a tool call with this title; the one before is completed."""
        kind = _KINDS.get(verb, "other")
        self._begin(f"{verb} {detail}", kind, detail.partition(" ")[0].partition(":")[0] if kind != "search" else "")

    @override
    def command(self, command: str) -> None:
        """Begin a tool call that runs this command."""
        self._begin(command.strip(), "execute")

    @override
    def output(self, text: str) -> None:
        """Add what a command has printed to the tool call, its last 20,000 characters."""
        if text.strip():
            self._add({"type": "content", "content": {"type": "text", "text": inert(text)[-_OUTPUT_CHARS:]}})

    @override
    def diff(self, before: str, after: str) -> None:
        """Add an edit to the tool call, for the editor to show."""
        if before != after:
            self._add({"type": "diff", "path": str(self._worktree / self._path), "oldText": before, "newText": after})

    @override
    def state(self, state: str, note: str = "") -> None:
        """Do nothing: the editor sees the steps themselves."""

    @override
    def problem(self, text: str) -> None:
        """End the tool call as failed, with this reason; without one, say it."""
        if self._call is None:
            self._say(f"{text}\n\n", is_text=False)
            return
        self.output(text)
        self.finish("failed")

    def finish(self, status: str = "completed") -> None:
        """End the tool call that goes on, if one does, with this status."""
        if self._call is not None:
            self._send({"sessionUpdate": "tool_call_update", "toolCallId": self._call, "status": status})
            self._call, self._content = None, []

    def _begin(self, title: str, kind: str, path: str = "") -> None:
        self.finish()
        self.end_stream()
        self._calls += 1
        self._call, self._path = f"call-{self._calls}", path
        shown = " ".join(inert(title).split())[:_TITLE_CHARS]
        fields: Update = {"toolCallId": self._call, "title": shown, "kind": kind, "status": "in_progress"}
        if path:
            fields["locations"] = [{"path": str(self._worktree / path)}]
        self._send({"sessionUpdate": "tool_call", **fields})

    def _add(self, content: Update) -> None:
        if self._call is not None:
            self._content.append(content)
            self._send({"sessionUpdate": "tool_call_update", "toolCallId": self._call, "content": list(self._content)})

    def _say(self, text: str, *, is_text: bool = True) -> None:
        self._has_text = is_text or self._has_text
        self._send({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": inert(text)}})
