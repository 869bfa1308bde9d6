"""Loads review lenses: one Markdown file each; the team's own file has precedence over the built-in one (ROLE-9).

A file starts with front matter (`name`, `description`, `blocking`); the text below it is the checklist.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aegis_tui.domain.model import first_problem
from aegis_tui.domain.review.lens import BRIEF_CHARACTERS, GENERAL, LENS_NAME, ReviewLens
from aegis_tui.domain.role_file import split_front_matter
from aegis_tui.errors import UsageError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

SHIPPED = Path(__file__).parent / "lenses"
"""The folder of the built-in lenses."""

FOLDER = Path(".agents") / "lenses"
"""The folder of a team's own lenses, relative to the root of the checkout."""

_FRONT_CHARACTERS = 1_000
"""The longest front matter that is parsed: more would only keep the YAML parser busy."""
_MOST_BYTES = 4 * BRIEF_CHARACTERS + 4096


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = Field(min_length=1, max_length=200)
    blocking: bool = True


def find_lens(root: Path, name: str) -> ReviewLens:
    """Return the lens (a reviewer's checklist) `name`: the team's file below `root`, or else the built-in one.

    Args:
        root: The root of the checkout, whose `.agents/lenses/NAME.md` is read, committed or not.
        name: A file's name without `.md`; `general` needs no file.

    Raises:
        UsageError: There is no such lens, its file is not valid, not a regular file, too large or behind a link, or
            says another name; the message names the file.
    """
    if re.fullmatch(LENS_NAME, name):
        if (text := _read_own(root, name)) is not None:
            return _parsed(text, root / FOLDER / f"{name}.md", name)
        if (path := SHIPPED / f"{name}.md").is_file():
            return _parsed(path.read_text("utf-8"), path, name)
        if name == GENERAL.name:
            return GENERAL
    raise UsageError(f"there is no lens {name}", f"one of {', '.join(lens_names(root))}", is_certain=True)


def lens_names(root: Path) -> list[str]:
    """Return the names of all lenses that are available in the checkout at `root`, sorted, the built-in ones included.

    Their files are not read, so one that is not valid is named too. A team's folder that cannot be read has none.
    """
    names = {path.stem for folder in (root / FOLDER, SHIPPED) for path in folder.glob("*.md")}
    return sorted({GENERAL.name, *(name for name in names if re.fullmatch(LENS_NAME, name))})


def _read_own(root: Path, name: str) -> str | None:
    """Return the text of a team's own file for the lens `name` in the checkout at `root`; None if there is none.

    Raises:
        UsageError: There is something of that name, but it is not a regular file, lies behind a link, cannot be read,
            or is too large.
    """
    file = FOLDER / f"{name}.md"
    content = None
    with contextlib.suppress(OSError), UntrustedFolder(root) as folder:
        content = folder.read(file.as_posix(), limit=_MOST_BYTES)
    if content is None and os.path.lexists(root / file):
        words = f"{root / file} is not a regular file of at most {_MOST_BYTES} bytes that can be read"
        raise UsageError(words, "symbolic links are not followed", is_certain=True)
    return None if content is None else content.decode("utf-8", "replace")


def _parsed(text: str, path: Path, name: str) -> ReviewLens:
    try:
        front, brief = split_front_matter(text)
        if len(front) > _FRONT_CHARACTERS:
            raise UsageError(f"its front matter has more than {_FRONT_CHARACTERS} characters")
        fields = _FrontMatter.model_validate(YAML(typ="safe", pure=True).load(front) or {})
        lens = ReviewLens(name=fields.name, blocking=fields.blocking, brief=brief)
    except (UsageError, YAMLError, ValidationError, TypeError, ValueError, RecursionError) as error:
        words = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"the lens file {path} is not valid: {words}", is_certain=True) from error
    if lens.name != name:
        raise UsageError(f"the lens file {path} has the name {lens.name!r}", "set `name` to the file's name")
    return lens
