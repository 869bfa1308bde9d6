"""What a package.json says about its scripts. Pure, and total: a broken file has no scripts."""

from __future__ import annotations

import json

PLACEHOLDER = "no test specified"
"""What npm writes into a package that has no tests."""


def scripts_of(text: str) -> dict[str, str]:
    """Name -> command of each script."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    scripts = plain.get("scripts") if isinstance(plain, dict) else None
    if not isinstance(scripts, dict):
        return {}
    return {name: command for name, command in scripts.items() if isinstance(command, str)}
