"""Assembles tool calls from the fragments that servers send; nothing here reads a socket.

According to the API, a fragment names its call by `index`, the first one has id and name, and `arguments` arrive as
parts of a text. Servers deviate: they omit index or id, use index 0 for every call, use a new id for each fragment,
repeat the name, send the arguments as an object, or repeat the whole call at the end. Each rule below handles one of
these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aegis_tui.ports.llm import ToolCall

MOST_CALLS = 256
"""The limit for one reply. More calls mean that the model is confused, and each is compared with all others."""


class Odd(Exception):
    """A value from the server that cannot be understood; `what` describes it, `value` is the value."""

    def __init__(self, what: str, value: Any) -> None:
        super().__init__(what)
        self.what, self.value = what, value


class _PartialCall:
    def __init__(self, index: int) -> None:
        self.index = index
        self.ids: list[str] = []
        self.name = ""
        self.texts: list[str] = []
        self.fields: dict[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether its arguments are a complete JSON object."""
        if self.fields is not None:
            return True
        return bool(self.texts) and self.texts[-1].rstrip().endswith("}") and _is_object("".join(self.texts))

    def add(self, arguments: Any) -> None:
        if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], dict):
            arguments = arguments[0]
        if isinstance(arguments, list) and arguments and all(isinstance(item, str) for item in arguments):
            arguments = "".join(arguments)
        if isinstance(arguments, str):
            if arguments:
                self.texts.append(arguments)
        elif isinstance(arguments, dict):
            self.fields = {**(self.fields or {}), **arguments}
        elif arguments not in (None, []):
            raise Odd("a tool call whose arguments are neither text nor an object", arguments)

    def arguments(self) -> str:
        """Return the JSON text of the arguments as received so far; it may be empty or incomplete.

        If a server sent the whole text again at the end, it is returned once; arguments sent as an object are encoded.
        """
        joined, last = "".join(self.texts), self.texts[-1] if self.texts else ""
        if self.fields is not None and not _is_object(joined):
            return json.dumps(self.fields, ensure_ascii=False)
        if len(self.texts) > 1 and not _is_object(joined) and _is_object(last):
            before = self.texts[:-1]
            if _are_equal("".join(before), last) or all(last.startswith(text) for text in before):
                return last  # the whole was repeated, or each fragment contained all before it
        return joined


