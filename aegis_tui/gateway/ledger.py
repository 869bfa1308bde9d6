"""Usage of the model server: totals per instance, and one line per call in `logs/model-calls.jsonl` (LLM-8).

A line holds numbers and names, never a prompt, an answer or a token. The totals survive a restart: they are computed
from the file at start. A thread writes (`gateway/call_log.py`), also the texts of calls where the person wants them.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.domain.wire.gateway import UsageFields
from aegis_tui.gateway.call_log import LIST_NAME, OLDER_LIST_NAME, CallLog, CallText
from aegis_tui.gateway.usage import TokenUsage

_LOG = logging.getLogger(__name__)


@dataclass
class Totals:
    """The calls of one instance so far. Times are sums in seconds: divide by the counts for means."""

    requests: int = 0
    errors: int = 0
    running: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    ttft_sum_s: float = 0.0
    ttft_count: int = 0
    latency_sum_s: float = 0.0
    first_at: float | None = None
    """When the first call began, in seconds of the time of day; None before."""

    def add(self, line: dict[str, Any]) -> None:
        """Add one line of the log, which is one finished call, to the totals; an error leaves them unchanged.

        The number of running calls stays as it is.

        Raises:
            ValueError: The text of a field is not a number, or not a time.
            TypeError: A field is neither a number nor a text.
            OverflowError: A number of tokens is infinite.
        """
        prompt, completion, cached = (
            int(line.get(name, 0)) for name in ("prompt_tokens", "completion_tokens", "cached_tokens")
        )
        latency_s, ttft_s = float(line.get("latency_s", 0.0)), line.get("ttft_s")
        first_s = None if ttft_s is None else float(ttft_s)
        ended_at = datetime.fromisoformat(str(line["at"])).timestamp() if "at" in line else None
        self.requests += 1
        self.errors += line.get("error") is not None
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.cached_tokens += cached
        self.latency_sum_s += latency_s
        if first_s is not None:
            self.ttft_sum_s += first_s
            self.ttft_count += 1
        if ended_at is not None:
            self.note_begun(ended_at - latency_s)

    def note_begun(self, at: float) -> None:
        """Note that a call began at the time `at`, in seconds since 1970: `first_at` becomes the earlier of the two."""
        self.first_at = at if self.first_at is None else min(self.first_at, at)

    def view(self) -> UsageFields:
        """Return the totals as `GET /v1/usage` shows them, with mean times; a mean of nothing is None."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "running": self.running,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "ttft_s": round(self.ttft_sum_s / self.ttft_count, 4) if self.ttft_count else None,
            "latency_s": round(self.latency_sum_s / self.requests, 4) if self.requests else None,
        }


@dataclass
class Call:
    """One running call."""

    agent_id: str
    route: str
    model: str
    stream: bool
    usage: TokenUsage = field(default_factory=TokenUsage)
    status: int = 0
    error: str | None = None
    """A stable code (`upstream.lost`, `cancelled`, `http.404`); None after success."""
    ttft_s: float | None = None
    started_s: float = field(default_factory=time.monotonic)
    endpoint: str = ""
    """Base URL of the server that got it last."""
    is_whole: bool = False
    """Whether the server's answer is complete; if so, a client that disconnects has received what it asked for."""
    text: CallText | None = None
    """Takes down what is said; None if that is not stored."""

    def hide(self, secrets: Sequence[bytes]) -> None:
        """Have these keys replaced by `[key]` in the stored texts of the call; does nothing if they are not stored."""
        if self.text is not None:
            self.text.secrets += secrets

    def hear(self, part: bytes) -> None:
        """Add the next part of the answer, as the model server sent it, to the call's text.

        Does nothing if none is stored.
        """
        if self.text is not None:
            self.text.hear(part)

    def first_byte(self) -> None:
        """Store the time to the first byte; call it after each part that was sent, as only the first call counts."""
        if self.ttft_s is None:
            self.ttft_s = round(time.monotonic() - self.started_s, 5)


class Spent(NamedTuple):
    """What some callers have used together."""

    tokens: int
    """Of prompts and replies."""
    first_at: float | None
    """When their first call began, in seconds of the time of day; None before."""


