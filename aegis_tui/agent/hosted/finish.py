"""What ends a task of a hosted program: a submission, a verdict or a design, and whether it is there (FLOW-7)."""

from __future__ import annotations

from typing import Any

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import HandIn, TaskContext
from aegis_tui.agent.locks import HeldLocks, resource_of
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.toolbox import TaskOutcome
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import Refused
from aegis_tui.ports.hub_link import HubLink
from aegis_tui.sdk.context import whole_context

_LOCK_WAIT_S = 120.0


class Finish:
    """Completes the tasks of one instance.

    Args:
        role: The role's name.
        agent_id: The instance.
        link: The connection to the hub.
        git: Runs git in its worktree.
        locks: Its locks.
        scope: What it may write.
        progress: Reports its state.
    """

    def __init__(
        self,
        role: str,
        agent_id: str,
        *,
        link: HubLink,
        git: Git,
        locks: HeldLocks,
        scope: WriteScope,
        progress: Progress,
    ) -> None:
        self._traits, self._agent_id = traits_of(role), agent_id
        self._link, self._git, self._locks, self._scope = link, git, locks, scope
        self._worktree = OwnWorktree(git.worktree)
        self._progress = progress
        self._hand_in = HandIn(link, git, locks, scope)

    async def task(self, context: TaskContext, summary: str) -> TaskOutcome:
        """Commit and submit the work, or check that the verdict or the design is there; return the outcome `done`.

        Where the task needs none of these, such as a builder's without a piece, nothing is committed.

        Args:
            context: The task, spec, review and base of the work.
            summary: What the program says about its work; its first line becomes the subject of the commit.

        Raises:
            LockHeld: Another instance holds a changed joint file for over 120 s.
            AegisError: The work was refused, or there is no verdict or design yet; the error says what the program can
                do.
        """
        if context.task == "design":
            return await self._check_design()
        if context.review_id is not None and self._traits.is_judge and not context.spec_id:
            return await self._check_verdict(context.review_id)
        if not (self._traits.is_writer and context.spec_id):
            return TaskOutcome("done", summary or "ended")
        await self._lock_joint_files(context)
        done = await self._hand_in.submit(context, summary or "update")
        return TaskOutcome("done", "; ".join([summary or done.words, *done.remarks]))

    async def save(self, context: TaskContext, reason: str) -> str | None:
        """Commit unfinished changes; return the commit's id, or None if there are none or the role only reads.

        Raises:
            AegisError: git or a hook of the repository refused, or new files would be left out; the files stay as they
                are.
        """
        return await self._hand_in.save(context, reason) if self._traits.is_writer else None

    async def _lock_joint_files(self, context: TaskContext) -> None:
        """Acquire and keep the lock of every changed joint path, one that others may change too under a lock (PART-6).

        The hub is told which bytes were written under it: it accepts a submission of no others (LOCK-3).

        Raises:
            LockHeld: Another instance holds it for longer than this one waits (120 s).
            AegisError: The hub refused or does not answer, or git fails; locks acquired before are kept.
            OSError: A changed file cannot be read.
        """
        for path in await self._git.changed_paths(context.base_oid):
            verdict = self._scope.verdict(path)
            if verdict.allowed and verdict.needs_lock:
                grant = await self._locks.acquire(path, wait_s=_LOCK_WAIT_S, on_wait=self._tell_waiting)
                await self._tell_written(path, grant.token, context.base_oid)
                self._locks.mark_used(grant.token)

    async def _tell_written(self, path: str, token: int, base: str | None) -> None:
        before = await self._git.find_blob(f"{base or 'HEAD'}:{path}")
        after = self._worktree.find_blob(path) or blob_id(b"")  # of a deleted file, only the token is checked
        data = {"file": resource_of(path).path, "token": token, "base_oid": before, "new_oid": after}
        await self._link.command("broadcast", event="code:written", data=data)

    async def _tell_waiting(self) -> None:
        await self._progress.enter("waiting", "for the lock of a joint file")

    async def _check_verdict(self, review_id: str) -> TaskOutcome:
        run = await self._run()
        review: dict[str, Any] = next((item for item in run.get("reviews", ()) if item["review_id"] == review_id), {})
        if (status := review.get("status")) in ("APPROVED", "CHANGES_REQUESTED"):
            return TaskOutcome("done", "review: approve" if status == "APPROVED" else "review: reject")
        raise Refused("you have given no verdict", "Approve or reject with the tool for it", code="review.open")

    async def _check_design(self) -> TaskOutcome:
        if (await self._run()).get("design") is not None:
            return TaskOutcome("done", "design proposed")
        raise Refused("you have proposed no design", "Propose it with the tool for it", code="design.none")

    async def _run(self) -> dict[str, Any]:
        run: dict[str, Any] | None = (await whole_context(self._link.command))["run"]
        return run or {}
