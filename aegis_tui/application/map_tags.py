"""Makes shadow tags for definitions without documentation: a cheap model is asked, within limits (MAP-4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from aegis_tui.domain.code_map.language import TEXT, is_test, language_of
from aegis_tui.domain.code_map.shadow import Untagged, code_of, parse_tags, tag_messages, untagged
from aegis_tui.errors import AegisError, GitError
from aegis_tui.ports.code_map import Files, Listing, MapStore, StoredTag, TagStore, TagUse
from aegis_tui.ports.llm import ChatReply, ChatRequest

_MOST_ASKED: Final = 8
_MOST_CHARS: Final = 12_000
"""How many definitions, and how much of their code, one request has at most."""
_REPLY_TOKENS: Final = 1_000
_CHARS_A_TOKEN: Final = 2.5
"""Fewer than code has on average: the estimate before a request should not be too low."""
_HOUR_S: Final = 3600
_DAY_H: Final = 24
AskModel = Callable[[ChatRequest], ChatReply]
"""Sends one request and returns the whole reply; blocks. Raises `AegisError` if there is none."""


class TagLimits(NamedTuple):
    """How much of the model may be used, in all worktrees of the workspace together."""

    requests_per_hour: int
    """How many may be sent from one full hour of the clock to the next."""
    tokens_per_day: int
    """Of prompts and replies together, in any 24 hours; counted by hours of the clock."""
    requests: int
    """How many one call of `TagMaker.run` sends at most."""


class TagRound(NamedTuple):
    """What one call of `TagMaker.run` did."""

    made: int
    """Definitions that the model was asked about."""
    reused: int
    """Definitions whose tag was made before, for equal code."""
    requests: int
    tokens: int
    is_done: bool
    """Whether nothing is left without a tag."""
    problem: str = ""
    """Why it stopped early; empty if it did not, or if only a limit was reached."""


class _HashedCode(NamedTuple):
    item: Untagged
    oid: str
    code: str
    """SHA-256 of its kind, name and code, in hex; two definitions with the same one share a tag."""

    def stored(self, text: str, model: str) -> StoredTag:
        return StoredTag(self.oid, self.item.symbol.name, self.item.symbol.line, self.code, text, model)


class TagMaker:
    """Makes tags for the files of one listing. Its methods block; git cannot be read within an event loop.

    Args:
        files: The worktree that the listing is of.
        listing: The files; their view is set in the store.
        store: The code map.
        tags: Where tags are kept.
        ask: Asks a model for tags.
        name: Name of the model.
        limits: How much of it may be used.
        now: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        files: Files,
        listing: Listing,
        store: MapStore,
        tags: TagStore,
        ask: AskModel,
        *,
        name: str,
        limits: TagLimits,
        now: Callable[[], float],
    ) -> None:
        self._files, self._listing, self._store, self._tags = files, listing, store, tags
        self._ask_model, self._name, self._limits, self._now = ask, name, limits, now
        self._made = self._reused = self._requests = self._tokens = 0

    def run(self) -> TagRound:
        """Ask for tags until all definitions have one, or a limit is reached; what is made is stored at once.

        Tests, and files in languages that the map does not read, are left out. A failure of the model, or a file that
        changes meanwhile, ends the round with `problem`.

        Raises:
            StoreError: The store cannot be read or written.
            GitUnavailable: git is needed, and missing.
            OSError: The folder of the worktree does not exist.
        """
        is_done, problem = False, ""
        batch: list[_HashedCode] = []
        try:
            for asked in self._wanted():
                if batch and (len(batch) == _MOST_ASKED or _chars([*batch, asked]) > _MOST_CHARS):
                    if not self._may_ask(batch):
                        break
                    self._ask(batch)
                    batch = []
                batch.append(asked)
            else:
                is_done = not batch
                if batch and self._may_ask(batch):
                    self._ask(batch)
                    is_done = True
        except _CannotAsk as error:
            problem = str(error)
        return TagRound(self._made, self._reused, self._requests, self._tokens, is_done, problem)

    def _wanted(self) -> Iterator[_HashedCode]:
        """Yield the definitions that the model must be asked about; those with equal code elsewhere get its tag."""
        seen: set[str] = set()
        for path, oid in sorted(self._listing.files.items()):
            if oid in seen or language_of(path) in (TEXT, "markdown") or is_test(path):
                continue
            seen.add(oid)
            facts = self._store.facts(path)
            symbols = untagged(facts) if facts is not None else []
            stored = self._store.tags(oid) if symbols else {}
            symbols = [symbol for symbol in symbols if (symbol.name, symbol.line) not in stored]
            if not symbols:
                continue
            lines = self._lines(path, oid)
            asked = [
                _HashedCode(item, oid, _hash(item))
                for item in (Untagged(path, symbol, code_of(symbol, lines)) for symbol in symbols)
            ]
            known = self._tags.by_code([one.code for one in asked])
            rows = [one.stored(*known[one.code]) for one in asked if one.code in known]
            if rows:
                self._tags.put_tags(rows, TagUse(0, 0), hour=self._hour)
                self._reused += len(rows)
            yield from (one for one in asked if one.code not in known)

    def _lines(self, path: str, oid: str) -> list[str]:
        content = self._listing.contents.get(path)
        if content is None:
            try:
                content = next((read for _, read in self._files.contents({path: oid})), b"")
            except GitError as error:
                raise _CannotAsk(f"{path} has changed meanwhile") from error
        return content.decode("utf-8", "replace").split("\n")

    def _may_ask(self, batch: Sequence[_HashedCode]) -> bool:
        hour, limits = self._hour, self._limits
        if self._requests >= limits.requests or self._tags.used(hour).requests >= limits.requests_per_hour:
            return False
        return self._tags.used(hour - _DAY_H).tokens + _estimate(batch) <= limits.tokens_per_day

    def _ask(self, batch: Sequence[_HashedCode]) -> None:
        """Ask about these definitions and store the answer; a request counts as used before it is sent.

        So a process that is killed while it waits has used what it may, and no more.

        Raises:
            _CannotAsk: The model gave no reply that can be used.
        """
        estimate = _estimate(batch)
        self._tags.put_tags([], TagUse(1, estimate), hour=self._hour)
        self._requests += 1
        messages = tag_messages([one.item for one in batch])
        try:
            reply = self._ask_model(ChatRequest(self._name, messages, max_tokens=_REPLY_TOKENS))
        except AegisError as error:
            raise _CannotAsk(error.message) from error
        used = reply.usage.prompt_tokens + reply.usage.completion_tokens
        texts = parse_tags(reply.text, len(batch))
        is_whole = reply.finish_reason == "stop"
        rows = [one.stored(text, self._name) for one, text in zip(batch, texts, strict=True) if text or is_whole]
        self._tags.put_tags(rows, TagUse(0, (used or estimate) - estimate), hour=self._hour)
        self._made += len(rows)
        self._tokens += used or estimate
        if not is_whole and not any(texts):
            raise _CannotAsk(f"the reply of {self._name} ended early ({reply.finish_reason or 'no reason'})")

    @property
    def _hour(self) -> int:
        return int(self._now() // _HOUR_S)


class _CannotAsk(Exception):
    """The round ends; the message says why."""


def _hash(item: Untagged) -> str:
    text = f"{item.symbol.kind}\0{item.symbol.name}\0{item.code}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _chars(batch: Sequence[_HashedCode]) -> int:
    return sum(len(one.item.code) for one in batch)


def _estimate(batch: Sequence[_HashedCode]) -> int:
    """Return about how many tokens a request and its reply need at most."""
    chars = sum(len(message["content"]) for message in tag_messages([one.item for one in batch]))
    return int(chars / _CHARS_A_TOKEN) + _REPLY_TOKENS