class Ledger:
    """Keeps totals in memory and has calls logged. If the disk fails, lines are lost, but calls still succeed.

    Args:
        folder: The folder of the log; it is created, and the totals start with the calls that it already holds.
        find_limit_mb: Returns how much the texts of calls may take, as `CallLog` wants it.

    Raises:
        OSError: The folder cannot be created, or an existing file cannot be read.
    """

    def __init__(self, folder: Path, find_limit_mb: Callable[[], int | None] = lambda: None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._last_id = 0
        for name in (OLDER_LIST_NAME, LIST_NAME):
            self._restore(folder / name)
        self._log = CallLog(folder, find_limit_mb)

    @property
    def running(self) -> int:
        """How many calls are running."""
        return sum(totals.running for totals in self._totals.values())

    def begin(self, call: Call) -> None:
        """Count a call as running, until `finish`, and note when its caller's first call began.

        Nothing is written yet.
        """
        totals = self._totals[call.agent_id]
        totals.running += 1
        totals.note_begun(time.time())

    def listen(self, call: Call, target: str, request: bytes, secrets: Sequence[bytes]) -> None:
        """Have request and answer of a running call stored with it, if the person's settings want that.

        Else do nothing. Sets `call.text`. Call it once, before the answer; `finish` has the texts written.

        Args:
            call: The call.
            target: Path and query at the model server, without a key.
            request: The body of the request.
            secrets: Keys and tokens to replace by `[key]` in what is stored.
        """
        call.text = self._log.listen(target, request, secrets)

    def finish(self, call: Call) -> None:
        """Count a call that `begin` counted as finished, and have its line written; it is on the disk a little later.

        It counts as an error if its `error` is set. Call it once for each call.
        """
        totals = self._totals[call.agent_id]
        totals.running -= 1
        self._last_id += 1
        line = {
            "id": self._last_id,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "agent_id": call.agent_id,
            "route": call.route,
            "model": call.model,
            "endpoint": call.endpoint,
            "stream": call.stream,
            "status": call.status,
            "error": call.error,
            **asdict(call.usage),
            "ttft_s": call.ttft_s,
            "latency_s": round(time.monotonic() - call.started_s, 5),
        }
        totals.add(line)
        self._log.put(line, call.text)

    def spent(self, callers: Iterable[str]) -> Spent:
        """Return what these callers have used together: tokens of finished calls, and when their first call began.

        That first call may still be running. Callers without a call count as nothing.
        """
        known = [self._totals[name] for name in callers if name in self._totals]
        begun = [totals.first_at for totals in known if totals.first_at is not None]
        tokens = sum(totals.prompt_tokens + totals.completion_tokens for totals in known)
        return Spent(tokens, min(begun, default=None))

    def view(self, agent_id: str | None = None) -> dict[str, UsageFields]:
        """Return the totals of each caller by its agent id (see `Totals.view`).

        Args:
            agent_id: Return only those of this caller, all 0 if it has made no call; None for all callers.
        """
        names = sorted(self._totals) if agent_id is None else [agent_id]
        return {name: self._totals[name].view() for name in names}

    def to_prometheus(self) -> str:
        """Return the counts of calls and tokens of each instance in Prometheus text format 0.0.4."""
        kinds = {"requests": "counter", "errors": "counter", "running": "gauge"}
        kinds |= dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens"), "counter")
        lines: list[str] = []
        for name, kind in kinds.items():
            metric = f"aegis_gateway_{name}" + ("_total" if kind == "counter" else "")
            lines.append(f"# TYPE {metric} {kind}")
            for agent_id, totals in sorted(self._totals.items()):
                label = json.dumps(agent_id)
                lines.append(f"{metric}{{agent_id={label}}} {getattr(totals, name)}")
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """Write what waits and close the log. Safe to call twice; a model call that finishes later opens it again."""
        self._log.close()

    def _restore(self, path: Path) -> None:
        if path.exists():
            with path.open("rb") as file:
                for text in file:
                    self._count(text)

    def _count(self, text: bytes) -> None:
        """Add one line of the file to the totals of its `agent_id`.

        A line that cannot be read is logged and skipped.
        """
        try:
            line = json.loads(text)
            self._totals[str(line["agent_id"])].add(line)
            self._last_id = max(self._last_id, int(line.get("id", 0)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            _LOG.warning("a line of the call log is not readable")
