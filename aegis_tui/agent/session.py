"""The built-in agent of one instance: a conversation with a model that calls tools (AGENT-1)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Coroutine
from typing import Any

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.fenced_writes import FencedWrites
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.foreign import ForeignToolbox
from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import HandIn
from aegis_tui.agent.inbox import Prompt
from aegis_tui.agent.joint_files import JointFiles
from aegis_tui.agent.life import BEAT_S, InstanceLife, cancel
from aegis_tui.agent.loop import ToolLoop
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.pointers import Pointers
from aegis_tui.agent.reader import FileReader
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import TaskOutcome, Toolbox
from aegis_tui.agent.views import FileViews
from aegis_tui.agent.writer import Writer
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.prompt import notices_text, opening_text, scope_text, system_text
from aegis_tui.domain.role_file import Role
from aegis_tui.errors import ModelUnavailable
from aegis_tui.ports.code_map import SourceFacts
from aegis_tui.ports.foreign_tools import ForeignTools
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.ports.llm import ChatModel
from aegis_tui.ports.symbols import SymbolReader


class AgentSession(InstanceLife):
    """The built-in agent of one instance, with the given hub link, model client, parsers and foreign tools."""

    _toolbox_type: type[Toolbox] = Toolbox
    _loop_type: type[ToolLoop] = ToolLoop
    _model_name = ""

    def __init__(
        self,
        settings: AgentSettings,
        role: Role,
        *,
        link: HubLink,
        model: ChatModel,
        symbols: SymbolReader,
        facts: SourceFacts,
        screen: Screen,
        foreign: ForeignTools | None = None,
        beat_s: float = BEAT_S,
    ) -> None:
        super().__init__(settings, role.name, agent_type=NATIVE.upper(), link=link, screen=screen, beat_s=beat_s)
        self._model = model
        worktree, git = OwnWorktree(settings.worktree), Git(settings.worktree)
        writes = FencedWrites(worktree, self._locks, link, self.progress, screen)
        newest = NewestContent(git, worktree, link, os.environ)
        reader = FileReader(
            worktree,
            self._scope,
            Pointers(worktree, git, facts),
            FileViews(),
            shows_bodies="verdict" in role.tools,
        )
        self._toolbox = self._toolbox_type(
            role,
            worktree=worktree,
            reader=reader,
            git=git,
            writer=Writer(self._scope, writes, newest, symbols),
            hand_in=HandIn(link, git, self._locks, self._scope, JointFiles(git, self._scope, writes, newest)),
            link=link,
            progress=self.progress,
            screen=screen,
            environment=settings.tool_environment,
            foreign=ForeignToolbox(foreign, screen),
        )
        self.conversation = Conversation(system_text(settings.shared_context))
        self._tool_loop: ToolLoop | None = None

    @property
    def _read_paths(self) -> Collection[str]:
        return self._toolbox.read_paths

    async def _relation_to(self, event: HubEvent) -> str:
        path = str(event.data.get("file", ""))
        if event.type != "code:written" or event.agent_id == self._settings.agent_id or path in self._read_paths:
            return ""
        return await self._toolbox.reader.pointers.relation(path, tuple(self._read_paths))

    async def _save(self, reason: str) -> str | None:
        return await self._toolbox.save(reason)

    async def _prepare(self) -> None:
        """Choose the model of the role, else of the settings, else the first listed; wait for the person's MCP servers.

        Raises:
            ModelUnavailable: No model is set, and the server does not answer or serves none.
            ModelError: The server refuses, or its answer is no list of models.
        """
        self._model_name = self._toolbox.role.model or self._settings.model or await self._first_model()
        self._screen.welcome(self._settings.agent_id, role=self._role_name, model=self._model_name)
        await self._toolbox.foreign.prepare()
        self._begin_loop()

    def _begin_loop(self) -> None:
        """Let the next task be worked on in the present conversation; the model must have been chosen."""
        self._tool_loop = self._loop_type(
            self._model,
            self._model_name,
            conversation=self.conversation,
            toolbox=self._toolbox,
            progress=self.progress,
            screen=self._screen,
            max_turns=self._toolbox.role.max_turns or self._settings.max_turns,
            max_minutes=self._toolbox.role.max_minutes,
        )

    async def _first_model(self) -> str:
        names = await self._model.list_models()
        if not names:
            raise ModelUnavailable("the model server serves no model", "Load a model on the server, or set AEGIS_MODEL")
        return names[0]

    async def _do(self, prompt: Prompt) -> TaskOutcome:
        if self._tool_loop is None:
            raise RuntimeError("a prompt came before the instance was prepared")
        self._admit(prompt)
        await self._begin()
        return await self._tool_loop.run(self._between_turns)

    def _admit(self, prompt: Prompt) -> None:
        """Add a prompt to the conversation; before the first one comes what its role shares.

        What the prompt names (task, spec, review, commit) is from now on the task at hand.
        """
        self._toolbox.begin_task(self._toolbox.context.merged(prompt.context))
        self._screen.prompt(prompt.text, source=prompt.source)
        text = prompt.text
        if self.conversation.is_new:
            scope, shared = self._settings.scope, (self._toolbox.role.prompt, prompt.guidance)
            mine = scope_text(self._settings.agent_id, partition=scope.partition, moved=scope.moved)
            text = opening_text(shared, prompt.text, mine)
        self.conversation.add_user(text)

    async def _between_turns(self) -> None:
        await self._wait_while_halted()
        prompts, notices = self.inbox.drain_for(self._toolbox.context)
        if notices:
            self.conversation.add_user(notices_text(notices))
        for prompt in prompts:
            self._admit(prompt)


async def feed_keyboard(session: InstanceLife, lines: asyncio.Queue[str]) -> None:
    """Queue every typed line as a prompt of the person, until cancelled.

    Args:
        session: The instance.
        lines: From `keyboard_lines`.
    """
    while True:
        session.person_says(await lines.get())


async def run_beside(main: Coroutine[Any, Any, None], side: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end and `side` beside it; `side` is cancelled when `main` ends.

    An error of `main` is raised. One of `side` is dropped and ends only `side`.
    """
    helper = asyncio.create_task(side)
    try:
        await main
    finally:
        await cancel(helper)
