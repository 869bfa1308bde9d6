"""FINAL-QA: run the project's own commands on the merged tree and compare the results with those of the base (FLOW-7).

The base is always run too, even if everything passes: a removed test shows only in the comparison. It is run once for
each tree, command and environment, while the workers work, and its results are saved. The results of the merged tree
are saved as well, because it is often the base of the next run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aegis_tui.domain.ids import PERSON
from aegis_tui.domain.qa.assess import assess
from aegis_tui.domain.qa.blame import blame
from aegis_tui.domain.qa.check import CheckResult, QaCheck
from aegis_tui.domain.qa.flaky import is_worth_a_rerun
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.readers.base import QaReader
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import AegisError
from aegis_tui.orchestrator.qa_outputs import Kept, QaOutputs, base_key
from aegis_tui.orchestrator.qa_results import keep_run, settled_checks
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.ports.repository import Repository

_log = logging.getLogger(__name__)

TAIL_CHARACTERS = 8_000

NO_CHECK = QaCheck(
    check="none",
    command="none",
    status="not_run",
    ok=True,
    reason="no command checks the result: the person chose this when the run was started",
    accepted_by=PERSON,
)
"""The check that the report shows if the person has chosen to run no checks."""


Read = Callable[[str, Outcome, Sequence[QaReader]], Awaitable[CheckResult]]
"""Interprets how a command line ended; takes the command, its outcome and the test tools that it starts."""

CompareAll = Callable[[Mapping[str, Kept]], tuple[QaCheck, ...]]
"""Takes command -> its result on the merged tree; returns all checks, in order."""

TellBase = Callable[[tuple[QaCheck, ...]], Awaitable[object]]
"""Receives the checks of a base, each compared with itself."""


class Quality:
    """Runs QA on merged trees and on the base.

    Args:
        repository: Where the trees come from.
        runner: Runs the commands.
        outputs: Saves what they print.
        timeout_s: Returns the seconds that one command may take if the design sets no limit; called for each command.
        read: Interprets how a command ended; by default in a thread of this process.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        runner: QaRunner,
        outputs: QaOutputs,
        timeout_s: Callable[[], float],
        read: Read | None = None,
    ) -> None:
        self._read = read or _read_here
        self._repository, self._runner, self._outputs = repository, runner, outputs
        self._timeout_s = timeout_s
        self._base = asyncio.Lock()
        self._ahead: dict[str, asyncio.Task[None]] = {}
        self._just_run: dict[str, Kept] = {}
        """Base results that are not saved on disk because the command could not run; each is used once."""

    async def begin(self, run: Run) -> None:
        """Begin to check out the base of a run that starts, in the background, unless nothing will be run on it."""
        if not run.options.unchecked:
            await self._runner.begin(run)

    async def judge(self, run: Run, oid: str, table: PartitionTable) -> dict[str, object]:
        """Run every command on the merged commit and compare the results with those of the base.

        Args:
            run: The run that the commit belongs to.
            oid: The merged commit.
            table: The present partitions, to find out which pieces caused a failure.

        Returns:
            The fields of `qa:mark-finished`: `tree` (id of the commit's tree), `checks` (one for each command, in
            order; a failure that may be due to chance was run once more), `blamed` (names of the pieces that may have
            caused failures) and `finished_unix` (seconds).

        Raises:
            AegisError: git or the sandbox fails; a command that fails is a result, not an error.
            OSError: The results cannot be saved.
        """
        commands = run.qa_commands
        if not commands and run.options.unchecked:
            return {
                "tree": await self._repository.tree_of(oid),
                "checks": (NO_CHECK,),
                "blamed": (),
                "finished_unix": int(time.time()),
            }
        base = await self._results_of_base(run, commands)
        tree = await self._repository.tree_of(oid)
        # The last piece was usually tested on this very tree; only what failed is tried again.
        is_known = run.is_rebuilt or run.has_green(tree)
        merged, _ = await self._results_on(run, oid, commands, reuse=is_known)
        if now_possible := [name for name in commands if _could_not(base[name]) and not _could_not(merged[name])]:
            base = {**base, **await self._run_base_again(run, now_possible)}
        checks, _ = await self._settle(run, oid, merged, await self._comparer(run, oid, base), name="merged")
        await asyncio.to_thread(self._outputs.keep, run.run, run.round, checks, merged=merged, base=base)
        failing = [merged[check.command].output for check in checks if not check.ok]
        return {
            "tree": tree,
            "checks": checks,
            "blamed": await _blamed(run, table, failing),
            "finished_unix": int(time.time()),
        }

    async def verdict(self, run: Run, oid: str) -> tuple[QaCheck, ...]:
        """Return one check for each command on a commit, in order, compared with the base.

        If all commands ran on the same tree in the same environment before, they are not run again. What they print is
        not kept for the person. Raises `AegisError` if git or the sandbox fails, `OSError` if results cannot be saved.

        Args:
            run: The run whose commands and base are used.
            oid: The commit, which may hold only some of the run's pieces.
        """
        commands = run.qa_commands
        base = await self._results_of_base(run, commands)
        compare_all = await self._comparer(run, oid, base)
        return compare_all((await self._results_on(run, oid, commands, reuse=True))[0])

    async def test(
        self, run: Run, oid: str, *, onto: str, table: PartitionTable, name: str, objects: Callable[[QaCheck], bool]
    ) -> tuple[tuple[QaCheck, ...], tuple[str, ...]]:
        """Return one check for each command on a commit that merges a piece with another commit, in order.

        The second result is the names of the pieces whose files the objections name; empty without one.

        A check to which there is an objection compared with the base is compared with that other commit too, so that
        what fails there already is not held against the piece. Results for the same tree and environment are not
        computed again; a failure that may be due to chance is tried once more. What is printed is not kept for the
        person. Raises `AegisError` if git or the sandbox fails, `OSError` if results cannot be saved.

        Args:
            run: The run whose commands and base are used.
            oid: The commit with the piece.
            onto: What the piece is merged with.
            table: The present partitions.
            name: Part of the scratch worktree's name; must differ for calls at the same time.
            objects: Whether a check is an objection.
        """
        commands = run.qa_commands
        base = await self._results_of_base(run, commands)
        merged, is_fresh = await self._results_on(run, oid, commands, reuse=True, name=name)
        checks = (compare_all := await self._comparer(run, oid, base))(merged)
        if is_fresh:
            checks, merged = await self._settle(run, oid, merged, compare_all, name=name)
        if onto != run.facts.base_oid and any(objects(check) for check in checks):
            there, _ = await self._results_on(run, onto, commands, reuse=True, name=name)
            against = (await self._comparer(run, oid, there))(merged)
            checks = tuple(
                two if objects(one) and not objects(two) else one for one, two in zip(checks, against, strict=True)
            )
        failing = [merged[check.command].output for check in checks if objects(check)]
        return checks, await _blamed(run, table, failing) if failing else ()

    async def _settle(
        self, run: Run, oid: str, merged: Mapping[str, Kept], compare_all: CompareAll, *, name: str
    ) -> tuple[tuple[QaCheck, ...], Mapping[str, Kept]]:
        """Return all checks and the results behind them; failures that may be due to chance are tried once more.

        The results of a second try that settles a check are saved in place of the first.
        """
        checks = compare_all(merged)
        suspects = [at for at, check in enumerate(checks) if is_worth_a_rerun(check, merged[check.command].result)]
        if not suspects:
            return checks, merged
        # What stands before a command may have built what it tests, so that is run again too.
        again = await self._run_all(run, oid, [*merged][: suspects[-1] + 1], name)
        settled = settled_checks(checks, compare_all({**merged, **again}), suspects, merged, again)
        if all(check.ok for check in settled):
            await self._save(run, oid, again)
            return settled, {**merged, **again}
        return settled, merged

    async def _save(self, run: Run, oid: str, results: Mapping[str, Kept]) -> None:
        tree, around = await self._repository.tree_of(oid), await self._runner.fingerprint(run)
        for command, kept in results.items():
            self._outputs.save_base(base_key(tree, command, around), kept)

    async def _results_on(
        self, run: Run, oid: str, commands: Sequence[str], *, reuse: bool, name: str = "merged"
    ) -> tuple[Mapping[str, Kept], bool]:
        """Return command -> its result on a commit, and whether the commands were run for it; save the results.

        With `reuse`, saved results are returned if there is one for every command; else all commands run, because one
        may build what the next one tests.
        """
        tree, around = await self._repository.tree_of(oid), await self._runner.fingerprint(run)
        keys = {command: base_key(tree, command, around) for command in commands}
        known = {command: kept for command in commands if reuse and (kept := self._outputs.load_base(keys[command]))}
        if len(known) == len(commands):
            return known, False
        merged = await self._run_all(run, oid, commands, name)
        for command, kept in merged.items():
            self._outputs.save_base(keys[command], kept)
        return merged, True

    async def _comparer(self, run: Run, oid: str, base: Mapping[str, Kept]) -> CompareAll:
        """Return a function that takes command -> result on the merged tree, and returns all checks, in order.

        Each check compares the result of one command with that on the base.

        Args:
            run: The run.
            oid: The merged commit.
            base: Command -> its result on the base.

        Raises:
            GitError: git fails.
        """
        differences = await self._repository.changed_paths(run.facts.base_oid, oid)
        changed = {path for item in differences for path in (item.path, item.old_path) if path}
        removes = run.design.qa.removes if run.design and run.design.qa else ()

        def compare_all(merged: Mapping[str, Kept]) -> tuple[QaCheck, ...]:
            return tuple(
                compare(
                    number,
                    command,
                    merged[command].result,
                    base[command].result,
                    removes=removes,
                    changed=changed,
                    tail=merged[command].output[-TAIL_CHARACTERS:],
                )
                for number, command in enumerate(run.qa_commands, 1)
            )

        return lambda merged: _without_absent(run, compare_all(merged))

    def look_ahead(self, run: Run, tell: TellBase) -> None:
        """Start a background task that runs the run's QA commands on its base; only the first call for a run does this.

        That call also saves the commands that the person named, which later runs use where none can be detected.

        Args:
            run: The run whose base is checked.
            tell: Called when all commands have ended, with their checks; each is compared with itself, so that only
                what is wrong with the command or the machine shows. Not called if git or the sandbox fails, which is
                only logged.
        """
        if run.run not in self._ahead:
            if run.options.checks and not run.options.unchecked:
                with contextlib.suppress(OSError):
                    self._outputs.remember_choice(run.options.checks)
            self._ahead[run.run] = asyncio.create_task(self._run_base(run, tell), name=f"qa of the base of {run.run}")

    def has_looked_ahead(self, run: str) -> bool:
        """Return whether `look_ahead` was called for the run."""
        return run in self._ahead

    async def leave(self, run: str | None = None) -> None:
        """Cancel the background task of a run, or all of them; return when their scratch worktrees are removed.

        Does nothing to a run without such a task, and raises no error of a task.

        Args:
            run: The run's id; None for all.
        """
        tasks = [task for name, task in self._ahead.items() if run in (None, name)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if run is not None:
            self._just_run.clear()

    async def _run_base(self, run: Run, tell: TellBase) -> None:
        try:
            base = await self._results_of_base(run, run.qa_commands, ahead=True)
            checks = tuple(
                compare(number, command, kept.result, kept.result, tail=kept.output[-TAIL_CHARACTERS:])
                for number, (command, kept) in enumerate(base.items(), 1)
            )
            checks = _without_absent(run, checks)
            if not all(check.ok for check in checks):
                await asyncio.to_thread(self._outputs.keep, run.run, run.round, checks, merged={}, base=base)
            await tell(checks)
        except AegisError as error:
            _log.warning("QA of the base failed", extra={"run": run.run, "reason": error.message})
        except Exception:
            _log.exception("QA of the base failed unexpectedly", extra={"run": run.run})

    async def _results_of_base(self, run: Run, commands: Sequence[str], *, ahead: bool = False) -> Mapping[str, Kept]:
        """Return command -> its result on the base commit of the run, in the order of `commands`.

        Run only those whose result is not known, and save the new ones. Waits for the background task of `look_ahead`
        first, unless it is that task itself (`ahead`). Known are saved results, and what that task found out about
        commands that could not run.

        Raises:
            AegisError: git or the sandbox fails.
            OSError: A result cannot be saved.
        """
        if not ahead and (begun := self._ahead.get(run.run)):
            await asyncio.wait({begun})
        async with self._base:
            oid = run.facts.base_oid
            tree = await self._repository.tree_of(oid)
            around = await self._runner.fingerprint(run)
            keys = {command: base_key(tree, command, around) for command in commands}
            known = {command: kept for command in commands if (kept := self._known(keys[command], ahead=ahead))}
            unknown = [command for command in commands if command not in known]
            fresh = await self._run_all(run, oid, unknown, "base") if unknown else {}
            for command, kept in fresh.items():
                self._outputs.save_base(keys[command], kept)
                if ahead and _could_not(kept):
                    self._just_run[keys[command]] = kept
            return {command: known.get(command) or fresh[command] for command in commands}

    async def _run_base_again(self, run: Run, commands: Sequence[str]) -> Mapping[str, Kept]:
        """Run commands on the base again, and return and save their results.

        They could not run there before but could on the merged tree: the person learns early what the machine lacks,
        and may have installed it in between.

        Raises:
            AegisError: git or the sandbox fails.
            OSError: A result cannot be saved.
        """
        tree = await self._repository.tree_of(run.facts.base_oid)
        around = await self._runner.fingerprint(run)
        results = await self._run_all(run, run.facts.base_oid, commands, "base")
        for command, kept in results.items():
            self._outputs.save_base(base_key(tree, command, around), kept)
        return results

    def _known(self, key: str, *, ahead: bool) -> Kept | None:
        return self._outputs.load_base(key) or (self._just_run.get(key) if ahead else self._just_run.pop(key, None))

    async def _run_all(self, run: Run, oid: str, commands: Sequence[str], name: str) -> dict[str, Kept]:
        limits = {command: self._limit_s(run, command) for command in commands}
        ran = await self._runner.run_all(run, oid, limits, name)
        read = {command: await self._read(command, one.outcome, one.tools) for command, one in ran.items()}
        return {command: keep_run(one, read[command]) for command, one in ran.items()}

    def _limit_s(self, run: Run, command: str) -> float:
        chosen = run.design.qa.limit_s(command) if run.design and run.design.qa else None
        return chosen or self._timeout_s()


def _without_absent(run: Run, checks: Sequence[QaCheck]) -> tuple[QaCheck, ...]:
    """Return the checks, in which a linter that nobody asked for is `ok` if it could run neither here nor on the base.

    Its status stays `not_run`, and its note says why. All other checks are returned unchanged.
    """
    asked = run.design.qa.commands if run.design and run.design.qa else ()
    return tuple(
        check.model_copy(
            update={"ok": True, "is_acceptable": False, "reason": None, "note": f"{_EXTRA}: {check.reason}"}
        )
        if not check.ok
        and check.command in run.facts.qa_extra
        and check.command not in asked
        and check.status == "not_run"
        and (check.base is None or check.base.status == "not_run")
        else check
        for check in checks
    )


_EXTRA = "not required, and it could not run on the base either"


def _could_not(kept: Kept) -> bool:
    return kept.result.status in ("not_run", "empty")


async def _blamed(run: Run, table: PartitionTable, failing: Sequence[str]) -> tuple[str, ...]:
    pieces = {piece.name: piece.files for piece in run.pieces.values()}
    return tuple(await asyncio.to_thread(blame, table, failing, pieces))


async def _read_here(command: str, outcome: Outcome, tools: Sequence[QaReader]) -> CheckResult:
    return await asyncio.to_thread(assess, command, outcome, tools=tools)
