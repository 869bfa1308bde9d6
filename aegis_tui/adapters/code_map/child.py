"""Answers questions to the code map in a process of their own: reading source would block the hub's other threads."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from aegis_tui.adapters.process import end_child
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.ports.code_map import WorkspaceFolders

_ANSWER_S: Final = 120.0
_MOST_BYTES: Final = 1 << 20
PROGRAM: Final = "aegis_tui.bootstrap.code_map_child"
"""The module that is run: it reads one question as JSON from stdin, and prints the answer as JSON."""


class ChildMap:
    """Implements `MapAnswers`."""

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
        said = await _ask(json.dumps(fields).encode())
        try:
            reply = json.loads(said)
        except ValueError as error:
            raise StoreError("the code map cannot be read", "aegis-tui map build --anew") from error
        if (problem := reply.get("error")) is not None:
            kind = UsageError if problem["code"] == UsageError.code else StoreError
            raise kind(problem["message"], problem["hint"])
        answer: dict[str, Any] = reply["answer"]
        return answer


async def _ask(question: bytes) -> bytes:
    """Return what the process prints for a question; cut off soon after 1 MiB, empty if it cannot be started.

    Empty as well if it has not ended its output within two minutes. Raises nothing; the process has ended when this
    returns.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return b""
    try:
        async with asyncio.timeout(_ANSWER_S):
            if process.stdin is None or process.stdout is None:
                return b""
            process.stdin.write(question)
            process.stdin.write_eof()
            said = bytearray()
            while chunk := await process.stdout.read(65536):
                said += chunk
                if len(said) > _MOST_BYTES:
                    break
            return bytes(said)
    except (TimeoutError, OSError):
        return b""
    finally:
        await end_child(process)
