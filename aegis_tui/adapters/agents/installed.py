"""The available kinds of agents: the built-in one, and those that other packages register as entry points.

A package adds a kind by an entry point of the group `aegis_tui.agent_kinds`: its name is the kind, its value the class.
A TOML file beside the class's module, with the same name, holds title, programs and install. Names and files are read
without importing anything; the class is imported when an instance of that kind is started.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aegis_tui.adapters.agents.native import NativeAgent
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.model import first_problem
from aegis_tui.errors import UsageError
from aegis_tui.ports.agent_kind import AgentKind, KindFacts

GROUP = "aegis_tui.agent_kinds"
_NATIVE_FILE = Path(__file__).with_name("native.toml")
_NAME = re.compile(r"[a-z][a-z0-9]{0,31}\Z")
"""A kind becomes part of agent ids (`CODEX-w01`), whose parts are separated by `-`."""

_log = logging.getLogger(__name__)


class _KindFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=80)
    programs: tuple[str, ...] = ()
    install: str = Field("", max_length=200)


def installed_kinds() -> tuple[str, ...]:
    """Return the names of all kinds, the built-in one first."""
    return (NATIVE, *sorted(_added()))


def describe_kinds(environ: Mapping[str, str] = os.environ) -> tuple[KindFacts, ...]:
    """Return the facts about every kind, in the order of `installed_kinds`; imports nothing.

    Args:
        environ: The environment whose PATH is searched for the programs that a kind needs.
    """
    path, added = environ.get("PATH", os.defpath), _added()
    return (
        _read(NATIVE, _NATIVE_FILE, path),
        *(_facts(added[name], path) for name in sorted(added)),
    )


def check_kind(name: str) -> None:
    """Check that a kind can be started here, as far as that is possible without importing it.

    Raises:
        UsageError: There is no such kind, its TOML file is not valid, or a program is not on PATH.
    """
    facts = next((item for item in describe_kinds() if item.name == name), None)
    if facts is None:
        raise UsageError(f"there is no agent kind {name}", f"one of {', '.join(installed_kinds())}", is_certain=True)
    if facts.fault:
        raise UsageError(f"the agent kind {name} cannot be used: {facts.fault}", facts.remedy, is_certain=True)


def find_kind(name: str) -> AgentKind:
    """Return the kind of that name.

    Raises:
        UsageError: `check_kind` refuses it, or its class cannot be imported or created.
    """
    check_kind(name)
    if name == NATIVE:
        return NativeAgent()
    entry = _added()[name]
    try:
        kind: AgentKind = entry.load()()
    except (Exception, SystemExit) as error:  # foreign code: whatever it raises must affect only this instance
        _log.exception("an agent kind cannot be used", extra={"aegis_kind": name})
        words = f"the agent kind {name} cannot be used: {type(error).__name__}: {error}"
        raise UsageError(words, f"look at the package that has {entry.value}", is_certain=True) from error
    return kind


def _added() -> dict[str, EntryPoint]:
    """Return the kinds of other packages; invalid names and the name of the built-in kind are skipped."""
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {name: entry for name, entry in entries.items() if _NAME.match(name) and name != NATIVE}


def _facts(entry: EntryPoint, path: str) -> KindFacts:
    top, *rest = entry.module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return KindFacts(entry.name, "", f"there is no module {top}", f"install the package that has {entry.value}")
    if not rest:
        return _read(entry.name, Path(spec.origin or top).with_suffix(".toml"), path)
    folder = Path(next(iter(spec.submodule_search_locations or ()), top))
    return _read(entry.name, folder.joinpath(*rest).with_suffix(".toml"), path)


def _read(name: str, file: Path, path: str) -> KindFacts:
    try:
        kind = _KindFile.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        words = first_problem(error) if isinstance(error, ValidationError) else str(error)
        return KindFacts(name, "", f"{file} is not valid: {words}", "reinstall its package")
    if missing := [program for program in kind.programs if shutil.which(program, path=path) is None]:
        lacking = " and ".join(missing)
        return KindFacts(name, kind.title, f"needs {lacking}, not on PATH", kind.install or f"install {lacking}")
    return KindFacts(name, kind.title)
