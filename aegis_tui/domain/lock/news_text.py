"""The words in which an agent is told that others have written a joint file before it (LOCK-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aegis_tui.domain.scope.lockfile import how_to_make

_VERBS = {"created": "created", "deleted": "deleted"}


def write_words(path: str, write: Mapping[str, Any]) -> str:
    """Return what the model should know about a write of another instance that is not merged yet.

    Args:
        path: The file.
        write: An entry of `writes` in the reply to `lock:news`.
    """
    change, diff = str(write.get("change", "")), str(write.get("diff", ""))
    verb = _VERBS.get(change, "changed")
    text = f"{write['agent_id']} has {verb} {path} before you, for the piece {write['piece']}, which is not merged yet"
    if how := how_to_make(path):
        return f"{text}. Do not join the two by hand: change the manifest, then run {how}"
    if change == "binary":
        return f"{text}. It is a binary file, of which only one change can be kept: agree with that instance first"
    text += (
        ". Your copy does not have that change. Do not make it again, and leave the lines that it touches as they are"
    )
    return f"{text}. Their copy against yours:\n{diff}" if diff else text


def merged_words(path: str, pieces: Sequence[str]) -> str:
    """Return what an agent should know about a file that merged pieces have changed, perhaps since it began.

    Args:
        path: The file.
        pieces: The names of these pieces.
    """
    return (
        f"{path} was changed by merged pieces: {', '.join(pieces)}. If your branch does not have that yet, run "
        '`git rebase "$AEGIS_INTEGRATION_REF"` before you change the file'
    )
