"""How much one token may make the hub keep, log and answer: one table, each limit with its reason (HUB-9, SEC-2).

The core enforces limits on what is kept, for commands and never in the replay of a log. The hub's servers enforce
limits on rates and on what is read from a connection, from the same table. No limit applies to the hub itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aegis_tui.domain.model import compact_json
from aegis_tui.errors import LimitReached


class Limit(NamedTuple):
    """One limit: how much of what, for whom, and why."""

    name: str
    most: int
    unit: str
    of: str
    """What is counted, and for whom."""
    why: str
    frees: str
    """What makes room again, or what the sender can do instead; used as the hint of the error."""

    def check(self, value: int, **facts: Any) -> None:
        """Return if `value` is within the limit.

        Args:
            value: How many `unit` there are or would be.
            facts: Further facts for the `data` of the error.

        Raises:
            LimitReached: `value` is above the limit.
        """
        if value > self.most:
            raise LimitReached(
                f"{self.of}: {value:,} {self.unit}, but at most {self.most:,} are allowed",
                self.frees,
                limit=self.name,
                most=self.most,
                unit=self.unit,
                **facts,
            )

    def check_size(self, value: object) -> None:
        """Return if a value, written as compact JSON in UTF-8, has at most as many bytes as the limit allows.

        Raises:
            LimitReached: It has more.
            TypeError: JSON cannot hold the value.
        """
        self.check(len(compact_json(value).encode("utf-8", "replace")))


KIB: Final = 1024
MIB: Final = 1024 * KIB

MESSAGE = Limit(
    "message.size", 64 * KIB, "bytes", "the text of one message from an instance",
    "a message is read into a model's context", "write it to a file and name the path",
)  # fmt: skip
UNREAD = Limit(
    "message.unread", 200, "messages", "messages from one sender that one instance has not acknowledged",
    "the hub keeps each until then", "wait until the receiver acknowledges some, or ends",
)  # fmt: skip
UNREAD_BYTES = Limit(
    "message.unread-bytes", MIB, "bytes", "messages from one sender that running receivers have not acknowledged",
    "the hub keeps each until then", "wait until the receivers acknowledge some, or end",
)  # fmt: skip
BROADCAST = Limit(
    "broadcast.size", 64 * KIB, "bytes", "the data of one broadcast",
    "it goes to every subscriber", "name files in place of their content",
)  # fmt: skip
EXCHANGES = Limit(
    "exchange.open", 50, "features", "features that one sender has opened with plan:proposed",
    "the hub keeps the state of all their files", "wait until all files of a feature are approved",
)  # fmt: skip
EXCHANGE_FILES = Limit(
    "exchange.files", 1_000, "files", "files that one feature's plan and events name",
    "the state of each is kept", "split the feature",
)  # fmt: skip
SCOPE_REQUESTS = Limit(
    "scope.open", 20, "requests", "open scope requests of one sender",
    "each waits for an answer", "wait until the owner, the Commander or the person answers one",
)  # fmt: skip
LOCK_RESOURCES = Limit(
    "lock.resources", 256, "paths", "resources of one lock request",
    "all are granted in one step", "lock a folder, or ask in several requests",
)  # fmt: skip
LOCKS = Limit(
    "lock.held", 1_000, "locks", "locks that one sender holds or waits for",
    "each is compared with every request on its path", "release some, or let them expire",
)  # fmt: skip
WRITES = Limit(
    "code.writes", 20_000, "writes", "writes of one sender with a fencing token, which the hub keeps",
    "each is compared when work is submitted", "wait for the end of the run",
)  # fmt: skip
PARTITION = Limit(
    "partition.globs", 200, "globs", "globs of one partition or list",
    "each is compared with every other owner's", "use wider globs",
)  # fmt: skip
SPEC = Limit(
    "spec.size", 64 * KIB, "bytes", "one spec as a client sends it",
    "it is parsed in one step", "shorten its descriptions",
)  # fmt: skip
SPECS = Limit(
    "spec.open", 2_000, "specs", "open specs that belong to no run",
    "context:get returns all of them", "complete or cancel some",
)  # fmt: skip
SPEC_DEPENDENCIES = Limit(
    "spec.dependencies", 100, "specs", "specs that one spec waits for",
    "all of them are searched for cycles", "name fewer dependencies",
)  # fmt: skip
SPEC_TASKS = Limit(
    "spec.tasks", 500, "tasks", "tasks of one spec",
    "the state of each is kept", "use the ids of existing tasks, or split the spec",
)  # fmt: skip
DESIGN = Limit(
    "design.size", 256 * KIB, "bytes", "one design",
    "it is searched for overlaps, and logged", "shorten briefs, or split the goal",
)  # fmt: skip
FEATURES = Limit(
    "design.features", 500, "features", "features of one design",
    "every pair is compared", "split the goal",
)  # fmt: skip
INSTANCES = Limit(
    "instance.living", 256, "instances", "running instances, including the one to be started",
    "each has a worktree, a pane and a session", "stop some",
)  # fmt: skip
FINDINGS = Limit(
    "review.findings", 200, "findings", "findings of one verdict",
    "they go back to the author in one prompt", "name only the important ones",
)  # fmt: skip
CRITERIA = Limit(
    "review.criteria", 200, "criteria", "criteria of one verdict",
    "each is kept with its evidence", "judge only the criteria of the spec",
)  # fmt: skip
VERDICT = Limit(
    "review.size", 256 * KIB, "bytes", "one verdict",
    "it is kept with the run and goes back to the author", "shorten the evidence",
)  # fmt: skip
SUBMITTED_TOKENS = Limit(
    "diff.tokens", 10_000, "tokens", "fencing tokens of one submission",
    "each is looked up", "name only the tokens of files in the submission",
)  # fmt: skip

REQUEST = Limit(
    "request.size", MIB, "bytes", "one request, over any connection",
    "it is read into memory as a whole", "send less at once",
)  # fmt: skip
COMMAND_RATE = Limit(
    "rate.commands", 1_000, "commands/s", "commands of one instance, after a burst of 10,000",
    "the hub must have time for the other instances", "wait a second",
)  # fmt: skip
COMMAND_BURST = Limit(
    "rate.burst", 10_000, "commands", "commands of one instance at once",
    "the hub must have time for the other instances", "wait a second",
)  # fmt: skip
BYTE_RATE = Limit(
    "rate.bytes", MIB, "bytes/s", "requests of one instance, after a burst of 8 MiB",
    "most of their content is written to the log", "wait a few seconds",
)  # fmt: skip
BYTE_BURST = Limit(
    "rate.byte-burst", 8 * MIB, "bytes", "requests of one instance at once",
    "most of their content is written to the log", "wait a few seconds",
)  # fmt: skip
PENDING = Limit(
    "connection.pending", 256, "requests", "requests of one WebSocket that are not answered yet",
    "the hub reads no more from it until half of them are answered", "read the answers",
)  # fmt: skip
PENDING_BYTES = Limit(
    "connection.pending-bytes", 256 * KIB, "bytes",
    "requests of one WebSocket, and the answers to them that the client has not read",
    "the hub reads no more from it until only half is left", "read the answers",
)  # fmt: skip
IN_FLIGHT = Limit(
    "http.in-flight", 64, "requests", "HTTP and MCP requests of one instance in progress",
    "each holds its body and a connection", "wait for an answer",
)  # fmt: skip

STREAMS = Limit(
    "stream.open", 64, "connections", "WebSockets of one instance at once",
    "each has its own queue of events", "close one",
)  # fmt: skip

MESSAGES_PAGE = Limit(
    "page.messages", 256 * KIB, "bytes", "one answer to message:read",
    "it is built in one step", "ask again with after=next_after while more is true",
)  # fmt: skip
STATE_PAGE = Limit(
    "page.state", MIB, "bytes", "one answer to context:get or GET /v1/state",
    "it is built in one step", "ask for each section of next from its cursor",
)  # fmt: skip
EVENTS_PAGE = Limit(
    "page.events", MIB, "bytes", "one page of events",
    "it is read in one step", "ask again with after=next_after",
)  # fmt: skip

LIMITS: Final[Sequence[Limit]] = tuple(item for item in list(globals().values()) if isinstance(item, Limit))
"""All limits, in the order of this file."""
