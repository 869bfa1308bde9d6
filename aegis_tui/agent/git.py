"""The git commands that an instance runs in its own worktree. All of them go through `Git.run`."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aegis_tui.agent.process import Finished, run_process
from aegis_tui.domain.git_refusal import CHAIN_NAME
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError
from aegis_tui.sdk.given_files import is_given

_log = logging.getLogger(__name__)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C.UTF-8",
}
COMMIT_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "reference-transaction")
"""Hooks that git starts for a commit."""

_LIST_BYTES = 64 * 1024 * 1024
_IN_PROGRESS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


class Git:
    """Runs git in one worktree, with the instance's own hooks and identity.

    Every coroutine raises GitError if git cannot be started or took too long.
    """

    def __init__(self, worktree: Path) -> None:
        self.worktree = worktree

    async def run(
        self,
        *arguments: str,
        timeout_s: float = 60.0,
        limit_bytes: int = 65536,
        with_errors: bool = True,
        errors: str = "replace",
    ) -> Finished:
        """Run `git ARGUMENTS` and return how it ended, whatever its exit code.

        Args:
            arguments: The arguments after `git`; the first is the command, for the message.
            timeout_s: Seconds after which git is killed.
            limit_bytes: The most output to keep; see `run_process`.
            with_errors: Whether standard error is kept, mixed into the output.
            errors: How output that is not UTF-8 is decoded, as for `bytes.decode`.

        Raises:
            GitError: git cannot be started or took too long.
            UnicodeDecodeError: With `errors="strict"`, the output is not UTF-8.
        """
        started_at = asyncio.get_running_loop().time()
        argv = ["git", "-c", "core.quotePath=off", *arguments]
        try:
            finished = await run_process(
                argv,
                cwd=self.worktree,
                timeout_s=timeout_s,
                environment=_ENVIRONMENT,
                limit_bytes=limit_bytes,
                with_errors=with_errors,
                errors=errors,
            )
        except OSError as error:
            raise GitError(f"git cannot be started: {error}") from error
        duration_s = asyncio.get_running_loop().time() - started_at
        _log.debug("git", extra={"argv": argv, "exit_code": finished.code, "duration_s": duration_s})
        if finished.timed_out:
            raise GitError(f"git {arguments[0]} took more than {timeout_s:.0f} s")
        return finished

    async def find_oid(self, revision: str) -> str | None:
        """Return the id of the commit that `revision`, for example a branch, names; None if there is none.

        Raises:
            GitError: git cannot be started or took too long.
        """
        return await self._find(f"{revision}^{{commit}}")

    async def find_blob(self, revision: str) -> str | None:
        """Return the id of the object that `revision` names, such as the blob `HEAD:a.py`; None if there is none.

        Raises:
            GitError: git cannot be started or took too long.
        """
        return await self._find(revision)

    async def _find(self, revision: str) -> str | None:
        finished = await self.run("rev-parse", "-q", "--verify", revision, with_errors=False)
        return finished.output.strip() or None if finished.code == 0 else None

    async def changed_paths(self, base: str | None, *, pathspecs: Sequence[str] = ()) -> list[str]:
        """Return the paths that differ from the commit `base`, committed or not, untracked files included, sorted.

        Ignored files are left out, and so is what git fails to list, for example because there is no such commit.

        Args:
            base: The commit; None for HEAD.
            pathspecs: Look only here, by git's pathspecs; empty for everywhere.

        Raises:
            GitError: git cannot be started or took too long.
        """
        commands: list[tuple[str, ...]] = [
            ("diff", "--name-only", "-z", "--no-renames", base or "HEAD", "--", *pathspecs),
            ("ls-files", "-z", "--others", "--exclude-standard", "--", *pathspecs),
        ]
        listed = [await self._list(*command) for command in commands]
        return sorted({write_name(path) for one in listed for path in one})

    async def unstage_changes(self) -> None:
        """Remove staged changes of files that HEAD has from the index; the files themselves stay as they are.

        `git checkout FILE` takes a file from the index, so it would not undo a change that is staged. New files stay
        staged: a rescue saves an ignored file only if the index has it. If git refuses, the changes stay staged.

        Raises:
            GitError: git cannot be started or took too long.
            OSError: No temporary file can be written.
        """
        if paths := await self._list("diff", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=a"):
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape") as listed:
                listed.write("\0".join(f":(top,literal){path}" for path in paths))
                listed.flush()
                await self.run("reset", "--quiet", f"--pathspec-from-file={listed.name}", "--pathspec-file-nul")

    async def _list(self, *command: str) -> list[str]:
        """Return the names that a git command prints with `-z`, as `os.fsdecode` gives them; empty if it fails.

        Raises:
            GitError: git cannot be started or took too long.
        """
        listed = await self.run(*command, limit_bytes=_LIST_BYTES, with_errors=False, errors="surrogateescape")
        return [name for name in listed.output.split("\0") if name] if listed.code == 0 else []

    def has_loose_files(self, folder: str) -> bool:
        """Return whether a submodule's folder contains files that are new or changed, if it is not initialised here.

        Files that the worktree was given, from the person's submodule, do not count.

        Args:
            folder: Its path in the worktree; False if there is no such folder, or a link.

        Raises:
            OSError: The folder cannot be read.
        """
        place = self.worktree / folder
        if place.is_symlink() or not place.is_dir() or (place / ".git").exists():
            return False
        return _has_own_files(place)

    async def operation_in_progress(self) -> str | None:
        """Return `rebase`, `merge`, `cherry-pick` or `revert` if such an operation is unfinished; else None.

        None too if git does not find its folder.

        Raises:
            GitError: git cannot be started or took too long.
        """
        finished = await self.run("rev-parse", "--absolute-git-dir", with_errors=False, errors="surrogateescape")
        folder = Path(finished.output.removesuffix("\n"))
        if finished.code != 0:
            return None
        return next((operation for name, operation in _IN_PROGRESS.items() if (folder / name).exists()), None)

    async def has_hooks_of_the_person(self) -> bool:
        """Return whether a commit starts a hook of the person's own, which may look at any file of the worktree.

        True too if the hooks cannot be found.
        """
        answer = await self.run("rev-parse", "--git-path", "hooks", with_errors=False, errors="surrogateescape")
        folder = self.worktree / answer.output.removesuffix("\n")
        try:
            chain = (folder / CHAIN_NAME).read_bytes()
        except OSError:
            return True
        own = self.worktree / os.fsdecode(chain.rstrip(b"\n"))
        return bool(chain.strip()) and any(os.access(own / name, os.X_OK) for name in COMMIT_HOOKS)

    async def newest_base(self, candidates: Sequence[str]) -> str | None:
        """Return the newest of the merge bases of HEAD with each of the `candidates`; None if there is none.

        Args:
            candidates: Commits or refs; those without a merge base, such as unknown ones, are skipped.

        Raises:
            GitError: git cannot be started or took too long.
        """
        newest: str | None = None
        for candidate in candidates:
            finished = await self.run("merge-base", candidate, "HEAD", with_errors=False)
            base = finished.output.strip()
            if finished.code == 0 and base and (newest is None or await self._is_ancestor(newest, base)):
                newest = base
        return newest

    async def _is_ancestor(self, older: str, newer: str) -> bool:
        return (await self.run("merge-base", "--is-ancestor", older, newer)).code == 0


def _has_own_files(folder: Path) -> bool:
    """Return whether there is a file below a folder that the worktree was not given, or was given and changed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                if not is_given(file.fileno()):
                    return True
    return False
