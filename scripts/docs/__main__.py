"""Writes the generated parts of the documents: `python scripts/docs`; `--check` only reports which are out of date.

A generated part is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from aegis_tui.cli.commands import COMMANDS
from aegis_tui.config import ENVIRONMENT, NOT_FROM_PROJECT, Settings, describe
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.message.exchange import FILE_ORDER, PLAN_ORDER
from aegis_tui.domain.ids import PERSON
from aegis_tui.domain.limit import LIMITS
from aegis_tui.domain.rights import HUB_ALONE, RIGHTS
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.run.design import Design, Feature, Foundation, Qa
from aegis_tui.bootstrap.contract import CONTRACTS, contract_text
from aegis_tui.sdk.tools import tools_of
from aegis_tui.tui.app import AegisApp as AegisApp
from aegis_tui.tui.keys import key_word
from aegis_tui.tui.screens.keymap import DIALOGS, bindings, declared
from scripts.docs.boundary import tables

PAGES = ("README.md", "docs/agents.md", "docs/configuration.md", "docs/architecture.md", "docs/hub.md", "docs/security.md")
PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Update all pages; with `--check`, change nothing and return 1 if one is out of date."""
    wanted = {page: render((ROOT / page).read_text("utf-8")) for page in PAGES}
    wanted |= {f"docs/hub/{which}.json": contract_text(which) for which in CONTRACTS}
    stale = [page for page, text in wanted.items() if not _has(ROOT / page, text)]
    if arguments == ["--check"]:
        for page in stale:
            sys.stderr.write(f"{page} is out of date; update it with: python scripts/docs\n")
        return 1 if stale else 0
    for page in stale:
        (ROOT / page).write_text(wanted[page], "utf-8")
        sys.stdout.write(f"wrote {page}\n")
    return 0


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def render(text: str) -> str:
    """Return the page with its generated parts updated."""

    def part(match: re.Match[str]) -> str:
        lines = "\n".join(GENERATORS[match[2]]())
        return f"{match[1]}\n{lines}\n\n{match[4]}"

    return PART.sub(part, text)


def _layers() -> Iterator[str]:
    """Yield the table of layers from the top down, with the layers that each may import."""
    rows = [row.split(" | ") for row in _contract("layers")["layers"]]
    forbidden = _forbidden_layers()
    yield "| layer | what it is | may import |"
    yield "| --- | --- | --- |"
    for number, row in enumerate(rows):
        for name in row:
            below = [lower for rank in rows[number + 1 :] for lower in rank if (name, lower) not in forbidden]
            shown = ", ".join(f"`{lower}`" for lower in below) or "nothing of this package"
            yield f"| `{name}` | {_first_line(name)} | {shown} |"


def _forbidden_layers() -> set[tuple[str, str]]:
    """Return the pairs of layers of which the first lies above the second, but may not import it."""
    package = "aegis_tui."
    return {
        (source.removeprefix(package), target.removeprefix(package))
        for contract in _contracts()
        if contract["type"] == "forbidden"
        for source in contract["source_modules"]
        for target in contract["forbidden_modules"]
        if target.startswith(package)
    }


def _forbidden() -> Iterator[str]:
    """Yield the table of the other rules for imports."""
    yield "| rule | these | never import |"
    yield "| --- | --- | --- |"
    for contract in _contracts():
        if contract["type"] == "forbidden":
            never = ", ".join(f"`{name}`" for name in contract["forbidden_modules"])
            these = ", ".join(f"`{name}`" for name in contract["source_modules"])
            yield f"| {contract['name']} | {these} | {never} |"


def _commands() -> Iterator[str]:
    """Yield the table of all commands, in the order of the help."""
    yield "| command | what it does |"
    yield "| --- | --- |"
    for name, (_, _, summary) in COMMANDS.items():
        yield f"| `aegis-tui {name}` | {summary} |"


def _agent_kinds() -> Iterator[str]:
    """Yield the table of the agent kinds that come with the program."""
    yield "| kind | program | installed by | API | roles | writes are checked | ACP |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for file in sorted((ROOT / "aegis_tui/adapters/agents/kinds").glob("*.toml")):
        kind = KindFile.model_validate(tomllib.loads(file.read_text("utf-8")))
        if kind.headless is None:
            continue
        program, roles = f"`{kind.programs[0]}`", "all" if kind.can_be("reviewer") else "those that build"
        checked = "before each edit" if kind.checks_edits else "at the commit"
        acp = "no" if kind.acp is None else ", ".join(f"by `{name}`" for name in kind.acp.programs) or "yes"
        cells = (f"`{file.stem}`", f"{kind.title} ({program})", f"`{kind.install}`", kind.dialect, roles, checked, acp)
        yield f"| {' | '.join(cells)} |"


