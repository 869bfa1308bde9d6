"""The order of plan, code, review and fix events among agents that work on one feature at once (ROLE-12).

An exchange begins with `plan:proposed` for a feature and ends when every file of it is approved. In between agents need
not take turns: the plan and each file have their own state. Events outside any exchange may come in any order.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import Field

from aegis_tui.domain.model import Key, StateModel
from aegis_tui.errors import Refused, UsageError

KEPT_EXCHANGES = 64
"""How many exchanges may be open at once; when one more begins, the oldest is closed."""

BEGIN = "plan:proposed"
FAMILIES = ("plan:", "code:", "review:", "fix:")
PLANNED = "planned"
APPROVED = "review:completed APPROVED"
CHANGES_REQUESTED = "review:completed CHANGES_REQUESTED"

PLAN_ORDER: Mapping[str, tuple[str, ...]] = {
    "plan:proposed": ("plan:acknowledged", "plan:approved", "plan:amendment"),
    "plan:acknowledged": ("plan:acknowledged", "plan:approved", "plan:amendment"),
    "plan:approved": ("plan:amendment",),
    "plan:amendment": ("plan:proposed", "plan:acknowledged", "plan:approved", "plan:amendment"),
}
"""State of a plan -> the events that may follow."""

FILE_ORDER: Mapping[str, tuple[str, ...]] = {
    PLANNED: ("code:writing",),
    "code:writing": ("code:writing", "code:written"),
    "code:written": ("code:writing", "review:requested"),
    "review:requested": ("code:writing", "review:in_progress"),
    "review:in_progress": ("review:requested", "review:completed"),
    CHANGES_REQUESTED: ("fix:suggested",),
    APPROVED: ("code:writing",),
    "fix:suggested": ("fix:suggested", "fix:in_progress"),
    "fix:in_progress": ("code:writing", "code:written", "fix:applied"),
    "fix:applied": ("code:writing", "review:requested", "fix:suggested", "fix:in_progress"),
}
"""State of a file -> the events that may follow. A fix is written inside `fix:in_progress`, which it does not leave."""


class Exchange(StateModel):
    """One feature that is being planned, written and reviewed. Changed in place by `ExchangeTable` only."""

    feature: str
    opened_by: str
    plan: str = BEGIN
    files: dict[str, str] = Field(default_factory=dict)
    """State by path."""

    def expected(self, event: str, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return None when `event` may come now, else the events that may come instead; an empty tuple if none may.

        Which events these are depends on what `event` is about:

        - the plan (`plan:*`): those that may follow for the plan.
        - the files that `data` names: those for the first of these files for which `event` may not come.
        - no file by name: those for all files of the exchange together. `event` may come if it may for one of them.
        """
        if event.startswith("plan:"):
            return None if event in PLAN_ORDER[self.plan] else PLAN_ORDER[self.plan]
        for path in named_files(data):
            if event not in (following := self._following(path)):
                return following
        if self._concerned(event, data):
            return None
        return tuple(sorted({item for path in self.files for item in self._following(path)}))

    def _following(self, path: str) -> tuple[str, ...]:
        """Return the events that may come for one file; `code:writing` may not while the plan is only proposed.

        Where only that would be left, they are the events that may come for the plan.
        """
        following = FILE_ORDER[self.files.get(path, PLANNED)]
        if self.plan == BEGIN:
            following = tuple(item for item in following if item != "code:writing")
        return following or PLAN_ORDER[self.plan]

    def _concerned(self, event: str, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the files that an event is about: those that it names, else all for which it may come now.

        Empty if there are none.
        """
        return named_files(data) or tuple(path for path in self.files if event in self._following(path))

    def apply(self, event: str, data: Mapping[str, Any]) -> None:
        """Change plan or files to their states after `event`; an unknown event or one about no file changes none."""
        if event.startswith("plan:"):
            self.plan = event if event in PLAN_ORDER else self.plan
            return
        state = event
        if event == "review:completed":
            state = APPROVED if data.get("status") == "APPROVED" else CHANGES_REQUESTED
        for path in self._concerned(event, data):
            is_fixing = self.files.get(path) == "fix:in_progress" and event.startswith("code:")
            if state in FILE_ORDER and not is_fixing:
                self.files[path] = state

    @property
    def is_over(self) -> bool:
        """Whether every file is approved by a review; False while no file is known."""
        return bool(self.files) and set(self.files.values()) == {APPROVED}


class ExchangeTable:
    """The open exchanges of a workspace, by feature."""

    def __init__(self) -> None:
        self.by_feature: dict[str, Exchange] = {}

    def check(self, event: str, data: Mapping[str, Any]) -> None:
        """Return if an event may come now.

        One outside any open exchange, or of no plan, code, review or fix type, always may.

        Args:
            event: The type of the event, such as `code:written`.
            data: Its fields; `feature`, `file` and `files` say which exchange is meant.

        Raises:
            Refused: Code `exchange.order`; `data['expected']` lists what may come.
            UsageError: Several exchanges are open and the event does not say which is meant.
        """
        if not event.startswith(FAMILIES):
            return
        exchanges = self._meant(event, data)
        if len(exchanges) > 1:
            names = ", ".join(item.feature for item in exchanges)
            raise UsageError(f"{event}: several features are open: {names}", "add feature or file to its data")
        for exchange in exchanges:
            if (expected := exchange.expected(event, data)) is not None:
                raise _refusal(exchange, event, data, expected)

    def evolve(self, agent_id: str, event: str, data: Mapping[str, Any]) -> frozenset[Key]:
        """Apply one broadcast and return what changed. Never raises: one that fits no exchange changes nothing.

        `plan:proposed` with a feature opens an exchange, or starts it again; beyond `KEPT_EXCHANGES` the oldest is
        closed then. One whose files are all approved is closed too.
        """
        feature = data.get("feature")
        if event == BEGIN and isinstance(feature, str) and feature:
            old = self.by_feature.get(feature)
            kept = old.files if old and old.plan == "plan:amendment" else {}
            files = {path: kept.get(path, PLANNED) for path in (*kept, *named_files(data))}
            self.by_feature.pop(feature, None)
            self.by_feature[feature] = Exchange(feature=feature, opened_by=agent_id, files=files)
            while len(self.by_feature) > KEPT_EXCHANGES:
                del self.by_feature[next(iter(self.by_feature))]
            return frozenset({("exchange", feature)})
        exchanges = self._meant(event, data) if event.startswith(FAMILIES) else []
        if len(exchanges) != 1:
            return frozenset()
        exchange = exchanges[0]
        exchange.apply(event, data)
        if exchange.is_over:
            del self.by_feature[exchange.feature]
        return frozenset({("exchange", exchange.feature)})

    def forget(self, agents: Container[str]) -> None:
        """Close the exchanges that these instances opened, because they will not return."""
        self.by_feature = {name: item for name, item in self.by_feature.items() if item.opened_by not in agents}

    def _meant(self, event: str, data: Mapping[str, Any]) -> list[Exchange]:
        """Return the open exchanges that an event may be about; several only if it names neither feature nor file.

        A feature counts before files. Of several that know a file, one is taken in which the event may come now. Empty
        if there is none.
        """
        feature, files = data.get("feature"), named_files(data)
        if isinstance(feature, str):
            return [self.by_feature[feature]] if feature in self.by_feature else []
        if not files:
            return list(self.by_feature.values())
        holding = [item for item in self.by_feature.values() if not item.files.keys().isdisjoint(files)]
        fitting = [item for item in holding if item.expected(event, data) is None]
        return (fitting or holding)[:1]

    def dump(self) -> list[dict[str, Any]]:
        """Return the table as plain values for a snapshot."""
        return [item.model_dump(mode="json") for item in self.by_feature.values()]

    @classmethod
    def load(cls, plain: Iterable[dict[str, Any]]) -> ExchangeTable:
        """Return a new table with what `dump` returned.

        Raises:
            ValueError: An exchange is not valid.
        """
        table = cls()
        for item in plain:
            exchange = Exchange.model_validate(item)
            table.by_feature[exchange.feature] = exchange
        return table


def named_files(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that an event's data names, in `file` or `files`, each once.

    Values that are no text are ignored.
    """
    one, many = data.get("file"), data.get("files")
    listed = many if isinstance(many, (list, tuple)) else ()
    return tuple(dict.fromkeys(item for item in (one, *listed) if isinstance(item, str) and item))


def _refusal(exchange: Exchange, event: str, data: Mapping[str, Any], expected: tuple[str, ...]) -> Refused:
    states = {path: exchange.files.get(path, PLANNED) for path in named_files(data)} or exchange.files
    at = ", ".join(f"{path} is at {state}" for path, state in states.items())
    if expected in PLAN_ORDER.values() or not at:
        at = f"the plan is at {exchange.plan}"
    return Refused(
        f"{event} does not come next for {exchange.feature}: {at}",
        f"expected: {', '.join(expected) or 'code:writing, with its file'}",
        code="exchange.order",
        feature=exchange.feature,
        expected=list(expected),
    )
