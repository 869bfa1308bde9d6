"""One control-mode client for all frequent work: commands through a pipe, output and changes as notifications.

`ControlLink` keeps a connection while one is possible; without one it raises `ControlLost` at once, and the caller
forks a tmux process instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from aegis_tui.adapters.process import end_child, kill_child
from aegis_tui.adapters.tmux.protocol import Changed, ControlParser, PaneOutput, Reply, command_line
from aegis_tui.errors import TerminalError
from aegis_tui.sdk.backoff import Backoff

DEADLINE_S = 5.0
"""If a command gets no reply for this long, the client is stuck; it is ended and replaced."""
_BACKOFF_MIN_S, _BACKOFF_MAX_S = 0.1, 5.0
_CHUNK_BYTES = 256 * 1024

log = logging.getLogger(__name__)


class ControlLost(Exception):
    """There will be no reply. tmux may have executed the commands nevertheless."""


class ControlClient:
    """One attached `tmux -C` process. It ends for good at the first error."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        on_output: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self._process = process
        self._on_output = on_output
        self._on_change = on_change
        self._pending: deque[asyncio.Future[Reply]] = deque()
        self._attached = asyncio.Event()
        self._ended = False
        self._reader = asyncio.create_task(self._read(), name="tmux-control-reader")

    @classmethod
    async def open(
        cls,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_output: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> ControlClient:
        """Start a client and return it once it is attached.

        Args:
            argv: The command line of the client.
            environment: Its whole environment.
            on_output: Called with the id of each pane that prints something.
            on_change: Called when the value of a subscribed format has changed.

        Raises:
            ControlLost: The client ended, or was not attached in time.
            OSError: It cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        client = cls(process, on_output, on_change)
        try:
            # A command that arrives before the attach is complete runs without a session (measured with 3.3a).
            async with asyncio.timeout(DEADLINE_S):
                await client._attached.wait()
            if client._ended:
                raise ControlLost("tmux control client ended")
        except TimeoutError as error:
            await client.close()
            raise ControlLost("tmux control client was not attached in time") from error
        except BaseException:
            await client.close()
            raise
        return client

    async def request(self, commands: Sequence[Sequence[str]], *, deadline_s: float = DEADLINE_S) -> list[Reply]:
        """Send the commands in one write and return their replies, in order; a refused command does not raise.

        Raises:
            ControlLost: The client ended, or a reply did not come within `deadline_s` seconds; it then ends.
            TerminalError: An argument contains a line break; nothing was sent.
        """
        payload = b"".join(command_line(command) for command in commands)
        if self._ended or self._process.stdin is None:
            raise ControlLost("tmux control client ended")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in commands]
        self._pending.extend(futures)
        try:
            async with asyncio.timeout(deadline_s):
                self._process.stdin.write(payload)
                await self._process.stdin.drain()
                return [await future for future in futures]
        except (TimeoutError, OSError) as error:
            self._end()
            raise ControlLost("tmux did not answer in time") from error
        finally:
            for future in futures:
                future.cancel()

    async def wait_ended(self) -> None:
        """Wait until the client has ended, by itself or by `close`; it then only has to be closed. Raises nothing."""
        await asyncio.wait([self._reader])

    async def close(self) -> None:
        """End the client's process and wait for it.

        The server keeps running; requests that wait fail with `ControlLost`.
        """
        self._end()
        self._reader.cancel()
        await asyncio.wait([self._reader])
        # An error of a write to an ended client shows in its lost replies; nothing else handles it.
        await end_child(self._process)

    async def _read(self) -> None:
        parser = ControlParser()
        stdout = self._process.stdout
        try:
            while stdout is not None and (data := await stdout.read(_CHUNK_BYTES)):
                for message in parser.feed(data):
                    self._handle(message)
        except TerminalError as error:
            log.warning("tmux control mode dropped", extra={"reason": str(error)})
        finally:
            self._end()

    def _handle(self, message: Reply | PaneOutput | Changed) -> None:
        match message:
            case PaneOutput(pane_id):
                self._on_output(pane_id)
            case Changed():
                self._on_change()
            case Reply(ok=ok, ours=False):
                if not ok:
                    raise TerminalError("tmux refused to attach a control client")
                self._attached.set()
            case Reply():
                if not self._pending:
                    raise TerminalError("tmux sent a reply that no command asked for")
                future = self._pending.popleft()
                if not future.done():
                    future.set_result(message)

    def _end(self) -> None:
        """Refuse new commands, fail the waiting ones with `ControlLost`, and kill the process. Never blocks."""
        self._ended = True
        self._attached.set()
        while self._pending:
            future = self._pending.popleft()
            if not future.done():
                future.set_exception(ControlLost("tmux control client ended"))
        kill_child(self._process)


class ControlLink:
    """Keeps a control client: replaces it, with growing pauses, whenever it ends."""

    def __init__(
        self,
        argv: Callable[[], Sequence[str]],
        environment: Mapping[str, str],
        *,
        on_output: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self._argv = argv
        self._environment = dict(environment)
        self._on_output = on_output
        self._on_change = on_change
        self._client: ControlClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._poked = asyncio.Event()
        self.up = asyncio.Event()
        """Set while a client is connected."""

    def start(self) -> None:
        """Start to connect, and return at once; if it waits before another try, try now. `up` is set when connected."""
        self._poked.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep(), name="tmux-control-link")

    async def close(self) -> None:
        """End the client and stop replacing it; requests raise `ControlLost` then. The tmux server keeps running."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def request(self, commands: Sequence[Sequence[str]], *, deadline_s: float = DEADLINE_S) -> list[Reply]:
        """Send commands through the connected client and return their replies, in order; a refused one does not raise.

        Raises:
            ControlLost: No client is connected, it ended, or a reply did not come within `deadline_s` seconds.
            TerminalError: An argument contains a line break; nothing was sent.
        """
        if self._client is None:
            raise ControlLost("no tmux control client")
        return await self._client.request(commands, deadline_s=deadline_s)

    async def _keep(self) -> None:
        backoff = Backoff(_BACKOFF_MIN_S, _BACKOFF_MAX_S, is_varied=False)
        while True:
            self._poked.clear()
            if await self._follow_one():
                backoff.reset()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_s()):
                    await self._poked.wait()

    async def _follow_one(self) -> bool:
        """Connect one client and use it until it ends; return whether it was ever connected.

        Raises:
            Exception: Whatever the function raises that returns the client's command line.
        """
        try:
            client = await ControlClient.open(
                self._argv(), self._environment, on_output=self._on_output, on_change=self._on_change
            )
        except (ControlLost, OSError):
            return False
        try:
            await client.request([["refresh-client", "-B", "dead:%*:#{pane_dead}"]])
            self._client = client
            self.up.set()
            self._on_change()
            await client.wait_ended()
        except ControlLost:
            return False
        finally:
            self._client = None
            self.up.clear()
            await client.close()
            self._on_change()
        return True
