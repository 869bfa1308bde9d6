"""Puts suggested partitions into a design: each feature gets the part that is most like its own partition (PART-4)."""

from __future__ import annotations

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.partition.model import Where
from aegis_tui.domain.run.design import Design, Feature
from aegis_tui.domain.wire.code_map import PartitionOutput, PartRow
from aegis_tui.errors import Refused


def fill_design(design: Design, answer: PartitionOutput) -> tuple[Design, dict[str, str]]:
    """Return the design with suggested partitions in place of its own, and the reason of each by the feature's id.

    `joint` and `shared` are replaced too. What is suggested for the foundation goes to it if there is one, else to
    `shared`. A feature for which there is no part keeps its partition, which may then overlap others.

    Args:
        design: A design that is valid.
        answer: The suggestion.
    """
    parts = list(answer["parts"])
    features, reasons = [], {}
    for feature in design.features:
        if not parts:
            features.append(feature)
            continue
        part = max(parts, key=lambda row: (_likeness(feature, row), -parts.index(row)))
        parts.remove(part)
        features.append(feature.model_copy(update={"partition": tuple(part["globs"])}))
        reasons[feature.id] = part["reason"]
    shared, foundation = _globs(answer, "shared"), _globs(answer, "foundation")
    changes: dict[str, object] = {"features": tuple(features), "joint": _globs(answer, "joint"), "shared": shared}
    if design.foundation is None:
        changes["shared"] = (*shared, *foundation)
    elif foundation:
        changes["foundation"] = design.foundation.model_copy(update={"partition": foundation})
    return design.model_copy(update=changes), reasons


def _globs(answer: PartitionOutput, where: Where) -> tuple[str, ...]:
    return tuple(row["glob"] for row in answer["outside"] if row["where"] == where)


def _likeness(feature: Feature, part: PartRow) -> int:
    """Return how many globs of the part share a path with the feature's partition; fewer if that takes long to tell."""
    effort, likeness = Effort(), 0
    try:
        for glob in part["globs"]:
            likeness += any(overlap(glob, own, effort=effort) is not None for own in feature.partition)
    except Refused:
        pass
    return likeness
