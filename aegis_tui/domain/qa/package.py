"""Read the scripts of a package.json. Does no IO and never raises: an invalid file has no scripts."""

from __future__ import annotations

import json

PLACEHOLDER = "no test specified"
"""The text in the test script that npm writes into a package without tests."""


def scripts_of(text: str) -> dict[str, str]:
    """Return the scripts in the text of a package.json, name -> command; empty when the text is invalid or has none."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    scripts = plain.get("scripts") if isinstance(plain, dict) else None
    if not isinstance(scripts, dict):
        return {}
    return {name: command for name, command in scripts.items() if isinstance(command, str)}
