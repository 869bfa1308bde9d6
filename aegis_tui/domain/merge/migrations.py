"""Database migrations of two sides that cannot both be applied, although they are different files (GIT-3)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import PurePosixPath
from typing import NamedTuple

_NUMBERED = re.compile(r"(?P<number>\d{3,})_\w+\.py")


class MigrationClash(NamedTuple):
    """Two new migrations, one of each side, that exclude each other."""

    ours: str
    """The path of ours."""
    theirs: str
    reason: str


def words_of(clash: MigrationClash) -> str:
    """Return why theirs cannot be merged, for a person."""
    return f"it conflicts with the migration {clash.ours}: {clash.reason}"


@dataclass(frozen=True, slots=True)
class _Migration:
    chain: str
    """What it is a part of: the folder for Django, `alembic` for Alembic."""
    names: frozenset[str]
    """What only one migration of the chain may have: number, revision, parent."""


def is_migration(path: str) -> bool:
    """Whether a file may be a migration, by its path: a Python file in a folder `migrations` or `versions`."""
    parts = PurePosixPath(path)
    return parts.suffix == ".py" and parts.parent.name in ("migrations", "versions")


def migration_clashes(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[MigrationClash]:
    """Return the pairs of new migrations with one number, one revision or one parent, sorted by path.

    Args:
        ours: Path -> text of the migrations that we added since the base.
        theirs: The same of the other side.
    """
    mine, others = ({path: _read(path, text) for path, text in side.items()} for side in (ours, theirs))
    return [
        MigrationClash(path, other, f"both have the {min(shared)}")
        for path, other in product(sorted(mine), sorted(others))
        if path != other and (shared := _shared(mine[path], others[other]))
    ]


def _shared(ours: _Migration | None, theirs: _Migration | None) -> frozenset[str]:
    if ours is None or theirs is None or ours.chain != theirs.chain:
        return frozenset()
    return ours.names & theirs.names


def _read(path: str, text: str) -> _Migration | None:
    """Return what a file says of itself as a migration; None if it is none, or cannot be parsed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    place = PurePosixPath(path)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            number = _NUMBERED.fullmatch(place.name)
            names = {f"number {number['number']}"} if number else set()
            names |= {f"parent {name}" for name in _parents(node, place.parent.parent.name)}
            return _Migration(str(place.parent), frozenset(names))
    values = dict(_values(tree.body))
    if "down_revision" not in values:
        return None
    names = {f"{word} {value}" for word, key in _ALEMBIC if (value := values.get(key))}
    return _Migration("alembic", frozenset(names))


_ALEMBIC = (("revision", "revision"), ("parent", "down_revision"))


def _parents(migration: ast.ClassDef, app: str) -> Iterator[str]:
    """Yield the migrations of the same app that a Django migration depends on."""
    for name, value in _values(migration.body):
        if name == "dependencies" and isinstance(value, list):
            yield from (item[1] for item in value if isinstance(item, tuple) and len(item) == 2 and item[0] == app)


def _values(body: list[ast.stmt]) -> Iterator[tuple[str, object]]:
    """Yield the names that are bound to literals, with these."""
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or not isinstance(value, ast.expr):
            continue
        yield target.id, _literal(value)


def _literal(value: ast.expr) -> object:
    """Return a literal's value; of a list the elements that are literals; else None."""
    if isinstance(value, ast.List):
        return [_literal(item) for item in value.elts]
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return None
