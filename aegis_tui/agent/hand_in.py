"""Handing a piece in: what is changed is committed on the instance's branch and offered to the hub (FLOW-7)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aegis_tui.agent.git import Git
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
    """What the prompts so far say the work is about."""

    task: str = "free"
    spec_id: str | None = None
    review_id: str | None = None
    base_oid: str | None = None

    def merged(self, context: Mapping[str, Any]) -> Self:
        """This context with what a newer prompt says of it; a person's word (task `free`) keeps the task."""
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
        """Whether `context` names a different piece or review, which has to wait until this one is finished."""
        return any(
            context.get(name) and mine and str(context[name]) != mine
            for name, mine in (("spec_id", self.spec_id), ("review_id", self.review_id))
        )


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission."""

    head_oid: str
    words: str
    """For the model."""
    remarks: tuple[str, ...] = ()
    """For whoever reads what the instance did: what is not part of it."""


@dataclass(frozen=True, slots=True)
class _Last:
    spec_id: str
    base_oid: str
    head_oid: str


class HandIn:
    """Commits and submits. What goes wrong is raised in words that the model can act on."""

    def __init__(self, link: HubLink, git: Git, locks: HeldLocks, scope: WriteScope) -> None:
        self._link = link
        self._git = git
        self._locks = locks
        self._staging = Staging(git, scope)
        self._last: _Last | None = None

    async def submit(self, context: TaskContext, summary: str, *, written: Collection[str] = ()) -> Submitted:
        """Commit what is changed and submit the branch.

        A piece that was submitted before may be submitted again with nothing new, as a worker that a person wrote to
        must be able to finish; one that the hub has taken for good stays as it is.

        Args:
            context: What the work is about.
            summary: The commit's message.
            written: Paths that the model wrote itself.

        Raises:
            Refused: A rebase is unfinished, nothing was changed, files would be left out, a hook or the hub said no.
            GitError: git failed.
        """
        if operation := await self._git.operation_in_progress():
            raise Refused(
                f"a {operation} is not finished",
                f"Resolve the files, git add them, then run: git {operation} --continue",
            )
        left_out = await self._commit(context, summary, written)
        head_oid = await self._git.find_oid("HEAD")
        base_oid = await self._base(context)
        last = self._last if self._last and self._last.spec_id == context.spec_id else None
        if last is not None and head_oid == last.head_oid:
            base_oid = last.base_oid
        elif head_oid is None or head_oid == base_oid:
            raise Refused("nothing was changed", "Do the work first, or report blocked or failed and say why")
        if context.spec_id is None or base_oid is None or head_oid is None:
            raise Refused("there is no piece to hand in", "Report what you did; it is committed on your branch")
        try:
            await self._send(context.spec_id, base_oid, head_oid)
        except Refused as error:
            if error.code != "spec.status" or last is None:
                raise
            return _stays(last, head_oid, error)
        self._last = _Last(context.spec_id, base_oid, head_oid)
        remarks = (f"not part of it: {', '.join(left_out[:20])}",) if left_out else ()
        return Submitted(head_oid, f"handed in as {head_oid}", remarks)

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
        """Commit what is changed on the instance's branch, for whoever goes on; the id of the commit, None without one.

        Raises:
            Refused: A hook said no.
            GitError: git failed.
        """
        before = await self._git.find_oid("HEAD")
        await self._commit(context, f"wip: {reason}", written)
        after = await self._git.find_oid("HEAD")
        return after if after != before else None

    async def _base(self, context: TaskContext) -> str | None:
        """The base the work stands on now: after a rebase that is newer than the one the prompt named."""
        named = (context.base_oid, os.environ.get("AEGIS_INTEGRATION_REF"))
        return await self._git.newest_base([name for name in named if name]) or context.base_oid

    async def _commit(self, context: TaskContext, summary: str, written: Collection[str]) -> list[str]:
        """Commit what belongs to the piece; returns what is left out."""
        left_out = await self._staging.stage(written=written)
        if (await self._git.run("diff", "--cached", "--quiet")).code == 0:
            return left_out
        message = commit_message(summary, kind="fix" if context.task == "fix" else "feat")
        committed = await self._git.run("commit", "-m", message, timeout_s=_COMMIT_TIMEOUT_S)
        if committed.code:
            output = committed.output[-_OUTPUT_CHARS:].strip()
            meaning = read_commit_refusal(committed.output)
            raise Refused(
                f"the commit was refused:\n{output}",
                "Put right what it names, then report again",
                code=meaning.code,
                is_certain=meaning.is_certain,
            )
        return left_out


def _stays(last: _Last, head_oid: str, error: Refused) -> Submitted:
    """The piece was taken before: nobody can change it any more, and nothing that was taken is lost."""
    if head_oid == last.head_oid:
        return Submitted(head_oid, f"nothing was changed since you handed in, and that stays: {error.message}")
    words = f"what you handed in before stays; the hub takes no more of it: {error.message}"
    return Submitted(head_oid, words, ("what was changed after the submission is on the branch only",))
