"""Designs: the plan of a run, which says what is built and by whom (contract 4, design file), and its rules.

This module owns the model and its checks. `application/design.py` reads and writes the file.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import dropwhile, islice
from operator import ne
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.cost import compile_within
from aegis_tui.domain.glob.index import near_pairs
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import Glob
from aegis_tui.domain.inert import has_hidden, inert
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.naming import RESERVED
from aegis_tui.domain.scope.closed import GIT, closed_part
from aegis_tui.domain.scope.partition import JOINT_OWNER, SHARED_OWNER, Overlap
from aegis_tui.errors import DesignRefused, Refused

MOST_FEATURES = 500
"""The most features of one design; each has its own worker."""

_MOST_GUESSES = 5
"""For how many unknown names the nearest known one is searched, which compares each with all known names."""

MOST_ISSUES = 200
"""The most broken rules that are reported at once."""

FOUNDATION_OWNER = "foundation"
"""The name of the foundation as owner of a glob; with a foundation, no feature may have this id."""

_RESERVED_IDS = RESERVED - {FOUNDATION_OWNER, SHARED_OWNER, JOINT_OWNER}
"""Ids that no feature may have. `shared` and `joint` are allowed: the lists of that name differ by their location."""

Location = tuple[str | int, ...]
"""The location of a value in the design: keys and list positions, from the outside in."""

Text = Annotated[str, Field(min_length=1)]
SafeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
Globs = tuple[str, ...]


class Foundation(FrozenModel):
    """The piece that is built first and alone, because the features need it."""

    brief: Text
    """The task: what is to be built."""

    partition: Globs
    """The globs that only it may write. They may overlap `shared`, but neither `joint` nor a feature's partition."""


class Feature(FrozenModel):
    """One piece of work for one worker."""

    id: SafeName
    """Its name in this file, in reports and in messages: a-z, 0-9, `_` and `-`, at most 41 characters."""

    title: Text
    """One line for people."""

    brief: Text
    """The task: what its worker is told to build."""

    partition: Globs
    """The globs that only its worker may write."""

    depends_on: Annotated[tuple[str, ...], Field(max_length=MOST_FEATURES)] = ()
    """Ids of features that must be merged before this one starts."""

    kind: Text = "native"
    """The agent kind of its worker; the setting `kind` when absent."""


class Qa(FrozenModel):
    """How the result is checked."""

    commands: Annotated[tuple[Text, ...], Field(min_length=1)]
    """The checks, each a command line that ends with exit code 0 when all is well."""

    removes: tuple[Text, ...] = ()
    """Tests that are removed on purpose: globs of test files, or ids of tests. QA fails when other tests disappear."""

    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """The longest that each command may take, in seconds; the setting `qa.timeout_s` when absent."""

    timeouts_s: dict[str, Annotated[float, Field(gt=0, le=86_400)]] = Field(default_factory=dict)
    """The same limit for single commands, by the text of the command."""

    def limit_s(self, command: str) -> float | None:
        """Return the time limit that the design sets for a command, in seconds; None when it sets none."""
        return self.timeouts_s.get(command, self.timeout_s)


class Design(FrozenModel):
    """A whole design file. The model checks only its form; `check_design` checks whether a run may use it."""

    goal: Text
    """The goal in one line; it becomes the subject of the commit."""

    foundation: Foundation | None = None
    """The piece that is built first and alone, because the features need it."""

    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=MOST_FEATURES)]
    """The pieces of work, at most 500; each has its own worker."""

    shared: Globs = ()
    """Globs that workers may only read."""

    joint: Globs = ()
    """Globs that no instance owns: every worker may write them under an EXCLUSIVE lock."""

    qa: Qa | None = None
    """How the result is checked. When absent: by the commands of `run --check`, or else by commands that follow from
    the build files."""


class DesignIssue(FrozenModel):
    """One rule that a design breaks, and where."""

    field: str
    """The location as a person writes it: `features[1].partition[0]`."""

    message: str
    witness: str | None = None
    """For overlaps, a path that both globs match."""

    path: Location = ()
    """The same location for programs."""

    overlap: Overlap | None = None
    """For overlaps, the two globs and their owners."""


class _Area(FrozenModel):
    """One list of globs of a design, and its owner."""

    owner: str
    path: Location
    globs: Globs


