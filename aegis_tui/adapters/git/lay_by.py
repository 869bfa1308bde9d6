"""A complete checkout that stays on disk between runs, so that the next one need not write every file (PERF-19).

One per repository, beside the folder for worktrees of checks. It is never one in which a program without a sandbox ran.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from aegis_tui.adapters.git.settings import Setting, attribute_files
from aegis_tui.adapters.git.spare import Spare, new_spare
from aegis_tui.sdk.untrusted_folder import read_file

KEPT_NAME: Final = "kept-checkout"
"""Name of the folder beside that of the worktrees for checks."""

_NOTE: Final = "note"
"""A file in it: the commit or tree, and the stamp."""
_ELSEWHERE: Final = ("core.bare", "core.hookspath", "core.worktree", "extensions.worktreeconfig")
"""Settings that do not change the content of files, and that this program may change during a run."""

_OLD_S: Final = 7 * 24 * 3600
_FREE_SHARE: Final = 0.1


def stamp_of(settings: Collection[Setting], common_dir: Path) -> str | None:
    """Return what the content of checked-out files depends on besides the commit, as a hash of 64 digits; blocking.

    None if that cannot be said, because a program (a filter) writes the content.

    Args:
        settings: All settings of git.
        common_dir: The common git folder, whose `info/attributes` counts.
    """
    parts = [(item.name, item.value) for item in settings if item.name.startswith(("core.", "filter.", "extensions."))]
    if any(name.startswith("filter.") for name, _ in parts):
        return None
    contents = [read_file(place, limit=1 << 20) for place in attribute_files(settings, common_dir)]
    relevant = [part for part in parts if part[0] not in _ELSEWHERE]
    return hashlib.sha256(repr((relevant, contents)).encode("utf-8", "surrogatepass")).hexdigest()


def lay_by(spare: Spare, parent: Path, stamp: str) -> bool:
    """Leave a spare checkout on disk for a later run; return False, with nothing moved, if that is not done; blocking.

    It is not done if one is there, on another disk, or if less than a tenth of the disk is free.

    Args:
        spare: The checkout; it is gone if the result is True.
        parent: The folder of worktrees for checks.
        stamp: From `stamp_of`, when the files were written.
    """
    place = parent.with_name(KEPT_NAME)
    try:
        usage = shutil.disk_usage(parent)
        if usage.free < usage.total * _FREE_SHARE:
            return False
        (spare.folder / _NOTE).write_text(f"{spare.commit} {stamp}\n", "ascii")
        spare.folder.rename(place)
    except OSError:
        return False
    return True


def take_up(parent: Path, stamp: str | None) -> tuple[Spare | None, bool]:
    """Take the checkout that an earlier run has left; blocking, raises nothing.

    Returns:
        The checkout, in `parent`; None if there is none. Then whether it can be used: not after a week, nor if `stamp`
        is another one.
    """
    spare = new_spare(parent, "")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        parent.with_name(KEPT_NAME).rename(spare.folder)
    except OSError:
        return None, False
    note = spare.folder / _NOTE
    commit, _, theirs = (read_file(note, limit=1000) or b"").decode("ascii", "replace").strip().partition(" ")
    with contextlib.suppress(OSError):
        is_new = time.time() - note.stat().st_mtime < _OLD_S
        return replace(spare, commit=commit), is_new and bool(commit) and theirs == stamp
    return spare, False
