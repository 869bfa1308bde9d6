"""Our end of ACP where an editor drives the built-in agent (AGENT-3).

See https://agentclientprotocol.com/protocol/initialization and https://agentclientprotocol.com/protocol/prompt-turn.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aegis_tui import __version__
from aegis_tui.agent.acp.editor_screen import Update
from aegis_tui.agent.acp.editor_session import CANCELLED, EditorSession
from aegis_tui.agent.acp.peer import METHOD_NOT_FOUND, AcpError, Peer
from aegis_tui.domain.inert import one_line

INVALID_PARAMS: Final = -32602
_VERSION: Final = 1
_ABILITIES: Final[Mapping[str, Any]] = {
    "loadSession": False,
    "promptCapabilities": {"image": False, "audio": False, "embeddedContext": True},
    "mcpCapabilities": {"http": False, "sse": False},
}
_OPTIONS: Final = (
    {"optionId": "once", "name": "Allow", "kind": "allow_once"},
    {"optionId": "always", "name": "Allow all commands of this session", "kind": "allow_always"},
    {"optionId": "no", "name": "Refuse", "kind": "reject_once"},
)
_TITLE_CHARS = 300


class EditorEnd:
    """Answers an editor; there is one conversation at a time, and a new one takes the place of the old.

    Args:
        worktree: The folder in which the agent works.
        reader: What the editor sends.
        writer: Where to write to it.
    """

    def __init__(self, worktree: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._worktree = worktree
        self.peer = Peer(reader, writer, on_request=self._asked, on_notice=self._noted)
        self._agent: asyncio.Future[EditorSession] = asyncio.get_running_loop().create_future()
        self._updates: asyncio.Queue[Update] = asyncio.Queue()
        self._session = ""
        self._is_busy = self._allows_all = False
        self._questions = 0

    def attach(self, agent: EditorSession) -> None:
        """Let requests reach the agent from now on."""
        self._agent.set_result(agent)

    def fail(self, error: Exception) -> None:
        """Answer requests for the agent with this error, because it could not start; no effect if it did."""
        if not self._agent.done():
            self._agent.set_exception(error if isinstance(error, AcpError) else AcpError(str(error)))
            self._agent.exception()

    def update(self, update: Update) -> None:
        """Queue an update of the conversation; they are sent in order, and before the answer that ends the turn."""
        self._updates.put_nowait(update)

    async def run(self) -> None:
        """Serve the editor until it closes the connection. Raises nothing."""
        sending = asyncio.create_task(self._send_updates())
        try:
            await self.peer.run()
        finally:
            sending.cancel()

    async def may_run(self, arguments: str, *, is_own: bool) -> bool:
        """Ask the person in the editor whether a command may run; False if they refuse, or no editor is there.

        Args:
            arguments: The arguments of the tool `bash`, as the model gave them.
            is_own: Whether the turn has prompts of the editor alone. In another, where an agent may have said what to
                run, the person is asked even if they have allowed all commands of the session.
        """
        if self._allows_all and is_own:
            return True
        options = [option for option in _OPTIONS if is_own or option["kind"] != "allow_always"]
        self._questions += 1
        call = {"toolCallId": f"ask-{self._questions}", "title": _command_in(arguments), "kind": "execute"}
        fields = {"sessionId": self._session, "toolCall": {**call, "status": "pending"}, "options": options}
        await self._updates.join()
        try:
            answer = await self.peer.request("session/request_permission", fields)
        except AcpError:
            return False
        outcome = answer.get("outcome") if isinstance(answer, dict) else None
        chosen = outcome.get("optionId") if isinstance(outcome, dict) else None
        self._allows_all = self._allows_all or (is_own and chosen == "always")
        return chosen == "once" or (is_own and chosen == "always")

    async def _send_updates(self) -> None:
        while True:
            update = await self._updates.get()
            try:
                await self.peer.notify("session/update", {"sessionId": self._session, "update": update})
            except AcpError:
                pass  # the editor is gone, which ends `run`
            finally:
                self._updates.task_done()

    async def _asked(self, method: str, params: Mapping[str, Any]) -> Any:
        if method == "initialize":
            about = {"name": "aegis-tui", "title": "aegis-tui", "version": __version__}
            return {
                "protocolVersion": _VERSION,
                "agentCapabilities": _ABILITIES,
                "agentInfo": about,
                "authMethods": [],
            }
        if method == "authenticate":
            return {}
        if method == "session/new":
            return await self._begin(params)
        if method == "session/prompt":
            return await self._prompt(params)
        raise AcpError("there is no such method", METHOD_NOT_FOUND)

    def _noted(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "session/cancel" and params.get("sessionId") == self._session and self._is_busy:
            self._agent.result().interrupt()

    async def _ready(self) -> EditorSession:
        """Return the agent once it can take prompts.

        Raises:
            AcpError: It could not start.
        """
        agent = await asyncio.shield(self._agent)
        await agent.ready.wait()
        return agent

    async def _begin(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        cwd = params.get("cwd")
        if not isinstance(cwd, str) or not _is_same(cwd, self._worktree):
            raise AcpError(
                f"the agent works in {self._worktree}; start it in the folder of the session", INVALID_PARAMS
            )
        if self._is_busy:
            raise AcpError("the agent works on another session's prompt; it has one conversation at a time")
        agent = await self._ready()
        if agent.is_working:
            raise AcpError("the agent works on a prompt that others sent; begin the session when that is done")
        agent.begin_conversation()
        self._session, self._allows_all = uuid.uuid4().hex, False
        return {"sessionId": self._session}

    async def _prompt(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._session or params.get("sessionId") != self._session:
            raise AcpError("there is no such session; a newer one has taken its place", INVALID_PARAMS)
        if self._is_busy:
            raise AcpError("the agent works on a prompt already")
        text = _text_of(params.get("prompt"))
        if not text:
            raise AcpError("the prompt has no text", INVALID_PARAMS)
        self._is_busy = True
        try:
            outcome = await (await self._ready()).ask(text)
        finally:
            self._is_busy = False
        await self._updates.join()
        if outcome.state == "failed":
            raise AcpError(outcome.summary)
        return {"stopReason": "cancelled" if outcome.summary == CANCELLED else "end_turn"}


def _is_same(cwd: str, worktree: Path) -> bool:
    try:
        return Path(cwd).resolve() == worktree
    except (OSError, ValueError, RuntimeError):
        return False


def _text_of(prompt: object) -> str:
    """Return the text of a prompt: its texts, embedded texts with their address, and the addresses of links."""
    parts = []
    for block in prompt if isinstance(prompt, list) else []:
        fields = block if isinstance(block, dict) else {}
        resource = fields.get("resource")
        inner = resource if isinstance(resource, dict) else {}
        if isinstance(text := fields.get("text"), str):
            parts.append(text)
        elif isinstance(text := inner.get("text"), str):
            parts.append(f"\n{inner.get('uri')}:\n{text}\n")
        elif isinstance(address := fields.get("uri"), str):
            parts.append(address)
    return " ".join(parts).strip()


def _command_in(arguments: str) -> str:
    """Return the command in the arguments of the tool `bash`, as one line, for a person."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = None
    command = value.get("command") if isinstance(value, dict) else None
    return one_line(command if isinstance(command, str) else arguments)[:_TITLE_CHARS]