def check_design(
    design: Design,
    *,
    kinds: Collection[str] | None = None,
    kind_faults: Mapping[str, str] = MappingProxyType({}),
    ignore_case: bool = False,
    effort: Effort | None = None,
) -> list[DesignIssue]:
    """Return the rules that the design breaks, at most `MOST_ISSUES`; empty when a run may use it.

    Checked are ids, kinds, dependencies, time limits, each glob, and overlaps of globs of different owners. A design
    that takes too many steps to check breaks a rule too; nothing is raised for it.

    Args:
        design: A design of valid form.
        kinds: Names of the agent kinds that there are; None does not check kinds.
        kind_faults: Of the kinds that cannot be started here: why.
        ignore_case: Compare paths without case, as git does when `core.ignorecase` is set.
        effort: The steps left to the whole request; None gives this call the steps of a request.
    """
    areas = list(_areas(design))
    compiled: dict[Location, Glob] = {}
    issues = [
        *_check_ids(design),
        *([] if kinds is None else _check_kinds(design, kinds, kind_faults)),
        *islice(_check_dependencies(design.features), MOST_ISSUES),
        *_check_qa(design.qa),
    ]
    effort = Effort() if effort is None else effort
    try:
        issues += _check_globs(areas, compiled, ignore_case, effort)
        for issue in _check_overlaps(areas, compiled, effort):
            issues.append(issue)
    except Refused as error:
        issues.append(_issue(("features",), f"{error.message}: {error.hint}"))
    return issues[:MOST_ISSUES]


def topological(features: Sequence[Feature]) -> list[str]:
    """Return the ids of features so that each comes after its dependencies, and otherwise in file order.

    Args:
        features: Features with unique ids; dependencies on other ids are ignored.

    Raises:
        DesignRefused: The dependencies form a cycle.
    """
    position = {feature.id: at for at, feature in enumerate(features)}
    sorter = TopologicalSorter({item.id: position.keys() & set(item.depends_on) for item in features})
    try:
        sorter.prepare()
    except CycleError as error:
        raise DesignRefused(f"the dependencies form a cycle: {' -> '.join(_find_cycles(features)[0])}") from error
    ready = [position[name] for name in sorter.get_ready()]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = features[heapq.heappop(ready)].id
        order.append(name)
        sorter.done(name)
        for freed in sorter.get_ready():
            heapq.heappush(ready, position[freed])
    return order


