"""Dialogs that start a run: `n` for a goal that is split among agents, `d` for a single feature.

A dialog stays open until the hub has accepted the run. If it is refused, the dialog shows why, and keeps the text.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Checkbox, Input, Label

from aegis_tui.application.run_options import run_options
from aegis_tui.domain.count import counted
from aegis_tui.domain.wire.run import GivenDesign, GivenOptions
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.mishap import Guarded
from aegis_tui.tui.parts import NO_OFFER, GoalOffer
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import inert
from aegis_tui.tui.widgets.prompt import PromptArea

NONE = "none"
"""What a person types in the field for the check if nothing is to check the result."""

CHECK_QUESTION = "Command that checks the result (leave empty to detect the tests, type none to check nothing)"
CHECK_HINT = f"type the command that checks the result, or {NONE} for no check; then the report says so"


@dataclass(frozen=True)
class StartRun:
    """A run that the person wants to start: fields of the command `run:start` (contract 5)."""

    goal: str
    design: GivenDesign | None
    options: GivenOptions


Start = Callable[[StartRun], Awaitable[AegisError | None]]
"""Starts a run; returns the error if it cannot be started, else None."""


class YesBox(Guarded, Checkbox):
    """A check box that shows a tick or nothing, so that its value can be seen without colours."""

    def __init__(self, label: str, value: bool, *, id: str) -> None:  # noqa: A002 - the name is Textual's
        self.BUTTON_INNER = "✓" if value else " "
        super().__init__(label, value, id=id)

    def watch_value(self) -> None:
        """Show or remove the tick; called by Textual when the value changes."""
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()


class GoalDialog(Dialog[None]):
    """The base of the dialogs that start a run. If that is refused, they stay open with the typed text and the reason.

    A subclass has the fields, among them `#check` and `#answer`, and `wish`.

    Args:
        desk: What the session works with.
        start: Starts the run that `wish` returns; returns the error if it cannot be started, else None.
    """

    CSS_PATH = "dialog.tcss"
    AUTO_FOCUS = ""

    def __init__(self, desk: Desk, start: Start) -> None:
        super().__init__(desk)
        self._start = start
        self._is_starting = False

    def on_mount(self) -> None:
        """Give the text box the focus, with the question above it in view.

        If another run has not ended, say at once that a goal would be refused now; it can be typed all the same.
        """
        for box in self.query("#goal"):  # none if the dialog could not be made
            self.set_focus(box, scroll_visible=False)
        if (run := self.desk.store.workspace.runs.current()) is not None:
            words = f"{run.run} has not ended; another goal can start after it"
            self._say(f"○ {words} ({self.desk.keys['C']} on the dashboard ends it)", "warn", scroll=False)

    def on_prompt_area_submitted(self) -> None:
        """Start the run when Enter is pressed in the text box."""
        self.action_start()

    def on_input_submitted(self) -> None:
        """Start the run when Enter is pressed in a field."""
        self.action_start()

    def action_start(self) -> None:
        """Start the run that was typed, without waiting for it; close the dialog when it has started.

        An error is shown in the dialog, which stays open. While a run is being started, do nothing.
        """
        if self._is_starting:
            return
        try:
            wish = self.wish()
        except AegisError as error:
            self.refuse(error)
            return
        self._is_starting = True
        self._say("starting …", "info")
        self._begin(wish)

    @work(group="goal-start", exclusive=True)
    async def _begin(self, wish: StartRun) -> None:
        try:
            error = await self._start(wish)
        finally:
            self._is_starting = False
        if error is not None:
            self.refuse(error)
        else:
            self.dismiss(None)

    def wish(self) -> StartRun:
        """Return the run to start, from what was typed. Every subclass implements it.

        Raises:
            AegisError: The text is empty, or a design that was named or built from it is wrong.
        """
        raise NotImplementedError

    def refuse(self, error: AegisError) -> None:
        """Show why the run was not started, with the error's hint; the dialog stays open.

        If the error says that nothing checks the result, give the field for the check the focus.
        """
        fields = {str(issue.get("field")) for issue in error.data.get("issues", ()) if isinstance(issue, dict)}
        hint = error.hint
        if "qa.commands" in fields:
            hint = CHECK_HINT
            self.query_one("#check", Input).focus()
        self._say(f"✗ {error.message}" + (f"\n  {hint}" if hint else ""), "bad")

    def _say(self, words: str, look: str, *, scroll: bool = True) -> None:
        label = self.query_one("#answer", Label)
        label.update(inert_lines(words))
        label.set_classes(f"answer {look}")
        if scroll:
            label.scroll_visible(animate=False)

    def _options(self) -> GivenOptions:
        """Return the options of `run:start`, from the settings and the field for the check.

        In that field, `none` means that nothing checks the result; empty, that the hub detects tests.
        """
        check = self.query_one("#check", Input).value.strip()
        is_none = check.casefold() == NONE
        checks = [check] if check and not is_none else []
        return run_options(self.desk.parts.settings, checks=checks, unchecked=is_none)


def inert_lines(text: str) -> str:
    """Return the text with `�` for hidden characters; line breaks are kept, tabs become blanks."""
    return "\n".join(inert(line) for line in text.split("\n"))


class GoalScreen(GoalDialog):
    """The dialog that starts a run for a goal, with or without a design file.

    `offer` is what its fields contain at first, and options that are not shown; without it, the fields are empty.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="goal.start", tooltip="Start a run for this goal (aegis-tui run GOAL)."),
        Binding(
            "ctrl+t", "toggle_yes", "Auto-accept", id="goal.yes", tooltip="Accept the proposed design without asking."
        ),
    ]

    def __init__(self, desk: Desk, start: Start, offer: GoalOffer = NO_OFFER) -> None:
        super().__init__(desk, start)
        self._offer = offer

    def compose(self) -> ComposeResult:
        """Yield a frame with a box for the goal, fields for design and check, and facts about the run."""
        offer = self._offer
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = "New goal"
            dialog.border_subtitle = "enter start · ctrl+j new line · tab next field · esc back"
            yield Label("What should be built?", classes="question")
            yield PromptArea(offer.goal, id="goal")
            yield Label("", id="answer", classes="answer", markup=False)
            yield Label("Design file, if you have one (else the Commander proposes a design)", classes="question")
            yield Input(str(offer.design or ""), placeholder="design.yaml", id="design")
            yield Label(CHECK_QUESTION, classes="question")
            yield Input("", placeholder="python -m pytest -q", id="check")
            yield YesBox("accept the proposed design without asking (ctrl+t)", offer.yes, id="yes")
            yield Label(self._facts(), id="facts", classes="muted", markup=False)

    def _facts(self) -> str:
        settings = self.desk.parts.settings
        endpoint = str(self._offer.options.get("base_url") or settings.base_url)
        name = self._offer.options.get("model") or settings.model
        model = f"model at {endpoint}{f', {name}' if name else ''}"
        start = f"starts at the last commit on {self.desk.parts.branch}"
        return f"{start}; up to {counted(settings.workers, 'agent')} at once; {model}"

    def action_toggle_yes(self) -> None:
        """Tick or clear the box to accept a proposed design without asking."""
        self.query_one("#yes", Checkbox).toggle()

    def wish(self) -> StartRun:
        """Return the run for the typed goal, with the design in the named file, if one is named; reads that file.

        Raises:
            UsageError: The goal is empty, or the design file is missing or cannot be read.
            DesignRefused: The design breaks rules.
        """
        goal = self.query_one("#goal", PromptArea).text.strip()
        path = self.query_one("#design", Input).value.strip()
        if not goal:
            raise UsageError("the goal is empty", "say in a sentence what should be built")
        design = _load(path, self.desk.parts.root) if path else None
        options: GivenOptions = {**self._options(), "yes": self.query_one("#yes", Checkbox).value}
        options.update(self._offer.options)
        return StartRun(goal, design, options)


