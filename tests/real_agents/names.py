"""Compares the names that real programs looked up with those that the file of their kind lists for their version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from aegis_tui.adapters.agents.installed import describe_kinds
from aegis_tui.adapters.agents.search_path import search_path


def check_names(instances: Iterable[Mapping[str, Any]]) -> None:
    """Fail if a program looked up a name that is not listed for its version: its kind has to list it, or switch it off.

    Args:
        instances: The instances in the report of a run.
    """
    for item in instances:
        looked_up = set(item["blocked_names"])
        print(f"{item['kind']} {version_of(item['kind'])}, {item['role']}: {sorted(looked_up) or 'no names looked up'}")
        unknown = sorted(looked_up - known_names(item["kind"]))
        assert not unknown, f"{item['kind']} {version_of(item['kind'])} looked up {', '.join(unknown)}"


def known_names(kind: str) -> frozenset[str]:
    """Return the names that the file of a kind lists for the installed version; empty if it has no program."""
    facts = next(item for item in describe_kinds() if item.name == kind)
    if not facts.program:
        return frozenset()
    version = version_of(kind)
    assert version in facts.names, f"the file of {kind} does not say which names version {version} looks up"
    return frozenset(facts.names[version])


@cache
def version_of(kind: str) -> str:
    """Return the version of the installed program of a kind; empty if it has none of its own."""
    facts = next(item for item in describe_kinds() if item.name == kind)
    if not facts.program:
        return ""
    path = search_path(os.environ)
    argv = [shutil.which(facts.program, path=path) or facts.program, "--version"]
    said = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": path}
    )
    found = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else ""
