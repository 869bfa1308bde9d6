"""Suggests how to divide a repository among workers, from its imports, its history and its sizes (PART-4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from aegis_tui.domain.count import counted
from aegis_tui.domain.partition.cutting import EVEN, cut_graph
from aegis_tui.domain.partition.folders import count_cut, split_by_folders
from aegis_tui.domain.partition.followers import Followers
from aegis_tui.domain.partition.globs import CLOSED, OwnedGlob, exclusive_globs, is_closed
from aegis_tui.domain.partition.hubs import find_hubs, place_hub
from aegis_tui.domain.partition.model import WHERE, ChangeHistory, Outside, ProjectFile, SuggestedPart, Suggestion
from aegis_tui.domain.partition.naming import name_parts
from aegis_tui.domain.partition.reasons import Imports, count_imports, part_reason
from aegis_tui.domain.partition.together import Pair, Together
from aegis_tui.domain.partition.units import FINE, Units, bind_units, make_units, size_of

_MOST_OVER: Final = (EVEN, 1.5, 1.75, 2.0)
"""How much larger than the mean the largest part may be, the evenest first: a looser one only if a split by folders,
whose parts may be of any size, would cut fewer imports."""
MOST_GLOBS: Final = 400
"""About how many globs the hub still compares for one request; more are avoided by dividing folders less."""


def suggest_parts(
    files: Sequence[ProjectFile], history: ChangeHistory, parts: int, *, ignore_case: bool = False
) -> Suggestion:
    """Return parts of about equal size between which there are few imports; equal arguments give equal parts.

    Hubs, which many files import, stay outside of all parts, and so does what is no code and lies in no part's folder.

    Args:
        files: All files of the repository, in any order.
        history: What was changed together.
        parts: How many parts are wanted, at least 1. There are fewer if there are fewer files of code.
        ignore_case: Whether the repository compares paths without case.
    """
    together = Together(history, [file.path for file in files])
    source = sorted(file for file in files if file.is_source and not is_closed(file.path))
    hubs = find_hubs(source) if parts > 1 else {}
    rest = [file for file in source if file.path not in hubs]
    for fine in FINE:
        owners = share_out(rest, together, parts, fine=fine)
        suggestion = _with_others(files, source, hubs, owners, (together, parts, ignore_case))
        if sum(len(part.globs) for part in suggestion.parts) <= MOST_GLOBS:
            break
    return suggestion


def _with_others(
    files: Sequence[ProjectFile],
    source: Sequence[ProjectFile],
    hubs: Mapping[str, int],
    owners: Mapping[str, str],
    settings: tuple[Together, int, bool],
) -> Suggestion:
    """Return the suggestion for source files that are shared out: hubs and files that are no code find their place.

    Args:
        files: All files.
        source: The source files among them.
        hubs: Those of them that are hubs -> how many files import each.
        owners: The part of each other source file.
        settings: The history, how many parts are wanted, and whether paths are compared without case.
    """
    together, parts, ignore_case = settings
    whole: dict[str, str] = dict(owners)
    reasons: dict[str, str] = {}
    for file in source:
        if file.path in hubs:
            whole[file.path], reasons[file.path] = place_hub(file, hubs[file.path], owners, together)
    followers = Followers(
        {**dict.fromkeys(hubs, ""), **owners}, [file.path for file in files if file.path not in whole], together
    )
    for file in files:
        if is_closed(file.path):
            whole[file.path] = CLOSED
        elif file.path not in whole:
            part, where, reasons[file.path] = followers.place(file.path)
            whole[file.path] = part or str(where)
    return _written(source, whole, reasons, together, parts, ignore_case=ignore_case)


def share_out(files: Sequence[ProjectFile], together: Together, parts: int, *, fine: int = FINE[0]) -> dict[str, str]:
    """Return the name of the part of each file.

    Args:
        files: Source files; imports of others are left out.
        together: The history.
        parts: How many parts are wanted; there are at most as many as files.
        fine: How many times smaller than a part a folder is that is never divided.
    """
    if not files:
        return {}
    units = make_units(files, parts, fine=fine)
    sizes = {file.path: size_of(file) for file in files}
    ordered = sorted(_shared_out(files, units, _bonds(files, together), parts), key=min)
    names = name_parts([{path: sizes[path] for path in paths} for paths in ordered])
    return {path: name for name, paths in zip(names, ordered, strict=True) for path in paths}


def _shared_out(files: Sequence[ProjectFile], units: Units, bonds: Mapping[Pair, float], parts: int) -> list[list[str]]:
    """Return the paths of each part, divided as evenly as possible with fewer cut imports than a split by folders.

    One that cuts no import will do as well. Without such a division, the evenest of all is returned.
    """
    edges = bind_units(units, bonds)
    by_folders = count_cut(files, split_by_folders(files, parts))
    divisions = []
    for most_over in _MOST_OVER:
        groups = cut_graph(units.sizes, edges, parts, most_over=most_over)
        owners = {path: group for group, paths in zip(groups, units.members, strict=True) for path in paths}
        members: dict[int, list[str]] = {}
        for path, group in owners.items():
            members.setdefault(group, []).append(path)
        divisions.append(list(members.values()))
        cut = count_cut(files, owners)
        if cut < by_folders or not cut:
            return divisions[-1]
    return divisions[0]


def _bonds(files: Sequence[ProjectFile], together: Together) -> dict[Pair, float]:
    bonds = dict(together.bonds())
    for file in files:
        for target in file.imports:
            pair = (min(file.path, target), max(file.path, target))
            bonds[pair] = bonds.get(pair, 0.0) + 1.0
    return bonds


def _written(
    source: Sequence[ProjectFile],
    owners: Mapping[str, str],
    reasons: Mapping[str, str],
    together: Together,
    wanted: int,
    *,
    ignore_case: bool,
) -> Suggestion:
    globs = exclusive_globs(owners, ignore_case=ignore_case)
    imports = count_imports(source, owners)
    members: dict[str, dict[str, int]] = {}
    for file in source:
        if owners[file.path] not in WHERE:
            members.setdefault(owners[file.path], {})[file.path] = file.lines
    pairs = Counter(owners[one] for one, other in together.bonds() if owners[one] == owners[other])
    parts = tuple(_part(name, sizes, globs, imports, pairs[name]) for name, sizes in sorted(members.items()))
    outside = tuple(
        Outside(item.glob, where, item.files, reasons[item.first])
        for item in globs
        for where in WHERE
        if item.owner == where
    )
    closed = sum(owner == CLOSED for owner in owners.values())
    return Suggestion(parts, outside, imports.all, imports.cut, _notes(len(parts), wanted, closed))


def _part(
    name: str, sizes: Mapping[str, int], globs: Sequence[OwnedGlob], imports: Imports, together: int
) -> SuggestedPart:
    mine = [item for item in globs if item.owner == name]
    return SuggestedPart(
        name,
        tuple(item.glob for item in mine),
        sum(item.files for item in mine),
        sum(sizes.values()),
        part_reason(name, sizes, imports, together),
    )


def _notes(count: int, wanted: int, closed: int) -> tuple[str, ...]:
    few = f"there is code for {counted(count, 'part')} only" if count < wanted else ""
    left = (
        f"{counted(closed, 'file')} cannot be part of a design: specs, and files whose names have invisible characters"
    )
    return tuple(note for note in (few, left if closed else "") if note)
