"""Spec files as `aegis-tui spec` prints them with `--json` (SPEC-2)."""

from __future__ import annotations

from typing import Any, TypedDict

from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.wire.reply import SpecProblemFields, WatchedSpecFields


class SpecProblem(TypedDict):
    """A rule that a spec file breaks."""

    file: str
    line: int | None
    field: str
    """As a person writes it: `tasks[1].dependencies[0]`; empty for the whole file."""
    message: str


class SpecsOutput(TypedDict):
    """`spec list`: all active specs, the highest priority first."""

    specs: list[Spec]
    invalid: list[SpecProblem]
    """What is wrong with the files that are not valid specs."""
    waiting: list[SpecProblemFields]
    """What approved specs wait for, by the running hub; without one, that none is running."""


class SpecOutput(TypedDict):
    """`spec new`, `spec import`, `spec show` and `spec approve`: one spec."""

    specs: list[Spec]
    path: str
    """Its file, relative to the top folder of the checkout."""


class SpecsSeenOutput(TypedDict):
    """`spec ping` and `spec rescan`: what the hub knows of the specs."""

    specs: list[WatchedSpecFields]
    problems: list[SpecProblemFields]


class SpecsCheckedOutput(TypedDict):
    """`spec validate`, if all files are valid."""

    valid: list[str]
    """The ids of the specs."""


class SpecSchemaOutput(TypedDict):
    """`spec schema`."""

    json_schema: dict[str, Any]
    """The JSON Schema (2020-12) of a spec file."""