def render_location(path: Location) -> str:
    """Return a location as a person writes it: `features[1].partition[0]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to `name`; None when none is similar enough."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def _issue(path: Location, message: str, clash: Overlap | None = None) -> DesignIssue:
    witness = clash.witness if clash else None
    return DesignIssue(field=render_location(path), message=message, witness=witness, path=path, overlap=clash)


def _check_qa(qa: Qa | None) -> Iterator[DesignIssue]:
    for command in qa.timeouts_s if qa else ():
        if qa and command not in qa.commands:
            yield _issue(("qa", "timeouts_s", command), "is not one of qa.commands")


def _areas(design: Design) -> Iterator[_Area]:
    if design.foundation is not None:
        yield _Area(owner=FOUNDATION_OWNER, path=("foundation", "partition"), globs=design.foundation.partition)
    for at, feature in enumerate(design.features):
        yield _Area(owner=feature.id, path=("features", at, "partition"), globs=feature.partition)
    yield _Area(owner=SHARED_OWNER, path=("shared",), globs=design.shared)
    yield _Area(owner=JOINT_OWNER, path=("joint",), globs=design.joint)


def _check_ids(design: Design) -> Iterator[DesignIssue]:
    first: dict[str, int] = {}
    for at, feature in enumerate(design.features):
        if feature.id in first:
            yield _issue(
                ("features", at, "id"), f"the id {feature.id} is already used by features[{first[feature.id]}]"
            )
        first.setdefault(feature.id, at)
        if feature.id in _RESERVED_IDS:
            yield _issue(("features", at, "id"), f"the id {feature.id} is reserved")
        if feature.id == FOUNDATION_OWNER and design.foundation is not None:
            yield _issue(("features", at, "id"), "the id foundation is reserved for the foundation itself")


def _check_kinds(design: Design, kinds: Collection[str], faults: Mapping[str, str]) -> Iterator[DesignIssue]:
    for at, feature in enumerate(design.features):
        if fault := faults.get(feature.kind):
            yield _issue(("features", at, "kind"), f"the kind {feature.kind} cannot be started: {fault}")
        elif feature.kind not in kinds:
            meant = nearest(feature.kind, kinds)
            question = f"; did you mean {meant}?" if meant else ""
            known = ", ".join(sorted(kinds)) or "none"
            yield _issue(("features", at, "kind"), f"unknown kind '{feature.kind}'{question} (known: {known})")


def _check_dependencies(features: Sequence[Feature]) -> Iterator[DesignIssue]:
    known = {feature.id for feature in features}
    unknown = 0
    for at, feature in enumerate(features):
        for n, needed in enumerate(feature.depends_on):
            if needed not in known:
                unknown += 1
                meant = nearest(needed, known) if unknown <= _MOST_GUESSES else None
                question = f"; did you mean {meant}?" if meant else ""
                yield _issue(("features", at, "depends_on", n), f"there is no feature '{needed}'{question}")
    position = {feature.id: at for at, feature in reversed(list(enumerate(features)))}
    for cycle in _find_cycles(features):
        yield _issue(
            ("features", position[cycle[0]], "depends_on"),
            f"the dependencies form a cycle: {' -> '.join(cycle)}",
        )


def _find_cycles(features: Sequence[Feature]) -> list[list[str]]:
    """Return disjoint cycles of dependencies, each as `a, b, a`, starting with its first feature in file order.

    Of each set of features that depend on each other, at least one cycle is returned.
    """
    needs: dict[str, tuple[str, ...]] = {}
    for feature in features:
        needs.setdefault(feature.id, feature.depends_on)
    cycles: list[list[str]] = []
    done: set[str] = set()
    for start in needs:
        trail: dict[str, None] = {}
        pending = [iter((start,))]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                if trail:
                    done.add(trail.popitem()[0])
            elif name in trail and name not in done:
                cycle = list(dropwhile(partial(ne, name), trail))
                cycles.append(_from_first(cycle, needs))
                done.update(cycle)
            elif name in needs and name not in done:
                trail[name] = None
                pending.append(iter(needs[name]))
    return cycles


def _from_first(cycle: Sequence[str], needs: Mapping[str, object]) -> list[str]:
    order = list(needs)
    at = min(range(len(cycle)), key=lambda n: order.index(cycle[n]))
    return [*cycle[at:], *cycle[: at + 1]]


def _check_globs(
    areas: Iterable[_Area], compiled: dict[Location, Glob], ignore_case: bool, effort: Effort
) -> Iterator[DesignIssue]:
    """Yield the rules that each glob by itself breaks, and put the valid globs into `compiled`.

    Raises:
        Refused: They cost more than `effort` has left (code `glob.effort`).
    """
    for area in areas:
        if not area.globs and area.path[0] not in ("shared", "joint"):
            yield _issue(area.path, "the partition is empty: its worker could write nothing")
        for n, text in enumerate(area.globs):
            path = (*area.path, n)
            try:
                glob = compiled[path] = compile_within(text, effort, ignore_case=ignore_case)
            except Refused as error:
                if error.code != "glob":
                    raise
                yield _issue(path, f"{error.message} ({error.hint})" if error.hint else error.message)
                continue
            what = closed_part(glob, effort)
            if what is not None and (what == GIT or area.path[0] != "shared"):
                yield _issue(path, f"'{text}' touches {what}, which no worker may write")
            elif has_hidden(text):
                yield _issue(path, f"'{inert(text)}' contains an invisible character")


def _check_overlaps(areas: Sequence[_Area], compiled: Mapping[Location, Glob], effort: Effort) -> Iterator[DesignIssue]:
    globs_of = [_globs_of(area, compiled) for area in areas]
    near = near_pairs([[glob for _, glob in globs] for globs in globs_of], effort)
    for (one, a), (other, b) in sorted(near, key=lambda pair: (pair[0][0], pair[1][0], pair[1][1], pair[0][1])):
        if (areas[one].path[0], areas[other].path[0]) == ("foundation", "shared"):
            continue
        earlier, (path, glob) = globs_of[one][a][1], globs_of[other][b]
        if (witness := overlap(glob, earlier, effort=effort)) is not None:
            owners = (areas[one].owner, areas[other].owner)
            clash = Overlap(a=earlier.text, b=glob.text, owners=owners, witness=witness)
            yield _issue(path, _describe(clash), clash)


def _globs_of(area: _Area, compiled: Mapping[Location, Glob]) -> list[tuple[Location, Glob]]:
    paths = [(*area.path, n) for n in range(len(area.globs))]
    return [(path, compiled[path]) for path in paths if path in compiled]


def _describe(clash: Overlap) -> str:
    return f"'{clash.b}' of {clash.owners[1]} overlaps '{clash.a}' of {clash.owners[0]}, example path {clash.witness}"
