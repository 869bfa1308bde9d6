"""Changes of joint files that no tool of the agent made: by a command, a formatter, git or a hosted program (LOCK-3).

Such a change is recorded afterwards, under the lock of the file, if nobody else holds it: the file as it was changed is
then the newest one, and later holders are told of it. Without the lock the hub refuses the submission.
"""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.agent.fenced_writes import FencedWrites, FileState, state_of
from aegis_tui.agent.git import Git
from aegis_tui.agent.locks import resource_of
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.scope import WriteScope
from aegis_tui.domain.path.file_name import name_of
from aegis_tui.errors import AegisError, HubUnavailable, LockHeld
from aegis_tui.ports.hub_link import LockGrant

SETTLE_WAIT_S = 120.0
"""How long a submission waits for the lock of a joint file that was changed without it, in seconds."""
_WILDCARDS = frozenset("*?[{\\")
_WAY_OUT = "Undo the change with git checkout, or acquire the lock when it is free; it cannot be submitted without"


class JointFiles:
    """Finds changed joint files of one worktree whose change the hub does not know, and records it.

    Args:
        git: Runs git in the worktree.
        scope: What the instance may write.
        writes: Its locks and what it has recorded.
        newest: Brings newer content of a file into the worktree.
    """

    def __init__(self, git: Git, scope: WriteScope, writes: FencedWrites, newest: NewestContent) -> None:
        self._git, self._scope, self._writes, self._newest = git, scope, writes, newest
        self._refused: dict[str, FileState] = {}

    async def after_command(self) -> list[str]:
        """Record the joint files that a command has changed, and return what the model should know about them.

        Not while a rebase or the like is unfinished.

        A lock that is not held is acquired if it is free, and released again. Nothing is raised: a change that cannot
        be recorded is told once, with the way out.
        """
        folders = sorted({literal_start(glob) for glob in self._scope.scope.joint})
        if not folders or await self._git.operation_in_progress():
            return []
        case = ",icase" if self._scope.scope.ignore_case else ""
        pathspecs = [f":(top,literal{case}){folder}" if folder else ":(top)" for folder in folders]
        notes: list[str] = []
        try:
            for path in self._unrecorded(await self._git.changed_paths(None, pathspecs=pathspecs)):
                notes += await self._after_command(path)
        except (AegisError, OSError) as error:
            notes.append(f"the joint files could not be checked: {error}")
        return notes

    async def _after_command(self, path: str) -> list[str]:
        state = state_of(self._writes.worktree.place(path))
        was_held = self._writes.locks.find_over(resource_of(path)) is not None
        try:
            async with self._writes.locked(resource_of(path), wait_s=0) as grant:
                moved = await self._newest.bring(path)
                news = await self._newest.news(path)
                await self._tell(path, grant, None)
        except LockHeld as error:
            if self._refused.get(path) == state:
                return []
            self._refused[path] = state
            return [_refused_words(path, error)]
        except HubUnavailable:
            return [f"{path}, a joint file, was changed, but the hub does not answer: acquire its lock later"]
        notes = [*([moved.words] if moved else []), *news]
        if was_held:
            return notes
        return [f"{path} is a joint file: its change was recorded under its lock, which was free", *notes]

    async def settle(self, base: str | None) -> None:
        """Record all changed joint files whose change the hub does not know yet, before they are submitted.

        Args:
            base: The commit that the work is based on; None for HEAD.

        Raises:
            LockHeld: Another instance holds the lock of one for over 120 s.
            AegisError: The hub refused or does not answer, or git fails.
            OSError: A changed file cannot be read.
        """
        for path in self._unrecorded(await self._git.changed_paths(base)):
            try:
                async with self._writes.locked(resource_of(path), wait_s=SETTLE_WAIT_S) as grant:
                    await self._tell(path, grant, base)
            except LockHeld as error:
                error.hint = _WAY_OUT
                raise

    def _unrecorded(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if self._needs_lock(path) and not self._is_recorded(path)]

    def _needs_lock(self, path: str) -> bool:
        verdict = self._scope.verdict(path)
        return verdict.allowed and verdict.needs_lock

    def _is_recorded(self, path: str) -> bool:
        known = self._writes.recorded.get(path)
        return known is not None and known == state_of(self._writes.worktree.place(path))

    async def _tell(self, path: str, grant: LockGrant, base: str | None) -> None:
        before = await self._git.find_blob(f"{base or 'HEAD'}:{name_of(path)}")
        await self._writes.tell_written(path, grant, base_oid=before)


def literal_start(glob: str) -> str:
    """Return the leading segments of a glob that have no wildcard, joined: a file, a folder, or empty for the root."""
    segments: list[str] = []
    for segment in glob.split("/"):
        if not _WILDCARDS.isdisjoint(segment):
            break
        segments.append(segment)
    return "/".join(segments).rstrip("/")


def _refused_words(path: str, error: LockHeld) -> str:
    holder = error.data.get("held_by")
    held = f"{holder} holds its lock" if holder else "its lock is not free"
    return f"{path} is a joint file and was changed without its lock; {held}. {_WAY_OUT}"
