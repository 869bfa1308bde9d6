"""Merges JSON and TOML files by lines, and proves the result by what the files say: key by key (GIT-3)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from aegis_tui.domain.merge.lines import merge_lines
from aegis_tui.domain.merge.proof import MergeFault, Versions
from aegis_tui.domain.merge.undecided import Undecided

_GONE: Final = object()
"""Stands for the value of a key that a version does not have."""


class TwiceError(ValueError):
    """An object of JSON has a key twice; the text is the key."""


def is_data_file(path: str) -> bool:
    """Whether a file is JSON or TOML, by its name."""
    return PurePosixPath(path).suffix.lower() in (".json", ".toml")


def judge_data(path: str, versions: Versions, merged: str) -> list[MergeFault]:
    """Return what speaks against a merged file; an empty list is the proof that it says what both sides changed.

    Raises:
        ValueError: One of the three versions cannot be parsed; an empty one can.
        RecursionError: One of them is nested too deeply.
    """
    base, ours, theirs = (_read(path, text) for text in versions)
    try:
        result = _read(path, merged)
    except TwiceError as error:
        return [MergeFault("defined twice", str(error))]
    except ValueError as error:
        return [MergeFault("syntax", str(error))]
    try:
        return [MergeFault("lost", key) for key in _differences(_merged(base, ours, theirs, ""), result, "")]
    except Undecided as error:
        return [MergeFault("misplaced", str(error))]


def _read(path: str, text: str) -> Any:
    if not text.strip():
        return _GONE
    if PurePosixPath(path).suffix.lower() == ".toml":
        return tomllib.loads(text)
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise TwiceError(key)
        made[key] = value
    return made


def _merged(base: Any, ours: Any, theirs: Any, key: str) -> Any:
    """Return the value that has the changes of both sides.

    Raises:
        Undecided: They change the same value in different ways.
    """
    if _is_same(ours, theirs) or _is_same(theirs, base):
        return ours
    if _is_same(ours, base):
        return theirs
    if isinstance(ours, dict) and isinstance(theirs, dict) and (base is _GONE or isinstance(base, dict)):
        old = base if isinstance(base, dict) else {}
        values = {
            name: _merged(old.get(name, _GONE), ours.get(name, _GONE), theirs.get(name, _GONE), f"{key}.{name}")
            for name in {**ours, **theirs}
        }
        return {name: value for name, value in values.items() if value is not _GONE}
    if isinstance(ours, list) and isinstance(theirs, list) and isinstance(base, list):
        lines = [[json.dumps(item, sort_keys=True, default=str) for item in side] for side in (base, ours, theirs)]
        known = dict(zip((line for side in lines for line in side), (*base, *ours, *theirs), strict=True))
        return [known[line] for line in merge_lines(*lines)]
    raise Undecided(f"both sides change {key.removeprefix('.') or 'the whole file'}")


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal, without 1, 1.0 and True being the same."""
    if one is _GONE or other is _GONE:
        return one is other
    return _dumped(one) == _dumped(other)


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _differences(wanted: Any, there: Any, key: str) -> Iterator[str]:
    """Yield the keys at which a value differs from the one that is wanted."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        for name in {**wanted, **there}:
            yield from _differences(wanted.get(name, _GONE), there.get(name, _GONE), f"{key}.{name}")
    elif not _is_same(wanted, there):
        yield key.removeprefix(".") or "the whole file"
