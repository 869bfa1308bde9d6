"""What the pane shows. Text of models and repositories is shown inert: no control characters, no markup."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from aegis_tui.agent.pane import Pane
from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert as shown

_DIFF_LINES = 14
_OUTPUT_LINES = 10
_LINE_CHARS = 400
_STATE_GLYPHS: Mapping[str, tuple[str, str]] = {
    "idle": ("○", "dim"),
    "waiting": ("◔", "yellow"),
    "blocked": ("■", "yellow"),
    "done": ("✔", "green"),
    "failed": ("✘", "red"),
}


class Screen:
    """The pane's output, one event after the other; nothing is drawn over."""

    def __init__(self, pane: Pane) -> None:
        self._pane = pane
        self._is_streaming = False

    def welcome(self, agent_id: str, *, role: str, model: str) -> None:
        """Say who runs here and how to talk to it."""
        self._line((agent_id, "bold"), (f" · {role} · {inert(model)}", ""))
        self._line(("Type a line to send it. Ctrl-C interrupts the current turn.", "dim"))

    def stream(self, text: str) -> None:
        """Show a piece of the model's text right after the piece before."""
        self._is_streaming = True
        self._pane.write(inert(text))

    def end_stream(self) -> None:
        """Close the streamed text, if any is open, with a new line."""
        if self._is_streaming:
            self._is_streaming = False
            self._pane.write("\n")

    def prompt(self, text: str, *, source: str) -> None:
        """Show a prompt that starts or continues the work."""
        head, _, rest = text.strip().partition("\n")
        more = f" (+{counted(rest.count(chr(10)) + 1, 'line')})" if rest else ""
        self._line(("› ", "bold"), (_cut(head), "bold"), (f"{more} · from {source}", "dim"))

    def action(self, verb: str, detail: str) -> None:
        """Show one thing the agent does: `● Reading src/x.py`."""
        self._line(("● ", "cyan"), (verb, "bold"), (f" {_cut(detail)}", ""))

    def command(self, command: str) -> None:
        """Show a shell command before it runs."""
        self._line(("$ ", "cyan"), (_cut(command.strip()), ""))

    def output(self, text: str) -> None:
        """Show the end of a command's output."""
        lines = text.rstrip().splitlines()
        if len(lines) > _OUTPUT_LINES:
            self._line((f"  … {counted(len(lines) - _OUTPUT_LINES, 'line')} above", "dim"))
        for line in lines[-_OUTPUT_LINES:]:
            self._line(("  " + _cut(line), "dim"))

    def diff(self, before: str, after: str) -> None:
        """Show what an edit changed, a few lines of it."""
        changes = [
            line
            for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@"))
        ]
        for line in changes[:_DIFF_LINES]:
            self._line(("  " + _cut(line), "green" if line.startswith("+") else "red"))
        if len(changes) > _DIFF_LINES:
            self._line((f"  … {counted(len(changes) - _DIFF_LINES, 'more changed line')}", "dim"))

    def state(self, state: str, note: str = "") -> None:
        """Show the state the instance is in now: a glyph, the word, and why."""
        glyph, style = _STATE_GLYPHS.get(state, ("◆", "cyan"))
        self._line((f"{glyph} {state}", style), (f" · {_cut(note)}" if note else "", "dim"))

    def problem(self, text: str) -> None:
        """Show something that went wrong and is being dealt with."""
        self._line(("! ", "yellow"), (_cut(text), ""))

    def typed(self, echo: str) -> None:
        """Show what a person types; the terminal's own echo is off. A backspace takes one character off."""
        self._pane.write(echo.replace("\b", "\b \b"))

    def control(self, sequence: str) -> None:
        """Send a control sequence of our own to the terminal."""
        self._pane.write(sequence)

    def _line(self, *pieces: tuple[str, str]) -> None:
        """Show pieces of text, each with its style, on a line of their own."""
        self.end_stream()
        self._pane.write("".join(self._pane.styled(text, style) for text, style in pieces) + "\n")


def inert(text: str) -> str:
    """Text of a model or a repository with hidden characters made visible; newlines and tabs stay (SEC-2)."""
    return shown(text.replace("\r\n", "\n"), keep="\n\t")


def _cut(text: str) -> str:
    flat = inert(text).replace("\n", " ⏎ ")
    return flat if len(flat) <= _LINE_CHARS else flat[:_LINE_CHARS] + "…"
