"""Loads role files (ROLE-13): the shipped ones, and those of a folder that goes before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aegis_tui.domain.role import Role, split_front_matter
from aegis_tui.errors import UsageError

SHIPPED = Path(__file__).parent / "roles"
"""The role files that come with the program."""


def load_role(name: str, *, folders: Sequence[Path] = ()) -> Role:
    """The role `name` from the first of `folders` that has it, else the shipped one.

    Raises:
        UsageError: No such role, or its file does not fit; the message names the file.
    """
    for folder in (*folders, SHIPPED):
        path = folder / f"{name}.md"
        if path.parent == folder and path.is_file():
            return _load(path, name)
    known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.md")))
    raise UsageError(f"there is no role {name!r}", f"Known roles: {known}")


def _load(path: Path, name: str) -> Role:
    front, prompt = split_front_matter(path.read_text(encoding="utf-8"))
    try:
        fields = YAML(typ="safe", pure=True).load(front) or {}
        role = Role.model_validate({**fields, "prompt": prompt})
    except (YAMLError, ValidationError, TypeError) as error:
        raise UsageError(f"the role file {path} does not fit: {error}") from error
    if role.name != name:
        raise UsageError(f"the role file {path} names itself {role.name!r}", "File name and name must be equal")
    return role
