"""Puts several specs into the design of one run: a run of one goal is a set of specs (SPEC-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from aegis_tui.application.spec_design import design_of, feature_name
from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import Glob, compile_glob
from aegis_tui.domain.run.design import MOST_FEATURES, Design, Feature
from aegis_tui.domain.spec.document import Spec, SpecMode
from aegis_tui.errors import Refused

_GOAL_CHARS: Final = 200

MOST_SPECS: Final = 100
"""The most specs of one run."""


class SpecBatch(NamedTuple):
    """The design of a run for one or more specs."""

    design: Design
    pieces: Mapping[str, tuple[str, ...]]
    """Id of each spec -> the features of the design that are its work, never empty."""
    mode: SpecMode
    """The mode that the only spec asks for; empty for that of the settings."""


def batch_of(specs: Sequence[Spec], is_completed: Callable[[str], bool]) -> SpecBatch:
    """Return the design of a run for as many of these specs as can be worked on together.

    The first one is always among them; if it asks for a mode, it is alone. Another one joins if it asks for no mode, no
    path belongs to it and to one before it, and each spec that it depends on is completed or among them; its features
    then start when those of that spec are merged. At most `MOST_SPECS` are taken.

    Args:
        specs: Approved specs, the most urgent first; never empty. The first depends on no other of them.
        is_completed: Whether the spec of an id is completed.

    Raises:
        Refused: Globs of one spec cost too much to compare.
    """
    chosen = _Chosen()
    waiting: Sequence[Spec] = specs[:1] if specs[0].mode else [spec for spec in specs if not spec.mode]
    while waiting:
        left = [spec for spec in waiting if not chosen.take(spec, is_completed)]
        if len(left) == len(waiting) or len(chosen.features) >= MOST_SPECS:
            break
        waiting = left
    by_id = {spec.id: spec for spec in specs}
    names = list(chosen.features)
    if len(names) == 1:
        return SpecBatch(chosen.alone, {names[0]: tuple(item.id for item in chosen.alone.features)}, specs[0].mode)
    features = tuple(
        _after(feature, by_id[name].dependencies, chosen.features)
        for name, items in chosen.features.items()
        for feature in items
    )
    goal = one_line(f"{len(names)} specs: {'; '.join(by_id[name].metadata.title for name in names)}", limit=_GOAL_CHARS)
    pieces = {name: tuple(item.id for item in items) for name, items in chosen.features.items()}
    return SpecBatch(Design(goal=goal, features=features), pieces, specs[0].mode)


class _Chosen:
    """The specs that are worked on together, with their features."""

    def __init__(self) -> None:
        self.features: dict[str, list[Feature]] = {}
        self.alone: Design
        self._names: set[str] = set()
        self._owned: list[Glob] = []
        self._effort = Effort()

    def take(self, spec: Spec, is_completed: Callable[[str], bool]) -> bool:
        """Add a spec, and return True, if it can be worked on beside those that were added before."""
        is_first = not self.features
        if not is_first and not all(is_completed(name) or name in self.features for name in spec.dependencies):
            return False
        try:
            design = design_of(spec, kind=spec.agents[0] if spec.agents else None)
            items = _renamed(spec.id, design.features)
            globs = [compile_glob(text) for item in items for text in item.partition]
            if not is_first and (len(self.features) >= MOST_SPECS or not self._has_room(items, globs)):
                return False
        except Refused:
            if is_first:
                raise
            return False
        if is_first:
            self.alone = design
        self.features[spec.id] = items
        self._names.update(item.id for item in items)
        self._owned += globs
        return True

    def _has_room(self, items: Sequence[Feature], globs: Iterable[Glob]) -> bool:
        names = {item.id for item in items}
        if len(self._names) + len(items) > MOST_FEATURES or names & self._names or len(names) < len(items):
            return False
        return not any(overlap(mine, yours, effort=self._effort) for mine in globs for yours in self._owned)


def _renamed(spec_id: str, features: Sequence[Feature]) -> list[Feature]:
    """Return the features of one spec under names that those of other specs hardly have."""
    if len(features) == 1:
        return [features[0].model_copy(update={"id": feature_name(spec_id)})]
    names = {item.id: feature_name(f"{spec_id}-{item.id}") for item in features}
    return [
        item.model_copy(update={"id": names[item.id], "depends_on": tuple(names[name] for name in item.depends_on)})
        for item in features
    ]


def _after(feature: Feature, needs: Iterable[str], features: Mapping[str, Sequence[Feature]]) -> Feature:
    """Return the feature so that it starts after those of the specs that its spec depends on."""
    others = tuple(item.id for name in needs for item in features.get(name, ()))
    return feature.model_copy(update={"depends_on": (*feature.depends_on, *others)})
