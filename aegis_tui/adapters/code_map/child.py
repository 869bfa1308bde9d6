"""Answers questions to the code map in a process of their own: reading source would block the hub's other threads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aegis_tui.adapters.code_map.program import ask_program
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.ports.code_map import WorkspaceFolders

_ANSWER_S: Final = 120.0
PROGRAM: Final = "aegis_tui.bootstrap.code_map_child"
"""The module that is run: it reads one question as JSON from stdin, and prints the answer as JSON."""


class ChildMap:
    """Implements `MapAnswers`: starts a process for each question, so that the event loop is never blocked."""

    async def ask(self, question: MapAsk, root: Path, worktree: Path | None, paths: WorkspaceFolders) -> dict[str, Any]:
        """Return the answer to a question about the code map, an object of JSON that a separate process gives.

        `MapAnswers.ask` describes the arguments.

        Raises:
            UsageError: The map does not have what is asked about.
            StoreError: The worktree or the map cannot be read, or the process cannot be started or gives no valid
                answer of at most 1 MiB within two minutes.
        """
        fields = {
            "question": question.model_dump(mode="json", exclude={"answer"}),
            **{"root": str(root), "worktree": None if worktree is None else str(worktree)},
            **{"key": paths.key, "state_dir": str(paths.state_dir), "runtime_dir": str(paths.runtime_dir)},
        }
        return await self._answer(fields)

    async def describe(
        self, partitions: Mapping[str, Sequence[str]], root: Path, paths: WorkspaceFolders
    ) -> dict[str, str]:
        """Return texts for briefs about the checkout: around each partition, and `""` -> the outline of the repository.

        Args:
            partitions: Name -> globs; no name is empty. Without any, only the outline is returned.
            root: The checkout.
            paths: The folders of the workspace.

        Raises:
            UsageError: A glob is not valid.
            StoreError: As `ask`.
        """
        return dict(
            await self._answer(
                {
                    **{"partitions": {name: list(globs) for name, globs in partitions.items()}, "root": str(root)},
                    **{"key": paths.key, "state_dir": str(paths.state_dir), "runtime_dir": str(paths.runtime_dir)},
                }
            )
        )

    async def _answer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        said = await ask_program(PROGRAM, json.dumps(fields).encode(), timeout_s=_ANSWER_S)
        try:
            reply = json.loads(said)
        except ValueError as error:
            raise StoreError("the code map cannot be read", "aegis-tui map build --anew") from error
        if (problem := reply.get("error")) is not None:
            kind = UsageError if problem["code"] == UsageError.code else StoreError
            raise kind(problem["message"], problem["hint"])
        answer: dict[str, Any] = reply["answer"]
        return answer
