"""What the newest commits of a checkout changed, for suggesting partitions (PART-4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.partition.model import ChangeHistory
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError

MOST_COMMITS: Final = 1_000
_DEADLINE_S: Final = 10.0
_MOST_BYTES: Final = 64 << 20


def read_history(root: Path) -> ChangeHistory:
    """Return the newest commits of HEAD that are no merges, at most 1,000, with the paths that each changed; blocking.

    Empty if there is no commit. If git needs more than ten seconds, or prints more than 64 MiB, none is returned, and
    `is_whole` is false.

    Args:
        root: The checkout; git runs in it, so it must not be one that an agent can write.

    Raises:
        GitError: It is no repository.
        GitUnavailable: git is missing.
    """
    return asyncio.run(_read(GitRunner(git_dir=None, cwd=root)))


def ignores_case(root: Path) -> bool:
    """Return whether git compares paths without case in this checkout (`core.ignorecase`); blocking.

    Raises:
        GitError: git fails.
        GitUnavailable: git is missing.
    """
    runner = GitRunner(git_dir=None, cwd=root)
    said = asyncio.run(runner.run("config", "--type=bool", "--get", "core.ignorecase", ok=(0, 1)))
    return said.text == "true"


async def _read(runner: GitRunner) -> ChangeHistory:
    head = await runner.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1))
    if not head.text:
        return ChangeHistory()
    try:
        listed = await runner.run(
            "rev-list", f"--max-count={MOST_COMMITS}", "--no-merges", head.text, deadline_s=_DEADLINE_S
        )
        changed = await runner.run(
            *("diff-tree", "--stdin", "-r", "-z", "--name-only", "--root", "--no-renames"),
            stdin=listed.stdout,
            deadline_s=_DEADLINE_S,
            output_bytes=_MOST_BYTES,
        )
    except GitError as error:
        if error.code not in ("git.timeout", "git.output"):
            raise
        return ChangeHistory(is_whole=False)
    commits, known = list[list[str]](), set(listed.text.split())
    for field in changed.fields():
        if field in known:
            commits.append([])
        else:
            commits[-1].append(write_name(field))
    return ChangeHistory(tuple(tuple(paths) for paths in commits))
