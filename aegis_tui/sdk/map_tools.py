"""The MCP tools that ask the code map about the caller's files (MAP-5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from aegis_tui.domain.code_map.commands import MOST_COUNT, MapQuestion
from aegis_tui.sdk.tool_results import MapResult, PartitionResult


class MapTools:
    """The tools, executed as the instance that `ask` sends as."""

    def __init__(self, ask: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        self._ask = ask

    async def map_find(self, name: str) -> MapResult:
        """Where a function or class is defined, in your files as they are now; `symbols` is empty if nowhere.

        Args:
            name: Its name, also dotted as Parser.parse, or PATH:NAME.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        return await self._map("find", name)

    async def map_show(self, place: str, form: Literal["outline", "signatures", "body"] = "signatures") -> MapResult:
        """A file as its signatures, or the body of one symbol, instead of the whole file; or what a folder holds.

        `pointers` names what a symbol calls, as PATH:SYMBOL to go on with.

        Args:
            place: PATH, PATH:SYMBOL, or a folder; "." is the whole repository.
            form: outline has public names only, signatures all of them with the first paragraph of their documentation.

        Raises:
            AegisError: There is no such place; or the hub does not answer.
        """
        return await self._map("show", place, form=form)

    async def map_search(self, text: str, count: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 10) -> MapResult:
        """Definitions that match a text, the best first.

        Args:
            text: What you look for, in words.
            count: How many at most.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        return await self._map("search", text, count=count)

    async def map_callers(self, name: str) -> MapResult:
        """The calls to a function, method or class with their code; refused if there is none of that name.

        A call can be changed without reading its file. `certain` is false for a call that matches by its name alone.

        Args:
            name: Its name, or PATH:NAME.

        Raises:
            AegisError: There is none of that name; or the hub does not answer.
        """
        return await self._map("callers", name)

    async def map_callees(self, name: str) -> MapResult:
        """The definitions that are called inside a function, method or class; refused if there is none of that name.

        Args:
            name: Its name, or PATH:NAME.

        Raises:
            AegisError: There is none of that name; or the hub does not answer.
        """
        return await self._map("callees", name)

    async def map_tests(self, name: str) -> MapResult:
        """The tests that call or name a function, method or class; refused if there is none of that name.

        Args:
            name: Its name, or PATH:NAME.

        Raises:
            AegisError: There is none of that name; or the hub does not answer.
        """
        return await self._map("tests", name)

    async def map_impact(self, place: str) -> MapResult:
        """The files that a change of a file or symbol may concern: those that import or call it; tests are marked.

        Args:
            place: PATH or PATH:SYMBOL.

        Raises:
            AegisError: There is no such place; or the hub does not answer.
        """
        return await self._map("impact", place)

    async def map_partition(self, parts: Annotated[int, Field(ge=1, le=MOST_COUNT)]) -> PartitionResult:
        """How to divide the repository among workers: exclusive globs for each part, and why.

        Args:
            parts: How many are wanted; there are fewer if there is too little code.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        reply = await self._ask("map:ask", question="partition", about=".", count=parts)
        return PartitionResult.model_validate(reply["answer"])

    async def _map(self, question: MapQuestion, about: str, **fields: Any) -> MapResult:
        reply = await self._ask("map:ask", question=question, about=about, **fields)
        return MapResult.model_validate(reply["answer"])
