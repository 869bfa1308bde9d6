"""Finds a repository's paths and its workspace's key (contract 1), by asking git."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.folder import is_folder, real_path
from aegis_tui.adapters.git.run import GitOutput, GitRunner
from aegis_tui.errors import GitUnavailable
from aegis_tui.sdk.discovery import no_repository

MINIMUM_VERSION = (2, 38)
"""The first git version whose `merge-tree` writes trees."""

_KEY_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Discovery:
    """The paths of a repository; all are absolute, with links resolved."""

    root: Path
    """The top folder of the checkout; for a bare repository, its git folder."""
    common_dir: Path
    git_dir: Path
    """The checkout's own git folder: `common_dir`, or a folder in its `worktrees`."""
    is_bare: bool


def workspace_key(common_dir: Path) -> str:
    """Return the key of the workspace whose repository has this common git folder (contract 1): 12 hex digits."""
    return hashlib.sha256(bytes(common_dir.resolve())).hexdigest()[:_KEY_LENGTH]


async def discover(path: Path) -> Discovery:
    """Find the repository that contains `path`, from any of its worktrees; it may be bare.

    Raises:
        GitUnavailable: git is missing or too old, or `path` is no folder, or in no repository or its git folder, or
            the path of the repository has a line break.
        GitError: git fails or does not answer in time.
    """
    if not is_folder(path):
        raise GitUnavailable(f"there is no folder {path}", "name a folder inside a git repository")
    runner = GitRunner(git_dir=None, cwd=path)
    await _check_version(runner)
    answer = await runner.run(
        "rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir", "--is-bare-repository", ok=(0, 128)
    )
    if answer.code:
        raise _not_a_repository(path, answer)
    if answer.text.count("\n") != 2:
        raise GitUnavailable("the path of the repository contains a line break", "rename or move its folder")
    common_text, git_text, bare_text = answer.text.split("\n")
    common_dir, git_dir = real_path(common_text), real_path(git_text)
    is_bare = bare_text == "true"
    root = common_dir if is_bare else await _top(runner, path)
    return Discovery(root, common_dir, git_dir, is_bare)


async def _top(runner: GitRunner, path: Path) -> Path:
    answer = await runner.run("rev-parse", "--path-format=absolute", "--show-toplevel", ok=(0, 128))
    if answer.code:
        raise GitUnavailable(f"{path} is inside a git folder, not in a checkout", "go to the checkout and try again")
    return real_path(answer.text)


async def _check_version(runner: GitRunner) -> None:
    text = (await runner.run("version")).text
    match = re.search(r"(\d+)\.(\d+)", text)
    if not match or (int(match[1]), int(match[2])) < MINIMUM_VERSION:
        raise GitUnavailable(f"{text or 'git'} is too old", "install git 2.38 or newer")


def _not_a_repository(path: Path, answer: GitOutput) -> GitUnavailable:
    return no_repository(path, answer.stderr)
