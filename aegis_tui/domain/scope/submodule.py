"""Find partitions inside a submodule: no commit of this repository holds its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_tui.domain.glob.pattern import Pattern, compile_glob, escape_glob
from aegis_tui.domain.run.design import Design, DesignIssue, Location, render_location
from aegis_tui.errors import Refused


def submodule_issues(design: Design, submodules: Iterable[str], *, ignore_case: bool = False) -> list[DesignIssue]:
    """Return an issue for each glob that only paths of a submodule can match; a wide glob such as `**` gives none.

    Of a glob with braces one alternative is enough. In the order of the design; empty without submodules.

    Args:
        design: A well-formed design; its shared globs are not examined, nor texts that are not globs.
        submodules: Paths of the submodules in the base commit.
        ignore_case: Compare paths case-folded, as git does where `core.ignorecase` is set.
    """
    known = list(submodules)
    return [
        DesignIssue(
            field=render_location(place),
            message=f"{glob} lies in the submodule {name}, whose files no commit of this repository can hold",
            path=place,
            witness=name,
        )
        for place, glob in (_globs(design) if known else ())
        if (name := _inside(glob, known, ignore_case=ignore_case)) is not None
    ]


def _globs(design: Design) -> Iterator[tuple[Location, str]]:
    lists: list[tuple[Location, Iterable[str]]] = [
        (("features", at, "partition"), feature.partition) for at, feature in enumerate(design.features)
    ]
    if design.foundation is not None:
        lists.append((("foundation", "partition"), design.foundation.partition))
    lists.append((("joint",), design.joint))
    for place, globs in lists:
        for number, glob in enumerate(globs):
            yield (*place, number), glob


def _inside(glob: str, submodules: Iterable[str], *, ignore_case: bool) -> str | None:
    try:
        patterns = compile_glob(glob, ignore_case=ignore_case).patterns
    except Refused:
        return None
    for name in submodules:
        segments = compile_glob(escape_glob(name), ignore_case=ignore_case).patterns[0]
        wanted = [segment.literal for segment in segments]
        if any(_starts_with(pattern, wanted) for pattern in patterns):
            return name
    return None


def _starts_with(pattern: Pattern, wanted: list[str | None]) -> bool:
    return [segment.literal for segment in pattern[: len(wanted)]] == wanted
