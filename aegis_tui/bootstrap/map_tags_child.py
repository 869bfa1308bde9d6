"""The program that makes shadow tags for the hub: JSON on stdin, JSON on stdout (see `ChildTags`)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.code_map.tags import SqliteTags
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.application.code_map import CodeMap
from aegis_tui.application.map_tags import TagLimits, TagMaker, TagRound
from aegis_tui.errors import AegisError, ModelMalformed
from aegis_tui.ports.llm import ChatReply, ChatRequest
from aegis_tui.ports.map_tags import TagWish
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.private_file import load_record

_REQUESTS: Final = 4
"""In one round."""
_IDLE_S: Final = 120.0


def make_tags(fields: dict[str, Any]) -> TagRound:
    """Ask the model about definitions of the checkout, through the workspace's gateway, and store what it says.

    The person's token, by which the gateway knows the caller, is read from `hub.json`.

    Args:
        fields: `wish` (a `TagWish`), `root`, and `key`, `state_dir` and `runtime_dir` of the workspace.

    Raises:
        AegisError: The map cannot be read or written, or git fails.
        KeyError, TypeError: `fields` has another form.
        OSError: The checkout does not exist.
    """
    wish = TagWish(**fields["wish"])
    paths = WorkspacePaths(fields["key"], Path(fields["state_dir"]), Path(fields["runtime_dir"]))
    token = str(load_record(paths.hub_json).get("token", ""))
    files, store = WorktreeFiles(Path(fields["root"])), SqliteMapStore(paths.state_dir / "map.db")
    try:
        code_map = CodeMap(files, store, SourceReader())
        code_map.refresh()
        limits = TagLimits(wish.requests_per_hour, wish.tokens_per_day, _REQUESTS)
        listing, tags = code_map.listing, SqliteTags(store)
        ask = partial(_ask, f"http+unix:{paths.gateway_socket}", token)
        maker = TagMaker(files, listing, store, tags, ask, name=wish.model, limits=limits, now=time.time)
        return maker.run()
    finally:
        store.close()


def _ask(base_url: str, token: str, request: ChatRequest) -> ChatReply:
    return asyncio.run(_reply(base_url, token, request))


async def _reply(base_url: str, token: str, request: ChatRequest) -> ChatReply:
    model = OpenAIChat(base_url, api_key=token, attempts=1, idle_timeout_s=_IDLE_S)
    try:
        *_, reply = [part async for part in model.stream(request)]
        if not isinstance(reply, ChatReply):
            raise ModelMalformed("the model gave no complete reply", "")
        return reply
    finally:
        await model.close()


def main() -> int:
    """Make tags as stdin says, print a report and return 0; an `AegisError` is its `problem`.

    Any other error is raised.
    """
    try:
        done = make_tags(json.load(sys.stdin))
    except AegisError as error:
        done = TagRound(0, 0, 0, 0, is_done=False, problem=error.message)
    sys.stdout.write(json.dumps(done._asdict()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
