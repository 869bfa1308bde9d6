"""Runs the person's commit hooks on the result of a run, in the sandbox of QA, before it is committed (GIT-6).

The hooks are those of the base commit, or of the person's own folders. They run in a repository of their own that
borrows the person's objects, so they can change nothing of the person's; what they leave there is not trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aegis_tui.domain.ids import result_branch
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.qa.blame import blame
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.hook_check import (
    PRE_COMMIT,
    HookResult,
    changing_check,
    passed_check,
    refused_check,
    told_check,
)
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.result_message import ResultMessage, finished_message, messages_to_try, result_message
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.orchestrator.qa_run import QaRunner, RunPlace
from aegis_tui.ports.commit_hooks import CommitHooks, FoundHooks
from aegis_tui.ports.repository import Repository
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MESSAGE_BYTES: Final = 64 * 1024
"""A longer message that a hook leaves counts as none."""

_MESSAGE: Final = "COMMIT_EDITMSG"
_FOLDER: Final = "hook-run"
_AS_A_PERSON: Final = {"CI": ""}
"""Hooks often do nothing where `CI` is set, as it is for QA commands."""
_HELPER_S: Final = 60.0
_LIMIT_S: Final = 300.0
"""The longest that one hook may take; a shorter limit for QA commands counts too."""


@dataclass(frozen=True, slots=True)
class StagedCommit:
    """A commit that is about to be made, on which hooks can be run."""

    place: RunPlace
    hooks: FoundHooks
    oid: str
    """What is checked out and staged."""
    folder: UntrustedFolder
    """The git folder, which hooks may change."""
    message_path: Path


class ResultHooks:
    """Runs the hooks. Its methods raise `AegisError` if git or the sandbox fails, and `OSError`.

    Args:
        repository: Where the commits are.
        hooks: Finds the hooks.
        runner: Runs programs on a commit.
        timeout_s: Returns the seconds that one QA command may take; called for each hook.
    """

    def __init__(
        self, *, repository: Repository, hooks: CommitHooks, runner: QaRunner, timeout_s: Callable[[], float]
    ) -> None:
        self._repository, self._hooks, self._runner, self._timeout_s = repository, hooks, runner, timeout_s

    async def judge(
        self, run: Run, oid: str, judged: Mapping[str, Any], *, table: PartitionTable, instances: Iterable[Instance]
    ) -> dict[str, Any]:
        """Return the fields of `qa:mark-finished` with the checks of the hooks and the `message` for the commit.

        Hooks run only if nothing else closes the gate.

        Args:
            run: The run that the commit belongs to.
            oid: The merged commit.
            judged: The fields so far.
            table: The present partitions, to find out which pieces a refusal is about.
            instances: The run's instances, for the message.
        """
        if not all(check.ok for check in judged["checks"]):
            return {**judged}
        hooks = await self._hooks.find(run.facts.base_oid)
        if not hooks.programs:
            return {**judged}
        made = result_message(run, instances)
        async with self._prepared(run, hooks, oid, "hooks") as commit:
            message, checks = await self._ask_about_message(run, commit, made)
            checks += await self._ask_about_files(run, commit)
        failing = [f"{check.output_tail}\n{check.reason}" for check in checks if not check.ok]
        pieces = {piece.name: piece.files for piece in run.pieces.values()}
        blamed = blame(table, failing, pieces) if failing else ()
        return {**judged, "checks": (*judged["checks"], *checks), "blamed": tuple(blamed), "message": message}

    async def check_files(self, run: Run, oid: str) -> list[QaCheck]:
        """Return the check of the hook that sees the files of a commit; empty if there is no such hook."""
        hooks = await self._hooks.find(run.facts.base_oid)
        if PRE_COMMIT not in hooks.programs:
            return []
        async with self._prepared(run, hooks, oid, "hooks") as commit:
            return await self._ask_about_files(run, commit)

    @contextlib.asynccontextmanager
    async def _prepared(self, run: Run, hooks: FoundHooks, oid: str, name: str) -> AsyncIterator[StagedCommit]:
        """Yield a fresh worktree with everything of a commit staged on the base."""
        staged = await self._hooks.staged(hooks, oid)
        async with self._runner.place(run, staged, (), name) as place:
            folder = place.home / _FOLDER
            await asyncio.to_thread(folder.mkdir)
            variables = await self._hooks.lay_out(
                folder, hooks, worktree=place.scratch.path, oid=staged, branch=result_branch(run.run)
            )
            around = replace(
                place.around,
                environment={**place.around.environment, **variables, **_AS_A_PERSON},
                read_only=(*place.around.read_only, *hooks.shown),
            )
            place = replace(place, around=around)
            git_dir = Path(variables["GIT_DIR"])
            with await asyncio.to_thread(UntrustedFolder, git_dir) as opened:
                commit = StagedCommit(place, hooks, staged, opened, git_dir / _MESSAGE)
                if hooks.untracked:
                    await self._help(commit, "cp", "-Rn", f"{folder / 'untracked'}/.", str(place.scratch.path))
                await self._help(commit, "git", "update-index", "-q", "--refresh")
                yield commit

    async def _ask_about_message(
        self, run: Run, commit: StagedCommit, made: ResultMessage
    ) -> tuple[str, list[QaCheck]]:
        """Return the message that the hooks accept, and a check for each hook that sees one.

        Without such a hook, or if none of the messages is accepted, the message is empty: the usual one is committed if
        the person accepts that.
        """
        if not any(name != PRE_COMMIT for name in commit.hooks.programs):
            return "", []
        heads = [piece.applied_head for piece in run.kept_pieces() if piece.applied_head]
        written = await self._hooks.messages(heads)
        refused: HookResult | None = None
        for text in messages_to_try(made, written):
            message, results = await self._message_of(commit, text, made)
            if message:
                note = (
                    "" if text == made.render() else f"it refuses the usual message ({refused and refused.output[:80]})"
                )
                return message, [passed_check(result, note.replace("\n", " ")) for result in results]
            refused = refused or results[-1]
        assert refused is not None, "there is always one message to try"
        return "", [await self._judged(run, commit.hooks, refused)]

    async def _message_of(
        self, commit: StagedCommit, text: str, made: ResultMessage | None
    ) -> tuple[str, list[HookResult]]:
        """Return what the hooks make of a message, empty if one refuses it, and how each hook that ran ended.

        Args:
            commit: The commit.
            text: The message.
            made: The usual message, whose trailers the result has; None for a message of the person's.
        """
        await asyncio.to_thread(commit.folder.write, _MESSAGE, text.encode())
        results = []
        for name in commit.hooks.programs:
            if name == PRE_COMMIT:
                continue
            arguments = [str(commit.message_path), *(["message"] if name == "prepare-commit-msg" else [])]
            result = await self._start(commit, name, *arguments)
            results.append(result)
            if result.refuses:
                return "", [*results[:-1], replace(result, tried=text)]
        raw = await asyncio.to_thread(commit.folder.read, _MESSAGE, limit=MESSAGE_BYTES)
        message = finished_message(raw or b"", made.trailers if made else {})
        if not message:
            left = replace(results[-1], exit_code=1, output="it leaves no message that can be committed", tried=text)
            return "", [*results[:-1], left]
        return message, results

    async def _ask_about_files(self, run: Run, commit: StagedCommit) -> list[QaCheck]:
        """Return the check of the hook that sees the files; empty if there is none."""
        if PRE_COMMIT not in commit.hooks.programs:
            return []
        result = await self._start(commit, PRE_COMMIT)
        changed = await self._changes(commit, staged=not result.refuses)
        if result.refuses:
            return [await self._judged(run, commit.hooks, replace(result, **changed))]
        result = replace(result, **changed)
        if not result.changed:
            return [passed_check(result)]
        ours = await self._repository.changed_paths(run.facts.base_oid, commit.oid)
        return [changing_check(result, tuple(sorted(set(result.changed) & {item.path for item in ours})))]

    async def _judged(self, run: Run, hooks: FoundHooks, result: HookResult) -> QaCheck:
        """Return the check of a hook that refused, after it was asked about the last commit of the base too."""
        base = hooks.base_oid
        async with self._prepared(run, hooks, base, "hooks-base") as commit:
            if result.name == PRE_COMMIT:
                control = await self._start(commit, PRE_COMMIT)
            else:
                control = (await self._message_of(commit, (await self._hooks.messages([base]))[0], None))[1][-1]
        return told_check(result, control) if control.refuses else refused_check(result, was_tried=run.round > 0)

    async def _changes(self, commit: StagedCommit, *, staged: bool) -> dict[str, Any]:
        """Return the fields `changed` and `difference` of a hook's result.

        Args:
            commit: The commit, after the hook.
            staged: Whether what is staged is compared, or else the files of the worktree.
        """
        options = (*(["--cached"] if staged else []), "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
        listed = await self._help(commit, "git", "diff", *options, "--name-only", "-z", commit.oid)
        names = [name for name in listed.split("\0") if name]
        if not names:
            return {}
        difference = await self._help(commit, "git", "diff", *options, commit.oid)
        return {"changed": tuple(sorted(names)), "difference": difference}

    async def _help(self, commit: StagedCommit, *argv: str) -> str:
        """Run a program of ours in the sandbox and return what it printed, which is not trusted."""
        place = commit.place
        ended = await self._runner.run_program(place, argv, folder=place.scratch.path, limit_s=_HELPER_S)
        return ended.output if ended.exit_code == 0 else ""

    async def _start(self, commit: StagedCommit, name: str, *arguments: str) -> HookResult:
        place, limit_s = commit.place, min(self._timeout_s(), _LIMIT_S)
        program = str(place.scratch.path / commit.hooks.programs[name])
        ended = await self._runner.run_program(place, [program, *arguments], folder=place.scratch.path, limit_s=limit_s)
        stopped = ended.stopped or ("" if ended.exit_code is not None else f"it did not end within {limit_s:g} s")
        return HookResult(name, ended.exit_code, ended.output, ended.duration_s, stopped)
