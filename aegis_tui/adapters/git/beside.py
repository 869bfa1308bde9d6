"""Saves what git does not see in a worktree: ignored files, and files in the folders of submodules (GIT-1).

They are copied by handle, without following links, and become a tree of their own. Caches and build products, which a
tool makes again, are left out; so is what exceeds the limits, which is named.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.sdk.given_files import is_given
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

FILE_BYTES, ALL_BYTES, MOST_FILES = 8 << 20, 64 << 20, 5_000
"""How large a file may be, all of them together, and how many are saved."""

_MADE_AGAIN = re.compile(
    r"(?:__pycache__|node_modules|\.?venv|env|\.tox|\.nox|\.(?:pytest|mypy|ruff|import_linter|hypothesis)_?cache|\.hypothesis"
    r"|\.cache|\.gradle|\.next|\.nuxt|\.parcel-cache|\.turbo|\.vite|\.eggs|.*\.egg-info|build|dist|target|htmlcov|coverage"
    r"|\.coverage.*|.*\.py[co]|.*\.class|.*\.o|\.DS_Store|Thumbs\.db|\.git)"
)
"""Names of files and folders that tools make again, and of git's own folder."""

_MOST_LISTED = 1 << 26


@dataclass(frozen=True, slots=True)
class Beside:
    """Files of a worktree that git does not see."""

    tree: str
    left_out: tuple[str, ...]
    """Their paths, in the written form, if they were too large or too many."""


async def save_beside(
    runner: GitRunner, path: Path, submodules: Collection[str], env: Mapping[str, str], filters_off: Mapping[str, str]
) -> Beside | None:
    """Write a tree of the ignored files of a worktree and of those in its submodules' folders; None if there are none.

    Left out are links, repositories, what tools make again (`node_modules`, `build`), and unchanged copies that this
    program put there; and files over 8 MiB, beyond 64 MiB in all or beyond 5,000 in number, which `left_out` names.

    Args:
        runner: Runs git in the common folder.
        path: The worktree.
        submodules: The paths of its submodules.
        env: Names the index that says which files are tracked.
        filters_off: Variables that switch all filters off.

    Raises:
        GitError: git fails.
        OSError: A file cannot be read, or its copy not written.
    """
    listed = await runner.run(
        *("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"),
        work_tree=path,
        env=dict(env),
        output_bytes=_MOST_LISTED,
    )
    roots = [*(name.rstrip("/") for name in listed.fields()), *submodules]
    with scratch_folder() as folder:
        copies = folder / "files"
        copies.mkdir()
        count, left_out = await asyncio.to_thread(_copy, path, roots, copies)
        if not count and not left_out:
            return None
        index = {"GIT_INDEX_FILE": str(folder / "index"), **filters_off}
        await runner.run("-c", "core.safecrlf=false", "add", "--all", "--force", work_tree=copies, env=index)
        tree = (await runner.run("write-tree", env=index)).text
    return Beside(tree, tuple(write_name(name) for name in left_out))


def _copy(path: Path, roots: Sequence[str], copies: Path) -> tuple[int, list[str]]:
    """Copy the files at and below `roots` that `_files` yields; return how many, and the paths of those left out.

    Left out are files over `FILE_BYTES`, beyond `ALL_BYTES` together, or beyond `MOST_FILES` in number.

    Args:
        path: The worktree.
        roots: Paths of files and folders in it.
        copies: The folder for the copies; they have the same relative paths there.

    Raises:
        OSError: A file cannot be read, or its copy not written.
    """
    count, size, left_out = 0, 0, list[str]()
    with UntrustedFolder(path) as folder:
        for name, status in _files(folder, roots):
            if status.st_size > FILE_BYTES or size + status.st_size > ALL_BYTES or count >= MOST_FILES:
                left_out.append(name)
                continue
            target = copies / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if folder.copy_out(name, target, limit=FILE_BYTES):
                target.chmod(0o700 if status.st_mode & stat.S_IXUSR else 0o600)
                count, size = count + 1, size + status.st_size
    return count, left_out


def _files(folder: UntrustedFolder, roots: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files at and below paths, each once, with their status.

    Left out are files and folders that a tool makes again, repositories, links, and files that this program copied into
    the worktree and that are unchanged.
    """
    seen: set[str] = set()
    waiting = [name for name in reversed(roots) if not any(map(_MADE_AGAIN.fullmatch, name.split("/")))]
    while waiting:
        name = waiting.pop()
        status = folder.status(name)
        if status is None or name in seen:  # git may list a folder and what is in it
            continue
        seen.add(name)
        if stat.S_ISREG(status.st_mode):
            if not _is_unchanged(folder, name):
                yield name, status
        elif stat.S_ISDIR(status.st_mode) and not _is_repository(folder, name):
            entries = sorted((entry for entry, _ in folder.statuses(name)), reverse=True)
            waiting += [f"{name}/{entry}" for entry in entries if not _MADE_AGAIN.fullmatch(entry)]


def _is_unchanged(folder: UntrustedFolder, name: str) -> bool:
    """Return whether a file is a copy of the person's that this program put into the worktree, still unchanged."""
    with folder.open(name) as file:
        return file is not None and is_given(file.fileno())


def _is_repository(folder: UntrustedFolder, name: str) -> bool:
    return folder.status(f"{name}/.git") is not None
