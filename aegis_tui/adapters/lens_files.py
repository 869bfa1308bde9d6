"""Loads lenses of review: one Markdown file each, the team's own before those that ship (ROLE-9).

A file begins with a front matter of `name`, `description` and `blocking`; the text below it is the checklist.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aegis_tui.domain.review.lens import BRIEF_CHARACTERS, GENERAL, LENS_NAME, ReviewLens
from aegis_tui.domain.role_file import split_front_matter
from aegis_tui.errors import UsageError

SHIPPED = Path(__file__).parent / "lenses"
"""The lenses that come with the program."""

FOLDER = Path(".agents") / "lenses"
"""Where a team keeps its own, below the root of the checkout."""

_FRONT_CHARACTERS = 1_000
"""More would only make the YAML parser busy."""
_MOST_BYTES = 4 * BRIEF_CHARACTERS + 4096


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = Field(min_length=1, max_length=200)
    blocking: bool = True


def find_lens(root: Path, name: str) -> ReviewLens:
    """The lens `name`: the team's file below `root`, else the one that ships.

    Raises:
        UsageError: There is none of that name, or its file does not fit; the message names the file.
    """
    if re.fullmatch(LENS_NAME, name):
        for folder in (root / FOLDER, SHIPPED):
            path = folder / f"{name}.md"
            if (text := _read(path)) is not None:
                return _parsed(text, path, name)
        if name == GENERAL.name:
            return GENERAL
    raise UsageError(f"there is no lens {name}", f"one of {', '.join(lens_names(root))}", is_certain=True)


def lens_names(root: Path) -> list[str]:
    """Every lens that can be named for a checkout, in order."""
    names = {path.stem for folder in (root / FOLDER, SHIPPED) for path in folder.glob("*.md")}
    return sorted({GENERAL.name, *(name for name in names if re.fullmatch(LENS_NAME, name))})


def _read(path: Path) -> str | None:
    """The text of a regular file of a bounded size; None when there is no such file.

    Raises:
        UsageError: It is something else, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"the lens file {path} cannot be read: {error.strerror}", is_certain=True) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
            raise UsageError(f"{path} is not a file of at most {_MOST_BYTES} bytes", is_certain=True)
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _parsed(text: str, path: Path, name: str) -> ReviewLens:
    try:
        front, brief = split_front_matter(text)
        if len(front) > _FRONT_CHARACTERS:
            raise UsageError(f"its front matter has more than {_FRONT_CHARACTERS} characters")
        fields = _FrontMatter.model_validate(YAML(typ="safe", pure=True).load(front) or {})
        lens = ReviewLens(name=fields.name, blocking=fields.blocking, brief=brief)
    except (UsageError, YAMLError, ValidationError, TypeError, ValueError, RecursionError) as error:
        words = error.message if isinstance(error, UsageError) else str(error)
        raise UsageError(f"the lens file {path} does not fit: {words}", is_certain=True) from error
    if lens.name != name:
        raise UsageError(f"the lens file {path} names itself {lens.name!r}", "file name and name must be equal")
    return lens
