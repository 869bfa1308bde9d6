"""`aegis-tui roles`: the role files in effect in this checkout (ROLE-13). No hub is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.domain.wire.role import LensRow, RoleOutput, RoleRow, RolesOutput
from aegis_tui.errors import AegisError, Refused

if TYPE_CHECKING:
    from aegis_tui.domain.review.lens import ReviewLens
    from aegis_tui.domain.role_file import Role

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, show and check roles: files that say what an agent is asked to do, and with which tools.",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("list")
def list_roles(as_json: AsJson = False) -> int:
    """List the roles in effect in this checkout and the review lenses, and what is wrong with files that are not valid.

    Exit code 0 also if a file is not valid; `roles check` fails then.
    """
    fields, rows, errors = _everything(here().root)
    output.result(fields, as_json=as_json, lines=[*rows, *(error.message for error in errors)])
    return 0


@app.command()
def show(
    role: Annotated[str, typer.Argument(metavar="NAME", help="The name of a role, such as worker.")],
    as_json: AsJson = False,
) -> int:
    """Print a role: its tools and limits, then its prompt. Exit code 2 if there is none, or its file is not valid."""
    from aegis_tui.bootstrap.roles import find_role

    root = here().root
    file, path = find_role(root, role)
    row = _row(file, path, root)
    fields: RoleOutput = {"role": row, "prompt": file.prompt}
    lines = [
        f"{row['name']} ({row['origin']}): {row['description']}",
        f"file: {row['path']}",
        f"tools: {', '.join(row['tools'])}",
        f"tools over MCP: {', '.join(row['mcp_tools'])}",
        f"limits: {_limits(row)}",
        "",
        *file.prompt.splitlines(),
    ]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


@app.command()
def check(as_json: AsJson = False) -> int:
    """Check the team's files in .agents/agents and .agents/lenses. Exit code 3 if one is not valid."""
    fields, _, errors = _everything(here().root)
    if errors:
        words = "\n".join(error.message for error in errors)
        raise Refused(words, "correct or remove each file named", code="role.invalid")
    count = sum(row["origin"] == "team" for row in fields["roles"])
    output.result(fields, as_json=as_json, lines=[f"{counted(count, 'role file')} of the team, all valid"])
    return 0


def _everything(root: Path) -> tuple[RolesOutput, list[str], list[AegisError]]:
    """Return all roles and lenses as JSON fields, as lines of a table, and the errors of files that are not valid."""
    from aegis_tui.bootstrap.roles import all_lenses, all_roles

    roles, wrong = all_roles(root)
    lenses, more = all_lenses(root)
    rows = [_row(role, path, root) for role, path in roles]
    lens_rows = [_lens_row(lens) for lens in lenses]
    cells = [[row["name"], row["origin"], _limits(row), row["description"]] for row in rows]
    cells += [
        [f"reviewer ({row['name']})", "lens", "", "blocks the merge" if row["blocking"] else "is only reported"]
        for row in lens_rows
    ]
    return {"roles": rows, "lenses": lens_rows}, output.table(cells), [*wrong, *more]


def _lens_row(lens: ReviewLens) -> LensRow:
    return {"name": lens.name, "blocking": lens.blocking}


def _row(role: Role, path: Path, root: Path) -> RoleRow:
    from aegis_tui.domain.role import traits_of

    is_team = path.is_relative_to(root / ".agents")
    return {
        "name": role.name,
        "description": role.description,
        "origin": "team" if is_team else "program",
        "path": str(path.relative_to(root) if is_team else path),
        "tools": list(role.tools),
        "model": role.model,
        "color": role.color,
        "max_turns": role.max_turns,
        "max_minutes": role.max_minutes,
        "writes": role.writes,
        "mcp_tools": list(traits_of(role.name).mcp_tools),
    }


def _limits(row: RoleRow) -> str:
    limits = ((row["max_turns"], "turns"), (row["max_minutes"], "minutes"))
    return ", ".join(f"{value:g} {unit}" for value, unit in limits if value is not None) or "the usual limits"
