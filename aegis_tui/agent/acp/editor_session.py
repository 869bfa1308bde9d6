"""The built-in agent as an editor drives it: a conversation, in which an answer in words ends the turn (AGENT-3)."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from typing_extensions import override

from aegis_tui.agent.acp.editor_screen import EDITOR, EditorScreen
from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.inbox import Prompt
from aegis_tui.agent.loop import ToolLoop
from aegis_tui.agent.reading import cut_words
from aegis_tui.agent.session import AgentSession
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import TaskOutcome, Toolbox, ToolResult
from aegis_tui.domain.prompt import system_text, unparsed_tool_call
from aegis_tui.domain.role_file import Role
from aegis_tui.domain.tool.call_text import without_thoughts
from aegis_tui.errors import Refused
from aegis_tui.ports.llm import ChatReply, ToolCall


class MayRun(Protocol):
    """Asks the person whether a shell command may run."""

    async def __call__(self, arguments: str, *, is_own: bool) -> bool:
        """Return whether it may.

        Args:
            arguments: The arguments of the tool `bash`, as the model gave them.
            is_own: Whether the turn has prompts of the editor alone; then an earlier answer may hold for it.
        """
        ...


_TASK_ENDS: Final = frozenset({"report", "verdict", "propose_design"})
_PROMPT = """You are a software engineer. You work with a person in their editor, in their own checkout.

# Workflow
1. Explore with map, search and signatures first. Then read PATH:SYMBOL rather than whole files.
2. Do what the person asks for, and no more. Follow the style of the files around yours.
3. Check your work where that is useful. The person is asked before each command runs.
4. Answer in a few words without calling a tool when you are done, or when you have a question. That ends your turn.

# Constraints
- Write only inside your partition. A refusal names the owner of the path; do not work around it.
- Joint files may be changed by everyone, one at a time. Your edits acquire the lock automatically; keep them small.
- Do not commit: the person does that.
"""
_SUMMARY_CHARS = 200


class EditorToolbox(Toolbox):
    """The tools, of which `bash` runs only what the person allows."""

    may_run: MayRun
    is_own = True
    """Whether the present turn has prompts of the editor alone."""

    @override
    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call as `Toolbox.call` does; a command that the person does not allow is refused."""
        if call.name == "bash" and not await self.may_run(call.arguments, is_own=self.is_own):
            refusal = Refused("the person did not allow this command", "Ask them, or do without it")
            return ToolResult(f"Error: {refusal}. {refusal.hint}", refusal=refusal)
        return await super().call(call)


class _Conversing(ToolLoop):
    """A loop that an answer without a call ends."""

    @override
    def _remind(self, reply: ChatReply) -> TaskOutcome | None:
        said = without_thoughts(reply.text).strip()
        if said and not cut_words(reply) and not unparsed_tool_call(said):
            return TaskOutcome("interrupted", said.splitlines()[0][:_SUMMARY_CHARS])
        return super()._remind(reply)


class EditorSession(AgentSession):
    """The built-in agent in an editor; it takes prompts of others too, between those of the editor.

    Args:
        settings: Identity, addresses, files and limits.
        role: Its role; it keeps the tools, but for those that end a task of a run.
        may_run: Asks the person whether a shell command may run.
        screen: Shows its work in the editor.
        parts: The rest of the arguments of `AgentSession`.
    """

    _toolbox_type, _loop_type = EditorToolbox, _Conversing
    _toolbox: EditorToolbox

    def __init__(
        self, settings: AgentSettings, role: Role, *, may_run: MayRun, screen: EditorScreen, **parts: Any
    ) -> None:
        kept = tuple(name for name in role.tools if name not in _TASK_ENDS)
        role = role.model_copy(update={"tools": kept, "prompt": _PROMPT})
        super().__init__(settings, role, screen=screen, **parts)
        self._editor_screen = screen
        self._toolbox.may_run = may_run
        self._asked: list[tuple[Prompt, asyncio.Future[TaskOutcome]]] = []
        self._admitted: list[Prompt] = []
        """The prompts of the present turn."""
        self.ready = asyncio.Event()
        """Set when the session has joined the hub: prompts of the editor are taken from then on."""

    @property
    def is_working(self) -> bool:
        """Whether a turn goes on, also one of a prompt that others than the editor sent."""
        return bool(self._admitted)

    def begin_conversation(self) -> None:
        """Forget the conversation so far; only between two turns."""
        self.conversation = Conversation(system_text(self._settings.shared_context))
        self._toolbox.reader.views.keep_only(self.conversation.results)
        self._begin_loop()

    async def ask(self, text: str) -> TaskOutcome:
        """Work on a prompt of the editor and return how that ended: `interrupted` also if it was answered in words.

        Cancelling it only ends the waiting.
        """
        prompt = Prompt(text, EDITOR)
        future: asyncio.Future[TaskOutcome] = asyncio.get_running_loop().create_future()
        self._asked.append((prompt, future))
        self.inbox.add_prompt(prompt)
        return await future

    @override
    async def _prepare(self) -> None:
        await super()._prepare()
        self.ready.set()

    @override
    async def _save(self, reason: str) -> str | None:
        """Commit nothing: the checkout is the person's."""
        return None

    @override
    def _admit(self, prompt: Prompt) -> None:
        super()._admit(prompt)
        self._admitted.append(prompt)
        self._toolbox.is_own = all(admitted.source == EDITOR for admitted in self._admitted)

    @override
    async def _do(self, prompt: Prompt) -> TaskOutcome:
        outcome = TaskOutcome("interrupted", CANCELLED)
        try:
            outcome = await super()._do(prompt)
            return outcome
        finally:
            self._editor_screen.finish("completed" if outcome.state != "failed" else "failed")
            for asked, future in self._asked:
                if any(asked is admitted for admitted in self._admitted) and not future.done():
                    future.set_result(outcome)
            self._asked = [item for item in self._asked if not item[1].done()]
            self._admitted.clear()


CANCELLED: Final = "cancelled"
"""The summary of a turn that was cancelled."""
