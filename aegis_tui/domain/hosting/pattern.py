"""A regular expression in a kind file, checked when the file is read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_compiled)]
"""A regular expression of at most 300 characters."""
