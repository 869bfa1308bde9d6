"""What programs outside may lean on, read from the code as it is now: options, signatures, names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import typer

import aegis_tui
from aegis_tui import errors, sdk
from aegis_tui.bootstrap.agents import installed_kinds
from aegis_tui.cli import commands, lock_verbs, tree
from aegis_tui.domain import command, event, model, role
from aegis_tui.domain.instance import model as instance
from aegis_tui.domain.lock import model as lock
from aegis_tui.domain.lock.events import LockDenied, WithdrawnCode
from aegis_tui.domain.message import model as message
from aegis_tui.domain.piece.events import Resolution
from aegis_tui.domain.piece.model import PieceConflict, PieceStatus
from aegis_tui.domain.qa import check
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run import events as run_event
from aegis_tui.domain.run import model as run
from aegis_tui.domain.spec import model as task_spec
from aegis_tui.domain.tool import model as tool

_VARIABLE = re.compile(r"\bAEGIS_[A-Z][A-Z_]*[A-Z]\b")
_METRIC = re.compile(r"\"(aegis_hub_[a-z_]+|vllm:[a-z_]+)\"")
_GATE = re.compile(r"(?:Gate\(\s*|gate=|GATE = )\"([a-z_]+)\"")
_SHOWN = ("code", "exit_code", "is_certain")
"""Attributes of an error class that programs read."""

Surface = dict[str, list[str]]


def options() -> Surface:
    """Every command, as it is typed, with its options and arguments."""
    found = dict(_walk(typer.main.get_command(tree.app), "aegis-tui"))
    for verb, known in lock_verbs.OPTIONS.items():
        found[f"aegis-tui lock {verb} (plain)"] = sorted(known)
    return found


def _walk(node: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    words = [word for item in node.params for word in (*item.opts, *item.secondary_opts)]
    flags = sorted(word for word in words if word.startswith("-"))
    yield name, flags + [str(item.metavar or item.name) for item in node.params if not item.opts[0].startswith("-")]
    for part in node.list_commands(None) if hasattr(node, "list_commands") else ():
        yield from _walk(node.get_command(None, part), f"{name} {part}")


def signatures() -> Surface:
    """Everything public in `aegis_tui.sdk` and `aegis_tui.errors`, each with its parameters or its value."""
    modules = [errors, sdk, *(importlib.import_module(item.name) for item in _modules_of(sdk))]
    return {name: told for module in modules for name, told in _public(module)}


def _modules_of(package: ModuleType) -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(package.__path__, f"{package.__name__}."))


def _public(module: ModuleType) -> Iterator[tuple[str, list[str]]]:
    for name in getattr(module, "__all__", ()):
        yield f"{module.__name__}.{name}", ["exported"]
    for name, item in vars(module).items():
        if name.startswith("_") or inspect.ismodule(item):
            continue
        full = f"{module.__name__}.{name}"
        if inspect.isclass(item) and item.__module__ == module.__name__:
            yield from _class(full, item)
        elif inspect.isfunction(item) and item.__module__ == module.__name__:
            yield full, _parameters(item)
        elif name.isupper():
            yield full, ["constant"]


def _class(full: str, item: type) -> Iterator[tuple[str, list[str]]]:
    shown = [f"{name} = {getattr(item, name)!r}" for name in _SHOWN if hasattr(item, name)]
    yield full, [f"is a {base.__name__}" for base in item.__mro__[1:-1]] + shown
    if not getattr(item, "_is_protocol", False):
        yield f"{full}()", _parameters(item)
    for name, part in vars(item).items():
        if name.startswith("_"):
            continue
        if isinstance(part, property):
            yield f"{full}.{name}", ["property"]
        elif inspect.isfunction(bare := getattr(part, "__func__", part)):
            yield f"{full}.{name}", _parameters(bare)
        elif inspect.ismemberdescriptor(part):
            yield f"{full}.{name}", ["field"]


def _parameters(item: Any) -> list[str]:
    found = inspect.signature(item)
    told = [_parameter(part) for part in found.parameters.values()]
    result = found.return_annotation
    return told if result is inspect.Signature.empty else [*told, f"returns {result}"]


def _parameter(part: inspect.Parameter) -> str:
    """One parameter; a default that is no plain value is told by its type, for it may hold what is this machine's."""
    if part.default is not part.empty and not isinstance(part.default, str | int | float | tuple | None):
        part = part.replace(default=_Word(f"<{type(part.default).__name__}>"))
    return f"{part.kind.name.lower()} {part}"


class _Word(str):
    def __repr__(self) -> str:
        return str(self)


def names() -> Surface:
    """Names that stand in logs, replies, reports, screens, scripts and environments."""
    sources = _sources()
    return {
        "events": sorted(model.by_type(event.AnyEventData)),
        "client commands": sorted(model.by_type(command.ClientCommand)),
        "hub commands": sorted(model.by_type(command.HubCommand)),
        "gates": sorted({name for text in sources for name in _GATE.findall(text)}),
        "metrics": sorted({name for text in sources for name in _METRIC.findall(text)}),
        "environment": sorted({name for text in sources for name in _VARIABLE.findall(text)}),
        "roles": [f"{name} {traits.prefix}" for name, traits in role.ROLES.items()],
        "kinds": list(installed_kinds()),
        "tools": sorted(tool.TOOLS),
        "commands of the program": list(commands.COMMANDS),
        **{f"words of {name}": _words(kind) for name, kind in _WORDS.items()},
    }


_WORDS: dict[str, Any] = {
    "run status": run.RunStatus,
    "piece status": PieceStatus,
    "phase": instance.Phase,
    "stage": run_event.Stage,
    "lock mode": lock.LockMode,
    "agent state": instance.AgentStateName,
    "task": instance.TaskKind,
    "spec status": task_spec.SpecStatus,
    "check status": check.QaCheck.model_fields["status"].annotation,
    "review status": Review.model_fields["status"].annotation,
    "conflict": PieceConflict.model_fields["kind"].annotation,
    "resolution": Resolution,
    "withdrawn": WithdrawnCode,
    "denied": LockDenied.model_fields["code"].annotation,
    "change": message.ChangeType,
}


def _words(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    assert issubclass(kind, StrEnum)
    return [str(item) for item in kind]


def _sources() -> list[str]:
    root = Path(aegis_tui.__file__).parent
    scripts = [path for path in (root.parent / "scripts").iterdir() if path.is_file() and path.name != "freeze.py"]
    return [path.read_text("utf-8") for path in (*root.rglob("*.py"), *scripts)]
