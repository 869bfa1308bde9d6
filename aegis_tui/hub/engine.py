"""The engine: the only part of the hub that changes the workspace, in one task, the writer.

The writer decides commands one by one and writes their events in batches; replies and events go out only after that, so
nobody gets a state that is not on disk. If anything fails before the events are written, the state is rebuilt from the
log.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, TypeVar

from aegis_tui.domain.command import AnyCommand, loggable, parse_command
from aegis_tui.domain.core import CommandOutcome, due_commands, execute, settled, snapshot_view
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import Heartbeat
from aegis_tui.domain.limit import EVENTS_PAGE
from aegis_tui.domain.model import Key
from aegis_tui.domain.page import context_page
from aegis_tui.domain.wire.context import SharedContext
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, StoreError
from aegis_tui.hub.batch import Batch, Instant, Reply, ReplyFuture, Submission, internal, resolve, stopping, unreadable
from aegis_tui.hub.changes import Changes
from aegis_tui.hub.recovery import recover, recover_from
from aegis_tui.hub.snapshots import SNAPSHOT_EVENTS, SnapshotKeeper
from aegis_tui.hub.stall import StallMeter
from aegis_tui.ports.clock import Clock
from aegis_tui.ports.event_log import EventLog, RequestKey

T = TypeVar("T")
Listener = Callable[[list[Event]], None]

MAX_BATCH = 64

_SHORTEST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


class Engine:
    """The `CommandPort` of the hub process, and the source of its events.

    `open` before use; `close` afterwards. Not thread-safe: one event loop.
    """

    def __init__(self, log: EventLog, clock: Clock, *, key: str = "", snapshot_events: int = SNAPSHOT_EVENTS) -> None:
        """Create an engine for a log.

        Args:
            log: The log; the engine opens and closes it.
            clock: For deadlines and timestamps.
            key: The workspace's key, for the shared context.
            snapshot_events: How many events after the newest snapshot make the next one due.
        """
        self._log, self._clock, self._key = log, clock, key
        self._snapshots = SnapshotKeeper(log, clock, every_events=snapshot_events)
        self._workspace = Workspace()
        self._state = asyncio.Lock()
        self._queue: deque[Submission] = deque()
        self._work = asyncio.Event()
        self._timer_wake, self._timer_at = asyncio.Event(), 0.0
        self._waiting: dict[RequestKey, list[ReplyFuture]] = {}
        self._listeners: list[Listener] = []
        self._changed: list[Changes] = []
        self._stalls = StallMeter(clock)
        self._must_expire = False
        self._suspects = 0
        self._broken: StoreError | None = None
        self._is_open = False
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop
        self.batches, self.commands = 0, 0

    async def open(self) -> None:
        """Rebuild the state from the log and start the tasks that decide commands; call it once.

        Raises:
            StoreError: The log is damaged or cannot be opened; it is closed again then.
        """
        try:
            await self._log.open()
            self._workspace, snapshot_seq = await recover_from(self._log, now=self._clock.now())
        except BaseException:
            await self._log.close()
            raise
        self._snapshots.start_from(snapshot_seq, self._workspace)
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._stalls.expect(self._clock.now() + _LONGEST_PAUSE_S)
        self._tasks = [
            asyncio.create_task(self._write_forever(), name="hub-writer"),
            asyncio.create_task(self._watch_deadlines(), name="hub-timer"),
        ]

    async def close(self) -> None:
        """Finish the batch, save a snapshot if many events are new, fail requests (`HubUnavailable`), close the log."""
        was_open, self._is_open = self._is_open, False
        async with self._state:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if was_open:
                await self._snapshots.close(self._workspace if self._broken is None else None)
        for answer in [item.answer for item in self._queue] + [one for many in self._waiting.values() for one in many]:
            resolve(answer, stopping())
        await self._log.close()

    @property
    def last_seq(self) -> int:
        """The number of the newest event on disk; 0 when there is none."""
        return self._log.last_seq

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that can still be read; 1 until the log is first compacted."""
        return self._log.first_seq

    def timestamp(self) -> str:
        """Return the current time, RFC 3339 UTC."""
        return self._clock.timestamp()

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each batch of events right after it is on disk; it must not block or raise."""
        self._listeners.append(listener)

    async def events(self, after: int, limit: int) -> list[Event]:
        """Return logged events after number `after`, in order: at most `limit` and 1 MiB, but one if there is one.

        Raises:
            StoreError: The log cannot be read.
        """
        return await self._log.read(after, limit, most_bytes=EVENTS_PAGE.most)

    async def read(self, view: Callable[[Workspace], T]) -> T:
        """Return what `view` returns for the logged state, or raise its error; waits for the current batch.

        Raises:
            StoreError: The state cannot be rebuilt from the log.
        """
        async with self._state:
            self._check()
            return view(self._workspace)

    async def context(self) -> SharedContext:
        """Return the first page of what clients may read of the state; `seq` is the number of the last event in it.

        Raises:
            StoreError: The state cannot be rebuilt from the log.
        """
        return context_page(await self.view())

    async def view(self) -> SharedContext:
        """Return all that clients may read of the state; `StoreError` if it cannot be rebuilt from the log."""
        return await self.read(lambda workspace: snapshot_view(workspace, key=self._key, now=self._clock.now()))

    def peek(self, view: Callable[[Workspace], T]) -> T:
        """Return what `view` returns, at once. It may see events that are not on disk yet: never use it for replies."""
        return view(self._workspace)

    async def changes(self) -> AsyncGenerator[frozenset[Key], None]:
        """Yield, without end, the keys that changed since the last item, bursts merged; first an empty set, at once.

        A later item is empty if events changed no key, and has ("workspace", "rebuilt") if the state was read anew.
        """
        changed = Changes()
        self._changed.append(changed)
        try:
            yield frozenset()
            while True:
                yield await changed.take()
        finally:
            self._changed.remove(changed)

    async def submit(self, command: AnyCommand | dict[str, Any], actor: Actor, request_id: str | None = None) -> Reply:
        """Wait until a command is granted and on disk; return its reply, the same one again for the same `request_id`.

        Raises:
            AegisError: The command is not valid or refused, the hub stops, or the log cannot be written (`StoreError`).
        """
        return await self.enqueue(command, actor, request_id)

    def enqueue(self, command: AnyCommand | dict[str, Any], actor: Actor, request_id: str | None = None) -> ReplyFuture:
        """Queue one command, in the order of calls; return a future of its reply, or its refusal (also when stopping).

        Raises:
            UsageError: At once: the wire form is not a valid command.
        """
        parsed = parse_command(command) if isinstance(command, dict) else loggable(command, actor)
        if not self._is_open:
            refused: ReplyFuture = asyncio.get_running_loop().create_future()
            refused.set_exception(stopping())
            return refused
        answer: ReplyFuture = self._loop.create_future()
        is_retryable = request_id is not None
        self._queue.append(Submission(parsed, actor, request_id or uuid.uuid4().hex, answer, is_retryable))
        self._work.set()
        return answer

    async def has_taken(self, key: RequestKey) -> bool:
        """Return whether a request with this key was granted or waits; `StoreError` if the log cannot be read."""
        return key in self._waiting or bool(await self._log.find_replies([key]))

    async def heartbeat(self, actor: Actor, beat: Heartbeat) -> Reply:
        """Extend the sender's session; the reply's `lost` names the locks in `beat` that it does not hold. Not logged.

        Raises:
            AegisError: The sender may not send it, or the state cannot be rebuilt from the log (`StoreError`).
        """
        async with self._state:
            self._check()
            self._note_stall()
            return self._execute(beat, actor, "", Instant.of(self._clock)).reply

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def _write_forever(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._queue or self._must_expire:
                taken = self._take()
                try:
                    await self._write(taken)
                except Exception as error:
                    _log.exception("batch failed")
                    for submission in taken:
                        resolve(submission.answer, internal(error))

    def _take(self) -> list[Submission]:
        """Remove the next requests from the queue: at most 64, or one, to find out which of them made a batch fail."""
        count = min(1 if self._suspects else MAX_BATCH, len(self._queue))
        self._suspects = max(0, self._suspects - count)
        return [self._queue.popleft() for _ in range(count)]

    async def _write(self, taken: list[Submission]) -> None:
        async with self._state:
            try:
                if self._broken is not None:
                    await self._rebuild()
                known = await self._log.find_replies([item.key for item in taken if item.is_retryable])
                batch = Batch(Instant.of(self._clock))
                undecided = self._decide_all(self._expiries(batch.at.now) + taken, known, batch)
                if batch.events:
                    await self._log.append(batch.events, batch.logged_replies)
            except Exception as error:
                self._give_up(taken, error)
                await self._rebuild_or_break()
                return
            if undecided is not None:
                self._queue.extendleft(reversed(undecided))
                await self._rebuild_or_break()
            self._conclude(batch)
            if self._broken is None:
                self._snapshots.keep_if_due(self._workspace)
        if self._is_due_by(max(self._timer_at, self._clock.now())):
            self._timer_wake.set()

    def _give_up(self, taken: list[Submission], error: Exception) -> None:
        """Let the requests of a batch fail; if the core failed on one of several, queue all to try each alone."""
        if not isinstance(error, StoreError):
            _log.error("a batch of commands failed", exc_info=error, extra={"aegis_commands": len(taken)})
            if len(taken) > 1:
                self._queue.extendleft(reversed(taken))
                self._suspects = len(taken)
                return
        for submission in taken:
            resolve(submission.answer, error if isinstance(error, StoreError) else internal(error))

    def _expiries(self, now: float) -> list[Submission]:
        """Return commands that end all that is due, such as locks and sessions; none unless the timer found some.

        They are decided before other requests, which could renew it. If the hub stalled, deadlines are extended first.
        """
        self._note_stall()
        if not self._must_expire:
            return []
        self._must_expire = False
        due = due_commands(self._workspace, now)
        return [Submission(item, THE_HUB, uuid.uuid4().hex, self._loop.create_future(), False) for item in due]

    def _decide_all(
        self, taken: list[Submission], known: dict[RequestKey, Reply], batch: Batch
    ) -> list[Submission] | None:
        """Decide requests in order, into `batch`; return None, or the rest after one on which the core failed."""
        for index, submission in enumerate(taken):
            self.commands += 1
            try:
                self._decide(submission, known, batch)
            except Exception as error:
                _log.exception("the core failed", extra={"aegis_command": submission.command.type})
                batch.answers.append((submission.answer, internal(error)))
                return taken[index + 1 :]
        return None

    def _decide(self, submission: Submission, known: dict[RequestKey, Reply], batch: Batch) -> None:
        key = submission.key
        for answered in (known, batch.replies):
            if key in answered:
                batch.answers.append((submission.answer, answered[key]))
                return
        if key in batch.waiting or (key in self._waiting and key not in batch.settled):
            batch.waiting.setdefault(key, []).append(submission.answer)
            return
        seen = self._workspace.seq
        try:
            outcome = self._execute(submission.command, submission.actor, submission.request_id, batch.at)
        except AegisError as refusal:
            batch.answers.append((submission.answer, refusal))
            self._collect(getattr(refusal, "audit", ()), batch)
            if self._workspace.seq != seen + len(getattr(refusal, "audit", ())):
                raise RuntimeError("a refusal changed the state") from refusal
            return
        if outcome.pending:
            batch.waiting[key] = [submission.answer]
        else:
            batch.answers.append((submission.answer, outcome.reply))
            if outcome.events and submission.is_retryable:
                batch.replies[key] = outcome.reply
        batch.keys |= outcome.keys
        self._collect(outcome.events, batch)

    def _execute(self, command: AnyCommand, actor: Actor, request_id: str, at: Instant) -> CommandOutcome:
        now, timestamp = at
        return execute(self._workspace, command, actor=actor, request_id=request_id, now=now, timestamp=timestamp)

    def _collect(self, events: tuple[Event, ...], batch: Batch) -> None:
        for event in events:
            batch.events.append(event)
            if (settlement := settled(self._workspace, event, batch.at.now)) is not None:
                agent_id, request_id, result = settlement
                batch.settled[agent_id, request_id] = result
                if isinstance(result, dict):
                    batch.replies[agent_id, request_id] = result

    def _conclude(self, batch: Batch) -> None:
        """Send replies, then announce events and changed keys; called when the events are on disk."""
        self.batches += 1
        for key, answers in batch.waiting.items():
            self._waiting.setdefault(key, []).extend(answers)
        for answer, result in batch.answers:
            resolve(answer, result)
        for key, result in batch.settled.items():
            for answer in self._waiting.pop(key, []):
                resolve(answer, result)
        if batch.events:
            for listener in self._listeners:
                listener(batch.events)
            for changed in self._changed:
                changed.note(batch.keys)

    async def _rebuild(self) -> None:
        self._workspace = await recover(self._log, now=self._clock.now())
        self._broken = None
        for changed in self._changed:
            changed.note({("workspace", "rebuilt")})

    async def _rebuild_or_break(self) -> None:
        try:
            await self._rebuild()
        except Exception as error:
            _log.error("the log cannot be read back", exc_info=error)
            self._broken = error if isinstance(error, StoreError) else unreadable(error)

    async def _watch_deadlines(self) -> None:
        """Wake the writer when something is due; look at least once a second, to notice a stall. Never returns."""
        while True:
            started = self._clock.now()
            next_at = self._workspace.deadlines.next_at()
            wanted = _LONGEST_PAUSE_S if next_at is None else next_at - started
            pause_s = min(max(wanted, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            self._timer_at = started + pause_s
            self._stalls.expect(self._timer_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._timer_wake.wait()
            self._timer_wake.clear()
            self._note_stall()
            if self._is_due_by(self._clock.now()):
                self._must_expire = True
                self._work.set()

    def _is_due_by(self, instant: float) -> bool:
        """Return whether a deadline ends by then, in seconds of the hub's clock, or the state must be rebuilt first."""
        next_at = self._workspace.deadlines.next_at()
        return self._broken is not None or (next_at is not None and next_at <= instant)

    def _note_stall(self) -> None:
        """Extend every deadline by the time that the hub stalled (over 1 s), and by 30 s more if over 10 s (PANE-9)."""
        if lost_s := self._stalls.lost_s():
            self._workspace.deadlines.extend(lost_s)