def _tools() -> Iterator[str]:
    """Yield the table of the MCP tools of each role; roles with the same tools share a row."""
    yield "| role | tools |"
    yield "| --- | --- |"
    groups: dict[tuple[str, ...], list[str]] = {}
    for role in ROLES:
        groups.setdefault(tools_of(role), []).append(role)
    for tools, roles in groups.items():
        yield f"| {', '.join(roles)} | {', '.join(f'`{name}`' for name in tools)} |"


def _rights() -> Iterator[str]:
    """Yield the table of who may send each command: a row per command, a column per role and for the person."""
    holders = (PERSON, *ROLES)
    yield f"| command | {' | '.join(holders)} |"
    yield f"| --- |{' --- |' * len(holders)}"
    for action, allowed in RIGHTS.items():
        if allowed != HUB_ALONE:
            yield f"| `{action}` | {' | '.join('yes' if name in allowed else '' for name in holders)} |"


def _limits() -> Iterator[str]:
    """Yield the table of all limits per token."""
    yield "| limit | maximum | of what | why | when reached |"
    yield "| --- | --- | --- | --- | --- |"
    for item in LIMITS:
        yield f"| `{item.name}` | {item.most:,} {item.unit} | {item.of} | {item.why} | {item.frees} |"


def _order(states: Mapping[str, Sequence[str]], of: str) -> Iterator[str]:
    """Yield the table of the events that may follow each state of a plan or of a file."""
    yield f"| state of the {of} | next event |"
    yield "| --- | --- |"
    for state, following in states.items():
        yield f"| {state} | {', '.join(f'`{name}`' for name in following)} |"


def _design() -> Iterator[str]:
    """Yield the table of all keys of a design file, in the order of their models."""
    yield "| key | what it is |"
    yield "| --- | --- |"
    for prefix, model in (("", Design), ("foundation.", Foundation), ("features[].", Feature), ("qa.", Qa)):
        texts = describe(model)
        for name, field in model.model_fields.items():
            needed = " Required." if field.is_required() else ""
            yield f"| `{prefix}{name}` | {texts[name]}{needed} |"


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def _contract(kind: str) -> dict[str, Any]:
    (wanted,) = (contract for contract in _contracts() if contract["type"] == kind)
    return wanted


def _first_line(layer: str) -> str:
    folder = ROOT / "aegis_tui" / layer
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
    return doc.partition("\n")[0]


def _settings() -> Iterator[str]:
    """Yield the table of all settings, as declared."""
    yield "| setting | variable | type | default | what it is | may a project set it |"
    yield "| --- | --- | --- | --- | --- | --- |"
    whole = Settings.model_json_schema()
    texts = describe(Settings)
    for table, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            texts |= {f"{table}.{name}": text for name, text in describe(type(field.default)).items()}
    for name, schema in _flat(whole["properties"], whole.get("$defs", {})):
        kinds = [_kind(item) for item in schema.get("anyOf", [schema])]
        default = schema.get("default")
        shown = "unset" if default is None else f"`{default}`"
        variable = f"`{ENVIRONMENT[name]}`" if name in ENVIRONMENT else ""
        project = "yes" if {name, name.partition(".")[0]}.isdisjoint(NOT_FROM_PROJECT) else "no"
        kind = " or ".join(item for item in kinds if item != "null")
        yield f"| `{name}` | {variable} | {kind} | {shown} | {texts[name]} | {project} |"


def _flat(fields: dict[str, Any], known: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each setting with its schema; the settings of a table as `table.name`."""
    for name, schema in fields.items():
        if reference := schema.get("$ref"):
            yield from _flat(known[reference.rpartition("/")[2]]["properties"], known, f"{name}.")
        else:
            yield f"{prefix}{name}", schema


def _kind(schema: dict[str, Any]) -> str:
    """Return the type of a value in words: its choices, or its kind with its bounds."""
    if choices := schema.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = {"string": "text", "integer": "whole number", "object": "table"}.get(schema["type"], str(schema["type"]))
    if schema.get("format") == "path":
        kind = "path"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None:
        return kind
    return f"{kind}, {least} to {most}" if most is not None else f"{kind}, {least} or more"


def _keys() -> Iterator[str]:
    """Yield the table of the actions whose keys a person may change, by the place where each is possible."""
    yield "| action | key | what it does |"
    yield "| --- | --- | --- |"
    texts = {str(item.id): item.tooltip for item in declared()}
    for action, keys in sorted(bindings().items()):
        if action.partition(".")[0] not in DIALOGS:
            shown = " ".join(f"`{key_word(key)}`" for key in keys.split(","))
            yield f"| `{action}` | {shown} | {texts[action]} |"


GENERATORS: dict[str, Callable[[], Iterator[str]]] = {
    "layers": _layers,
    "forbidden": _forbidden,
    "agent-kinds": _agent_kinds,
    "commands": _commands,
    "settings": _settings,
    "keys": _keys,
    "tools": _tools,
    "rights": _rights,
    "limits": _limits,
    "plan-order": partial(_order, PLAN_ORDER, "plan"),
    "file-order": partial(_order, FILE_ORDER, "file"),
    "design": _design,
    "boundary": tables,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
