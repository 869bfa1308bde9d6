"""Applies merge rules without blocking the event loop, in a separate process if there is much text (FLOW-9)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.adapters.apart import AnswerLostError, ask_apart
from aegis_tui.domain.rule.change import PathChange
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.rule.judge import Neighbours, SecretScan, judge, unjudged
from aegis_tui.domain.rule.model import MergeRule


async def judge_apart(
    rules: Sequence[MergeRule], changes: Sequence[PathChange], scan: SecretScan, neighbours: Neighbours
) -> tuple[RuleFinding, ...]:
    """Return what the merge rules find in the changes, as `judge` does for the same arguments; not blocking.

    Empty if they find nothing. Over 256 Ki added characters are judged in a separate process. If that fails or takes
    over a minute, the result is one finding, which says so and which only a person may allow.

    Args:
        rules: The rules to apply.
        changes: The changed paths, each with its added lines.
        scan: What a secret scanner found in them, or why none worked.
        neighbours: Path of a new file -> the first lines of similar files of the base.

    Raises:
        OSError: The separate process cannot be started.
    """
    size = sum(change.added_characters for change in changes)
    try:
        return await ask_apart(judge, (tuple(rules), tuple(changes), scan, dict(neighbours)), size=size)
    except AnswerLostError as error:
        return (unjudged(changes, str(error)),)
