"""A conversation in which a consultant drafts a spec (ROLE-5). It reads the checkout and changes nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Final

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.git import Git
from aegis_tui.agent.search import search_files
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.domain.role_file import Role
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import PROPOSE_SPEC, SpecDraft, draft_brief, problems_of
from aegis_tui.domain.tool.model import (
    TOOLS,
    ReadArguments,
    SearchArguments,
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
"""The longest that a consultation may take, if the role file sets no limit."""

_MAX_UNUSABLE: Final = 3
_MOST_BYTES: Final = 1 << 20
_MOST_LINES: Final = 400
_READING: Final = ("read", "search")
_REMINDER: Final = "Call a tool. When you know enough, hand the specification in with propose_spec."


class Consultation:
    """One conversation about one draft.

    Args:
        root: The checkout. Only files that git does not ignore are read, and no links are followed.
        role: The consultant's role. Of its tools, `read` and `search` are offered; `propose_spec` always is.
        model: The model.
        model_name: Its name.
    """

    def __init__(self, root: Path, role: Role, model: ChatModel, model_name: str) -> None:
        self._root, self._git, self._role = root, Git(root), role
        self._model, self._name = model, model_name
        self._allowed = [*(name for name in _READING if name in role.tools), PROPOSE_SPEC.name]
        self._tools = {**TOOLS, PROPOSE_SPEC.name: PROPOSE_SPEC}
        self._paths: list[str] = []
        self._unusable = 0

    async def draft(self, spec: Spec) -> SpecDraft:
        """Return what the consultant hands in for a spec; it fits the rules of a spec.

        Raises:
            ModelUnavailable: The server does not answer.
            ModelError: The server refuses, or the model handed in nothing usable within its limits.
            GitError: git cannot list the files.
        """
        self._paths = await self._list_files()
        talk = Conversation(self._role.prompt)
        talk.add_user(draft_brief(spec, self._paths))
        end = time.monotonic() + 60 * (self._role.max_minutes or MAX_MINUTES)
        for _ in range(self._role.max_turns or MAX_TURNS):
            if time.monotonic() > end:
                break
            reply = await self._ask(talk)
            talk.add_reply(reply)
            if not reply.tool_calls:
                self._count_unusable("it called no tool")
                talk.add_user(_REMINDER)
            for call in reply.tool_calls:
                result = await self._answer(call, spec)
                if isinstance(result, SpecDraft):
                    return result
                talk.add_result(call.id, result)
        raise _given_up("within its limits")

    async def _list_files(self) -> list[str]:
        listed = await self._git.run(
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
            limit_bytes=8 * _MOST_BYTES,
            with_errors=False,
            errors="surrogateescape",
        )
        return sorted({write_name(path) for path in listed.output.split("\0") if path})

    async def _ask(self, talk: Conversation) -> ChatReply:
        schemas = [*tool_schemas(self._allowed[:-1]), PROPOSE_SPEC.schema()]
        async with aclosing(self._model.stream(ChatRequest(self._name, talk.messages, schemas))) as parts:
            async for part in parts:
                if isinstance(part, ChatReply):
                    return part
        raise ModelMalformed("the model gave no complete reply", "")

    async def _answer(self, call: ToolCall, spec: Spec) -> SpecDraft | str:
        """Return the draft that a call hands in, if nothing is wrong with it, else the result of the call in words.

        Raises:
            ModelError: Too many calls could not be used.
        """
        try:
            arguments = parse_arguments(call.name, call.arguments, allowed=self._allowed, tools=self._tools)
        except UsageError as error:
            self._count_unusable(error.message)
            return f"Error: {error}"
        if isinstance(arguments, SpecDraft):
            problems = problems_of(spec, arguments)
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
            raise _given_up(f"usable: {problem}")

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


def _given_up(what: str) -> ModelError:
    hint = "fill the draft in yourself, then approve it"
    return ModelError(f"the consultant handed in nothing {what}", hint, is_certain=True)
