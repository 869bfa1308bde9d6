"""Frames that clients send beside commands, and the state for a mirror, for the documents of the hub (HUB-3).

Nothing is validated with them: the hub checks a frame field by field. All else is in `aegis_tui/domain/wire`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Described(BaseModel):
    """Base of these models; their schemas are built only when the documents are requested, not at the hub's start."""

    model_config = ConfigDict(defer_build=True)


class Hello(_Described):
    """The first frame of a stream, unless its request had an Authorization header; within 3 s."""

    type: Literal["hello"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    token: str
    after: int | None = Field(None, ge=0, description="Begin after this event of the log; only new events when absent.")
    types: list[str] | None = Field(
        None, description='Event types, or patterns such as "lock:*"; all when absent, none when empty.'
    )
    paths: list[str] | None = Field(
        None,
        description="Globs; events about a matching path are sent, whatever their type. None when absent or empty.",
    )


class Subscribe(_Described):
    """Replace the event types of this stream, from now on or from the event after `after`."""

    type: Literal["subscribe"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    types: list[str] | None = Field(None, description="As in hello: all when absent, none when empty.")
    after: int | None = Field(None, ge=0)


class FileSubscribe(_Described):
    """Add a glob to this stream; the first glob replaces a subscription to all types."""

    type: Literal["file:subscribe"]
    v: Literal[1] = 1
    request_id: str | None = Field(None, min_length=1, max_length=200)
    path: str


class MirrorState(_Described):
    """The state of the hub's core, for a program of the same version that then applies the events after `seq`."""

    model_config = ConfigDict(extra="allow")

    seq: int


SENT_BY_CLIENTS = (Hello, Subscribe, FileSubscribe)
