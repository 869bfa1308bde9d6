"""Chooses one of the models that a server lists: one that can chat with tools, found by trying them (LLM-1)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

from aegis_tui.domain.count import listed
from aegis_tui.errors import AegisError, ModelKeyRefused, ModelUnavailable
from aegis_tui.ports.model_server import ChosenModel, TryModel

TRIAL_S = 30.0
"""How long one model may take to answer; a server may have to load it first."""
ALL_TRIALS_S = 60.0
"""How long all tries together may take."""
MOST_TRIALS = 8
"""How many models of a server are tried."""
_OTHER_USES = re.compile(
    r"embed|rerank|\bbge\b|\be5\b|\bgte\b|whisper|\btts\b|speech|moderation|guard|\bclip\b|diffusion|\bocr\b|reward",
    re.IGNORECASE,
)
"""Matches names of models that are not made for chats, for example embedding models: they are tried last."""


class ModelChooser:
    """Chooses a model once for each server, and repeats the choice only when the server's list changes.

    Args:
        try_model: Sends a model one small request with a tool; returns whether it called the tool.
    """

    def __init__(self, try_model: TryModel) -> None:
        self._try_model = try_model
        self._known: dict[tuple[str, tuple[str, ...]], str] = {}

    async def choose(self, base_url: str, served: Sequence[str], *, wanted: str | None) -> ChosenModel:
        """Return the model to work with, and the other models of the server.

        Args:
            base_url: The server, normalised.
            served: The models that it lists; a single one is taken without a try, and none gives None as the model.
            wanted: The model that the person named; taken if it is listed or answers, or if the list is empty.

        Raises:
            ModelUnavailable: No model answers, the named one is not served, or the server refuses the key; the hint
                lists the models of the server, except for a refused key.
        """
        names = tuple(dict.fromkeys(served))
        if wanted is not None:
            if names and wanted not in names:
                await self._check_unlisted(base_url, names, wanted)
            return ChosenModel(wanted, tuple(name for name in names if name != wanted))
        if len(names) <= 1:
            return ChosenModel(names[0] if names else None)
        model = self._known.get((base_url, names))
        if model is None:
            model = await self._find(base_url, names)
            self._known[(base_url, names)] = model
        return ChosenModel(model, tuple(name for name in names if name != model))

    async def _check_unlisted(self, base_url: str, names: Sequence[str], wanted: str) -> None:
        """Return None if a model that is not listed answers a small request within 30 s nevertheless; else raise.

        It may be an alias, or a model that is loaded on demand.

        Raises:
            ModelUnavailable: It does not answer, or refuses.
        """
        try:
            async with asyncio.timeout(TRIAL_S):
                await self._try_model(base_url, wanted)
        except (AegisError, TimeoutError) as error:
            reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise ModelUnavailable(
                f"{base_url} serves no model {wanted} ({reason})",
                f"choose one that it serves with --model or AEGIS_MODEL: {listed(names)}",
                code="model.absent",
            ) from error

    async def _find(self, base_url: str, names: Sequence[str]) -> str:
        """Return the first model that calls a tool, else the first that answers at all.

        At most eight models are tried, within a minute together; those that are not made for chats come last.

        Raises:
            ModelUnavailable: None answers, or the server refuses the key.
        """
        end = time.monotonic() + ALL_TRIALS_S
        chats: str | None = None
        reasons: list[str] = []
        for name in sorted(names, key=lambda name: bool(_OTHER_USES.search(name)))[:MOST_TRIALS]:
            left_s = min(TRIAL_S, end - time.monotonic())
            if left_s <= 0:
                break
            try:
                async with asyncio.timeout(left_s):
                    if await self._try_model(base_url, name):
                        return name
                chats = chats or name
            except ModelKeyRefused as error:
                raise ModelUnavailable(error.message, error.hint, code=error.code) from error
            except TimeoutError:
                reasons.append(f"{name} did not answer in {left_s:.0f} s")
            except AegisError as error:
                reasons.append(f"{name}: {error}")
        if chats is not None:
            return chats
        raise ModelUnavailable(
            f"no model at {base_url} can call tools: {'; '.join(reasons[:3])}",
            f"name one with --model or AEGIS_MODEL; it serves: {listed(names)}",
            code="model.absent",
        )
