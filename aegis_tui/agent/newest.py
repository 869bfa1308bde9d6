"""Brings the integration branch into an instance's worktree when a joint file that is about to change has moved on.

The whole branch is merged, not the one file: the file may name others that came with it. The instance's own changes,
committed or not, are merged in three ways. Nothing is changed where that has a conflict; the result then says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.generated_files import find_generated
from aegis_tui.agent.git import Git
from aegis_tui.agent.process import Finished
from aegis_tui.domain.count import counted
from aegis_tui.domain.lock.news_text import write_words
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.errors import AegisError, GitError
from aegis_tui.ports.hub_link import HubLink

INTEGRATION_REF = "AEGIS_INTEGRATION_REF"
"""The variable with the name of the integration branch."""

_NEWS_S = 10.0
_LIST_BYTES = 64 * 1024 * 1024
_TIMEOUT_S = 300.0
_MOST_DIFF_LINES = 40
_MOST_NAMED = 5
_GIT_HAS_DONE_IT = "the integration branch was merged into your worktree"


@dataclass(frozen=True, slots=True)
class MovedOn:
    """A joint file that merged pieces have changed since the worktree's base, and what was done about it."""

    path: str
    tip: str
    """The commit of the integration branch."""
    problem: str = ""
    """Why the worktree stays as it is; empty if it contains the integration branch now."""
    diff: str = ""
    """How the file changed there, with one line around each change; a long one is cut."""
    files: int = 0
    """How many files the worktree got from the integration branch."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """The files that programs make, and in which the instance's own change was replaced by the merged content; each
    with what is to be done to make it again."""

    @property
    def words(self) -> str:
        """The message to the model: what came from the integration branch, or why it did not, and what to do next."""
        head = f"{self.path} has changed on the integration branch since your base"
        if self.problem:
            text = f"{head}, and you do not have that change: {self.problem}"
        else:
            text = (
                f"{head}; {_GIT_HAS_DONE_IT} with your own changes ({counted(self.files, 'file')} updated, now at "
                f"{self.tip[:12]}). Read a file again before you rely on what you knew of it"
            )
        for path, how in self.dropped.items():
            text += f". Your change of {path} was replaced by the merged content: {how}"
        return f"{text}. The change:\n{self.diff}" if self.diff else f"{text}."


class NewestContent:
    """Compares joint files of a worktree with the integration branch, and merges that branch where one has moved on.

    Args:
        git: Runs git in the worktree.
        worktree: The same worktree.
        link: The connection to the hub; None if only `bring` is used.
        environ: The variables of the instance; nothing is ever done without that of the integration branch.
    """

    def __init__(self, git: Git, worktree: OwnWorktree, link: HubLink | None, environ: Mapping[str, str]) -> None:
        self._git, self._worktree, self._link = git, worktree, link
        self._ref = environ.get(INTEGRATION_REF)
        self._tried: set[tuple[str, str]] = set()

    async def news(self, path: str) -> list[str]:
        """Return what others wrote to a file under its lock that is not merged yet; each write is told only once.

        Empty too if the hub does not answer.

        Args:
            path: The file, a result of `OwnWorktree.locate`.
        """
        if self._link is None:
            return []
        try:
            writes = (await self._link.command("lock:news", timeout_s=_NEWS_S, path=path)).get("writes", [])
        except AegisError:
            return []
        fresh = [item for item in writes if (path, str(item["token"])) not in self._tried]
        self._tried |= {(path, str(item["token"])) for item in fresh}
        return [write_words(path, item) for item in fresh]

    async def bring(self, path: str) -> MovedOn | None:
        """Merge the integration branch if a file has changed there since the worktree's base; None if it has not.

        None too where that was tried before at the same commit, and if the branch is not known. The caller holds the
        lock of the file, so that nothing else is written there meanwhile.

        Args:
            path: The file, a result of `OwnWorktree.locate`.
        """
        if not self._ref:
            return None
        try:
            return await self._bring(path)
        except GitError as error:
            await self._git.unstage_changes()
            return MovedOn(path, "", error.message)

    async def _bring(self, path: str) -> MovedOn | None:
        tip, head = await self._git.find_oid(str(self._ref)), await self._git.find_oid("HEAD")
        if tip is None or head is None or (path, tip) in self._tried:
            return None
        base = (await self._text("merge-base", tip, head)).strip()
        if not base or base == tip:
            return None
        literal = f":(top,literal){name_of(path)}"
        if (await self._git.run("diff", "--quiet", "--no-ext-diff", base, tip, "--", literal)).code == 0:
            return None
        self._tried.add((path, tip))
        diff = await self._diff(base, tip, literal)
        if operation := await self._git.operation_in_progress():
            return MovedOn(path, tip, f"a {operation} is not finished", diff)
        await self._worktree.complete()
        if self._worktree.is_filling():
            return MovedOn(path, tip, "the files of your worktree are still being added", diff)
        return await self._merge(MovedOn(path, tip, diff=diff), head, base)

    async def _merge(self, moved: MovedOn, head: str, base: str) -> MovedOn:
        own = await self._own_tree(moved.path)
        tree, crossed = await self._merged(await self._commit(own, head), moved.tip)
        dropped = await self._regenerated(base, own, moved.tip)
        if dropped and dropped.keys() >= {*crossed}:
            own = await self._with_theirs([*dropped], moved.tip)
            tree, crossed = await self._merged(await self._commit(own, head), moved.tip)
        if tree is None:
            await self._git.unstage_changes()
            return _replaced(moved, problem=self._conflict(crossed))
        commit = await self._new_head(head, base, moved.tip)
        if commit is None:
            await self._git.unstage_changes()
            return _replaced(moved, problem=self._conflict(()))
        problem = await self._check_out(own, tree, head, commit)
        await self._git.unstage_changes()
        files = len([name for name in (await self._list("diff", "--name-only", "-z", own, tree)) if name])
        return _replaced(moved, problem=problem, files=files, dropped=dropped)

    async def _own_tree(self, path: str) -> str:
        """Stage what the instance has changed and return the tree: of tracked files, and the file itself if it is new.

        All new files too if a tracked file is gone: one of them may be that file under another name, and a change of
        the old name must reach it or conflict with it.

        Raises:
            GitError: git refuses, for example because another git command runs.
        """
        added = await self._git.run("add", "--sparse", "--update", "--", ":(top)", timeout_s=_TIMEOUT_S)
        _check(added, "git add")
        if await self._text("diff", "--cached", "--name-only", "--diff-filter=D", "HEAD"):
            _check(await self._git.run("add", "--sparse", "--all", "--", ":(top)", timeout_s=_TIMEOUT_S), "git add")
        elif self._worktree.place(path).exists():
            _check(await self._git.run("add", "--sparse", "--", f":(top,literal){name_of(path)}"), "git add")
        return await self._tree()

    async def _regenerated(self, base: str, own: str, tip: str) -> dict[str, str]:
        """Return the files that programs make and that both sides changed differently, with how to make each again.

        The lines of two versions may be merged without a conflict, and yet fit no source or manifest.
        """
        sides = [
            await self._list("diff", "--name-only", "-z", *pair) for pair in ((base, own), (base, tip), (own, tip))
        ]
        both = sorted(write_name(name) for name in set.intersection(*map(set, sides)) if name)
        return await find_generated(self._git, both, (own, tip))

    async def _with_theirs(self, paths: Sequence[str], tip: str) -> str:
        """Return the tree of the staged changes in which some files are as in the commit `tip`, also on disk.

        Raises:
            GitError: git refuses.
        """
        for path in paths:
            literal = f":(top,literal){name_of(path)}"
            is_there = await self._git.find_blob(f"{tip}:{name_of(path)}") is not None
            command = ("checkout", "--quiet", tip) if is_there else ("rm", "--quiet", "--force")
            _check(await self._git.run(*command, "--", literal), f"git {command[0]}")
        return await self._tree()

    async def _tree(self) -> str:
        written = await self._git.run("write-tree", with_errors=False)
        _check(written, "git write-tree")
        return written.output.strip()

    async def _commit(self, tree: str, *parents: str, message: str = "own work") -> str:
        args = [arg for parent in parents for arg in ("-p", parent)]
        made = await self._git.run("commit-tree", tree, *args, "-m", message, with_errors=False)
        _check(made, "git commit-tree")
        return made.output.strip()

    async def _merged(self, ours: str, theirs: str) -> tuple[str | None, list[str]]:
        """Return the tree of a merge of two commits, or None and the paths in conflict.

        Raises:
            GitError: git cannot merge them at all.
        """
        args = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z")
        merged = await self._git.run(
            *args,
            ours,
            theirs,
            with_errors=False,
            limit_bytes=_LIST_BYTES,
            timeout_s=_TIMEOUT_S,
            errors="surrogateescape",
        )
        if merged.code not in (0, 1):
            raise GitError("git merge-tree failed", code="git.merge-tree")
        tree, *crossed = [field for field in merged.output.split("\0") if field]
        return (tree, []) if merged.code == 0 else (None, sorted({write_name(path) for path in crossed}))

    async def _new_head(self, head: str, base: str, tip: str) -> str | None:
        """Return the commit for the branch: the integration branch's own if the instance has committed nothing.

        Otherwise a merge commit; None if the commits cannot be merged without the files' uncommitted changes.
        """
        if base == head:
            return tip
        tree, _ = await self._merged(head, tip)
        return await self._commit(tree, head, tip, message="merge the integration branch") if tree else None

    async def _check_out(self, own: str, tree: str, head: str, commit: str) -> str:
        """Update the files from one tree to another, then the branch; return why that is not possible, else empty.

        Untracked files are never overwritten. If the branch cannot be moved, the files are as before.
        """
        updated = await self._git.run("read-tree", "-m", "-u", own, tree, timeout_s=_TIMEOUT_S)
        if updated.code:
            return f"git cannot update the files: {_last_line(updated)}"
        moved = await self._git.run("update-ref", "-m", "merge the integration branch", "HEAD", commit, head)
        if moved.code:
            await self._git.run("read-tree", "-m", "-u", tree, own, timeout_s=_TIMEOUT_S)
            return f"git cannot move the branch: {_last_line(moved)}"
        return ""

    def _conflict(self, paths: Sequence[str]) -> str:
        more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
        named = f" of {', '.join(paths[:_MOST_NAMED])}{more}" if paths else ""
        return (
            f"your own changes{named} conflict with it. Commit what you have, run `git rebase {self._ref}` and keep "
            "both changes where they conflict"
        )

    async def _diff(self, base: str, tip: str, literal: str) -> str:
        args = ("diff", "--no-color", "--no-ext-diff", "--unified=1", base, tip, "--", literal)
        lines = (await self._text(*args)).splitlines()
        cut = [f"[{len(lines) - _MOST_DIFF_LINES} more lines]"] if len(lines) > _MOST_DIFF_LINES else []
        return "\n".join([*lines[:_MOST_DIFF_LINES], *cut])

    async def _text(self, *command: str) -> str:
        answer = await self._git.run(*command, with_errors=False)
        return answer.output if answer.code == 0 else ""

    async def _list(self, *command: str) -> list[str]:
        answer = await self._git.run(*command, with_errors=False, limit_bytes=_LIST_BYTES)
        return answer.output.split("\0") if answer.code == 0 else []


def _replaced(
    moved: MovedOn, *, problem: str = "", files: int = 0, dropped: Mapping[str, str] = MappingProxyType({})
) -> MovedOn:
    return MovedOn(moved.path, moved.tip, problem, moved.diff, files, dropped)


def _check(finished: Finished, command: str) -> None:
    if finished.code:
        raise GitError(f"{command} failed: {_last_line(finished)}", code=command.replace(" ", "."))


def _last_line(finished: Finished) -> str:
    return (finished.output.strip().splitlines() or ["without a message"])[-1][:300]
