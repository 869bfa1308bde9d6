"""A hub of a repository of its own, for the commands that only talk to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workspace import Served


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A workspace whose hub runs; the tests of one file share it. Nothing of it is left at the end."""
    scratch = Served()
    try:
        scratch.init({"a.py": "x = 1\n"})
        started = scratch.aegis("hub", "start")
        assert started.code == 0, started.err
        yield scratch
        scratch.aegis("hub", "stop")
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []
