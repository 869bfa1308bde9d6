"""Runs the program as one process for the whole conversation, and gives it its prompts over ACP (AGENT-3)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aegis_tui.agent.acp.peer import METHOD_NOT_FOUND, AcpClosed, AcpError
from aegis_tui.agent.hosted.acp_permission import OnQuestion, Permissions
from aegis_tui.agent.hosted.acp_program import AcpProgram
from aegis_tui.agent.hosted.acp_view import AcpView, Act
from aegis_tui.agent.hosted.hear import box_of
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.hosted.runner import OnDelivery, ignore_delivery, ignore_tool, program_environment
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import AcpMode, KindFile, fill, fill_all
from aegis_tui.domain.inert import one_line
from aegis_tui.errors import Unavailable, UsageError
from aegis_tui.ports.delivery import Delivery
from aegis_tui.sdk.awake import awake_wait
from aegis_tui.sdk.private_file import write_private

_BEGIN_S = 180.0
"""How long the program may take from its start to its session; the first start with an empty home folder is slow."""
_TOOLS_S = 20.0
"""How long the first prompt waits until the program has got the list of its MCP tools."""
_CANCEL_S = 5.0
"""A program that has not ended its turn so long after it was told to is ended itself."""
_LOOK_S = 0.1
_REPLAY_S = 0.5
_MOST_LOOKS = 20
_BETWEEN = "\n\n---\n\n"
_ID_BYTES = 400
_WORDS: Final[Mapping[str, str]] = {
    "max_tokens": "its answer reached the limit of tokens",
    "max_turn_requests": "its turn reached the limit of calls to its model",
    "refusal": "its model refused to go on",
}
_FOR_SERVERS: Final = (
    "AEGIS_INSTANCE",
    "AEGIS_HUB",
    "AEGIS_TOKEN_FILE",
    "AEGIS_NOTICES",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
)
"""Variables that `aegis-tui mcp` needs; some programs start their MCP servers without their own environment."""


class AcpRunner:
    """A `Runner` for the mode `acp` of a kind.

    Args:
        settings: Identity, addresses, files and limits.
        kind: The description of the kind.
        values: The placeholders of the kind file, without `prompt`.
        screen: Shows what the program does.
        is_boxed: Whether it runs in the sandbox: then every permission that it asks for is given.
    """

    def __init__(
        self, settings: AgentSettings, kind: KindFile, values: Mapping[str, str], screen: Screen, *, is_boxed: bool
    ) -> None:
        self._settings, self._kind, self._values, self._screen = settings, kind, values, screen
        self._is_boxed = is_boxed
        self.on_tool: Callable[[str], None] = ignore_tool
        self.on_act: Callable[[Act], None] = lambda act: None
        self._permissions = Permissions(screen, allows_all=is_boxed)
        self._view = AcpView(screen, lambda act: self.on_act(act))
        self._program: AcpProgram | None = None
        self._file = Path(values["home"]) / ".aegis-acp-session"
        self._session = _read_session(self._file)
        self._said: list[str] = []
        """The prompts that the program has got, for a new conversation in place of one that is lost."""
        self._forgotten: list[str] = []
        """What the program has got in a turn that was cancelled, and forgets."""

    @property
    def on_question(self) -> OnQuestion:
        """Takes what the program asks a person, and None when that is answered."""
        return self._permissions.on_question

    @on_question.setter
    def on_question(self, value: OnQuestion) -> None:
        self._permissions.on_question = value

    def answer(self, line: str) -> bool:
        """Take a line that a person typed; return whether the program waits for an answer, and it is one."""
        return self._permissions.answer(line)

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Give the program the next prompt of its conversation, and return how its turn ended.

        When it is cancelled, the turn is; a program that does not end it within 5 s is ended.

        Args:
            text: The prompt.
            on_delivery: Called once the program has reported or answered anything about the prompt, or has ended.

        Raises:
            UsageError: The kind has no such mode.
            Unavailable: The program does not begin a session, or not in the mode that the kind names.
            OSError: It cannot be started.
        """
        program, continues = await self._ready()
        prompt = _BETWEEN.join([*(self._forgotten if continues else self._said), text])
        self._said.append(text)
        self._forgotten = []
        self._view.begin_turn()
        fields = {"sessionId": self._session, "prompt": [{"type": "text", "text": prompt}]}
        turn = asyncio.create_task(program.peer.request("session/prompt", fields))
        turn.add_done_callback(_look_at)
        stirred = asyncio.create_task(self._view.stirred.wait())
        try:
            await asyncio.wait({turn, stirred}, return_when=asyncio.FIRST_COMPLETED)
            if not stirred.done() and isinstance(turn.exception(), AcpClosed):
                await on_delivery(Delivery.UNKNOWN, "the program ended before it answered")
            else:
                await on_delivery(Delivery.DELIVERED, "")
            return await self._ended(program, turn)
        except asyncio.CancelledError:
            if self._kind.acp is not None and self._kind.acp.forgets_interrupted:
                self._forgotten = [prompt]
            await self._cancel(program, turn)
            raise
        finally:
            stirred.cancel()
            self._view.end_turn()

    async def go_on(self, text: str) -> Ran:
        """Give the program this text as the next prompt, as `run` does; return how its turn ended.

        Raises:
            Unavailable: The program does not begin a session.
            OSError: It cannot be started.
        """
        return await self.run(text)

    async def close(self) -> None:
        """End the program and return when it has ended; no effect if it does not run."""
        program, self._program = self._program, None
        if program is not None:
            await program.end()

    async def _ready(self) -> tuple[AcpProgram, bool]:
        """Return the program, started if it does not run, and whether its session has the conversation so far.

        Raises:
            UsageError: The kind has no such mode.
            Unavailable: It does not begin a session, or a program that it needs is missing.
            OSError: It cannot be started.
        """
        if self._program is not None and self._program.is_alive:
            return self._program, True
        await self.close()
        mode = self._kind.acp
        if mode is None:
            raise UsageError(f"{self._kind.title} does not speak ACP", "run it headless")
        environment = self._environment(mode)
        if missing := [name for name in mode.programs if shutil.which(name, path=environment["PATH"]) is None]:
            raise Unavailable(f"{missing[0]} is not installed", mode.install, code="agent.program")
        box_of(self._values["home"]).unmark_tools_listed()
        program = self._program = await AcpProgram.start(
            [fill(argument, self._values) for argument in mode.argv],
            cwd=self._settings.worktree,
            environment=environment,
            on_request=self._asked,
            on_notice=self._noted,
        )
        try:
            continues = await awake_wait(self._begin(program, mode), _BEGIN_S)
        except (AcpError, Unavailable, TimeoutError) as error:
            words = f"it did not begin within {_BEGIN_S:.0f} s" if isinstance(error, TimeoutError) else str(error)
            await self.close()
            tail = f":\n{program.last_lines}" if program.last_lines else ""
            message = f"{self._kind.title} does not begin a session over ACP: {one_line(words)}{tail}"
            raise Unavailable(message, mode.install or self._kind.install, code="agent.program") from error
        except BaseException:
            await self.close()
            raise
        if self._kind.mcp:
            await self._wait_for_tools(program)
        return program, continues

    async def _begin(self, program: AcpProgram, mode: AcpMode) -> bool:
        """Begin the session, or continue the earlier one; return whether it is that. Errors are `AcpError`."""
        can = await program.initialize()
        if mode.login:
            await program.peer.request("authenticate", {"methodId": mode.login})
        answer, continues = None, False
        if self._session and (can.can_resume or can.can_load):
            answer = await self._continue(program, mode, "session/resume" if can.can_resume else "session/load")
            continues = answer is not None
        if answer is None:
            self._session, answer = await program.new_session(self._fields(mode))
            with suppress(OSError, UnicodeEncodeError):
                write_private(self._file, self._session)
        if wanted := mode.boxed if self._is_boxed else mode.open:
            await program.set_mode(self._session, wanted, answer)
            self._screen.action("Mode", wanted)
        return continues

    async def _continue(self, program: AcpProgram, mode: AcpMode, method: str) -> Mapping[str, Any] | None:
        """Return the program's answer when it has taken up the earlier session; None if it cannot.

        Raises:
            AcpClosed: It has ended.
        """
        fields = {"sessionId": self._session, **self._fields(mode)}
        self._view.is_muted = True
        try:
            answer = await program.peer.request(method, fields)
            await self._replayed()
        except AcpClosed:
            raise
        except AcpError as error:
            self._screen.problem(f"the earlier conversation cannot be continued: {error}")
            return None
        finally:
            self._view.is_muted = False
        return answer if isinstance(answer, dict) else {}

    async def _replayed(self) -> None:
        """Return when the program repeats no more updates of the session, which some still do after their answer."""
        for _ in range(_MOST_LOOKS):
            seen = self._view.taken
            await asyncio.sleep(_REPLAY_S)
            if seen == self._view.taken:
                return

    def _environment(self, mode: AcpMode) -> dict[str, str]:
        own = {name: fill(value, self._values) for name, value in mode.environment.items()}
        return program_environment(self._settings, self._kind, self._values) | own

    def _fields(self, mode: AcpMode) -> dict[str, Any]:
        """Return what a session begins with: its folder, its MCP servers, and the options of the kind."""
        meta = {"_meta": fill_all(mode.meta, self._values)} if mode.meta else {}
        return {"cwd": str(self._settings.worktree), "mcpServers": self._servers(), **meta}

    def _servers(self) -> list[dict[str, Any]]:
        """Return the MCP servers for the session: ours, if the kind has MCP."""
        if not self._kind.mcp:
            return []
        environment = program_environment(self._settings, self._kind, self._values)
        passed = [{"name": name, "value": environment[name]} for name in _FOR_SERVERS if name in environment]
        arguments = ["-E", "-P", "-m", "aegis_tui", "mcp"]
        return [{"name": "aegis", "command": self._values["python"], "args": arguments, "env": passed}]

    async def _wait_for_tools(self, program: AcpProgram) -> None:
        """Return once the program has the list of its MCP tools, or has ended, or after 20 s: then the pane says so."""
        box = box_of(self._values["home"])

        async def listed() -> None:
            while True:
                if box.has_listed_tools or not program.is_alive:
                    return
                await asyncio.sleep(_LOOK_S)

        try:
            await awake_wait(listed(), _TOOLS_S)
        except TimeoutError:
            self._screen.problem(f"the program has not listed its MCP tools within {_TOOLS_S:.0f} s")

    async def _asked(self, method: str, params: Mapping[str, Any]) -> Any:
        if method == "session/request_permission":
            return await self._permissions.ask(params)
        raise AcpError("there is no such method", METHOD_NOT_FOUND)

    def _noted(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "session/update" and params.get("sessionId") in (None, self._session):
            self._view.take(params.get("update"))

    async def _ended(self, program: AcpProgram, turn: asyncio.Task[Any]) -> Ran:
        """Return how the turn ended; if the program has ended too, its exit code is that of the turn, but never 0."""
        try:
            answer = await asyncio.shield(turn)
        except AcpClosed:
            tail = program.last_lines
            await self.close()
            code = await program.end()
            return Ran(code or 1, self._view.said, tail or "it ended in the middle of its turn")
        except AcpError as error:
            return Ran(0, self._view.said, "\n".join(filter(None, (program.last_lines, str(error)))), says_failed=True)
        reason = answer.get("stopReason") if isinstance(answer, dict) else None
        if reason == "cancelled":
            return Ran(0, self._view.said, "", is_interrupted=True)
        if reason == "end_turn":
            return Ran(0, self._view.said, self._view.said)
        words = _WORDS.get(reason, "") if isinstance(reason, str) else ""
        return Ran(0, self._view.said, words or f"it stopped: {one_line(str(reason))[:80]}", says_failed=True)

    async def _cancel(self, program: AcpProgram, turn: asyncio.Task[Any]) -> None:
        """Let the program end its turn; end the program if it does not within 5 s."""
        with suppress(AcpError, TimeoutError):
            async with asyncio.timeout(_CANCEL_S):
                await program.peer.notify("session/cancel", {"sessionId": self._session})
        self._permissions.withdraw()
        done, _ = await asyncio.wait({turn}, timeout=_CANCEL_S)
        if not done:
            turn.cancel()
            self._screen.problem("the program did not end its turn, so it is ended; the next prompt starts it again")
            await self.close()


def _look_at(turn: asyncio.Task[Any]) -> None:
    """Take note of a task's error: after a cancellation nobody else may wait for it."""
    if not turn.cancelled():
        turn.exception()


def _read_session(file: Path) -> str:
    """Return the id of the session that this instance had before; empty if it had none, or it cannot be read."""
    try:
        with file.open("rb") as source:
            return source.read(_ID_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
