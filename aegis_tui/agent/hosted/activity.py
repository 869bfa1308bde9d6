"""Follows what a hosted program does: the files it has to do with, and its instance's state (FLOW-6, AGENT-6).

The evidence is what its hooks write down, the tools that its output names, and what has changed in the worktree.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

from aegis_tui.agent.git import Git
from aegis_tui.agent.hosted.acp_view import Act
from aegis_tui.agent.hosted.hear import tool_calls_file
from aegis_tui.agent.hosted.tool_calls import ToolCallLog
from aegis_tui.agent.progress import Progress
from aegis_tui.domain.count import counted
from aegis_tui.domain.hosting.kind_file import ToolNames
from aegis_tui.domain.instance.model import StateSource
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import AegisError

_LOOK_S = 1.0
_LOOKS_A_CHECK = 5
"""How many looks at the tool calls there are for each look at the worktree, for which git has to run."""
_MOST_TOUCHED = 2_000
_MOST_ACTS = 1_000
_NAME_CHARS = 200
_WORKING = frozenset({"exploring", "planning", "implementing", "self-QA"})
"""States that the evidence may change; all others have another reason."""


class Activity:
    """The activity of one program.

    Args:
        tools: The names of its tools that change files, and of those that run commands.
        home: Its home folder, in which its hooks write.
        git: Runs git in the worktree.
        progress: Reports the state.
        role: The name of the instance's role.
    """

    def __init__(self, tools: ToolNames, home: str, git: Git, *, progress: Progress, role: str) -> None:
        self._tools, self._git, self._progress, self._role = tools, git, progress, traits_of(role)
        self._calls = ToolCallLog(tool_calls_file(home))
        self._worktree = git.worktree.resolve()
        self._named: deque[tuple[str, StateSource]] = deque()
        self._acts: deque[Act] = deque(maxlen=_MOST_ACTS)
        self._has_changed = False
        self.touched: dict[str, None] = {}
        """The files that the program has read or changed, as paths in the worktree; the newest are last."""

    def begin_task(self) -> None:
        """Forget whether the program has changed a file for the task before; `touched` stays."""
        self._has_changed = False

    def tool(self, name: str) -> None:
        """Note the name of a tool that the program's output shows it has called.

        `follow` takes it up within a second.
        """
        self._named.append((name, "json"))

    def act(self, act: Act) -> None:
        """Note a tool call that the program has reported over ACP, and the files that it names.

        `follow` takes it up within a second.
        """
        self._touch(*filter(None, map(self._inside, act.paths)))
        self._acts.append(act)

    async def follow(self) -> None:
        """Keep `touched` up to date and report the states `implementing` and `self-QA`, until cancelled.

        The program's hooks and output are looked at every second, the worktree every 5 s. Only a role that writes files
        changes its state. Raises nothing: what git fails to list is not seen.
        """
        looks = 0
        while True:
            await self._look_at_calls()
            if looks % _LOOKS_A_CHECK == 0:
                await self._look_at_worktree()
            looks += 1
            await asyncio.sleep(_LOOK_S)

    async def _look_at_calls(self) -> None:
        for call in self._calls.read():
            self._touch(*filter(None, map(self._inside, call.paths)))
            if call.event == "PreToolUse":
                self._named.append((call.tool, "hook"))
        while self._named:
            await self._did(*self._named.popleft())
        while self._acts:
            act = self._acts.popleft()
            if act.does == "writes":
                await self._wrote("acp", f"its tool call: {act.name[:_NAME_CHARS]}")
            elif act.does == "runs" and self._has_changed:
                await self._enter("self-QA", "acp", f"its tool call after a change: {act.name[:_NAME_CHARS]}")

    async def _look_at_worktree(self) -> None:
        try:
            changed = await self._git.changed_paths(None)
        except AegisError:
            return
        self._touch(*changed)
        if changed and not self._has_changed:
            await self._wrote("worktree", f"changed {counted(len(changed), 'file')}, such as {sorted(changed)[0]}")

    async def _did(self, tool: str, source: StateSource) -> None:
        if tool in self._tools.writes:
            await self._wrote(source, f"called its tool {tool}")
        elif tool in self._tools.runs and self._has_changed:
            await self._enter("self-QA", source, f"called its tool {tool} after a change")

    async def _wrote(self, source: StateSource, evidence: str) -> None:
        self._has_changed = True
        await self._enter("implementing", source, evidence)

    async def _enter(self, state: str, source: StateSource, evidence: str) -> None:
        if self._role.is_writer and self._progress.state in _WORKING:
            await self._progress.enter(state, source=source, evidence=evidence)

    def _touch(self, *paths: str) -> None:
        for path in paths:
            self.touched.pop(path, None)
            self.touched[path] = None
        while len(self.touched) > _MOST_TOUCHED:
            del self.touched[next(iter(self.touched))]

    def _inside(self, path: str) -> str | None:
        """Return a path that a tool call names, links resolved, relative to the worktree; None if it lies outside.

        Also None if it cannot be resolved.
        """
        try:
            place = (self._worktree / Path(path)).resolve()
            return write_name(place.relative_to(self._worktree).as_posix())
        except (OSError, ValueError, RuntimeError):
            return None
