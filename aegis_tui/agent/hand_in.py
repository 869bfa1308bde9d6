"""Submits a piece: commits the changes on the instance's branch and sends the commit to the hub (FLOW-7)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aegis_tui.agent.git import Git
from aegis_tui.agent.joint_files import JointFiles
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.staging import Staging
from aegis_tui.domain.git_refusal import read_commit_refusal
from aegis_tui.domain.prompt import commit_message
from aegis_tui.errors import Refused
from aegis_tui.ports.hub_link import HubLink

_COMMIT_TIMEOUT_S = 300.0
_SUBMIT_TIMEOUT_S = 60.0
_OUTPUT_CHARS = 6000


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The task, spec, review and base commit that the prompts so far have named."""

    task: str = "free"
    spec_id: str | None = None
    review_id: str | None = None
    base_oid: str | None = None

    def merged(self, context: Mapping[str, Any]) -> Self:
        """Return this context updated with the fields of a newer prompt; fields that it lacks stay.

        Its task does not count if it is `free`, as in a line typed by a person: then the task stays too.
        """
        known = {name: str(context[name]) for name in ("task", "spec_id", "review_id", "base_oid") if context.get(name)}
        if known.get("task") == "free":
            del known["task"]
        return type(self)(
            task=known.get("task", self.task),
            spec_id=known.get("spec_id", self.spec_id),
            review_id=known.get("review_id", self.review_id),
            base_oid=known.get("base_oid", self.base_oid),
        )

    def is_other_piece(self, context: Mapping[str, Any]) -> bool:
        """Return whether `context` names another piece or review, which must wait until this one is finished.

        False if one of the two contexts names none.
        """
        return any(
            context.get(name) and mine and str(context[name]) != mine
            for name, mine in (("spec_id", self.spec_id), ("review_id", self.review_id))
        )


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """The result of a submission."""

    head_oid: str
    words: str
    """The answer to the model."""
    remarks: tuple[str, ...] = ()
    """Remarks for the summary of the task: what is not part of the submission."""


@dataclass(frozen=True, slots=True)
class _Last:
    spec_id: str
    base_oid: str
    head_oid: str


