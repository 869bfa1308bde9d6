"""Composition: pieces onto the working ref, and the one squash commit, without any worktree (GIT-5).

A commit here is a function of its inputs, so that a step repeated after a crash gives the commit it gave before.
"""

from __future__ import annotations

from dataclasses import asdict

from aegis_tui.adapters.git.predict import Merges
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.errors import Conflict, GitError, MergeConflict, Refused
from aegis_tui.ports.repository import ComposeResult


class Composer:
    """Writes commits and moves refs.

    Args:
        runner: Runs git in the common folder.
        merges: Merges commits.
    """

    def __init__(self, runner: GitRunner, merges: Merges) -> None:
        self._runner = runner
        self._merges = merges

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """See `Repository.compose`."""
        current = await self.resolve(ref)
        if current is not None and await self.is_ancestor(piece_oid, current):
            return ComposeResult(current, await self.tree_of(current), already=True)
        if current != expect_oid:
            raise _moved(ref, expect_oid, current)
        merge = await self._merges.merge(expect_oid, piece_oid)
        if not merge.clean:
            conflicts = await self._merges.conflicts(merge)
            names = ", ".join(conflict.path for conflict in conflicts[:3])
            raise MergeConflict(
                f"the piece and the working ref change the same lines of {names or 'a path'}",
                "rebase the piece onto the working ref",
                conflicts=[asdict(conflict) for conflict in conflicts],
            )
        oid = await self._commit(merge.tree, [expect_oid, piece_oid], message, at)
        await self.update_ref(ref, oid, expect_oid)
        return ComposeResult(oid, merge.tree, already=False)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """See `Repository.squash`."""
        oid = await self._commit(tree, [parent], message, at)
        ref = f"refs/heads/{branch}"
        if await self.resolve(ref) != oid:
            await self.update_ref(ref, oid, None)
        return oid

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """See `Repository.update_ref`."""
        try:
            await self._runner.run("update-ref", "--no-deref", "-m", "aegis-tui", "--", ref, oid, expect or "")
        except GitError as error:
            current = await self.resolve(ref)
            if current == expect:
                raise
            raise _moved(ref, expect, current) from error

    async def delete_ref(self, ref: str, expect: str) -> None:
        """See `Repository.delete_ref`."""
        try:
            await self._runner.run("update-ref", "--no-deref", "-d", ref, expect)
        except GitError as error:
            current = await self.resolve(ref)
            if current == expect:
                raise
            raise _moved(ref, expect, current) from error

    async def resolve(self, ref: str) -> str | None:
        """See `Repository.resolve`."""
        answer = await self._runner.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", ok=(0, 1, 128)
        )
        return answer.text if answer.code == 0 and answer.text else None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Repository.is_ancestor`."""
        answer = await self._runner.run("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1))
        return answer.code == 0

    async def tree_of(self, oid: str) -> str:
        """See `Repository.tree_of`."""
        return (await self._runner.run("rev-parse", "--verify", "--end-of-options", f"{oid}^{{tree}}")).text

    async def _commit(self, tree: str, parents: list[str], message: str, at: int) -> str:
        name, email = await self._person()
        date = f"@{at} +0000"
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
        }
        args = [arg for parent in parents for arg in ("-p", parent)]
        return (await self._runner.run("commit-tree", tree, *args, "-F", "-", stdin=message.encode(), env=who)).text

    async def _person(self) -> tuple[str, str]:
        name, email = await self.config("user.name"), await self.config("user.email")
        if not name or not email:
            raise Refused("git does not know who you are", IDENTITY_HINT, code="preflight.identity")
        return name, email

    async def config(self, key: str) -> str | None:
        """A setting from any level of the person's configuration, or None."""
        answer = await self._runner.run("config", "--get", key, ok=(0, 1))
        return answer.text if answer.code == 0 else None


IDENTITY_HINT = 'git config --global user.name "Your Name" && git config --global user.email you@example.org'
"""The commands that give git an identity."""


def _moved(ref: str, expect: str | None, current: str | None) -> Conflict:
    return Conflict(
        f"{ref} stands at {current or 'nothing'}, not at {expect or 'nothing'}",
        "read the ref again and repeat the step on what it names now",
        code="ref.moved",
        ref=ref,
        expected=expect,
        current=current,
    )
