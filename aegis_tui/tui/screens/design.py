"""A dialog with the design of a run: accept it, edit it here or in an editor, or ask for another with a remark."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, cast

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Label, TextArea

from aegis_tui.application.design import dump_design, parse_design, wire_fields
from aegis_tui.domain.code_map.commands import MOST_COUNT
from aegis_tui.domain.count import counted
from aegis_tui.domain.partition.fill import fill_design
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.wire.code_map import PartitionOutput
from aegis_tui.domain.wire.reply import MapReply, RunReply
from aegis_tui.errors import DesignRefused, UsageError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.screens.why import Page
from aegis_tui.tui.text import Line, Span, wrap
from aegis_tui.tui.views.design import design_lines
from aegis_tui.tui.widgets.line_view import LineView
from aegis_tui.tui.widgets.prompt import PromptArea

CHECK_S = 0.2
SETTLE_S = 10.0
"""Seconds to wait until the store shows the effect of a command."""
CHOICES = (
    ("1", "accept: the agents start"),
    ("2", "edit here"),
    ("3", "edit in $EDITOR"),
    ("4", "ask for another one, with a remark"),
    ("5", "end this run"),
)


class DesignScreen(Dialog[None]):
    """A dialog with the design of a run and, as long as nobody has accepted it, what the person can do with it.

    Args:
        desk: What the session works with.
        run: The id of a run that has a design, or a proposed one.
    """

    CSS_PATH: ClassVar = ["dialog.tcss", "design.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "1", "agree", "Accept", id="design.agree", tooltip="Accept the design: the agents start to work on it."
        ),
        Binding("2", "edit", "Edit", id="design.edit", tooltip="Change the design here; it is checked as you type."),
        Binding("3", "editor", "$EDITOR", id="design.editor", tooltip="Change the design in your editor."),
        Binding("4", "ask_again", "Ask again", id="design.again", tooltip="Ask the Commander for another design."),
        Binding("5", "cancel_run", "End", id="design.cancel", tooltip="End this run."),
        Binding("ctrl+s", "accept", "Accept", id="design.accept", tooltip="Accept the design as changed here."),
        Binding(
            "ctrl+g",
            "suggest",
            "Suggest",
            id="design.suggest",
            tooltip="Replace the partitions in the text by suggested ones, with the reason of each.",
        ),
        Binding("escape", "back", "Back", id="design.back", tooltip="Leave the text field, then the screen."),
    ]

    def __init__(self, desk: Desk, run: str) -> None:
        super().__init__(desk)
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self._run_id = run
        run_now = self._run
        self._design: Design = run_now.design or run_now.proposed  # type: ignore[assignment]  # the caller has seen one
        self._issues: list[str] = []

    @property
    def _run(self) -> Run:
        return self.desk.store.workspace.runs.get(self._run_id)

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended, and nobody has accepted a design for it yet."""
        return self._run.design is None and self._run.is_open

    def compose(self) -> ComposeResult:
        """Yield a frame: on the left the choices, the design as text and a field for a remark, on the right the design.

        The text is YAML, with what is wrong in it below. `on_mount` and the actions show one of the three on the left,
        and hide the others.
        """
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = "A design is waiting for you" if self.is_open else "The design of this run"
            with Horizontal(id="design"):
                with Vertical(id="left"):
                    yield LineView(name_id="choices")
                    yield TextArea(dump_design(self._design), id="text", soft_wrap=False, show_line_numbers=True)
                    yield LineView(name_id="issues")
                    yield Label("What should be different?", id="ask", classes="question")
                    yield PromptArea("", id="remark")
                yield Page(self._draw)

    def on_mount(self) -> None:
        """Show the choices on the left; if the design was accepted, only the design. The design gets the focus."""
        self._show("choices")
        self.query_one("#left").display = self.is_open
        self.query_one("#choices", LineView).show_lines(list(self._choices()))
        self.query_one(Page).focus()

    def _choices(self) -> Iterator[Line]:
        for key, words in CHOICES:
            yield (Span(f" {key} ", "accent", f"screen.{self._action_of(key)}"), Span(f" {words}"))
        yield ()
        yield (Span("No agent writes anything before you accept.", "muted"),)

    @staticmethod
    def _action_of(key: str) -> str:
        return {"1": "agree", "2": "edit", "3": "editor", "4": "ask_again", "5": "cancel_run"}[key]

    def _show(self, *names: str) -> None:
        for name in ("choices", "text", "issues", "ask", "remark"):
            self.query_one(f"#{name}").display = name in names
        self.query_one("#left").set_class(names[0] == "text", "-editing")
        hints = {
            "choices": "press a number · esc back",
            "text": "^s accept · ^g suggest partitions · esc leave the text",
        }
        hint = hints.get(names[0], "enter send · esc back") if self.is_open else "esc back"
        self.query_one(".dialog").border_subtitle = hint

    def _draw(self, width: int) -> list[Line]:
        return design_lines(self._design, width=width)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is possible now; called by Textual.

        The choices are, as long as the design is open and no text is being edited; a suggestion is, while the text is;
        all other actions always are.
        """
        if action == "suggest":
            return self.is_open and bool(self.query_one("#text").display)
        if action in ("agree", "edit", "editor", "ask_again", "cancel_run"):
            return self.is_open and not isinstance(self.focused, TextArea)
        return True

    def action_back(self) -> None:
        """Go back to the choices and discard changes of the text; from the choices, close the dialog."""
        if self.query_one("#choices").display:
            self.dismiss(None)
        else:
            self._design = self._run.proposed or self._design
            self._show("choices")
            self.query_one(Page).fill()
            self.query_one(Page).focus()

    def action_agree(self) -> None:
        """Accept the proposed design, so that agents start, and close the dialog, without waiting for that here.

        If the hub refuses or does not answer, the error is shown, and the dialog stays.
        """
        self.run_worker(self._agree(self._run.design_id or ""), group="agree", exclusive=True)

    async def _agree(self, design_id: str) -> None:
        if await self.desk.command("design:agree", design_id=design_id):
            self.desk.tell("agents start to work on it", title="design accepted")
            self.dismiss(None)

    def action_edit(self) -> None:
        """Open the design as text, and check it: what is wrong is shown below; a valid design is shown on the right."""
        self._show("text", "issues")
        self.query_one("#text", TextArea).focus()
        self._check()

    @on(TextArea.Changed, "#text")
    def _text_changed(self) -> None:
        self._check_soon()

    @work(group="check", exclusive=True)
    async def _check_soon(self) -> None:
        await asyncio.sleep(CHECK_S)
        self._check()

    def _check(self) -> None:
        """Check the text: if it is a valid design, show it on the right, else show what is wrong below.

        Afterwards `_issues` has the errors, one a line, and `_design` is the last valid design.
        """
        text = self.query_one("#text", TextArea).text
        try:
            self._design = parse_design(text, kinds=self._run.facts.kinds, ignore_case=self._run.facts.ignore_case)
            self._issues = []
        except DesignRefused as error:
            self._issues = error.message.splitlines()
        view = self.query_one("#issues", LineView)
        if self._issues:
            width = max(20, view.line_width)
            view.show_lines([(Span(part, "bad"),) for line in self._issues for part in wrap(f"✗ {line}", width)])
        else:
            words = "✓ no partitions overlap, no dependencies form a cycle"
            view.show_lines([(Span(words, "good"),), (Span("^s accepts it as it is", "muted"),)])
            self.query_one(Page).fill()

    def action_accept(self) -> None:
        """Propose the edited text as the design, accept it, and close the dialog, without waiting for that here.

        If the text is not a valid design, only its first error is shown; if the hub refuses a command, the error is,
        and the dialog stays. If the text is not open, do nothing.
        """
        if not self.query_one("#text").display:
            return
        self._check()
        if self._issues:
            self.desk.complain(UsageError(self._issues[0], "correct it, or press esc to leave the text"))
            return
        self.run_worker(self._propose(self._design), group="agree", exclusive=True)

    async def _propose(self, design: Design) -> None:
        before = self._run.design_id
        if await self.desk.command("design:propose", design=wire_fields(design)) is None:
            return
        await self.desk.store.until(lambda: self._run.design_id != before, deadline_s=SETTLE_S)
        if self._run.design is not None:
            self.dismiss(None)
        else:
            await self._agree(self._run.design_id or "")

    @work(group="suggest", exclusive=True)
    async def action_suggest(self) -> None:
        """Replace the partitions in the text by suggested ones, one for each feature, with the reasons as comments.

        The text stays as it is, and a message says why, if it is not a valid design, if the hub does not answer, if
        the repository has too little code for parts, or if the text is changed before the answer comes.
        """
        self._check()
        if self._issues:
            self.desk.complain(UsageError(self._issues[0], "correct it first"))
            return
        text, design = self.query_one("#text", TextArea), self._design
        before, count = text.text, min(len(design.features), MOST_COUNT)
        self.desk.tell("the code map is being asked; the first time takes longer", title="suggesting partitions")
        reply = await self.desk.reply(MapReply, "map:ask", question="partition", about=".", count=count)
        if reply is None:
            return
        answer = cast(PartitionOutput, reply["answer"])
        if not answer["parts"]:
            self.desk.tell("the repository has no source files that can be divided", title="nothing to suggest")
        elif text.text != before or not text.display:
            self.desk.tell("the text was changed or left before the answer came", title="nothing was replaced")
        else:
            filled, reasons = fill_design(design, answer)
            text.replace(dump_design(filled, reasons=reasons), (0, 0), text.document.end)
            self.desk.tell(_suggested_words(answer, len(design.features)), title="partitions were suggested")

    @work(group="editor", exclusive=True)
    async def action_editor(self) -> None:
        """Open the text in the person's editor ($VISUAL, $EDITOR or vi), then show and check what it left.

        If the editor cannot be run, show the error and leave the text as it was. Nothing is proposed yet.
        """
        environ = self.desk.parts.environ
        editor = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
        text = self.query_one("#text", TextArea)
        try:
            changed = _edited(shlex.split(editor), text.text, self.app.suspend)
        except SuspendNotSupported:
            self.desk.complain(UsageError("this terminal cannot be given to an editor", "press 2 to edit here"))
            return
        except (OSError, ValueError) as error:
            self.desk.complain(UsageError(f"cannot run the editor {editor}: {error}", "set EDITOR, or press 2"))
            return
        self.app.refresh(repaint=True, layout=True)
        if changed != text.text:
            text.text = changed
        self.action_edit()

    def action_ask_again(self) -> None:
        """Open the field for a remark, with which another design is asked for when Enter is pressed in it."""
        self._show("ask", "remark")
        self.query_one("#remark", PromptArea).focus()

    def on_prompt_area_submitted(self, message: PromptArea.Submitted) -> None:
        """Ask for another design with this remark; a blank one has no effect."""
        if message.text.strip():
            self.run_worker(self._again(message.text.strip()), group="agree", exclusive=True)

    async def _again(self, remark: str) -> None:
        """Ask for another design, and close the dialog: send the remark to the agent that proposed it, if it runs.

        Otherwise end the run, and start another for the same goal, with the remark. If the hub refuses a command, the
        error is shown, and the dialog stays.
        """
        run = self._run
        for item in self.desk.store.workspace.instances.of_run(run.run):
            if item.task == "design" and item.is_alive:
                if await self.desk.command("instance:send", agent_id=item.agent_id, text=remark):
                    self.dismiss(None)
                return
        if not await self.desk.command("run:cancel", run=run.run, reason="another design was asked for"):
            return
        await self.desk.store.until(lambda: self._run.status is RunStatus.COMPLETED, deadline_s=SETTLE_S)
        options = run.options.model_dump(mode="json")
        options["role_notes"] = {**run.options.role_notes, "commander": _with_remark(run.options.role_notes, remark)}
        reply = await self.desk.reply(
            RunReply, "run:start", request_id=uuid.uuid4().hex, goal=run.goal, options=options
        )
        if reply:
            self.desk.tell("the Commander proposes another design", title=f"{reply['run']} has started")
            self.dismiss(None)

    @work(group="agree", exclusive=True)
    async def action_cancel_run(self) -> None:
        """End the run and close the dialog if the person agrees; if the hub refuses, show that and stay open."""
        from aegis_tui.tui.screens.stop import ConfirmScreen

        question = ConfirmScreen(self.desk, f"End {self._run_id}?", ["Nothing has been written yet."])
        if await self.app.push_screen_wait(question) and await self.desk.command(
            "run:cancel", run=self._run_id, reason="by the person"
        ):
            self.dismiss(None)


def _suggested_words(answer: PartitionOutput, wanted: int) -> str:
    """Return what a person is told about a suggestion that is now in the text of a design with `wanted` features."""
    parts = len(answer["parts"])
    why = "there is too little code" if parts < MOST_COUNT else f"no more than {MOST_COUNT} are suggested"
    left = wanted - parts
    words = f"imports from one part to another: {answer['cut']} of {answer['imports']} · ^z undoes it"
    return f"{why}: {counted(left, 'feature')} got no new partition; {words}" if left > 0 else words


def _with_remark(notes: Mapping[str, str], remark: str) -> str:
    """Return the note for the Commander, the agent that proposes designs: the one in `notes`, if any, then the remark.

    `notes` has a text by role.
    """
    said = f"Remark on the design that was proposed before: {remark}"
    return "\n\n".join(filter(None, (notes.get("commander"), said)))


def _edited(argv: list[str], text: str, suspend: Callable[[], AbstractContextManager[None]]) -> str:
    """Open the text in an editor, which gets the terminal, and return what the person left. Its exit code is ignored.

    Args:
        argv: The editor's command; the name of a temporary file with the text is appended.
        text: The text.
        suspend: Returns a context in which the app does not use the terminal, or raises what `App.suspend` raises.

    Raises:
        OSError: The editor cannot be started, or the file cannot be read or written.
        ValueError: The editor left a file that is not UTF-8.
    """
    descriptor, name = tempfile.mkstemp(prefix="aegis-design-", suffix=".yaml")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        with suspend():
            subprocess.run([*argv, name], check=False)
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError("the file that it saved is not UTF-8") from error
    finally:
        path.unlink(missing_ok=True)
