"""A conversation of a role that reads the checkout, changes nothing and ends with one tool of its own (ROLE-5, -11)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.git import Git
from aegis_tui.agent.search import search_files
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.domain.role_file import Role
from aegis_tui.domain.tool.model import (
    TOOLS,
    ReadArguments,
    SearchArguments,
    Tool,
    ToolArguments,
    parse_arguments,
    tool_schemas,
)
from aegis_tui.errors import AegisError, ModelError, ModelMalformed, UsageError
from aegis_tui.ports.llm import ChatModel, ChatReply, ChatRequest, ToolCall
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_TURNS: Final = 20
"""The most replies of the model, if the role file sets no limit."""
MAX_MINUTES: Final = 10.0
"""The longest that a conversation may take, if the role file sets no limit."""

_MAX_UNUSABLE: Final = 3
_MOST_BYTES: Final = 1 << 20
_MOST_LINES: Final = 400
_READING: Final = ("read", "search")

Check = Callable[[ToolArguments], Sequence[str]]
"""Takes what is handed in, and returns what is wrong with it; empty if nothing is."""


class ReadingTalk:
    """One conversation.

    Args:
        root: The checkout. Only files that git does not ignore are read, and no links are followed.
        role: The role. Of its tools, `read` and `search` are offered; `end` always is.
        model: The model.
        model_name: Its name.
        end: The tool with which it hands in its result.
    """

    def __init__(self, root: Path, role: Role, model: ChatModel, model_name: str, *, end: Tool) -> None:
        self._root, self._git, self._role = root, Git(root), role
        self._model, self._name, self._end = model, model_name, end
        self._allowed = [*(name for name in _READING if name in role.tools), end.name]
        self._tools = {**TOOLS, end.name: end}
        self._paths: list[str] = []
        self._unusable = 0

    async def list_files(self) -> list[str]:
        """Return the paths of the files that may be read, sorted, in their written form.

        Raises:
            GitError: git cannot be started or took too long.
        """
        self._paths = await self._list_files()
        return self._paths

    async def run(self, brief: str, check: Check) -> ToolArguments:
        """Return the arguments with which `end` is called, as soon as nothing is wrong with them.

        Args:
            brief: The task in words.
            check: Says what is wrong with arguments; the model is asked to correct it.

        Raises:
            ModelUnavailable: The server does not answer.
            ModelError: The server refuses, or the model handed in nothing usable within its limits.
            GitError: git cannot list the files.
        """
        if not self._paths:
            await self.list_files()
        talk = Conversation(self._role.prompt)
        talk.add_user(brief)
        latest = time.monotonic() + 60 * (self._role.max_minutes or MAX_MINUTES)
        for _ in range(self._role.max_turns or MAX_TURNS):
            if time.monotonic() > latest:
                break
            reply = await self._ask(talk)
            talk.add_reply(reply)
            if not reply.tool_calls:
                self._count_unusable("it called no tool")
                talk.add_user(f"Call a tool. When you know enough, hand your result in with {self._end.name}.")
            for call in reply.tool_calls:
                result = await self._answer(call, check)
                if not isinstance(result, str):
                    return result
                talk.add_result(call.id, result)
        raise self._given_up("within its limits")

    async def _list_files(self) -> list[str]:
        listed = await self._git.run(
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
            limit_bytes=8 * _MOST_BYTES,
            with_errors=False,
            errors="surrogateescape",
        )
        return sorted({write_name(path) for path in listed.output.split("\0") if path})

    async def _ask(self, talk: Conversation) -> ChatReply:
        schemas = [*tool_schemas(self._allowed[:-1]), self._end.schema()]
        async with aclosing(self._model.stream(ChatRequest(self._name, talk.messages, schemas))) as parts:
            async for part in parts:
                if isinstance(part, ChatReply):
                    return part
        raise ModelMalformed("the model gave no complete reply", "")

    async def _answer(self, call: ToolCall, check: Check) -> ToolArguments | str:
        """Return what a call hands in, if nothing is wrong with it, else the result of the call in words.

        Raises:
            ModelError: Too many calls could not be used.
        """
        try:
            arguments = parse_arguments(call.name, call.arguments, allowed=self._allowed, tools=self._tools)
        except UsageError as error:
            self._count_unusable(error.message)
            return f"Error: {error}"
        if isinstance(arguments, self._end.arguments):
            problems = check(arguments)
            if not problems:
                return arguments
            self._count_unusable(problems[0])
            return "Error: correct this and hand it in again:\n" + "\n".join(problems)
        try:
            return await self._look(arguments)
        except AegisError as error:
            return f"Error: {error}"

    def _count_unusable(self, problem: str) -> None:
        self._unusable += 1
        if self._unusable > _MAX_UNUSABLE:
            raise self._given_up(f"usable: {problem}")

    def _given_up(self, what: str) -> ModelError:
        hint = "do it yourself, or set another model in the role file"
        return ModelError(f"the {self._role.name} handed in nothing {what}", hint, is_certain=True)

    async def _look(self, arguments: ToolArguments) -> str:
        if isinstance(arguments, SearchArguments):
            return await search_files(self._git, arguments.pattern, glob=arguments.glob)
        if isinstance(arguments, ReadArguments):
            return await asyncio.to_thread(self._read, arguments)
        raise UsageError("that tool does not work here")

    def _read(self, wanted: ReadArguments) -> str:
        if wanted.path not in self._paths:
            raise UsageError(f"there is no file {wanted.path} in the repository")
        with UntrustedFolder(self._root) as folder:
            content = folder.read(name_of(wanted.path), limit=_MOST_BYTES)
        if content is None:
            raise UsageError(f"{wanted.path} is no regular file of at most 1 MiB")
        lines = content.decode("utf-8", "replace").splitlines()
        start = (wanted.start or 1) - 1
        shown = lines[start : min(wanted.end or len(lines), start + _MOST_LINES)]
        rest = f"\n({len(lines)} lines in all)" if len(shown) < len(lines) else ""
        return "\n".join(f"{number}: {line}" for number, line in enumerate(shown, start=start + 1)) + rest