def _load(text: str, root: Path) -> GivenDesign:
    from aegis_tui.application.design import load_design, wire_fields

    try:
        path = root / Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"there is no home folder for {text}", "give the full path of the file") from error
    if path.exists() and not path.is_file():  # reading a pipe would block the session until something is written to it
        raise UsageError(f"{text} is not a file", "name a design file")
    return wire_fields(load_design(path))


class FeatureScreen(GoalDialog):
    """The dialog that starts a run for a single feature: one agent, one partition, no design to accept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="feature.start", tooltip="Start a run of one agent for this feature."),
    ]

    def compose(self) -> ComposeResult:
        """Yield a frame with a box for the feature, and fields for the globs that it may write and for its check."""
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = "A single feature for one agent"
            dialog.border_subtitle = "enter start · ctrl+j new line · tab next field · esc back"
            yield Label("What should the agent do?", classes="question")
            yield PromptArea("", id="goal")
            yield Label("", id="answer", classes="answer", markup=False)
            yield Label("What may it write? Globs, separated by spaces", classes="question")
            yield Input("**", placeholder="src/search/** tests/test_search.py", id="globs")
            yield Label(CHECK_QUESTION, classes="question")
            yield Input("", placeholder="python -m pytest -q", id="check")
            yield Label("one agent, one review, QA, one commit", classes="muted")

    def wish(self) -> StartRun:
        """Return a run whose design has the typed feature alone.

        Raises:
            UsageError: The text is empty.
            DesignRefused: A glob is wrong, or there is none.
        """
        from aegis_tui.application.design import build_design, wire_fields

        goal = self.query_one("#goal", PromptArea).text.strip()
        if not goal:
            raise UsageError("the feature is empty", "say in a sentence what should be done")
        feature = {
            "id": feature_id(goal),
            "title": goal.splitlines()[0][:72],
            "brief": goal,
            "partition": self.query_one("#globs", Input).value.split(),
        }
        design = build_design({"goal": goal, "features": [feature]})
        return StartRun(goal, wire_fields(design), self._options())


def feature_id(goal: str) -> str:
    """Return an id for a feature: the first three words of its text in lower case, joined by hyphens.

    At most 40 characters, of ASCII letters, digits and hyphens; `feature` if the text has no ASCII letter or digit.
    """
    words = re.findall(r"[a-z0-9]+", goal.lower())[:3]
    return "-".join(words)[:40].strip("-") or "feature"
