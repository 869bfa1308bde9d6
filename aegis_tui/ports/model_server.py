"""A model server as preflight and doctor see it: what it lists, and which of its models does the work (LLM-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Endpoint(Protocol):
    """What was found at a model endpoint."""

    @property
    def base_url(self) -> str:
        """Normalised, ending in `/v1`."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """What it serves."""
        ...

    @property
    def scripted(self) -> bool:
        """True when it is the scripted server."""
        ...


ProbeEndpoint = Callable[[str], Awaitable[Endpoint]]
"""Checks that a base URL is inside the boundary, then asks which models it serves."""


TryModel = Callable[[str, str], Awaitable[bool]]
"""Base URL, model -> whether it called a tool; raises what the server says when it cannot chat."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model of a run."""

    model: str | None
    """None when the server lists none and none was named."""
    others: tuple[str, ...] = ()
    """What else the server lists, in its order."""


class ChooseModel(Protocol):
    """Chooses among the models that a server lists."""

    async def choose(self, base_url: str, served: Sequence[str], *, wanted: str | None) -> Chosen:
        """The model to work with.

        Args:
            base_url: The server, normalised.
            served: What it lists.
            wanted: What the person named.

        Raises:
            ModelUnavailable: None can chat with tools, or the named one is not there; the message lists what is.
        """
        ...
