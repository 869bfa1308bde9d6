"""Loads merge rules: those that come with the program, and a team's own in a checkout (FLOW-9).

What a run obeys is read from its base commit instead (`aegis_tui/orchestrator/rule_check.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from aegis_tui.domain.rule.model import MergeRule
from aegis_tui.domain.rule.parse import FOLDER, MAX_FILE_BYTES, parse_rules
from aegis_tui.errors import UsageError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

SHIPPED = Path(__file__).parent / "rules"
"""The folder of the rules that come with the program."""


@cache
def shipped_rules() -> tuple[MergeRule, ...]:
    """Return the rules that come with the program, in the order of their files, and in each in its order.

    The files are read once per process; later calls return the same tuple.

    Raises:
        UsageError: One of the files is not valid, so the installation is damaged.
        OSError: One of them cannot be read.
    """
    return tuple(
        rule for path in sorted(SHIPPED.glob("*.toml")) for rule in parse_rules(path.read_text("utf-8"), path.name)
    )


def own_rules(root: Path) -> tuple[MergeRule, ...]:
    """Return the team's rules in the checkout at `root`, committed or not, in the order of their files' names.

    Empty if it has none. Those that come with the program are not among them.

    Raises:
        UsageError: A file is not valid, too large, no regular file or behind a link; the message names it.
        OSError: `root` is not a folder that can be read.
    """
    names = sorted(path.name for path in (root / FOLDER).glob("*.toml"))
    rules: list[MergeRule] = []
    with UntrustedFolder(root) as folder:
        for name in names:
            content = folder.read(f"{FOLDER}/{name}", limit=MAX_FILE_BYTES)
            if content is None:
                words = f"{FOLDER}/{name} is not a regular file of at most {MAX_FILE_BYTES} bytes"
                raise UsageError(words, "symbolic links are not followed", is_certain=True)
            rules += parse_rules(content.decode("utf-8", "replace"), f"{FOLDER}/{name}")
    return tuple(rules)
