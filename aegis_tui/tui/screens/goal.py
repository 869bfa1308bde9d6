"""Where a goal is given: `n` for one that is split among agents, `d` for a single feature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Checkbox, Input, Label

from aegis_tui.domain import ids
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.parts import GoalOffer
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.widgets.prompt import Prompt


@dataclass(frozen=True)
class StartRun:
    """What the person wants started: the fields of `run:start`."""

    goal: str
    design: dict[str, Any] | None
    options: dict[str, Any]


class YesBox(Checkbox):
    """A box with a tick in it, or nothing: the sign tells, not only the colour."""

    def __init__(self, label: str, value: bool, *, id: str) -> None:  # noqa: A002 - the name is Textual's
        self.BUTTON_INNER = "✓" if value else " "
        super().__init__(label, value, id=id)

    def watch_value(self) -> None:
        """Show the tick, or take it away."""
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()


class GoalScreen(Dialog[StartRun | None]):
    """A new goal, with a design file where there is one."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="goal.start", tooltip="Start the goal (aegis-tui run GOAL)."),
        Binding("ctrl+t", "toggle_yes", "Agree by itself", id="goal.yes", tooltip="Take a proposed design unseen."),
    ]

    def __init__(self, desk: Desk, offer: GoalOffer | None = None) -> None:
        super().__init__(desk)
        self._offer = offer or GoalOffer("")

    def compose(self) -> ComposeResult:
        """A box for the goal, a field for the design, and what will happen."""
        offer = self._offer
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "New goal"
            yield Label("What should be built?", classes="question")
            yield Prompt(offer.goal, id="goal")
            yield Label("Design file, if you have one (else the Commander proposes a design)", classes="question")
            yield Input(str(offer.design or ""), placeholder="design.yaml", id="design")
            yield YesBox("agree to the proposed design by itself (ctrl+t)", offer.yes, id="yes")
            yield Label(self._facts(), id="facts", classes="muted", markup=False)
            yield Label("enter start   ctrl+j new line   tab next field   esc back", classes="keys", markup=False)

    def _facts(self) -> str:
        settings = self.desk.parts.settings
        endpoint = str(self._offer.options.get("base_url") or settings.base_url)
        branch = self.desk.parts.branch
        return f"from {branch} as committed, up to {settings.workers} agents at once, model at {endpoint}"

    def on_prompt_submitted(self) -> None:
        """Enter in the box starts."""
        self.action_start()

    def on_input_submitted(self) -> None:
        """Enter in the field starts."""
        self.action_start()

    def action_toggle_yes(self) -> None:
        """Turn the check box."""
        self.query_one("#yes", Checkbox).toggle()

    def action_start(self) -> None:
        """Leave with the goal, if it can be started."""
        goal = self.query_one("#goal", Prompt).text.strip()
        path = self.query_one("#design", Input).value.strip()
        if not goal:
            self.desk.complain(UsageError("the goal is empty", "say in a sentence what should be built"))
            return
        try:
            design = _load(Path(path).expanduser(), self.desk.parts.root) if path else None
        except AegisError as error:
            self.desk.complain(error)
            return
        options = {**self._options(), "yes": self.query_one("#yes", Checkbox).value}
        self.dismiss(StartRun(goal, design, options))

    def _options(self) -> dict[str, Any]:
        return {**run_options(self.desk), **self._offer.options}


def run_options(desk: Desk) -> dict[str, Any]:
    """The options of a run as the settings have them."""
    settings = desk.parts.settings
    return {
        "workers": settings.workers,
        "kind": settings.kind,
        "base_url": settings.base_url,
        "model": settings.model,
        "sandbox": settings.sandbox,
    }


def _load(path: Path, root: Path) -> dict[str, Any]:
    from aegis_tui.services.design import load_design

    found = path if path.is_absolute() else root / path
    return load_design(found, kinds=ids.KINDS).model_dump(mode="json")


class FeatureScreen(Dialog[StartRun | None]):
    """Go ahead with a single feature: one agent, one scope, no proposal to agree to."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="feature.start", tooltip="Dispatch the feature to one agent."),
    ]

    def compose(self) -> ComposeResult:
        """A box for the feature and a field for its scope."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Go ahead with a single feature"
            yield Label("What should the agent do?", classes="question")
            yield Prompt("", id="goal")
            yield Label("What may it write? Globs with blanks between them", classes="question")
            yield Input("**", placeholder="src/search/** tests/test_search.py", id="globs")
            yield Label("one agent, one review, QA, one commit", classes="muted")
            yield Label("enter start   ctrl+j new line   tab next field   esc back", classes="keys", markup=False)

    def on_prompt_submitted(self) -> None:
        """Enter in the box starts."""
        self.action_start()

    def on_input_submitted(self) -> None:
        """Enter in the field starts."""
        self.action_start()

    def action_start(self) -> None:
        """Leave with a design of one feature, if it may be dispatched."""
        from aegis_tui.services.design import build_design

        goal = self.query_one("#goal", Prompt).text.strip()
        if not goal:
            self.desk.complain(UsageError("the feature is empty", "say in a sentence what should be done"))
            return
        feature = {
            "id": feature_id(goal),
            "title": goal.splitlines()[0][:72],
            "brief": goal,
            "partition": self.query_one("#globs", Input).value.split(),
        }
        try:
            design = build_design({"goal": goal, "features": [feature]}, kinds=ids.KINDS)
        except AegisError as error:
            self.desk.complain(error)
            return
        self.dismiss(StartRun(goal, design.model_dump(mode="json"), run_options(self.desk)))


def feature_id(goal: str) -> str:
    """A name for a feature, from the first words of what it is."""
    words = re.findall(r"[a-z0-9]+", goal.lower())[:3]
    return "-".join(words)[:40].strip("-") or "feature"
