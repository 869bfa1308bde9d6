"""Tries forbidden writes when an instance starts: in the person's git folder, and by a commit (AGENT-5)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from aegis_tui.agent.git import Git
from aegis_tui.agent.process import run_process
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.errors import AegisError, GitError

_FORBIDDEN = "aegis-self-test/forbidden"
"""A path that belongs to nobody, unless a partition covers everything."""
_ANSWER_S = 30.0


async def sandbox_problem(git: Git, instance: str) -> str:
    """Return what is wrong with the sandbox: empty if it refuses a new file in the common git folder.

    A file that it lets through is deleted again. That git cannot be run is a problem in words, too; no error is raised.

    Args:
        git: Runs git in the instance's worktree.
        instance: The instance's id, part of the name of the file.
    """
    try:
        located = await git.run("rev-parse", "--path-format=absolute", "--git-common-dir", with_errors=False)
    except GitError as error:
        return f"the sandbox cannot be tested: {error}"
    path = Path(located.output.strip()) / f"aegis-self-test-{instance}"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except OSError:
        return ""
    path.unlink(missing_ok=True)
    return f"the sandbox allows a write to {path.parent}"


async def find_commit_hook(git: Git) -> Path | None:
    """Return the hook that git runs before each commit in the worktree; None if it would run none, or git fails."""
    try:
        located = await git.run("rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-commit")
    except GitError:
        return None
    hook = Path(located.output.strip())
    return hook if located.code == 0 and os.access(hook, os.X_OK) else None


async def hook_problem(git: Git, hook: Path, settings: AgentSettings) -> str:
    """Return what is wrong with the commit hook: empty if it refuses a commit with a file of nobody.

    It is run as git runs it, with an index of its own, so that nothing is committed and the worktree stays as it is.
    It is not tried, and the result empty, if the instance may write every file. Waits up to 30 s for the hook; one that
    cannot be run or takes longer is a problem, too.

    Args:
        git: Runs git in the instance's worktree.
        hook: The hook.
        settings: Identity and scope of the instance.
    """
    if WriteScope(settings.agent_id, settings.scope).verdict(_FORBIDDEN).allowed:
        return ""
    with tempfile.TemporaryDirectory(prefix="aegis-self-test-") as folder:
        environment = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        try:
            await _stage(git, environment)
            done = await run_process(
                [str(hook)], cwd=git.worktree, timeout_s=_ANSWER_S, environment={**environment, "GIT_EDITOR": ":"}
            )
        except (AegisError, OSError) as error:
            return f"the commit hook cannot be tested: {error}"
    if done.code != 0 and not done.timed_out and _FORBIDDEN in done.output:
        return ""
    return f"the commit hook does not refuse {_FORBIDDEN} (exit code {done.code}): {done.output.strip()[-400:]}"


async def _stage(git: Git, environment: dict[str, str]) -> None:
    """Make the index that the environment names: the files of HEAD, and one that nobody may write.

    Raises:
        GitError: git fails.
        OSError: git cannot be started.
    """
    empty = await git.run("hash-object", "-t", "blob", "/dev/null", with_errors=False)
    entry = f"100644,{empty.output.strip()},{_FORBIDDEN}"
    for arguments in (["read-tree", "HEAD"], ["update-index", "--add", "--cacheinfo", entry]):
        argv = ["git", *arguments]
        done = await run_process(argv, cwd=git.worktree, timeout_s=_ANSWER_S, environment=environment)
        if done.code != 0:
            raise GitError(f"git {arguments[0]} fails: {done.output.strip()[-400:]}")
