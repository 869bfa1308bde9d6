"""The program that answers one question to the code map for the hub: JSON on stdin, JSON on stdout (see `ChildMap`)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aegis_tui.adapters.git.content import SnapshotFiles, WorktreeFiles
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.application.code_map import CodeMap
from aegis_tui.application.map_brief import outline_of, texts_around
from aegis_tui.bootstrap.code_map import ask_code_map, suggest_for_checkout
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.wire.code_map import MapAnswer
from aegis_tui.errors import AegisError
from aegis_tui.ports.code_map import Files
from aegis_tui.sdk.discovery import WorkspacePaths

_MOST_ROWS = 100
_MOST_CHARS = 48_000


def answer(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question of the hub; lists over 100 and texts over 48,000 characters are cut.

    `cut` in the answer then names them. Suggested partitions are never cut, as a part of them is of no use as a design;
    their own `cut` is the number of imports between parts. Starts an event loop of its own for a worktree.

    Args:
        fields: `question` (a `MapAsk`), `root`, `worktree` (None for the checkout at `root`), and `key`, `state_dir`
            and `runtime_dir` of the workspace.

    Raises:
        AegisError: The question cannot be answered.
        KeyError, ValidationError: `fields` has another form.
    """
    question = MapAsk.model_validate(fields["question"])
    paths = WorkspacePaths(fields["key"], Path(fields["state_dir"]), Path(fields["runtime_dir"]))
    root, worktree = Path(fields["root"]), fields["worktree"]
    files: Files = WorktreeFiles(root)
    if worktree is not None:
        repository = asyncio.run(open_repository(root))
        files = SnapshotFiles(Path(worktree), repository.common_dir, repository.snapshot_commit)
    whole: dict[str, Any] = {**ask_code_map(files, paths, lambda code_map: _put(code_map, question, root))}
    if question.question == "partition":
        return whole
    cut = {
        name: value[:_MOST_ROWS] if isinstance(value, list) else value[:_MOST_CHARS]
        for name, value in whole.items()
        if (isinstance(value, list) and len(value) > _MOST_ROWS)
        or (isinstance(value, str) and len(value) > _MOST_CHARS)
    }
    return {**whole, **cut, **({"cut": sorted(cut)} if cut else {})}


def describe(fields: dict[str, Any]) -> dict[str, str]:
    """Return texts for briefs, as `ChildMap.describe` asks for them; blocks.

    Args:
        fields: `partitions`, `root`, and `key`, `state_dir` and `runtime_dir` of the workspace.

    Raises:
        AegisError: The map cannot be read, or a glob is not valid.
        KeyError: `fields` has another form.
    """
    paths = WorkspacePaths(fields["key"], Path(fields["state_dir"]), Path(fields["runtime_dir"]))
    texts: dict[str, str] = {}

    def ask(code_map: CodeMap) -> MapAnswer:
        wanted = fields["partitions"]
        texts.update(texts_around(code_map, wanted) if wanted else {"": outline_of(code_map)})
        return code_map.about([])

    ask_code_map(WorktreeFiles(Path(fields["root"])), paths, ask)
    return texts


def _put(code_map: CodeMap, question: MapAsk, root: Path) -> MapAnswer:
    match question.question:
        case "show":
            return code_map.show(question.about, question.form)
        case "search":
            return code_map.search(question.about, count=question.count)
        case "find":
            return code_map.find(question.about)
        case "callers":
            return code_map.callers(question.about)
        case "callees":
            return code_map.callees(question.about)
        case "tests":
            return code_map.tests(question.about)
        case "impact":
            return code_map.impact(question.about)
        case "partition":
            return suggest_for_checkout(root, code_map, question.count)


def main() -> int:
    """Answer the question on stdin and return 0; an `AegisError` is printed as the field `error`.

    Any other error is raised.
    """
    try:
        fields = json.load(sys.stdin)
        reply: dict[str, Any] = {"answer": describe(fields) if "partitions" in fields else answer(fields)}
    except AegisError as error:
        reply = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    sys.stdout.write(json.dumps(reply))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
