"""What no partition, lock, grant or design may name: git's own paths, specs, and text that cannot be read (PART-1)."""

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
    """What the glob names that no worker may write; None when it names nothing of the kind.

    A glob that begins a part with a wildcard names nothing: `**` and `*` may stand for `.git`, and there the verdict
    on each single path holds.
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
    """Return if a new partition may hold these globs. Old ones in the log stay as they are.

    Raises:
        Refused: Code `glob`: no glob at all, or one with a character that cannot be seen. Code `glob.effort`.
        PartitionRefused: One names a path that is closed to all.
    """
    effort = Effort()
    for text in globs:
        glob = compile_within(text, effort)
        if has_hidden(text):
            shown = inert(text)
            raise Refused(f"glob '{shown}': it holds a character that cannot be seen", code="glob", glob=shown)
        if (what := closed_part(glob, effort)) is not None:
            raise PartitionRefused(
                f"'{text}' touches {what}, which no partition may hold", "choose other globs", path=what
            )


def check_not_git(path: str) -> None:
    """Return if the path is not git's own.

    Raises:
        PartitionRefused: It is.
    """
    if is_git_path(path):
        raise PartitionRefused(f"{path} is git's own", "nobody locks or writes it; use git's own commands", path=path)
