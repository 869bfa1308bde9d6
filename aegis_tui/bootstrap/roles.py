"""Reads the role files and review lenses that are in effect in a checkout, for commands (ROLE-9, ROLE-13)."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.lens_files import find_lens, lens_names
from aegis_tui.agent.role import SHIPPED, load_role, role_names
from aegis_tui.domain.review.lens import ReviewLens
from aegis_tui.domain.role_file import TEAM_ROLES, Role
from aegis_tui.errors import AegisError


def find_role(root: Path, name: str) -> tuple[Role, Path]:
    """Return a role and its file: the team's in the checkout at `root`, else the one that comes with the program.

    A link in the team's folder is ignored.

    Raises:
        UsageError: There is no such role, or its file is not valid; the message names the file.
    """
    team = root / TEAM_ROLES
    own = name in role_names(team)
    role = load_role(name, folders=[team] if own else [])
    return role, (team if own else SHIPPED) / f"{name}.md"


def all_roles(root: Path) -> tuple[list[tuple[Role, Path]], list[AegisError]]:
    """Return all roles in effect in the checkout at `root`, by name, with their files, and the errors of others."""
    roles, errors = [], []
    for name in sorted({*role_names(SHIPPED), *role_names(root / TEAM_ROLES)}):
        try:
            roles.append(find_role(root, name))
        except AegisError as error:
            errors.append(error)
    return roles, errors


def all_lenses(root: Path) -> tuple[list[ReviewLens], list[AegisError]]:
    """Return all review lenses in effect in the checkout at `root`, by name, and the errors of others."""
    lenses, errors = [], []
    for name in lens_names(root):
        try:
            lenses.append(find_lens(root, name))
        except AegisError as error:
            errors.append(error)
    return lenses, errors
