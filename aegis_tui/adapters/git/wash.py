"""Makes the files of a worktree in which tests have run exactly those of its index again (GIT-1, FLOW-7).

The tests may be an agent's. What they left could decide the next test, so nothing of it stays, and what cannot be
judged makes the files unusable. Nothing runs in the folder any longer.

A changed file is recognised by its time of change (ctime), which no program in a sandbox can set: it is compared with
that of a file which was written before the tests started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from aegis_tui.adapters.git.run import GitRunner, joined
from aegis_tui.adapters.git.spare import CHECKOUT_DEADLINE_S, WHOLE
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

STRICT: Final = ("-c", "core.trustctime=true", "-c", "core.checkStat=default")
"""Options of git under which the person's settings let it overlook no change."""

LIST_ENTRIES: Final = ("ls-files", "--stage", "-v", "-z")
_PLAIN, _LINK = "100", "120"
"""First digits of the modes of files and of links in an index."""


async def wash(runner: GitRunner, tree: Path, index: Path, *, since_ns: int) -> bool:
    """Restore the files of a checkout to those of its index, and delete all others, also those that git ignores.

    Return False, with any of that done, if it is not certain that they are as a new checkout would write them: the
    index has a submodule or an entry with a flag, a folder of the index has other permissions or extended attributes,
    or a file could not be restored.

    Args:
        runner: Runs git in the common folder. The repository has no filters: none is started here.
        tree: The files; a regular file `.git` at the top is not looked at.
        index: Their index, which no test could write; files that are restored get their new times there.
        since_ns: A time of change from after the checkout and before the tests, in nanoseconds, by the file system's
            clock.

    Raises:
        GitError: git fails.
        OSError: A file cannot be read or deleted.
    """
    git = partial(runner.run, work_tree=tree, env={"GIT_INDEX_FILE": str(index)}, deadline_s=CHECKOUT_DEADLINE_S)
    files = _files((await git(*WHOLE, *LIST_ENTRIES)).fields())
    touched = None if files is None else await asyncio.to_thread(_delete_others, tree, files, since_ns)
    if touched is None:
        return False
    differing = (await git(*WHOLE, *STRICT, "diff-files", "--name-only", "-z")).fields()
    if changed := [*dict.fromkeys((*touched, *differing))]:
        await asyncio.to_thread(_delete, tree, changed)
        await git(*WHOLE, "checkout-index", "-f", "-q", "-u", "-z", "--stdin", stdin=joined(changed))
    others = await git(*WHOLE, "ls-files", "--others", "--directory", "-z")
    again = await git(*WHOLE, *STRICT, "diff-files", "--name-only", "-z")
    return not others.stdout and not again.stdout


def has_plain_folders(tree: Path, listed: Iterable[str]) -> bool:
    """Return whether the folders of an index are as git made them; blocking.

    False also if one holds a repository, of which git lists nothing and whose settings can name programs, and if the
    index has a submodule or an entry with a flag.

    Args:
        tree: The files; `.git` at the top is not looked at.
        listed: The index, as `LIST_ENTRIES` lists it.

    Raises:
        OSError: A folder is missing or cannot be read.
    """
    files, expected = _files(listed), _new_mode(tree.parent)
    if files is None:
        return False
    folders = {tree / folder for path in files for folder in _above(path)}
    return _is_as_made(tree, expected) and all(
        _is_as_made(folder, expected) and not os.path.lexists(folder / ".git") for folder in folders
    )


def _files(listed: Iterable[str]) -> Mapping[str, bool] | None:
    """Return path -> whether it is a link, from `ls-files --stage -v`; None if an entry is neither link nor file."""
    files: dict[str, bool] = {}
    for line in listed:
        what, _, path = line.partition("\t")
        tag, mode, _, stage = what.split(" ")
        if tag != "H" or stage != "0" or not mode.startswith((_PLAIN, _LINK)):
            return None
        files[path] = mode.startswith(_LINK)
    return files


def _delete_others(tree: Path, files: Mapping[str, bool], since_ns: int) -> list[str] | None:
    """Delete what is no file of the index, in every folder of the index.

    Return the files of the index that were changed after a time; None if a folder is not as git made it.

    Raises:
        OSError: Something cannot be deleted.
    """
    folders = {"": None} | {folder: None for path in files for folder in _above(path)}
    expected, touched = _new_mode(tree.parent), list[str]()
    for folder in folders:
        place = tree / folder
        if not os.path.lexists(place):  # git makes it again
            continue
        if not _is_as_made(place, expected):
            return None
        with UntrustedFolder(place) as opened:
            for name, status in list(opened.statuses()):
                path = f"{folder}/{name}" if folder else name
                if not _belongs(path, status.st_mode, files, folders):
                    opened.remove(name)
                elif path in files and status.st_ctime_ns >= since_ns:
                    touched.append(path)
    return touched


def _belongs(path: str, mode: int, files: Mapping[str, bool], folders: Mapping[str, None]) -> bool:
    if path in folders:
        return stat.S_ISDIR(mode)
    if path in files:
        return stat.S_ISLNK(mode) if files[path] else stat.S_ISREG(mode)
    return path == ".git" and stat.S_ISREG(mode)


def _is_as_made(folder: Path, mode: int) -> bool:
    """Return whether a folder is one that git made: False for a link, other permissions or extended attributes."""
    named: list[str] = []
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # not every file system has them
            named = os.listxattr(folder, follow_symlinks=False)
    # Labels (`security.`) are the system's; only it can set them.
    return folder.lstat().st_mode == mode and all(name.startswith("security.") for name in named)


def _new_mode(parent: Path) -> int:
    """Return type and permissions of a folder that is created in `parent`."""
    trial = parent / f".aegis-mode-{uuid.uuid4().hex[:12]}"
    trial.mkdir()
    try:
        return trial.lstat().st_mode
    finally:
        trial.rmdir()


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _delete(tree: Path, paths: Iterable[str]) -> None:
    with UntrustedFolder(tree) as opened:
        for path in paths:
            opened.unlink(path)
