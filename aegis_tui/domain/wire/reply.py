"""The replies to commands as JSON, without `v`, `ok` and `request_id` (contract 5).

The reply to `context:get` is a `SharedContext` or a `ContextSection`; that of a command without a line in `REPLIES` has
no fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NotRequired, TypedDict

from aegis_tui.domain.wire.lock import LockFields

AnyReply = Mapping[str, Any]
"""The reply to a command whose type is not known here."""


class JoinedReply(TypedDict):
    """To `agent:register`."""

    agent_id: str
    session: str
    ttl_s: float
    """After so many seconds without a heartbeat the session ends."""
    token_file: NotRequired[str]
    """Where the token is; only for an agent that a person connects."""


class HeartbeatReply(TypedDict):
    """To `heartbeat`."""

    lost: list[str]
    """The locks that the sender named but no longer holds."""


class LocksReply(TypedDict):
    """To `lock:acquire` and `lock:renew`."""

    locks: list[LockFields]
    whole: NotRequired[list[str]]
    """Paths that were locked as a whole, because no symbol or line of them can be locked alone."""


class ReleasedReply(TypedDict):
    """To `lock:release`."""

    released: list[str]
    """The ids of the locks."""


class AnsweredReply(TypedDict):
    """To `instance:answer`."""

    agent_id: str
    delivery: Literal["delivered", "unknown"]
    """`unknown` if the question was still on the screen after the answer was typed."""


class ScopeReply(TypedDict):
    """To `scope:request`."""

    request: str | None
    """The id of the request; null when the path was the sender's already."""
    granted: bool
    owner: NotRequired[str | None]
    """The instance that may grant it; null when only a person may."""


class SpecReply(TypedDict):
    """To `spec:create` and `task:claim`."""

    spec_id: str
    rev: NotRequired[int]


class SpecObservedReply(TypedDict):
    """To the hub's own `spec:observe`."""

    spec_id: str
    status: str
    """The status of the spec from now on."""
    refused: str
    """Why it is not the one in the file; empty if it is, or if nothing was asked for."""


class SpecProblemFields(TypedDict):
    """A spec that waits for something other than its turn, or a file that is not a valid spec."""

    spec: str
    """Its id: the name of its file without the ending."""
    reason: str


class WatchedSpecFields(TypedDict):
    """A spec that the hub knows from its file."""

    spec_id: str
    status: str
    title: str
    run: str | None
    """The run that was last started for it."""


class SpecRescanReply(TypedDict):
    """To `spec:rescan`."""

    specs: list[WatchedSpecFields]
    problems: list[SpecProblemFields]


class SubmittedReply(TypedDict):
    """To `diff:submit`."""

    piece: str


class DesignReply(TypedDict):
    """To `design:propose`."""

    agreed: bool
    """Whether it was accepted at once."""


class RunReply(TypedDict):
    """To the commands that start, change or end a run."""

    run: str


class AllowedReply(RunReply):
    """To `rule:allow`."""

    keys: list[str]
    """The findings that are allowed now."""


class StartedReply(TypedDict):
    """To `instance:start`."""

    agent_id: str


class StoppedReply(TypedDict):
    """To `instance:stop`."""

    agent_id: str
    phase: NotRequired[str]
    """Only when it had ended or was being stopped already."""


class SentReply(TypedDict):
    """To `message:send`."""

    seq: int
    """The number of the message, which its receiver acknowledges."""
    delivery: Literal["queued"]


class PromptReply(SentReply):
    """To `instance:send`."""

    agent_id: str


class ReviewRequestedReply(TypedDict):
    """To `review:request`."""

    review_id: str


class CommentedReply(TypedDict):
    """To `review:comment`."""

    number: int
    waiting: int
    """How many comments on the piece wait, this one included."""


class DiscardedReply(TypedDict):
    """To `review:discard`."""

    numbers: list[int]


class CommentsSentReply(PromptReply):
    """To `review:send`."""

    comments: int


class MessageFields(TypedDict):
    """A message that its addressee has not acknowledged yet."""

    seq: int
    sender: str
    to: str
    text: str
    kind: Literal["prompt", "note"]
    context: dict[str, object]
    timestamp: str


class OtherWriteFields(TypedDict):
    """What another instance has written to a file, and is not merged yet."""

    agent_id: str
    piece: str
    token: int
    """The fencing token of its newest write."""
    change: Literal["changed", "created", "deleted", "binary", "unknown"]
    """How its copy differs from the sender's now; `unknown` if they could not be compared."""
    diff: str
    """Lines that only the sender's copy has begin with `-`, those that only the other has with `+`; cut if long."""


class LockNewsReply(TypedDict):
    """To `lock:news`."""

    writes: list[OtherWriteFields]
    """Oldest first."""
    merged: list[str]
    """The merged pieces that changed the file."""


class MapReply(TypedDict):
    """To `map:ask`."""

    answer: dict[str, Any]
    """As the command line prints it (`aegis-tui map QUESTION --json`); `cut` names the fields that were too long."""


class MessagesReply(TypedDict):
    """To `message:read`."""

    messages: list[MessageFields]
    """Oldest first."""
    more: bool
    next_after: int


REPLIES: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "agent:register": JoinedReply,
        "heartbeat": HeartbeatReply,
        "instance:start": StartedReply,
        "instance:stop": StoppedReply,
        "instance:send": PromptReply,
        "instance:answer": AnsweredReply,
        "review:request": ReviewRequestedReply,
        "review:comment": CommentedReply,
        "review:discard": DiscardedReply,
        "review:send": CommentsSentReply,
        "lock:acquire": LocksReply,
        "lock:renew": LocksReply,
        "lock:release": ReleasedReply,
        "scope:request": ScopeReply,
        "spec:create": SpecReply,
        "spec:rescan": SpecRescanReply,
        "task:claim": SpecReply,
        "run:start": RunReply,
        "run:halt": RunReply,
        "run:resume": RunReply,
        "run:cancel": RunReply,
        "run:acknowledge": RunReply,
        "design:propose": DesignReply,
        "design:agree": RunReply,
        "qa:accept": RunReply,
        "rule:allow": AllowedReply,
        "rule:refuse": RunReply,
        "diff:submit": SubmittedReply,
        "lock:news": LockNewsReply,
        "map:ask": MapReply,
        "message:send": SentReply,
        "message:read": MessagesReply,
    }
)
"""Type of a command -> its reply."""
