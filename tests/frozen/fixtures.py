"""Every frozen file: how it is made from the code as it is now, and what may not be lost of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from aegis_tui.bootstrap.contract import CONTRACTS, contract_text
from tests.frozen import gains, surface
from tests.frozen.logs import DATA, folded, logs, text_of
from tests.frozen.outputs import outputs

_FOR_PEOPLE = ("description", "summary")
"""Parts of the contract that may be worded anew."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """One frozen file."""

    path: Path
    make: Callable[[], Any]
    """What it would hold if it were made now."""
    lost: Callable[[Any, Any], list[str]]
    """What of the first is not in the second."""

    @property
    def frozen(self) -> Any:
        """What the file holds; nothing before it is first made."""
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else None

    def losses(self) -> list[str]:
        """What was frozen and is not there any more, one line each."""
        known = self.frozen
        return [] if known is None else [f"{self.path.name}: {line}" for line in self.lost(known, self.make())]

    def write(self) -> bool:
        """Freeze what there is now; whether that changed the file."""
        text = text_of(self.make())
        if self.path.exists() and self.path.read_text("utf-8") == text:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text, "utf-8")
        return True


def names() -> Iterator[Fixture]:
    """What the code calls things."""
    yield Fixture(DATA / "names.json", surface.names, gains.lost_names)
    yield Fixture(DATA / "options.json", surface.options, gains.lost_names)
    yield Fixture(DATA / "outputs.json", outputs, gains.lost_names)
    yield Fixture(DATA / "signatures.json", surface.signatures, gains.lost_signatures)


def contracts() -> Iterator[Fixture]:
    """The documents that `aegis-tui schema` prints, without the words for people."""
    for which in CONTRACTS:
        yield Fixture(DATA / f"{which}.json", partial(contract, which), gains.lost_contract)


@cache
def contract(which: Any) -> Any:
    """One document as it is now, without what may be worded anew."""
    document = _bare(json.loads(contract_text(which)))
    document["info"].pop("version")
    return document


def _bare(node: Any, *, is_named: bool = False) -> Any:
    """The node without descriptions; `is_named` where its keys are names of fields, one of which may be so called."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = node if is_named else {name: item for name, item in node.items() if name not in _FOR_PEOPLE}
    return {name: _bare(item, is_named=name in ("properties", "schemas")) for name, item in kept.items()}


def states(folder: Path) -> Iterator[Fixture]:
    """What the frozen logs fold to; `folder` takes the log files."""
    for sql in logs():
        for suffix, text in folded(sql, folder).items():
            yield Fixture(sql.with_suffix(suffix), partial(json.loads, text), gains.lost_values)
