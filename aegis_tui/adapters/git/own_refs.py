"""All refs that runs have made in a repository: saved in a bundle, and deleted (`uninstall`, CLI-2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aegis_tui.adapters.git.run import GitRunner

_BUNDLE_DEADLINE_S = 600.0


class OwnRefs:
    """The refs of runs: below `refs/aegis`, and branches `aegis/RUN/INSTANCE` except results, which are the person's.

    Its methods raise `GitError` if git fails, `GitUnavailable` if it cannot be started.

    Args:
        common_dir: The common git folder.
    """

    def __init__(self, common_dir: Path) -> None:
        self._runner = GitRunner(git_dir=common_dir, cwd=common_dir)

    async def list_all(self, *, unused: bool = False) -> dict[str, str]:
        """Return ref -> id of what it points to, for each ref of a run but the branches of results.

        Args:
            unused: Leave out the branches that a worktree has checked out: without them, its next commit has no parent.
        """
        fields = "%(refname) %(objectname) %(worktreepath)"
        listed = await self._runner.run("for-each-ref", f"--format={fields}", "refs/aegis", _BRANCHES)
        rows = (line.split(" ", 2) for line in listed.text.split("\n") if line.startswith("refs/"))
        return {ref: oid for ref, oid, *used in rows if not _is_result(ref) and not (unused and any(used))}

    async def save(self, refs: Mapping[str, str], bundle: Path) -> list[str]:
        """Write the refs that lead to commits which nothing else in the repository keeps to a bundle; return these.

        The bundle holds only those commits: git can read it in this repository, and in a clone that has the others.
        It is verified before this returns. Without such refs, nothing is written.

        Args:
            refs: Ref -> object id, as `list_all` returns them.
            bundle: A file that does not exist.
        """
        every = await self._runner.run("for-each-ref", "--format=%(refname) %(objectname) %(objecttype)")
        rows = (line.rsplit(" ", 2) for line in every.text.split("\n") if line)
        others = {oid for ref, oid, kind in rows if ref not in refs and kind in ("commit", "tag")}
        excluded = [f"^{oid}" for oid in sorted(others)]
        alone = [ref for ref, oid in sorted(refs.items()) if await self._has_more(oid, excluded)]
        if alone:
            lines = "".join(f"{line}\n" for line in (*alone, *excluded)).encode()
            await self._runner.run(
                "bundle", "create", "--quiet", str(bundle), "--stdin", stdin=lines, deadline_s=_BUNDLE_DEADLINE_S
            )
            await self._runner.run("bundle", "verify", "--quiet", str(bundle), deadline_s=_BUNDLE_DEADLINE_S)
        return alone

    async def _has_more(self, oid: str, excluded: list[str]) -> bool:
        lines = "".join(f"{line}\n" for line in (oid, *excluded)).encode()
        return bool((await self._runner.run("rev-list", "--max-count=1", "--stdin", stdin=lines)).text)

    async def delete(self, refs: Mapping[str, str]) -> None:
        """Delete all these refs, or none of them if one has changed since it was listed (`GitError`).

        What a symbolic ref points to stays.
        """
        lines = "".join(f"delete {ref} {oid}\n" for ref, oid in sorted(refs.items())).encode()
        await self._runner.run("update-ref", "--no-deref", "--stdin", stdin=lines)


_BRANCHES = "refs/heads/aegis/*/*"


def _is_result(ref: str) -> bool:
    return ref.startswith("refs/heads/") and ref.endswith("/result")
