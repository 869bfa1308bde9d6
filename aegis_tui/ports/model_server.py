"""A model server before a run: which models it lists, and which one the run will use (LLM-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class ModelEndpoint(Protocol):
    """What a probe of a model endpoint found."""

    @property
    def base_url(self) -> str:
        """The base URL in normalised form, ending in `/v1`."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """The names of the models that it serves, in the order of its own list; empty if it serves none."""
        ...

    @property
    def scripted(self) -> bool:
        """True when it is the scripted server that replays scenarios in place of a model."""
        ...


ProbeEndpoint = Callable[[str], Awaitable[ModelEndpoint]]
"""Checks that a base URL is inside the boundary (LLM-7), then asks the server which models it serves."""


TryModel = Callable[[str, str], Awaitable[bool]]
"""Takes base URL and model; returns whether the model called a tool. Raises the server's error if it cannot chat."""


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The model that was chosen for a run."""

    model: str | None
    """None when the server lists no model and the person named none."""
    others: tuple[str, ...] = ()
    """The other models that the server lists, in its order."""


class ChooseModel(Protocol):
    """Chooses among the models that a server lists."""

    async def choose(self, base_url: str, served: Sequence[str], *, wanted: str | None) -> ChosenModel:
        """Return the model of a run, and the other models of the server. May send models small requests to try them.

        Without `wanted`, that is the first that calls a tool when asked to, else the first that answers at all.

        Args:
            base_url: The server's normalised base URL.
            served: The models that it lists; a single one is taken without a try. Empty: the result has the model None.
            wanted: The model that the person named: taken if it is listed or answers. None to choose one.

        Raises:
            ModelUnavailable: No model answers, the named one is not served, or the server refuses the key.
        """
        ...
