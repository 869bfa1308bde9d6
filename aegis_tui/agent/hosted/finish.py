"""What ends a task of a hosted program: a submission, a verdict or a design, and whether it is there (FLOW-7)."""

from __future__ import annotations

import os
from typing import Any

from aegis_tui.agent.fenced_writes import FencedWrites
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import HandIn, TaskContext
from aegis_tui.agent.joint_files import JointFiles
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.toolbox import TaskOutcome
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import Refused
from aegis_tui.ports.hub_link import HubLink
from aegis_tui.sdk.context import whole_context


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
        screen: Shows problems.
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
        screen: Screen,
    ) -> None:
        self._traits, self._agent_id = traits_of(role), agent_id
        self._link = link
        worktree = OwnWorktree(git.worktree)
        writes = FencedWrites(worktree, locks, link, progress, screen)
        joint = JointFiles(git, scope, writes, NewestContent(git, worktree, link, os.environ))
        self._hand_in = HandIn(link, git, locks, scope, joint)

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
        done = await self._hand_in.submit(context, summary or "update")
        return TaskOutcome("done", "; ".join([summary or done.words, *done.remarks]))

    async def save(self, context: TaskContext, reason: str) -> str | None:
        """Commit unfinished changes; return the commit's id, or None if there are none or the role only reads.

        Raises:
            AegisError: git or a hook of the repository refused, or new files would be left out; the files stay as they
                are.
        """
        return await self._hand_in.save(context, reason) if self._traits.is_writer else None

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
