"""Composition: merges pieces onto the working ref and writes the one squash commit, without a worktree (GIT-5).

A commit depends only on its inputs, so that a step repeated after a crash produces the same commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from aegis_tui.adapters.git.checkout import Checkout
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.predict import Merges
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.structural_merge import Merge
from aegis_tui.domain.merge.merged_file import with_file_trailers
from aegis_tui.errors import Conflict, GitError, MergeConflict
from aegis_tui.ports.merge import ComposeResult


class Composer:
    """Writes commits and moves refs. Its methods raise `GitError` if git fails, `GitUnavailable` if it cannot start.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        merges: Merges commits.
        checkout: Provides the person's name and email address.
    """

    def __init__(self, runner: GitRunner, objects: Objects, merges: Merges, checkout: Checkout) -> None:
        self._runner = runner
        self._objects = objects
        self._merges = merges
        self._checkout = checkout

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """Merge a piece onto a ref without a worktree; if the ref has it already, write nothing, and set `already`.

        Args:
            ref: Full name of the working ref.
            piece_oid: The commit to merge.
            expect_oid: The commit that the ref must point to, unless the piece is merged already.
            message: The message of the merge commit; trailers that say of joined files how they were merged are added.
            at: The date of the merge commit, in seconds since 1970.

        Raises:
            MergeConflict: Both change the same lines; `data["conflicts"]` lists them. The ref is unchanged.
            Conflict: The ref points to another commit, or does not exist.
            Refused: git knows no name or no email address of the person.
            GitError: A commit does not exist, or git fails.
        """
        current = await self._objects.resolve(ref)
        if current is not None and await self._objects.is_ancestor(piece_oid, current):
            return ComposeResult(current, await self._objects.tree_of(current), already=True)
        if current != expect_oid:
            raise _moved(ref, expect_oid, current)
        merge = await self._merges.merge(expect_oid, piece_oid)
        if not merge.clean:
            conflicts = await self._merges.conflicts(merge)
            raise MergeConflict(
                _conflict_text([conflict.path for conflict in conflicts], merge),
                "rebase the piece onto the integration branch",
                conflicts=[asdict(conflict) for conflict in conflicts],
            )
        oid = await self.commit(merge.tree, [expect_oid, piece_oid], with_file_trailers(message, merge.files), at)
        await self.update_ref(ref, oid, expect_oid)
        return ComposeResult(oid, merge.tree, already=False, files=merge.files)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """Write a commit of a tree, create a branch that points to it, and return its id.

        Equal arguments give the same commit. A branch that points to it already is kept.

        Args:
            tree: The tree to commit.
            parent: The commit's only parent.
            branch: The short name of the branch.
            message: The commit message.
            at: The date of the commit, in seconds since 1970.

        Raises:
            Conflict: The branch exists and points to another commit.
            Refused: git does not know the person's name or email address.
            GitError: git fails.
        """
        oid = await self.commit(tree, [parent], message, at)
        ref = f"refs/heads/{branch}"
        if await self._objects.resolve(ref) != oid:
            await self.update_ref(ref, oid, None)
        return oid

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref from `expect` to `oid`, or create it if `expect` is None.

        Raises:
            Conflict: The ref points elsewhere or does not exist, or exists although `expect` is None.
            GitError: There is no object `oid`, or git fails.
        """
        await self._move(ref, expect, "update-ref", "--no-deref", "-m", "aegis-tui", ref, oid, expect or "")

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that points to `expect`.

        Raises:
            Conflict: It points elsewhere, or does not exist.
            GitError: git fails.
        """
        await self._move(ref, expect, "update-ref", "--no-deref", "-d", ref, expect)

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Let the ref `refs/aegis/runs/<run>/<name>` point to a commit, so that it is kept; return that ref.

        Wherever it pointed to before, it is moved.

        Raises:
            GitError: The repository has no object with that id, or git fails.
            Conflict: Something else moved the ref at this moment.
        """
        ref = f"refs/aegis/runs/{run}/{name}"
        await self.update_ref(ref, oid, await self._objects.resolve(ref))
        return ref

    async def _move(self, ref: str, expect: str | None, *args: str) -> None:
        try:
            await self._runner.run(*args)
        except GitError as error:
            current = await self._objects.resolve(ref)
            if current == expect:
                raise
            raise _moved(ref, expect, current) from error

    async def commit(self, tree: str, parents: Sequence[str], message: str, at: int) -> str:
        """Write a commit in the person's name and return its id; equal arguments give the same commit.

        Args:
            tree: The tree to commit.
            parents: Its parents, in order.
            message: The commit message.
            at: The date of the commit, in seconds since 1970.

        Raises:
            Refused: git knows no name or no email address of the person.
            GitError: The tree or a parent does not exist, or git fails.
        """
        name, email = await self._checkout.identity()
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", name), ("EMAIL", email), ("DATE", f"@{at} +0000"))
        }
        args = [arg for parent in parents for arg in ("-p", parent)]
        return (await self._runner.run("commit-tree", tree, *args, "-F", "-", stdin=message.encode(), env=who)).text


def _conflict_text(paths: Sequence[str], merge: Merge) -> str:
    """Return what is in conflict; with the reason where git sees no conflict."""
    for path in paths:
        if path in merge.reasons:
            return f"the piece cannot be merged into the integration branch: {path}: {merge.reasons[path]}"
    names = ", ".join(paths[:3])
    return f"the piece and the integration branch change the same lines of {names or 'a path'}"


def _moved(ref: str, expect: str | None, current: str | None) -> Conflict:
    return Conflict(
        f"{ref} points to {current or 'nothing'}, not to {expect or 'nothing'}",
        "read the ref again and repeat the step with its new value",
        code="ref.moved",
        ref=ref,
        expected=expect,
        current=current,
    )
