"""Shows the agent's work in its pane. Text of models and repositories is shown without control characters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice, takewhile

from aegis_tui.agent.pane import Pane
from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert as shown

_DIFF_LINES = 14
_COMPARED_LINES = 2000
"""The longest changed part that is compared line by line: that takes a time with the square of its length."""
_OUTPUT_LINES = 10
_LINE_CHARS = 400
_STATE_GLYPHS: Mapping[str, tuple[str, str]] = {
    "idle": ("○", "dim"),
    "waiting": ("◔", "yellow"),
    "blocked": ("■", "yellow"),
    "limited": ("◔", "yellow"),
    "done": ("✔", "green"),
    "failed": ("✘", "red"),
}


class Screen:
    """Prints one line or block after the other to the pane; nothing is overwritten."""

    def __init__(self, pane: Pane) -> None:
        self._pane = pane
        self._is_streaming = False

    def welcome(self, agent_id: str, *, role: str, model: str) -> None:
        """Show which instance runs here, its role and model, and how to send it a line."""
        self._line((agent_id, "bold"), (f" · {role} · {inert(model)}", ""))
        self._line(("Type a line to send it. Ctrl-C interrupts the current turn.", "dim"))

    def stream(self, text: str) -> None:
        """Show the next part of the model's text on the same line as the part before."""
        self._is_streaming = True
        self._pane.write(inert(text))

    def end_stream(self) -> None:
        """End the streamed text, if there is any, with a new line."""
        if self._is_streaming:
            self._is_streaming = False
            self._pane.write("\n")

    def prompt(self, text: str, *, source: str) -> None:
        """Show the first line of a prompt that starts or continues the work, how many more it has, and its source.

        Args:
            text: The whole prompt.
            source: Its sender, as it is shown.
        """
        head, _, rest = text.strip().partition("\n")
        more = f" (+{counted(rest.count(chr(10)) + 1, 'line')})" if rest else ""
        self._line(("› ", "bold"), (_cut(head), "bold"), (f"{more} · from {source}", "dim"))

    def action(self, verb: str, detail: str) -> None:
        """Show one thing the agent does on its own line, cut if it is long: `● Reading src/x.py`."""
        self._line(("● ", "cyan"), (verb, "bold"), (f" {_cut(detail)}", ""))

    def command(self, command: str) -> None:
        """Show a shell command on one line, cut if it is long, before it runs."""
        self._line(("$ ", "cyan"), (_cut(command.strip()), ""))

    def output(self, text: str) -> None:
        """Show the last ten lines of a command's output, and how many are above them."""
        lines = text.rstrip().splitlines()
        if len(lines) > _OUTPUT_LINES:
            self._line((f"  … {counted(len(lines) - _OUTPUT_LINES, 'line')} above", "dim"))
        for line in lines[-_OUTPUT_LINES:]:
            self._line(("  " + _cut(line), "dim"))

    def diff(self, before: str, after: str) -> None:
        """Show the first changed lines of an edit, and how many more there are; nothing if the two texts are equal.

        Args:
            before: The file's text before the edit.
            after: Its text after the edit.
        """
        changes = _changed_lines(before.splitlines(), after.splitlines())
        for line in changes[:_DIFF_LINES]:
            self._line(("  " + _cut(line), "green" if line.startswith("+") else "red"))
        if len(changes) > _DIFF_LINES:
            self._line((f"  … {counted(len(changes) - _DIFF_LINES, 'more changed line')}", "dim"))

    def state(self, state: str, note: str = "") -> None:
        """Show the instance's present state: a symbol, the word, and a note, cut if it is long."""
        glyph, style = _STATE_GLYPHS.get(state, ("◆", "cyan"))
        self._line((f"{glyph} {state}", style), (f" · {_cut(note)}" if note else "", "dim"))

    def problem(self, text: str) -> None:
        """Show a message about something that went wrong on one line, cut if it is long."""
        self._line(("! ", "yellow"), (_cut(text), ""))

    def typed(self, echo: str) -> None:
        """Show what a person types, because the terminal's own echo is off. A backspace removes one character."""
        self._pane.write(echo.replace("\b", "\b \b"))

    def control(self, sequence: str) -> None:
        """Write one of the agent's own control sequences to the terminal as it is; never pass text of others here."""
        self._pane.write(sequence)

    def _line(self, *pieces: tuple[str, str]) -> None:
        """Show parts of text, each with its style, on their own line."""
        self.end_stream()
        self._pane.write("".join(self._pane.styled(text, style) for text, style in pieces) + "\n")


def _changed_lines(before: list[str], after: list[str]) -> list[str]:
    """Return the removed lines with `-` and the added ones with `+`; a long changed part counts as replaced whole."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    before, after = before[same:], after[same:]
    ends = zip(reversed(before), reversed(after), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    before, after = before[: len(before) - same], after[: len(after) - same]
    if max(len(before), len(after)) > _COMPARED_LINES:
        return [*(f"-{line}" for line in before), *(f"+{line}" for line in after)]
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line for line in islice(lines, 2, None) if not line.startswith("@@")]  # the first two name the files


def inert(text: str) -> str:
    """Return a text with control and other hidden characters made visible; newlines and tabs stay (SEC-2)."""
    return shown(text.replace("\r\n", "\n"), keep="\n\t")


def _cut(text: str) -> str:
    flat = inert(text).replace("\n", " ⏎ ")
    return flat if len(flat) <= _LINE_CHARS else flat[:_LINE_CHARS] + "…"
