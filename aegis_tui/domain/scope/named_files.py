"""Which partitions name files that git ignores (PART-1): `build/**` does where `build/` is ignored, `src/**` does not.

Works on text only; the caller asks git which paths it ignores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aegis_tui.domain.glob.pattern import GLOBSTAR, Segment, compile_glob
from aegis_tui.domain.glob.token import CharSet

_ANY_NAME = "x"


def example_paths(glob: str) -> list[str]:
    """Return one example path for each alternative of a glob, with a meaningless name for every wildcard.

    git ignores such a path only where the glob's own literal text is what an ignore rule is about.

    Raises:
        Refused: The glob cannot be read.
    """
    return ["/".join(_example(segment) for segment in pattern) for pattern in compile_glob(glob).patterns]


def _example(segment: Segment) -> str:
    if segment is GLOBSTAR:
        return _ANY_NAME
    if segment.literal is not None:
        return segment.literal
    return "".join(
        token if isinstance(token, str) else _some_char(token) if isinstance(token, CharSet) else _ANY_NAME
        for token in segment.tokens
    )


def _some_char(chars: CharSet) -> str:
    return _ANY_NAME if _ANY_NAME in chars else chr(chars.ranges[0][0]) if chars.ranges else _ANY_NAME


def globs_that_name_ignored(globs: Iterable[str], is_ignored: Collection[str]) -> list[str]:
    """Return the globs of which git ignores an example path, so that the globs themselves name what is ignored.

    Args:
        globs: The globs of a partition.
        is_ignored: Those results of `example_paths` for these globs that git ignores.

    Raises:
        Refused: A glob cannot be read.
    """
    return [glob for glob in globs if any(path in is_ignored for path in example_paths(glob))]
