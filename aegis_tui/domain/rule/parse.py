"""Reads files of merge rules: TOML with a `[[rule]]` for each (FLOW-9, contract 1)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from aegis_tui.domain.model import first_problem
from aegis_tui.domain.rule.model import MergeRule
from aegis_tui.errors import UsageError

FOLDER = ".agents/rules"
"""Where a team keeps its rules, relative to the root of the repository."""

MAX_FILE_BYTES = 256 * 1024
MAX_RULES = 500


def parse_rules(text: str, name: str) -> tuple[MergeRule, ...]:
    """Return the rules of one file, in its order; those that are off too.

    Args:
        text: The content of the file.
        name: Its path, for messages.

    Raises:
        UsageError: It is no TOML, has anything but `[[rule]]` tables or more than `MAX_RULES` of them, or a rule is not
            valid; the message names the file and the rule.
    """
    try:
        plain = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{name} is not TOML: {error}", "correct it and commit it", is_certain=True) from error
    rows: Any = plain.pop("rule", [])
    if plain or not isinstance(rows, list) or len(rows) > MAX_RULES:
        words = f"it has {', '.join(plain)}" if plain else f"`rule` is not a list of at most {MAX_RULES} tables"
        raise UsageError(f"{name} is not a file of rules: {words}", "write [[rule]] tables", is_certain=True)
    return tuple(_parsed(row, number, name) for number, row in enumerate(rows, 1))


def _parsed(row: Any, number: int, name: str) -> MergeRule:
    try:
        return MergeRule.model_validate(row)
    except ValidationError as error:
        called = (
            f"rule {row['name']}" if isinstance(row, dict) and isinstance(row.get("name"), str) else f"rule {number}"
        )
        words = f"{name}, {called}: {first_problem(error)}"
        raise UsageError(words, "correct it and commit it", is_certain=True) from error


def combined(shipped: Iterable[MergeRule], own: Iterable[MergeRule]) -> tuple[MergeRule, ...]:
    """Return the rules in effect: a team's rule replaces the shipped one of its name; those that are off are left out.

    A replaced rule keeps the place of the shipped one; other rules of the team come after those.

    Args:
        shipped: The rules that come with the program.
        own: The team's rules; of two with one name, the later one counts.
    """
    by_name = {rule.name: rule for rule in (*shipped, *own)}
    return tuple(rule for rule in by_name.values() if rule.severity != "off")
