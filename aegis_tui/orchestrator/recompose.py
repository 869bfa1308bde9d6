"""Takes pieces out of a merged tree: finds those that break QA, and composes the others anew (FLOW-7, PERF-22).

Every step can be repeated: the same state gives the same commits, and the verdict on a tree is kept, so that a hub that
was killed in the middle continues where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import combinations

from aegis_tui.domain import ids
from aegis_tui.domain.composition.commands import CulpritsMarkFound, LeftOut, MergeMarkRebuilt
from aegis_tui.domain.composition.culprits import Culprit, Failures, Split, search_culprits
from aegis_tui.domain.count import counted
from aegis_tui.domain.qa.check import QaCheck, accept
from aegis_tui.domain.qa.hook_check import is_message_check
from aegis_tui.domain.qa.rules import accepted_by
from aegis_tui.domain.run.commit import commit_trailers, render_message
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.result_hooks import ResultHooks
from aegis_tui.ports.composition import Composing, Composition, PiecePart
from aegis_tui.ports.repository import Repository

_SHOWN = 3
_CONFLICT = "conflict "


class Recomposer:
    """Finds pieces that have to be left out, and composes the others. Its methods raise `AegisError`, and `OSError`.

    Args:
        repository: Where the pieces are.
        composing: Composes them.
        quality: Runs QA on what was composed.
        hooks: Runs the person's commit hooks on it; None where they are not run.
    """

    def __init__(
        self, *, repository: Repository, composing: Composing, quality: Quality, hooks: ResultHooks | None = None
    ) -> None:
        self._repository, self._composing, self._quality, self._hooks = repository, composing, quality, hooks

    async def find_culprits(self, run: Run, is_wanted: Callable[[], Awaitable[bool]]) -> CulpritsMarkFound | None:
        """Return the pieces that break QA of the merged tree, each with what fails because of it.

        QA runs on one set of pieces after the other, never twice on the same tree.

        Args:
            run: The run, whose QA has failed.
            is_wanted: Asked before each verdict; if it says no, as after a cancel, the search ends without a result.
        """
        parts = await self._parts(run)
        merged = dict.fromkeys(part.name for part in parts)
        names = [name for name in merged if name != FOUNDATION and not run.pieces[name].left_out]
        needs = await self._needs(run, names)
        failures = _failures(run, run.qa.checks if run.qa else ())
        search = search_culprits(names, needs, failures)
        try:
            wanted = next(search)
            while await is_wanted():
                wanted = search.send(await self._verdict(run, parts, wanted))
            return None
        except StopIteration as end:
            split: Split = end.value
        culprits = tuple(LeftOut(piece=item.name, reason=_reason(item)) for item in split.culprits)
        gone = tuple(
            LeftOut(piece=name, reason=f"it builds on {item.name}, which is left out")
            for item in split.culprits
            for name in item.dependants
        )
        return CulpritsMarkFound(run=run.run, oid=run.working_oid, culprits=(*culprits, *gone))

    async def rebuild(self, run: Run) -> MergeMarkRebuilt:
        """Compose the pieces that are kept, and move the working ref there unless one of them cannot be composed.

        Args:
            run: The run, with pieces that are left out although they were merged.
        """
        parts = await self._parts(run)
        kept = [piece.name for piece in run.pieces.values() if not piece.left_out]
        oid, composed = await self._compose(run, parts, kept)
        gone = ", ".join(piece.name for piece in run.pieces.values() if piece.left_out and piece.merged)
        refused = tuple(
            LeftOut(piece=name, reason=f"it changes the same lines as {gone}, which is left out: {', '.join(paths)}")
            for name, paths in composed.refused.items()
        )
        if not refused:
            ref = ids.working_ref(run.run)
            stands = await self._repository.resolve(ref)
            if stands != oid:
                await self._repository.update_ref(ref, oid, stands)
        merged = {name: files for name, files in composed.files.items() if name not in composed.refused}
        return MergeMarkRebuilt(run=run.run, instead_of=run.working_oid, oid=oid, refused=refused, merged=merged)

    async def _verdict(self, run: Run, parts: Sequence[PiecePart], names: Sequence[str]) -> Failures:
        oid, composed = await self._compose(run, parts, (FOUNDATION, *names))
        if composed.refused:
            return frozenset(f"{_CONFLICT}{name}" for name in composed.refused)
        checks = await self._quality.verdict(run, oid)
        if self._hooks is not None and all(check.ok for check in checks):
            checks = (*checks, *await self._hooks.check_files(run, oid))
        return _failures(run, checks)

    async def _compose(self, run: Run, parts: Sequence[PiecePart], names: Collection[str]) -> tuple[str, Composition]:
        """Return a commit of these pieces alone, and how they were composed."""
        chosen = [part for part in parts if part.name in names]
        composed = await self._composing.compose_all(run.facts.base_oid, chosen)
        agents = [agent for name, piece in run.pieces.items() if name in names for agent in piece.agents]
        parents = (run.facts.base_oid, *dict.fromkeys(part.head for part in chosen))
        message = render_message("compose pieces", "", commit_trailers(run.run, agents))
        oid = await self._composing.commit(composed.tree, parents, message=message, at=run.facts.started_unix)
        return oid, composed

    async def _parts(self, run: Run) -> list[PiecePart]:
        """Return what was merged into the working ref, in order, each under the name of its piece."""
        names = {head: piece.name for piece in run.pieces.values() for head in piece.merged}
        merges = await self._composing.merges(run.facts.base_oid, run.working_oid)
        return [PiecePart(names.get(part.head, FOUNDATION), part.base, part.head) for part in merges]

    async def _needs(self, run: Run, names: Sequence[str]) -> Mapping[str, Collection[str]]:
        """Return piece -> those that it builds on: by the design, or because it changes their files on top of them.

        Args:
            run: The run.
            names: The pieces, in the order in which each was first merged.
        """
        needs = {name: set(run.pieces[name].depends_on) for name in names}
        for below, above in combinations(names, 2):
            one, other = run.pieces[below], run.pieces[above]
            shares = not set(one.files).isdisjoint(other.files)
            if shares and await self._repository.is_ancestor(one.merged[0], other.merged[-1]):
                needs[above].add(below)
        return needs


def _failures(run: Run, checks: Sequence[QaCheck]) -> Failures:
    """Return what fails on a tree: each new failure by check and name, or the check if it names none.

    A message that a hook refuses is left out, as it is not in the tree.
    """
    by = accepted_by(run)
    judged = [check for check in checks if not is_message_check(check)]
    failing = [check for check in judged if not (accept(check, by) if by else check).ok]
    return frozenset(f"{check.command}: {what}" for check in failing for what in check.new_failures or (check.status,))


def _reason(culprit: Culprit) -> str:
    shown = sorted(culprit.failures)
    more = f" and {counted(len(shown) - _SHOWN, 'more failure')}" if len(shown) > _SHOWN else ""
    return f"QA fails if it is included: {'; '.join(shown[:_SHOWN])}{more}"
