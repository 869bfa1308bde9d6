"""Puts suggested partitions into a design: each feature gets the part that is most like its own partition (PART-4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.partition.model import Where
from aegis_tui.domain.run.design import Design, Feature
from aegis_tui.domain.wire.code_map import PartitionOutput, PartRow
from aegis_tui.errors import Refused

_WILD: Final = re.compile(r"[*?\[{]")


def fill_design(design: Design, answer: PartitionOutput) -> tuple[Design, dict[str, str]]:
    """Return the design with suggested partitions in place of its own, and the reason of each by the feature's id.

    `joint` and `shared` are replaced too. What is suggested for the foundation goes to it if there is one, else to
    `shared`. If nothing is, the foundation keeps its paths, and the parts do not have them. A feature for which there
    is no part keeps its partition, which may then overlap others.

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
    filled = design.model_copy(update=changes)
    return filled if foundation else _beside_foundation(filled), reasons


def _beside_foundation(design: Design) -> Design:
    """Return the design in which the paths that its foundation owns are in no other partition, as far as possible.

    A path that stands by itself is left out there. Of the foundation, the globs that overlap a pattern with wildcards
    are left out, unless none would be left.
    """
    if design.foundation is None:
        return design
    owned, effort = design.foundation.partition, Effort()

    def rest(globs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(glob for glob in globs if _WILD.search(glob) or not _meets(glob, owned, effort))

    features = tuple(item.model_copy(update={"partition": rest(item.partition)}) for item in design.features)
    joint, shared = rest(design.joint), rest(design.shared)
    others = [*joint, *shared, *(glob for item in features for glob in item.partition)]
    kept = tuple(glob for glob in owned if not _meets(glob, others, effort)) or owned
    foundation = design.foundation.model_copy(update={"partition": kept})
    return design.model_copy(update={"features": features, "joint": joint, "shared": shared, "foundation": foundation})


def _meets(glob: str, others: Sequence[str], effort: Effort) -> bool:
    """Return whether a glob shares a path with any of the others; False if that takes too long to tell."""
    try:
        return any(overlap(glob, other, effort=effort) is not None for other in others)
    except Refused:
        return False


def _globs(answer: PartitionOutput, where: Where) -> tuple[str, ...]:
    return tuple(row["glob"] for row in answer["outside"] if row["where"] == where)


def _likeness(feature: Feature, part: PartRow) -> int:
    """Return how many globs of the part share a path with the feature's partition; fewer if that takes long to tell."""
    effort = Effort()
    return sum(_meets(glob, feature.partition, effort) for glob in part["globs"])