class CallAssembler:
    """Collects the tool calls of one reply."""

    def __init__(self) -> None:
        self._calls: list[_PartialCall] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, fragment: Any) -> None:
        """Add one fragment of a tool call to the call that it belongs to.

        Args:
            fragment: Parsed JSON; a server may send any value.

        Raises:
            Odd: It is not in the shape of a tool call, or there would be more than 256 calls.
        """
        if not isinstance(fragment, Mapping):
            raise Odd("a tool call that is not an object", fragment)
        name, arguments = _function_of(fragment)
        call_id = _id_of(fragment)
        call = self._place(_index_of(fragment), call_id, name, arguments)
        if call_id and call_id not in call.ids:
            call.ids.append(call_id)
        call.name = call.name or name
        call.add(arguments)

    def _place(self, index: int | None, call_id: str, name: str, arguments: Any) -> _PartialCall:
        """Return the call that a fragment belongs to: by its index, without one by its id, else the newest.

        If there is none, or the fragment starts another call, that is created. One with a new index, but no name and
        the id of a call, belongs to that call.

        Args:
            index: The index in the fragment; None if it has none.
            call_id: The id in it; empty if it has none.
            name: The name in it; empty if it has none.
            arguments: The arguments in it, in any form.

        Raises:
            Odd: There would be more than 256 calls.
        """
        known = next((call for call in reversed(self._calls) if call_id and call_id in call.ids), None)
        if index is None:
            newest = self._calls[-1] if self._calls else None
            if known is not None or (newest is not None and not _begins_another(newest, call_id, name)):
                return known or newest or self._open(0)
            return self._open(max((call.index for call in self._calls), default=-1) + 1)
        at = next((call for call in reversed(self._calls) if call.index == index), None)
        if at is None:
            return known if known is not None and not name else self._open(index)
        return self._open(index) if _is_another(at, call_id, name, arguments) else at

    def _open(self, index: int) -> _PartialCall:
        if len(self._calls) >= MOST_CALLS:
            raise Odd(f"more than {MOST_CALLS} tool calls in one reply", self._calls[-1].name)
        self._calls.append(call := _PartialCall(index))
        return call

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls as received so far, by their index; one with a missing or repeated id gets a unique one.

        The name may be empty, and the arguments may be empty, incomplete or no JSON. Raises nothing.
        """
        calls: list[ToolCall] = []
        taken: set[str] = set()
        for number, partial in enumerate(sorted(self._calls, key=lambda call: call.index)):
            call_id = next((one for one in partial.ids if one not in taken), f"call_{number}")
            while call_id in taken:
                call_id += "_"
            taken.add(call_id)
            calls.append(ToolCall(call_id, partial.name or _name_in(call_id), partial.arguments()))
        return tuple(calls)


def _is_another(at: _PartialCall, call_id: str, name: str, arguments: Any) -> bool:
    """Return whether a fragment with the index of the call `at` starts another call, by its id, name and arguments.

    One without a name, or with an id that the call has, never does. While the arguments of the call are incomplete, it
    needs another id and another name. Once they are complete, it needs a new id, another name, or as arguments a
    complete object other than theirs.

    Args:
        at: The newest call with that index.
        call_id: The id in the fragment; empty if it has none.
        name: The name in it; empty if it has none.
        arguments: The arguments in it, in any form.
    """
    if not name or call_id in at.ids:
        return False
    if not at.is_complete:
        return bool(call_id and at.ids and name != at.name)
    if call_id or name != at.name:
        return True
    wanted = arguments if isinstance(arguments, dict) else _parsed(arguments) if isinstance(arguments, str) else None
    return isinstance(wanted, dict) and wanted != _parsed(at.arguments())


def _begins_another(newest: _PartialCall, call_id: str, name: str) -> bool:
    """Return whether a fragment without an index, and without an id that is known, starts another call than `newest`.

    An id does so if `newest` has an id or another name; a name, if `newest` has a name and complete arguments.

    Args:
        newest: The call that was begun last.
        call_id: The id in the fragment; empty if it has none.
        name: The name in it; empty if it has none.
    """
    if call_id and (newest.ids or (name and newest.name and name != newest.name)):
        return True
    return bool(name and newest.name and newest.is_complete)


def _function_of(fragment: Mapping[str, Any]) -> tuple[str, Any]:
    """Return name (empty if missing) and arguments (in any form, None if missing) of a fragment.

    Some servers omit `function` or send the name in its place.

    Raises:
        Odd: The function is not an object, or the name is not text.
    """
    function = fragment.get("function")
    if isinstance(function, str):
        function = {**fragment, "name": function}
    if function is None:
        function = fragment
    if not isinstance(function, Mapping):
        raise Odd("a tool call whose function is not an object", function)
    name = function.get("name")
    if not isinstance(name, str | None):
        raise Odd("a tool call whose name is not text", name)
    arguments = function.get("arguments")
    return name or "", function.get("parameters") if arguments is None else arguments


def _id_of(fragment: Mapping[str, Any]) -> str:
    call_id = fragment.get("id")
    if call_id is None or isinstance(call_id, str):
        return call_id or ""
    if isinstance(call_id, int):
        return str(call_id)
    raise Odd("a tool call whose id is not text", call_id)


def _index_of(fragment: Mapping[str, Any]) -> int | None:
    index = fragment.get("index")
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
        index = int(index)
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    if index is None or (isinstance(index, int) and not isinstance(index, bool)):
        return index
    raise Odd("a tool call whose index is not a number", index)


def _name_in(call_id: str) -> str:
    """Return a call id of Kimi models (`functions.read:0`), which contains the name; empty for any other id."""
    return call_id if call_id.startswith("functions.") else ""


def _is_object(text: str) -> bool:
    return isinstance(_parsed(text), dict)


def _are_equal(one: str, other: str) -> bool:
    return one == other or (_is_object(one) and _parsed(one) == _parsed(other))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
