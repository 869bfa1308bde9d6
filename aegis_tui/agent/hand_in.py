"""Handing a piece in: what is changed is committed on the instance's branch and offered to the hub (FLOW-7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from aegis_tui.agent.git import Git
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.domain.prompt import commit_message
from aegis_tui.errors import GitError, Refused
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


class HandIn:
    """Commits and submits. What goes wrong is raised in words that the model can act on."""

    def __init__(self, link: HubLink, git: Git, locks: HeldLocks) -> None:
        self._link = link
        self._git = git
        self._locks = locks

    async def submit(self, context: TaskContext, summary: str) -> str:
        """Commit what is changed, submit the branch, and return the id of the commit.

        Raises:
            Refused: A rebase is unfinished, nothing was changed, a hook or the hub said no.
            GitError: git failed.
        """
        if operation := await self._git.operation_in_progress():
            raise Refused(
                f"a {operation} is not finished",
                f"Resolve the files, git add them, then run: git {operation} --continue",
            )
        await self._commit(context, summary)
        head_oid = await self._git.find_oid("HEAD")
        base_oid = await self._base(context)
        if head_oid is None or head_oid == base_oid:
            raise Refused("nothing was changed", "Do the work first, or report blocked or failed and say why")
        if context.spec_id is None or base_oid is None:
            raise Refused("there is no piece to hand in", "Report what you did; it is committed on your branch")
        await self._link.command(
            "diff:submit",
            timeout_s=_SUBMIT_TIMEOUT_S,
            spec_id=context.spec_id,
            base_oid=base_oid,
            head_oid=head_oid,
            tokens=list(self._locks.used_tokens),
        )
        return head_oid

    async def _base(self, context: TaskContext) -> str | None:
        """The base the work stands on now: after a rebase that is newer than the one the prompt named."""
        named = (context.base_oid, os.environ.get("AEGIS_INTEGRATION_REF"))
        return await self._git.newest_base([name for name in named if name]) or context.base_oid

    async def _commit(self, context: TaskContext, summary: str) -> None:
        added = await self._git.run("add", "-A", timeout_s=_COMMIT_TIMEOUT_S)
        if added.code:
            raise GitError(f"git add failed: {added.output[-_OUTPUT_CHARS:].strip()}")
        if (await self._git.run("diff", "--cached", "--quiet")).code == 0:
            return
        message = commit_message(summary, kind="fix" if context.task == "fix" else "feat")
        committed = await self._git.run("commit", "-m", message, timeout_s=_COMMIT_TIMEOUT_S)
        if committed.code:
            output = committed.output[-_OUTPUT_CHARS:].strip()
            raise Refused(f"the commit was refused:\n{output}", "Put right what it names, then report again")
