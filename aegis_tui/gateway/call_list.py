"""Reads the list of model calls and their texts, also while the gateway writes them or none runs (LLM-8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis_tui.domain.wire.gateway import CallFields
from aegis_tui.gateway.call_log import LIST_NAME, OLDER_LIST_NAME, TEXTS_NAME
from aegis_tui.gateway.text_files import CallTexts, TextFiles, TextPlace


class CallList:
    """The calls in one workspace's folder `logs`.

    Args:
        folder: The folder; there may be none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, count: int, is_wanted: Callable[[CallFields], bool] = lambda call: True) -> list[CallFields]:
        """Return the newest calls that are wanted, the oldest of them first; empty if there is no list.

        A line that is no complete record of a call is left out.

        Args:
            count: How many at most.
            is_wanted: Returns whether a call counts.

        Raises:
            OSError: A file of the list is there but cannot be read.
        """
        calls: list[CallFields] = []
        for line in self._lines():
            if len(calls) == count:
                break
            call = _call_of(line)
            if call is not None and is_wanted(call):
                calls.append(call)
        return calls[::-1]

    def find(self, number: int) -> tuple[CallFields, CallTexts | None] | None:
        """Return a call and its texts; None if no complete line of the list has its id.

        The texts are None if they were not stored, or deleted since, or their file no longer holds them whole.

        Args:
            number: The call's id; of several calls with the same one, the newest counts.

        Raises:
            OSError: A file is there but cannot be read.
        """
        for line in self._lines():
            if line.get("id") == number and (call := _call_of(line)) is not None:
                return call, self._texts(line)
        return None

    def _texts(self, line: dict[str, Any]) -> CallTexts | None:
        match line.get("kept"):
            case [int(file), int(at)] if file >= 0 and at >= 0:
                place = TextPlace(file, at)
                return TextFiles(self._folder / TEXTS_NAME).read(place, id=line["id"], at=line["at"])
            case _:
                return None

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that are JSON objects, the newest first: first the present file, then the older one.

        Other lines and missing files are passed over.

        Raises:
            OSError: A file is there but cannot be read.
        """
        for name in (LIST_NAME, OLDER_LIST_NAME):
            try:
                lines = (self._folder / name).read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for text in reversed(lines):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):  # for example the last one, while it is written
                    continue
                if isinstance(line, dict):
                    yield line


def _call_of(line: dict[str, Any]) -> CallFields | None:
    """Return a line of the list as the fields of a call; None if one that is needed is missing, or one is malformed.

    Needed are `at`, `agent_id`, `status`, the three numbers of tokens, and `latency_s`; others get a default. `kept`
    says whether the line has a place of texts.
    """
    try:
        datetime.fromisoformat(str(line["at"])).astimezone()
        return CallFields(
            id=line.get("id"),
            at=str(line["at"]),
            agent_id=str(line["agent_id"]),
            route=str(line.get("route", "")),
            model=str(line.get("model", "")),
            endpoint=str(line.get("endpoint", "")),
            stream=bool(line.get("stream")),
            status=int(line["status"]),
            error=None if line.get("error") is None else str(line["error"]),
            prompt_tokens=int(line["prompt_tokens"]),
            completion_tokens=int(line["completion_tokens"]),
            cached_tokens=int(line["cached_tokens"]),
            ttft_s=None if line.get("ttft_s") is None else float(line["ttft_s"]),
            latency_s=float(line["latency_s"]),
            kept=line.get("kept") is not None,
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
