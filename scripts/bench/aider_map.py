"""Times aider's repository map over the Python files of a folder, for `code_map.py`; run by the Python of aider.

It prints one line of JSON: how long the tags of all files took, which is what building a map is for aider, and their
processor time; how long the whole map for a prompt took (tags, ranking and text); both without a cache; how long the
whole map took again after one file changed; and the memory at most. Model and screen are stand-ins: nothing is sent,
and tokens are estimated. The caches that aider writes into the folder are removed, and the changed file is put back.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

MAP_TOKENS = 1024
"""Aider's default size of a map."""
_CHARS_PER_TOKEN = 4


class Screen:
    """Reads files for aider, and shows nothing."""

    def read_text(self, path: str) -> str:
        """Return the text of a file."""
        return Path(path).read_text("utf-8", "replace")

    def tool_output(self, *words: object) -> None:
        """Show nothing."""

    tool_warning = tool_error = tool_output


class Model:
    """Estimates the number of tokens."""

    def token_count(self, text: str) -> int:
        """Return a quarter of the number of characters."""
        return len(text) // _CHARS_PER_TOKEN


def measure(root: Path) -> dict[str, float]:
    """Return the figures of a folder."""
    files = sorted(str(file) for file in root.rglob("*.py"))
    tags = _new(root)
    tags_s, tags_cpu_s = _timed(lambda: [tags.get_tags(name, str(Path(name).relative_to(root))) for name in files])
    whole = _new(root)
    whole_s, _ = _timed(lambda: whole.get_repo_map([], files, force_refresh=True))
    place = Path(files[0])
    before = place.read_bytes()
    place.write_bytes(before + b"\n\ndef added(value):\n    return value\n")
    changed_s, _ = _timed(lambda: whole.get_repo_map([], files, force_refresh=True))
    place.write_bytes(before)
    _remove_caches(root)
    return {
        "tags_s": round(tags_s, 3),
        "tags_cpu_s": round(tags_cpu_s, 3),
        "whole_s": round(whole_s, 3),
        "changed_ms": round(changed_s * 1000, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
    }


def _new(root: Path) -> Any:
    """Return aider's map of a folder, without a cache."""
    _remove_caches(root)
    made = import_module("aider.repomap").RepoMap
    return made(map_tokens=MAP_TOKENS, root=str(root), main_model=Model(), io=Screen())


def _remove_caches(root: Path) -> None:
    for cache in root.glob(".aider.tags.cache*"):
        shutil.rmtree(cache)


def _timed(step: Callable[[], object]) -> tuple[float, float]:
    """Return how long a step took, in seconds: by the clock, and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))) + "\n")