class HandIn:
    """Commits and submits the work of one instance. Its errors say what the model can do about them."""

    def __init__(self, link: HubLink, git: Git, locks: HeldLocks, scope: WriteScope, joint: JointFiles) -> None:
        self._link = link
        self._git = git
        self._locks = locks
        self._joint = joint
        self._staging = Staging(git, scope)
        self._last: _Last | None = None

    async def submit(self, context: TaskContext, summary: str, *, written: Collection[str] = ()) -> SubmissionResult:
        """Commit the changes and submit the branch; return its last commit, and what to tell the model and the person.

        A piece can be submitted again without changes, because a worker that a person wrote to must be able to finish.
        If the hub accepts no more submissions of the piece, the earlier one stays, and the result says so. A commit
        that the hub refuses, or that belongs to no piece, stays on the branch.

        Changes of joint files that the hub does not know are recorded under their locks first.

        Args:
            context: The task, spec and base of the work.
            summary: The commit's message.
            written: Paths that the model itself wrote; those that git ignores are left out, but not silently.

        Raises:
            LockHeld: Another instance holds the lock of a changed joint file for over 120 s.
            Refused: A rebase or the like is unfinished, nothing was changed, there is no piece, new files would be left
                out that no earlier call named, or a hook or the hub refused.
            GitError: git failed.
            HubUnavailable: The hub does not answer.
        """
        if operation := await self._git.operation_in_progress():
            raise Refused(
                f"a {operation} is not finished",
                f"Resolve the conflicts, git add the files, then run: git {operation} --continue",
            )
        if context.spec_id is not None:
            await self._joint.settle(await self._base(context))
        left_out = await self._commit(context, summary, written)
        head_oid = await self._git.find_oid("HEAD")
        base_oid = await self._base(context)
        last = self._last if self._last and self._last.spec_id == context.spec_id else None
        if last is not None and head_oid == last.head_oid:
            base_oid = last.base_oid
        elif head_oid is None or head_oid == base_oid:
            raise Refused("nothing was changed", "Do the work first, or report blocked or failed and say why")
        if context.spec_id is None or base_oid is None or head_oid is None:
            raise Refused("there is no piece to submit", "Report what you did; it is committed on your branch")
        try:
            await self._send(context.spec_id, base_oid, head_oid)
        except Refused as error:
            if error.code != "spec.status" or last is None:
                raise
            return _stays(last, head_oid, error)
        self._last = _Last(context.spec_id, base_oid, head_oid)
        remarks = (f"not in the submission: {', '.join(left_out[:20])}",) if left_out else ()
        return SubmissionResult(head_oid, f"submitted as {head_oid}", remarks)

    async def after_command(self) -> list[str]:
        """Record the joint files that a command of the model has changed; see `JointFiles.after_command`."""
        return await self._joint.after_command()

    async def _send(self, spec_id: str, base_oid: str, head_oid: str) -> None:
        await self._link.command(
            "diff:submit",
            timeout_s=_SUBMIT_TIMEOUT_S,
            spec_id=spec_id,
            base_oid=base_oid,
            head_oid=head_oid,
            tokens=list(self._locks.used_tokens),
        )

    async def save(self, context: TaskContext, reason: str, *, written: Collection[str] = ()) -> str | None:
        """Commit unfinished changes on the instance's branch; return the commit's id, or None if nothing was changed.

        Args:
            context: The task of the work.
            reason: Why the work ends here, for the commit's message.
            written: Paths that the model itself wrote.

        Raises:
            Refused: A hook refused, new files would be left out that no earlier call named, or new files lie in a
                submodule's folder; nothing is committed.
            GitError: git failed.
        """
        before = await self._git.find_oid("HEAD")
        await self._commit(context, f"wip: {reason}", written)
        after = await self._git.find_oid("HEAD")
        return after if after != before else None

    async def _base(self, context: TaskContext) -> str | None:
        """Return the commit that the work is based on; after a rebase it is newer than the one in the prompt.

        It is the newest common ancestor with the prompt's base and the integration branch; if there is none, the
        prompt's base as it is, or None if it names none.
        """
        named = (context.base_oid, os.environ.get("AEGIS_INTEGRATION_REF"))
        return await self._git.newest_base([name for name in named if name]) or context.base_oid

    async def _commit(self, context: TaskContext, summary: str, written: Collection[str]) -> list[str]:
        """Commit the changes that belong to the piece, if there are any; return the new files that are left out.

        Raises:
            Refused: A hook refused, or new files would be left out that no earlier call named.
            GitError: git failed.
        """
        left_out = await self._staging.stage(written=written)
        if (await self._git.run("diff", "--cached", "--quiet")).code == 0:
            return left_out
        message = commit_message(summary, kind="fix" if context.task == "fix" else "feat")
        committed = await self._git.run("commit", "-m", message, timeout_s=_COMMIT_TIMEOUT_S)
        if committed.code:
            await self._git.unstage_changes()
            output = committed.output[-_OUTPUT_CHARS:].strip()
            meaning = read_commit_refusal(committed.output)
            raise Refused(
                f"the commit was refused:\n{output}",
                "Fix what it names, then report again",
                code=meaning.code,
                is_certain=meaning.is_certain,
            )
        return left_out


def _stays(last: _Last, head_oid: str, error: Refused) -> SubmissionResult:
    """Return the result for a piece that the hub has accepted for good: the earlier submission stays.

    Args:
        last: That submission.
        head_oid: The commit on the branch now; another one is named as not submitted.
        error: The hub's refusal.
    """
    if head_oid == last.head_oid:
        return SubmissionResult(head_oid, f"nothing has changed since your submission, which stands: {error.message}")
    words = f"your earlier submission stands; the hub accepts no further submission of this piece: {error.message}"
    return SubmissionResult(head_oid, words, ("changes after the submission are only on the branch",))
