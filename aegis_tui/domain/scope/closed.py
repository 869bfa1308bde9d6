"""Refuse names that no partition, lock or grant may hold: git's own paths, specs, invisible characters (PART-1)."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.cost import compile_within
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import Glob, Segment, compile_glob
from aegis_tui.domain.glob.token import ANY_CHAR, STAR, CharSet
from aegis_tui.domain.inert import has_hidden, inert
from aegis_tui.domain.path.git_path import is_git_name, is_git_path
from aegis_tui.errors import PartitionRefused, Refused

GIT = ".git"
SPECS = ".agents/specs"


def closed_part(glob: Glob, effort: Effort) -> str | None:
    """Return `.git` or `.agents/specs` when a glob names such a path, which no worker may write; else None.

    A part that begins with a wildcard names neither: `*` may match `.git`, but each path is also checked by itself.

    Raises:
        Refused: More steps were taken than `effort` has left (code `glob.effort`).
    """
    for pattern in glob.folded().patterns:
        if any(map(_names_git, pattern)):
            return GIT
        if pattern[0].tokens[:1] == (".",):
            alone = Glob(glob.text, True, (pattern,))
            if overlap(alone, compile_glob(f"{SPECS}/**", ignore_case=True), effort=effort) is not None:
                return SPECS
    return None


def _names_git(segment: Segment) -> bool:
    if segment.literal is not None:
        return is_git_name(segment.literal)
    first = segment.tokens[0] if segment.tokens else None
    is_spelled = first == "." or (isinstance(first, CharSet) and first is not ANY_CHAR and STAR not in segment.tokens)
    return is_spelled and segment.matches(GIT)


def check_new_globs(globs: Iterable[str]) -> None:
    """Return if a new partition may hold these globs. Partitions in the log are not checked again.

    All globs together may take as many steps as one request.

    Raises:
        Refused: Code `glob`: a text is not a glob, or has an invisible character. Code `glob.effort`: too costly.
        PartitionRefused: A glob names a path of git or of specs.
    """
    effort = Effort()
    for text in globs:
        glob = compile_within(text, effort)
        if has_hidden(text):
            shown = inert(text)
            raise Refused(f"glob '{shown}': it contains an invisible character", code="glob", glob=shown)
        if (what := closed_part(glob, effort)) is not None:
            raise PartitionRefused(
                f"'{text}' touches {what}, which no partition may contain", "choose other globs", path=what
            )


def check_not_git(path: str) -> None:
    """Return if no part of a path, in its written form, is git's own folder on some file system (see `is_git_path`).

    Raises:
        PartitionRefused: One is.
    """
    if is_git_path(path):
        raise PartitionRefused(
            f"{path} is part of git's own folder (.git)",
            "nobody may lock or write it; use git's own commands",
            path=path,
        )
