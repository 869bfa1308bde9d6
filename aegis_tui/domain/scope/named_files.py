"""Which partitions name files that git ignores (PART-1): `build/**` does where `build/` is ignored, `src/**` does not.

Pure. Whether git ignores a path is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aegis_tui.domain.glob.pattern import GLOBSTAR, Segment, compile_glob
from aegis_tui.domain.glob.token import CharSet

_ANY_NAME = "x"


def example_paths(glob: str) -> list[str]:
    """A plain path for each alternative of a glob, every wildcard filled in with a name that means nothing.

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
    """The globs one of whose example paths git ignores.

    Args:
        globs: Of a partition.
        is_ignored: Those of their example paths that git ignores.
    """
    return [glob for glob in globs if any(path in is_ignored for path in example_paths(glob))]
