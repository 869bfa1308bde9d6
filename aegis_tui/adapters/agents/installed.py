"""The available kinds of agents: those that come with the program, the person's own, and those of other packages.

A kind is a TOML file. The person's own are in `agents/` of the user configuration; the name of the file is the name of
the kind. A package adds a kind by an entry point of the group `aegis_tui.agent_kinds`: its name is the kind, its value
a class for a program that the file cannot describe, or the module `NAME` beside `NAME.toml`. Names and files are read
without importing anything; a class is imported when an instance of that kind is started.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import ValidationError

from aegis_tui.adapters.agents.hosted import HostedAgent
from aegis_tui.adapters.agents.native import NativeAgent
from aegis_tui.adapters.agents.search_path import search_path
from aegis_tui.config_files import user_file
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.hosting.screen_rule import ScreenRules
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.model import first_problem
from aegis_tui.domain.run.design import nearest
from aegis_tui.errors import Unavailable, UsageError
from aegis_tui.ports.agent_kind import AgentKind, KindFacts

GROUP = "aegis_tui.agent_kinds"
_SHIPPED = Path(__file__).with_name("kinds")
_NAME = re.compile(r"[a-z][a-z0-9]{0,31}(?:-[a-z0-9]{1,31})*\Z")
"""The part before the first `-` becomes part of agent ids: `CODEX-w01`."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """A kind that was found: its file, or why there is none, and the entry point that named it."""

    name: str
    file: Path | None
    entry: EntryPoint | None = None
    fault: str = ""
    remedy: str = ""


def installed_kinds() -> tuple[str, ...]:
    """Return the names of all kinds, the built-in one first, then by name, even those that cannot be started here."""
    return tuple(known.name for known in _all_kinds(os.environ))


def describe_kinds(environ: Mapping[str, str] = os.environ) -> tuple[KindFacts, ...]:
    """Return the facts about every kind, in the order of `installed_kinds`; imports no class of a kind.

    A kind that cannot be started is included: its `fault` says why, and its `remedy` what to do.

    Args:
        environ: The environment; its PATH, and the folder of `scripts/install-agents`, are searched for the programs
            that a kind needs.
    """
    return tuple(_facts(known, search_path(environ)) for known in _all_kinds(environ))


def check_kind(name: str) -> None:
    """Check that a kind can be started here, as far as that is possible without importing it; return nothing.

    Raises:
        UsageError: There is no such kind, or its TOML file is missing or not valid.
        Unavailable: A program that it needs is neither on PATH nor in the folder of `scripts/install-agents`; the hint
            says how to install it.
    """
    _find_checked(name)


def _find_checked(name: str) -> _Known:
    """Return the kind of that name if it can be started here; only its own file is read, and no class imported.

    Raises:
        UsageError: There is no such kind, or its TOML file is missing or not valid.
        Unavailable: A program that it needs is missing.
    """
    kind = next((item for source in _sources(os.environ) for item in source if item.name == name), None)
    if kind is None:
        known = installed_kinds()
        meant = nearest(name, known)
        hint = f"did you mean {meant}? There are {', '.join(known)}" if meant else f"one of {', '.join(known)}"
        raise UsageError(f"there is no agent kind {name}", hint, is_certain=True)
    facts = _facts(kind, search_path(os.environ))
    if facts.missing:
        raise Unavailable(f"the agent kind {name} {facts.fault}", facts.remedy, code="agent.program", is_certain=True)
    if facts.fault:
        raise UsageError(f"the agent kind {name} cannot be used: {facts.fault}", facts.remedy, is_certain=True)
    return kind


def find_kind(name: str) -> AgentKind:
    """Return the kind of that name, ready to start instances.

    Raises:
        UsageError: `check_kind` refuses it, or its class cannot be imported or created.
        Unavailable: A program that it needs is neither on PATH nor in the folder of `scripts/install-agents`.
    """
    known = _find_checked(name)
    if name == NATIVE:
        return NativeAgent()
    if known.entry is None or not known.entry.attr:
        return HostedAgent(name, _load(known))
    try:
        kind: AgentKind = known.entry.load()()
    except (Exception, SystemExit) as error:  # foreign code: whatever it raises must affect only this instance
        _log.exception("an agent kind cannot be used", extra={"aegis_kind": name})
        words = f"the agent kind {name} cannot be used: {type(error).__name__}: {error}"
        raise UsageError(words, f"look at the package that provides {known.entry.value}", is_certain=True) from error
    return kind


def find_screen_rules(name: str) -> ScreenRules:
    """Return the rules by which the states of a kind are recognized on its screen; empty if it has none.

    Also empty if there is no such kind, or its file is not valid.
    """
    known = next((item for source in _sources(os.environ) for item in source if item.name == name), None)
    try:
        return ScreenRules() if known is None else _load(known).screen
    except UsageError:
        return ScreenRules()


def _all_kinds(environ: Mapping[str, str]) -> list[_Known]:
    """Return every kind once, sorted by name after the built-in one; of one name, that of the first source."""
    known: dict[str, _Known] = {}
    for source in _sources(environ):
        for kind in source:
            known.setdefault(kind.name, kind)
    return sorted(known.values(), key=lambda kind: (kind.name != NATIVE, kind.name))


def _sources(environ: Mapping[str, str]) -> tuple[Iterator[_Known], ...]:
    """Return three iterators of kinds: those shipped, the person's own, and those of other packages, in this order.

    Each reads its folder or the installed packages only when it is iterated.
    """
    return _files(_SHIPPED), _files(user_file(environ).parent / "agents"), _entries()


def _files(folder: Path) -> Iterator[_Known]:
    for file in sorted(folder.glob("*.toml")):
        if _NAME.match(file.stem):
            yield _Known(file.stem, file)


def _entries() -> Iterator[_Known]:
    """Yield the kinds that other packages announce: for each entry point, the TOML file beside its module.

    The file may not exist. If the package is not installed, the kind has no file; `fault` says so. Invalid names are
    skipped.
    """
    for entry in entry_points(group=GROUP):
        if not _NAME.match(entry.name):
            continue
        top, *rest = entry.module.split(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            remedy = f"install the package that provides {entry.value}"
            yield _Known(entry.name, None, entry, f"there is no module {top}", remedy)
        elif rest:
            folder = Path(next(iter(spec.submodule_search_locations or ()), top))
            yield _Known(entry.name, folder.joinpath(*rest).with_suffix(".toml"), entry)
        else:
            yield _Known(entry.name, Path(spec.origin or top).with_suffix(".toml"), entry)


def _load(known: _Known) -> KindFile:
    """Return the content of a kind's file.

    Raises:
        UsageError: It cannot be read, or is not valid; the message names the file and what is wrong.
    """
    if known.file is None:
        raise UsageError(known.fault, known.remedy)
    own = known.entry is None and known.file.parent != _SHIPPED
    remedy = "correct the file; docs/agents.md describes it" if own else "reinstall its package"
    try:
        kind = KindFile.model_validate(tomllib.loads(known.file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        words = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"{known.file} is not valid: {words}", remedy) from error
    if kind.headless is None and kind.acp is None and known.name != NATIVE and not (known.entry and known.entry.attr):
        raise UsageError(f"{known.file} is not valid: it has no [headless] argv and no [acp] argv", remedy)
    return kind


def _is_limited(kind: KindFile) -> bool:
    return (kind.headless or kind.acp) is not None and not kind.can_be("reviewer")


def _abilities(name: str, kind: KindFile) -> str:
    """Return, in words for a person, which roles a kind can take, when its writes are checked, and how it speaks ACP.

    That is before each edit, or only at the commit (PART-3: writes outside the part of the tree that an agent may
    change are refused).
    """
    roles = "every role" if not kind.roles else f"as {', '.join(kind.roles)}"
    if _is_limited(kind):
        roles = "builds features, but gives no verdicts and proposes no designs, because it has no MCP"
    acp = "" if kind.acp is None else "; speaks ACP" + "".join(f" through {name}" for name in kind.acp.programs)
    return f"{roles}; writes are checked {'before each edit' if _checks_edits(name, kind) else 'at the commit'}{acp}"


def _checks_edits(name: str, kind: KindFile) -> bool:
    return kind.checks_edits or name == NATIVE


def _facts(known: _Known, path: str) -> KindFacts:
    try:
        kind = _load(known)
    except UsageError as error:
        return KindFacts(known.name, "", error.message, error.hint)
    missing = tuple(program for program in kind.programs if shutil.which(program, path=path) is None)
    lacking = " and ".join(missing)
    return KindFacts(
        known.name,
        kind.title,
        f"needs {lacking}, which {'is' if len(missing) == 1 else 'are'} not on PATH" if missing else "",
        (kind.install or f"install {lacking}") if missing else "",
        program=next((place for name in kind.programs if (place := shutil.which(name, path=path))), ""),
        abilities=_abilities(known.name, kind),
        checks_edits=_checks_edits(known.name, kind),
        takes_mcp=bool(kind.mcp) or known.name == NATIVE,
        is_limited=_is_limited(kind),
        names=kind.names,
        missing=missing,
    )
