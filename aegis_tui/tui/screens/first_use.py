"""The dialog of a first session, in three steps: what was found, which model drives, what is written (ui.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Checkbox, Input, Label

from aegis_tui.application.check import Check
from aegis_tui.application.first_use import FirstChoice, FirstUse
from aegis_tui.errors import AegisError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.screens.goal import YesBox, inert_lines
from aegis_tui.tui.screens.why import Page
from aegis_tui.tui.text import Line
from aegis_tui.tui.views.first_use import check_lines, model_lines, not_written, plan_lines, summary_line

STEPS = ("What was found", "Which model server drives the agents", "Go")
KEYS = (
    "enter next · ctrl+r check again · esc leave",
    "enter check, then next · ctrl+y skip · ctrl+b back · esc leave",
    "enter write and begin · ctrl+b back · esc leave",
)
SKIPPED = "skipped"


class FilesBox(YesBox, can_focus=False):
    """The box for the files of the repository. It never has the focus, because Enter would tick it."""


class FirstUseScreen(Dialog[None]):
    """A dialog that looks at the machine, asks for the model server, and writes the person's settings.

    Nothing is written before the last step. If the person leaves it, it is not opened again.

    Args:
        desk: What the session works with; gets the settings that were chosen.
        use: What examines and writes.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", id="setup.next", tooltip="Go to the next step; the last one writes."),
        Binding("ctrl+y", "skip", "Next", id="setup.skip", tooltip="Go on although the model server was not reached."),
        Binding("ctrl+b", "previous", "Back", id="setup.back", tooltip="Go to the step before."),
        Binding("ctrl+r", "examine", "Check", id="setup.check", tooltip="Check again (aegis-tui doctor)."),
        Binding("ctrl+t", "toggle_files", "Files", id="setup.files", tooltip="Also write .agents (aegis-tui init)."),
        Binding("ctrl+o", "other_kind", "Agent", id="setup.kind", tooltip="Choose another installed kind of agent."),
    ]

    def __init__(self, desk: Desk, use: FirstUse) -> None:
        super().__init__(desk)
        self._use, self._choice = use, FirstChoice(use.default_url)
        self._step = 0
        self._machine: list[Check] | None = None
        self._model: list[Check] | None = None
        self._checked = ""
        """The address that was checked last, or is being checked."""
        self._kinds: list[str] = []
        self._planned: list[str] = []

    def compose(self) -> ComposeResult:
        """Yield a frame with the page of the step, and the fields of the second and third step."""
        with Vertical(classes="dialog -wide"):
            yield Label("Base URL of an OpenAI-compatible server, such as vLLM", id="question")
            yield Input(self._choice.base_url, id="address")
            yield Page(self._lines)
            yield FilesBox("also write .agents: roles, rules, spec templates (ctrl+t)", False, id="files")
            yield Label("", id="answer", classes="answer", markup=False)

    def on_mount(self) -> None:
        """Show the first step, and begin to check the machine."""
        self._show_step(0)
        self.action_examine()

    def _lines(self, width: int) -> list[Line]:
        if self._step == 0:
            return check_lines(self._machine, width)
        if self._step == 1:
            asked = bool(self._checked) and self._checked == self._address()
            return model_lines(self._model, self._choice.kind, self._kinds, asked=asked, width=width)
        return plan_lines(self._planned, self._choice.settings_text(), width) if self._planned else []

    def _show_step(self, step: int) -> None:
        self._step = step
        dialog = self.query_one(".dialog")
        dialog.border_title = f"First use, step {step + 1} of {len(STEPS)}: {STEPS[step]}"
        dialog.border_subtitle = KEYS[step]
        address, files, question = self.query_one("#address"), self.query_one("#files"), self.query_one("#question")
        address.display, files.display, question.display = step == 1, step == 2, step == 1
        self._say_result()
        self.set_focus(address if step == 1 else self.query_one(Page))
        page = self.query_one(Page)
        page.scroll_home(animate=False)
        page.fill()

    def _say(self, words: str, look: str = "info") -> None:
        label = self.query_one("#answer", Label)
        label.update(inert_lines(words))
        label.set_classes(f"answer {look}")

    def _say_result(self) -> None:
        """Say what the checks of the present step mean for the person; nothing while they run, or if none apply."""
        words = ""
        if self._step == 0 and self._machine is not None:
            words = summary_line(self._machine)
        elif self._step == 1 and self._model is not None and self._checked == self._address():
            words = "enter goes on" if self._is_served() else "enter checks again · ctrl+y goes on all the same"
        self._say(words)

    def _address(self) -> str:
        return self.query_one("#address", Input).value.strip()

    def action_examine(self) -> None:
        """Check again what the present step shows: the machine, or the model server; the last step checks nothing."""
        if self._step == 0:
            self._machine = None
            self._say_result()
            self._examine_machine()
        elif self._step == 1:
            self._examine_model()
        self.query_one(Page).fill()

    @work(group="setup-machine", exclusive=True)
    async def _examine_machine(self) -> None:
        self._machine = await self._use.examine_machine()
        if self._step == 0:
            self._say_result()
            self.query_one(Page).fill()

    @work(group="setup-model", exclusive=True)
    async def _examine_model(self) -> None:
        self._model, self._checked = None, self._address()
        self._say_result()
        self.query_one(Page).fill()
        self._model = await self._use.examine_model(self._checked)
        if self._step == 1:
            self._say_result()
            self.query_one(Page).fill()

    def on_input_changed(self) -> None:
        """Show that the new address was not checked; called by Textual."""
        if self._step != 1:
            return
        if self._address() != self._checked:
            self._say("")
        self.query_one(Page).fill()

    def on_input_submitted(self) -> None:
        """Do what Enter does in the rest of the dialog; called by Textual."""
        self.action_next()

    def action_next(self) -> None:
        """Go to the next step; first check a model server that was not, or failed. In the last step, write."""
        if self._step == 2:
            self._write()
        elif self._step == 1 and self._address() and not self._is_served():
            if self._model is not None or self._checked != self._address():
                self._examine_model()
        else:
            self.action_skip()

    def _is_served(self) -> bool:
        checked = self._model is not None and self._checked == self._address()
        return checked and all(check.ok for check in self._model or ())

    def action_skip(self) -> None:
        """Go to the next step, whatever the checks gave; in the last one, do nothing."""
        if self._step == 0:
            self._ask_kinds()
            self._show_step(1)
            self._examine_model()
        elif self._step == 1 and not self._address():
            self._say("✗ type the base URL of a server, for example http://localhost:8001/v1", "bad")
        elif self._step == 1:
            self._choice = replace(self._choice, base_url=self._address())
            self._show_step(2)
            self._plan()

    def action_previous(self) -> None:
        """Go to the step before; in the first one, do nothing."""
        if self._step:
            self._show_step(self._step - 1)

    @work(group="setup-kinds", exclusive=True, thread=True)
    def _ask_kinds(self) -> None:
        self._kinds = self._use.kinds()
        self.app.call_from_thread(self.query_one(Page).fill)

    def action_other_kind(self) -> None:
        """Choose the next installed kind of agent, in the second step."""
        if self._step == 1 and self._kinds:
            at = self._kinds.index(self._choice.kind) if self._choice.kind in self._kinds else -1
            self._choice = replace(self._choice, kind=self._kinds[(at + 1) % len(self._kinds)])
            self.query_one(Page).fill()

    def action_toggle_files(self) -> None:
        """Tick or clear the box for the files of the repository, in the last step."""
        if self._step == 2:
            self.query_one("#files", Checkbox).toggle()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Show what will be written now; called by Textual when the box is ticked or cleared."""
        self._choice = replace(self._choice, with_files=event.value)
        if self._step == 2:
            self._plan()

    @work(group="setup-plan", exclusive=True)
    async def _plan(self) -> None:
        try:
            self._planned = await self._use.planned(self._choice)
        except AegisError as error:
            self._complain(error)
        self.query_one(Page).fill()

    @work(group="setup-write", exclusive=True)
    async def _write(self) -> None:
        choice = self._choice
        try:
            written = await self._use.write(choice)
        except AegisError as error:
            self._complain(error)
            return
        except OSError as error:
            self._say(not_written(error, self._use.settings_file), "bad")
            return
        parts = self.desk.parts
        chosen = parts.settings.model_copy(update={"base_url": choice.base_url, "kind": choice.kind})
        self.desk.parts = replace(parts, settings=chosen)
        self.dismiss(None)
        self.desk.tell(f"press {self.desk.keys['n']} to enter a goal", title=f"written: {', '.join(written[:3])}")

    def _complain(self, error: AegisError) -> None:
        self._say(f"✗ {error.message}" + (f"\n  {error.hint}" if error.hint else ""), "bad")

    def action_leave(self) -> None:
        """Close the dialog without writing settings; it is not opened again."""
        self.desk.parts.choices.keep("setup", SKIPPED)
        self.dismiss(None)
        self.desk.tell(f"nothing was written; press {self.desk.keys['n']} to enter a goal, or run aegis-tui doctor")
