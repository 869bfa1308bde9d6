"""Predicts conflicts between the worktrees of a run while agents work in them, and records them (GIT-2).

A round begins when a file was saved, and every 1.5 s for what no event announces, such as a commit. Only pairs in which
a side has changed are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from aegis_tui.domain.decision import THE_HUB
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.message.events import FileChanged
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.piece.commands import ConflictsObserved
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.prediction import INTEGRATION, MERGED, UNMERGED, Pair
from aegis_tui.domain.run.events import FOUNDATION, Stage
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, GitError
from aegis_tui.orchestrator.overlap import files_of, foreseen_overlap, hot_overlap, makes_none, soft_overlap
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.ports.live_trees import LiveTrees
from aegis_tui.ports.merge import MergePreview
from aegis_tui.ports.repository import Repository

CHECK_S = 1.5
UPDATE_S = 5.0
"""How long the text of a conflict that stays is at least kept before it is recorded anew, in seconds."""

MOST_TOUCHED = 20_000
"""When more files of one worktree are changed at once, it is searched as a whole."""

TakeOver = Callable[[Instance], Awaitable[None]]

_BUSY_S = 0.3
_LONGEST_REST_S = 0.5
"""After a round the loop rests as long as the round took, at most this long, in seconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Side:
    """One piece that is being worked on, and the worktree in which that happens."""

    piece: str
    instance: Instance
    root: Path

    @property
    def name(self) -> str:
        """How events name the worktree."""
        return write_name(str(self.root))


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is to be compared: a run, and its pieces that are not merged yet."""

    run: Run
    sides: tuple[_Side, ...]


@dataclass(slots=True)
class _Touched:
    """What events said about one worktree since it was last looked at."""

    paths: set[str] = field(default_factory=set)
    is_first: bool = False
    """Whether changes may be missing: these are the first events of the worktree, or there are too many."""


class LiveConflicts:
    """Keeps the predicted conflicts of the current run up to date, from the events about changed files.

    Args:
        port: The hub's core.
        repository: The repository of the run.
        take_over: Moves the branch of an instance to the commit that it has made in its sandbox.
        trees: Looks at the worktrees.
        makes: Whether merging a piece whose checks run before makes the lockfile at a path again; by default, none is.
    """

    def __init__(
        self,
        port: CommandPort,
        repository: Repository,
        take_over: TakeOver,
        trees: LiveTrees,
        makes: Callable[[str], bool] = makes_none,
    ) -> None:
        self._makes = makes
        self._port, self._repository, self._take_over, self._trees = port, repository, take_over, trees
        self._wake = asyncio.Event()
        self._touched: dict[str, _Touched] = {}
        self._heard: set[str] = set()
        """The worktrees of which an event has come: from then on, none is missing."""
        self._run = ""
        self._roots: dict[str, Path] = {}
        self._commits: dict[str, str] = {}
        """Piece -> the commit that was compared last."""
        self._unsearched: dict[str, None] = {}
        """Pieces whose worktrees are to be searched for changes that no event has told."""
        self._waiting: set[str] = set()
        """Pieces whose worktrees could not be looked at, because git works in them."""
        self._overlaps: dict[Pair, tuple[Overlapping, ...]] = {}
        self._recorded: dict[Pair, tuple[tuple[Overlapping, ...], float]] = {}

    def note(self, events: Iterable[Event]) -> None:
        """Note changed files; a listener of the log, so it neither blocks nor raises."""
        for event in events:
            if isinstance(event.data, FileChanged):
                worktree = event.data.worktree
                touched = self._touched.setdefault(worktree, _Touched(is_first=worktree not in self._heard))
                self._heard.add(worktree)
                if len(touched.paths) < MOST_TOUCHED:
                    touched.paths.add(event.data.path)
                else:
                    touched.is_first = True
                self._wake.set()

    async def run(self) -> None:
        """Compare until cancelled, and delete then what was stored for it.

        Raises:
            AegisError: The log cannot be read or written.
            OSError: The folder for snapshots cannot be written.
        """
        self._forget()
        wait_s = 0.0
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
                self._wake.clear()
                started_at = time.monotonic()
                wait_s = CHECK_S if await self._compare_once() else _BUSY_S
                await asyncio.sleep(min(time.monotonic() - started_at, _LONGEST_REST_S))
        finally:
            await self._trees.close()

    def _forget(self) -> None:
        self._roots, self._commits, self._overlaps, self._recorded = {}, {}, {}, {}
        self._unsearched, self._waiting = {}, set()

    async def _compare_once(self) -> bool:
        """Look at what has changed, compare and record; return False if there is more to look at soon.

        Raises:
            AegisError: The log cannot be read or written.
            OSError: The folder for snapshots cannot be written.
        """
        scene = await self._port.read(_scene)
        touched, self._touched = self._touched, {}
        if scene is None or scene.run.run != self._run:
            await self._trees.close()
            self._forget()
            self._run = scene.run.run if scene is not None else ""
        if scene is None:
            return True
        await self._follow_sides(scene)
        await self._look_at_all(scene, touched)
        await self._record(scene)
        if await self._is_judged_anew():
            commits, self._commits = self._commits, {}
            await self._compare(scene, commits)
            await self._record(scene)
        if self._unsearched:
            await self._search_one(scene)
        return not self._waiting and not self._unsearched

    async def _follow_sides(self, scene: _Scene) -> None:
        """Let new worktrees be searched, and drop what is known about pieces that are not worked on any longer."""
        present = {side.piece: side for side in scene.sides}
        for piece in self._roots.keys() - present.keys():
            root = self._roots.pop(piece)
            self._heard.discard(write_name(str(root)))
            await self._trees.forget(root)
            self._commits.pop(piece, None)
            self._unsearched.pop(piece, None)
            self._waiting.discard(piece)
        for piece, side in present.items():
            if self._roots.get(piece) != side.root:
                self._roots[piece], self._unsearched[piece] = side.root, None
                self._commits.pop(piece, None)
        for known in (self._overlaps, self._recorded):
            for pair in [pair for pair in known if not all(name in present or name == MERGED for name in pair)]:
                del known[pair]

    async def _look_at_all(self, scene: _Scene, touched: Mapping[str, _Touched]) -> None:
        """Look at the worktrees that may have changed, and compare their pairs.

        Raises:
            OSError: The folder for snapshots cannot be written.
        """
        heads = await self._heads(scene, touched)
        commits = dict(self._commits)
        for side in scene.sides:
            noted = touched.get(side.name, _Touched())
            if noted.is_first:
                self._unsearched[side.piece] = None
            if (head := heads.get(side.piece)) is not None:
                commit = await self._look(side, head, noted.paths)
                self._waiting.discard(side.piece)
                if commit is not None:
                    commits[side.piece] = commit
                else:
                    self._waiting.add(side.piece)
        if scene.run.working_oid != scene.run.facts.base_oid:
            commits[MERGED] = scene.run.working_oid
        await self._compare(scene, commits)

    async def _heads(self, scene: _Scene, touched: Mapping[str, _Touched]) -> dict[str, str]:
        """Return piece name -> head of its branch. Empty if git fails.

        New commits of those whose worktree was touched, or is waited for, are taken over first; those of others are,
        every 1.5 s, by the workflow.
        """
        for side in scene.sides:
            if side.name in touched or side.piece in self._waiting:
                try:
                    await self._take_over(side.instance)
                except AegisError as error:
                    _log.warning("a branch was not copied", extra={"aegis_instance": side.name, "why": error.message})
        try:
            refs = [f"refs/heads/{side.instance.branch}" for side in scene.sides]
            oids = await asyncio.gather(*(self._repository.resolve(ref) for ref in refs))
        except AegisError as error:
            _log.warning("the newest commits of worktrees were not read", extra={"why": error.message})
            return {}
        return {side.piece: oid for side, oid in zip(scene.sides, oids, strict=True) if oid is not None}

    async def _look(self, side: _Side, head: str, paths: Iterable[str], *, whole: bool = False) -> str | None:
        """Return the commit of a worktree's content; None if it is not known now. A failure of git is only logged.

        Raises:
            OSError: The folder for snapshots cannot be written.
        """
        try:
            return await self._trees.look(side.root, head, paths, whole=whole)
        except GitError as error:
            _log.warning("a worktree was not looked at", extra={"aegis_path": side.name, "why": error.message})
            await self._trees.forget(side.root)
            self._unsearched[side.piece] = None
            return None

    async def _is_judged_anew(self) -> bool:
        """Return whether a file is now known to be a conflict although its lines do not clash."""
        try:
            return await self._trees.judge()
        except GitError as error:
            _log.warning("merged files were not checked", extra={"why": error.message})
            return False

    async def _search_one(self, scene: _Scene) -> None:
        """Search the worktree that waits for longest as a whole; what is found is compared in the next round.

        Raises:
            OSError: The folder for snapshots cannot be written.
        """
        piece = next(iter(self._unsearched))
        del self._unsearched[piece]
        side = next(side for side in scene.sides if side.piece == piece)
        head = (await self._heads(scene, {})).get(piece)
        if head is not None:
            await self._look(side, head, (), whole=True)

    async def _compare(self, scene: _Scene, commits: dict[str, str]) -> None:
        """Compare the pairs of which a side has another commit than before, and keep the results.

        Raises:
            OSError: The folder for snapshots cannot be written.
        """
        changed = {name for name, oid in commits.items() if self._commits.get(name) != oid}
        pairs = [pair for pair in combinations(sorted(commits), 2) if not changed.isdisjoint(pair)]
        try:
            compared = [(commits[a], commits[b]) for a, b in pairs]
            previews = await self._trees.compare(compared, commits.get(MERGED))
        except GitError as error:
            _log.warning("worktrees were not compared", extra={"why": error.message})
            return
        self._commits = dict(commits)
        for pair, preview in zip(pairs, previews, strict=True):
            if preview is not None:
                makes = self._makes if scene.run.tests_pieces else makes_none
                overlaps = overlaps_of(scene.run, pair, commits, preview)
                is_open = MERGED not in pair
                self._overlaps[pair] = tuple(foreseen_overlap(item, makes, is_open=is_open) for item in overlaps)
            else:  # what was stored may have been deleted meanwhile: compared again in the next round
                self._commits.pop(pair[1], None)

    async def _record(self, scene: _Scene) -> None:
        """Record the results that are new; those in which only the text has changed not more often than every 5 s.

        Raises:
            AegisError: The log cannot be written.
        """
        now = time.monotonic()
        due = [pair for pair in self._overlaps if self._is_due(pair, now)]
        if due:
            overlaps = tuple(overlap for pair in due for overlap in self._overlaps[pair])
            await self._port.submit(
                ConflictsObserved(run=scene.run.run, overlaps=overlaps, compared=tuple(due)), THE_HUB
            )
            self._recorded |= {pair: (self._overlaps[pair], now) for pair in due}

    def _is_due(self, pair: Pair, now: float) -> bool:
        overlaps = self._overlaps[pair]
        recorded, at = self._recorded.get(pair, (None, 0.0))
        if recorded is None or _shape(overlaps) != _shape(recorded):
            return True
        return overlaps != recorded and now - at >= UPDATE_S


def overlaps_of(run: Run, pair: Pair, commits: Mapping[str, str], preview: MergePreview) -> tuple[Overlapping, ...]:
    """Return the paths that both sides of a pair change; with what is merged, the piece that changed it is named.

    Args:
        run: The run.
        pair: Two names of pieces, or `MERGED` and one.
        commits: The commit that was compared for each.
        preview: What their merge would give.
    """
    a, b = pair
    applied = [piece for piece in run.pieces.values() if piece.applied_head and piece.name != b]
    overlaps = []
    for item in preview.conflicts:
        first = a or next((piece.name for piece in reversed(applied) if item.path in piece.files), INTEGRATION)
        text = item.text.replace(commits[a], first).replace(commits[b], b)
        overlaps.append(hot_overlap(first, b, replace(item, text=text)))
    files = files_of(preview)
    for path in preview.soft:
        others = [a] if a else [piece.name for piece in applied if path in piece.files and piece.name != FOUNDATION]
        overlaps += [soft_overlap(other, b, path, files) for other in others]
    return tuple(overlaps)


def _shape(overlaps: Iterable[Overlapping]) -> list[tuple[str | None, ...]]:
    return [(item.a, item.path, item.kind, item.label, item.strategy) for item in overlaps]


def _scene(workspace: Workspace) -> _Scene | None:
    run = workspace.runs.current()
    if run is None or not run.is_open or run.stage not in (Stage.DISPATCH, Stage.MONITORING):
        return None
    sides = []
    for piece in run.features():
        instance = workspace.get_instance(piece.agent_id or "")
        if piece.status in UNMERGED and instance is not None and instance.is_alive and instance.worktree:
            sides.append(_Side(piece.name, instance.model_copy(), Path(instance.worktree)))
    return _Scene(run.model_copy(deep=True), tuple(sides))
