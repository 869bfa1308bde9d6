"""Decides which files of a worktree become part of a submission, and refuses to leave new files out silently.

Three kinds of new files would be left out without notice: those that git ignores, untracked ones outside the
partition, and those in the folder of a submodule that is not initialised. Ignored files belong to the piece if the
partition names them. The model is told once which files would be left out; only then can it submit without them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from aegis_tui.agent.git import Git
from aegis_tui.agent.scope import WriteScope
from aegis_tui.domain.git_refusal import read_refusal
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.scope.named_files import example_paths, globs_that_name_ignored
from aegis_tui.errors import AegisError, GitError, Refused

_ADD_TIMEOUT_S = 300.0
_LIST_BYTES = 64 * 1024 * 1024
_OUTPUT_CHARS = 6000
_SHOWN = 10
_SUBMODULE = "160000 "


class Staging:
    """Stages the changes of one worktree.

    Args:
        git: Runs git in that worktree.
        scope: What the instance may write.
    """

    def __init__(self, git: Git, scope: WriteScope) -> None:
        self._git = git
        self._scope = scope
        self._reported: set[str] = set()

    async def stage(self, *, written: Collection[str]) -> list[str]:
        """Stage all changes of tracked files, also outside the partition, and those new files that belong to the piece.

        New files belong to it if they are in the partition and git does not ignore them, or the partition names them.
        If git fails to list files, there are none; if it fails to stage them, those before stay staged.

        Args:
            written: Paths that the model itself wrote.

        Returns:
            The new files that are left out, sorted; an earlier call has named each of them in its error.

        Raises:
            Refused: New files would be left out that no earlier call named, or lie in a submodule's folder.
            GitError: git cannot be run or refused; `is_certain` says whether it would refuse again.
        """
        await self._refuse_in_submodules()
        untracked = await self._list("--others", "--exclude-standard")
        outside = [path for path in untracked if not self._is_mine(path)]
        named = await self._named_ignored()
        unnamed = await self._ignored(path for path in written if path not in named)
        self._tell_once(outside, unnamed)
        if outside:
            # Name the wanted files, not the others: a package manager may have created a hundred thousand of those.
            await self._add([":(top)"], "--update")
            left = set(outside)
            await self._add_files([path for path in untracked if path not in left], "--sparse")
        else:
            await self._add([":(top)"], "--all")
        await self._add_files(named, "--force")
        return sorted({*outside, *unnamed})

    def _is_mine(self, path: str) -> bool:
        return self._scope.verdict(path.rstrip("/")).allowed or self._scope.verdict(f"{path.rstrip('/')}/x").allowed

    async def _list(self, *arguments: str) -> list[str]:
        listed = await self._git.run("ls-files", "-z", *arguments, limit_bytes=_LIST_BYTES, with_errors=False)
        return [path for path in listed.output.split("\0") if path] if listed.code == 0 else []

    async def _ignored(self, paths: Iterable[str]) -> list[str]:
        """Return those of the `paths` that are untracked and that git ignores, in git's order; none if git fails."""
        wanted = [f":(top,literal){path}" for path in sorted(set(paths))]
        return await self._list("--others", "--ignored", "--exclude-standard", "--", *wanted) if wanted else []

    async def _named_ignored(self) -> list[str]:
        """Return the untracked files that git ignores although the partition names them; none if git fails.

        Raises:
            Refused: A glob of the partition cannot be read.
            GitError: git cannot be started or took too long.
        """
        globs = self._scope.own_globs()
        examples = sorted({path for glob in globs for path in example_paths(glob)})
        if not examples:
            return []
        ignored = await self._git.run(
            "check-ignore", "--no-index", "--", *examples, limit_bytes=_LIST_BYTES, with_errors=False
        )
        naming = globs_that_name_ignored(globs, set(ignored.output.splitlines()))
        if not naming:
            return []
        compiled = [compile_glob(glob) for glob in naming]
        untracked = await self._list("--others", "--ignored", "--exclude-standard")
        return [path for path in untracked if any(glob.matches(path) for glob in compiled)]

    async def _refuse_in_submodules(self) -> None:
        entries = await self._list("--stage")
        folders = [entry.partition("\t")[2] for entry in entries if entry.startswith(_SUBMODULE)]
        lost = [folder for folder in folders if self._git.has_loose_files(folder)]
        if lost:
            raise Refused(
                f"a commit of this repository cannot contain the new or changed files in {_names(lost)}, a submodule",
                "Move them to your partition, or undo the changes, then report again",
                code="git.submodule",
            )

    def _tell_once(self, outside: list[str], unnamed: list[str]) -> None:
        fresh = {*outside, *unnamed} - self._reported
        if not fresh:
            return
        self._reported |= fresh
        reasons = []
        if news := [path for path in outside if path in fresh]:
            reasons.append(f"not in your partition: {_names(news)}")
        if news := [path for path in unnamed if path in fresh]:
            reasons.append(f"ignored by git, by the rules of .gitignore: {_names(news)}")
        raise Refused(
            f"new files would be left out of your submission; {'; '.join(reasons)}",
            "Delete them, move them, or ask for the path with a scope request; report again to submit without them",
            code="submission.left-out",
        )

    async def _add_files(self, paths: list[str], how: str) -> None:
        if paths:
            await self._add([f":(top,literal){path}" for path in paths], how)

    async def _add(self, pathspecs: list[str], how: str) -> None:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape", prefix="aegis-add-") as file:
            file.write("\0".join(pathspecs))
            file.flush()
            added = await self._git.run(
                "add",
                "--sparse",
                how,
                f"--pathspec-from-file={Path(file.name)}",
                "--pathspec-file-nul",
                timeout_s=_ADD_TIMEOUT_S,
            )
        if added.code:
            raise refused_by_git("git add", added.output)


def refused_by_git(command: str, output: str) -> AegisError:
    """Return the error for a failed git command, with code and hint if its output shows a known reason.

    `is_certain` of it is True if the command would fail again in any case; for an unknown reason it is False. The error
    is not raised here.

    Args:
        command: The command in words, such as `git add`; with a dot for the space it is the code of an unknown reason.
        output: What git wrote; its end is part of the message.
    """
    meaning = read_refusal(output)
    text = f"{command} failed: {output[-_OUTPUT_CHARS:].strip()}"
    if meaning is None:
        return GitError(text, code=command.replace(" ", "."))
    return GitError(text, meaning.hint, code=meaning.code, is_certain=meaning.is_certain)


def _names(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
