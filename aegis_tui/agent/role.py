"""Loads role files (ROLE-13): those that come with the program, and those in folders that take precedence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aegis_tui.domain.model import first_problem
from aegis_tui.domain.role_file import Role, split_front_matter
from aegis_tui.errors import UsageError

_PLAIN_LINE = re.compile(
    r"([a-z_]+): (?:([A-Za-z][A-Za-z0-9 ,.;()/_-]*[A-Za-z0-9.)])|\[([a-z_]+(?:, [a-z_]+)*)\]|([1-9][0-9]{0,5}))"
)
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})

SHIPPED = Path(__file__).parent / "roles"
"""The role files that come with the program."""


def load_role(name: str, *, folders: Sequence[Path] = ()) -> Role:
    """Return the role `name` from the first of `folders` that has its file, else the one that comes with the program.

    Raises:
        UsageError: There is no such role, or its file cannot be read or is not valid; the message names the file.
    """
    for folder in (*folders, SHIPPED):
        path = folder / f"{name}.md"
        if path.parent == folder and path.is_file():
            return _load(path, name)
    known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.md")))
    raise UsageError(f"there is no role {name!r}", f"Known roles: {known}")


def role_names(folder: Path) -> list[str]:
    """Return the names of the role files in a folder, sorted; the files are not read.

    Links and hidden files are left out. Empty if the folder cannot be read.
    """
    names = {path.stem for path in folder.glob("*.md") if path.is_file() and not path.is_symlink()}
    return sorted(name for name in names if not name.startswith("."))


def _load(path: Path, name: str) -> Role:
    try:
        front, prompt = split_front_matter(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the role file {path} cannot be read: {error}") from error
    except UsageError as error:
        raise UsageError(f"the role file {path} is not valid: {error.message}", error.hint) from error
    fields = plain_fields(front)
    if fields is None:
        fields = _yaml_fields(front, path)
    try:
        role = Role.model_validate({**fields, "prompt": prompt})
    except ValidationError as error:
        raise UsageError(f"the role file {path} is not valid: {first_problem(error)}") from error
    if role.name != name:
        raise UsageError(f"the role file {path} names itself {role.name!r}", "File name and name must be equal")
    return role


def plain_fields(front: str) -> dict[str, Any] | None:
    """Parse lines like `name: worker` and `tools: [read, edit]` as YAML would; None if the text has any other line.

    Values are texts, lists of texts and whole numbers. The role files that come with the program have no others, so an
    agent that starts needs no YAML parser.
    """
    fields: dict[str, Any] = {}
    for line in front.splitlines():
        match = _PLAIN_LINE.fullmatch(line)
        if match is None or match[1] in fields:
            return None
        words = [match[2] or "", *(match[3] or "").split(", ")]
        if not _YAML_WORDS.isdisjoint(word.lower() for word in (match[1], *words)):
            return None
        fields[match[1]] = int(match[4]) if match[4] else match[2] or words[1:]
    return fields


def _yaml_fields(front: str, path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML  # slow to import, and every agent imports this module
    from ruamel.yaml.error import YAMLError

    try:
        return dict(YAML(typ="safe", pure=True).load(front) or {})
    except (YAMLError, TypeError, ValueError) as error:
        raise UsageError(f"the role file {path} is not valid: {error}") from error
