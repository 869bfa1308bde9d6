"""Reads commits, trees, refs and settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Literal, cast

from aegis_tui.adapters.git.ancestry import CommitGraph
from aegis_tui.adapters.git.known import KnownAnswers, is_oid
from aegis_tui.adapters.git.reader import NoAnswerError, ObjectReader
from aegis_tui.adapters.git.run import GitOutput, GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.adapters.git.tree_size import TreeShape, TreeSize, TreeSizes
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.errors import GitError
from aegis_tui.ports.commits import Blob, ChangedPath, Ref

MAX_BLOB_BYTES = 64 << 20
"""How much of one blob is read at most, if the caller sets no other limit."""

_MAX_DIFF_BYTES = 32 << 20
"""The limit for the list of changes between two commits, about 200,000 files; agents can write such commits."""

_RENAMED = "R"
_KEPT_CHANGES = 1000
"""A longer list of changes is not kept."""


class Objects:
    """Reads one repository's objects. Its methods raise `GitError` if git fails, `GitUnavailable` if it cannot start.

    Args:
        runner: Runs git in the common folder.
    """

    def __init__(self, runner: GitRunner) -> None:
        self._runner = runner
        self._reader = ObjectReader(runner)
        self._history = CommitGraph(self._reader, runner.git_dir)
        self._sizes = TreeSizes(self._reader)
        self.settings = GitSettings(runner)
        """Git's configuration as the person has it, read again when one of its files has changed."""
        self._bases: KnownAnswers[list[str]] = KnownAnswers()
        self._changes: KnownAnswers[list[ChangedPath]] = KnownAnswers(64)
        self._ancestors: KnownAnswers[bool] = KnownAnswers()

    async def resolve(self, ref: str) -> str | None:
        """Return the id of the commit that a ref or an object id names; None if there is none, or it is no commit.

        Raises:
            GitError: git does not answer in time.
        """
        with contextlib.suppress(NoAnswerError):
            (facts,) = await self._reader.facts(f"{ref}^{{commit}}")
            return facts.oid if facts else None
        answer = await self._runner.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", ok=(0, 1, 128)
        )
        return answer.text if answer.code == 0 and answer.text else None

    async def tree_of(self, oid: str) -> str:
        """Return the id of a commit's tree; raises `GitError` if there is no such commit."""
        with contextlib.suppress(NoAnswerError):
            (facts,) = await self._reader.facts(f"{oid}^{{tree}}")
            if facts is not None:
                return facts.oid
        return (await self._runner.run("rev-parse", "--verify", "--end-of-options", f"{oid}^{{tree}}")).text

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether a commit can be reached from another, or is the same; raises `GitError` if one is missing."""

        async def ask() -> bool:
            if (bases := await self._find_bases(ancestor, descendant)) is not None:
                return ancestor in bases
            answer = await self._runner.run("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1))
            return answer.code == 0

        return await self._ancestors.get((ancestor, descendant), ask)

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits, the one that git prefers first; empty if they have none.

        Raises:
            GitError: One of the commits does not exist.
        """

        async def ask() -> list[str]:
            if (bases := await self._find_bases(*pair)) is not None:
                return bases
            return (await self._runner.run("merge-base", "--all", *pair, ok=(0, 1))).text.split()

        pair = (min(one, other), max(one, other))
        return list(await self._bases.get(pair, ask))

    async def _find_bases(self, one: str, other: str) -> list[str] | None:
        """Return the merge bases of two commits that are named by their ids; None if git has to be asked."""
        return await self._history.find_bases(one, other) if is_oid(one) and is_oid(other) else None

    async def size_of(self, tree: str, shapes: Mapping[str, TreeShape] | None = None) -> TreeSize:
        """Return how many paths a tree has, and how long they are; a tree in it that is missing counts as empty.

        Args:
            tree: Its id.
            shapes: Trees that the repository does not have yet, by their ids.

        Raises:
            GitError: git fails.
        """
        async with self._answering():
            return await self._sizes.measure(tree, shapes)

    async def has_more(self, tree: str, files: int) -> bool:
        """Return whether a tree has more than so many paths of files and submodules; `GitError` if git fails."""
        async with self._answering():
            return await self._sizes.has_more(tree, files)

    async def read_blob(self, oid: str, *, limit: int = MAX_BLOB_BYTES) -> bytes:
        """Return the content of a blob, named by its id or as `revision:path` with the path in its written form.

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`), or does not exist.
        """
        content = await self.find_blob(oid, limit=limit)
        if content is not None:
            return content
        return (await self._runner.run("cat-file", "blob", _named(oid), output_bytes=limit)).stdout

    async def find_blob(self, oid: str, *, limit: int = MAX_BLOB_BYTES) -> bytes | None:
        """Like `read_blob`, but None if it does not exist.

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`).
        """
        with contextlib.suppress(NoAnswerError):
            (facts,) = await self._reader.facts(_named(oid))
            if facts is None or facts.kind != "blob":
                return None
            if facts.size <= limit:
                return (await self._reader.contents(facts.oid))[0]
        answer = await self._runner.run("cat-file", "blob", _named(oid), ok=(0, 128), output_bytes=limit)
        return answer.stdout if answer.code == 0 else None

    async def read_blobs(self, oids: Iterable[str], *, limit: int, total: int) -> dict[str, Blob]:
        """Return many blobs by id; an id that names no blob is left out.

        A blob over `limit` bytes, or one with which the contents before it would exceed `total` bytes, has the content
        None; smaller ones after it may still get theirs.

        Raises:
            GitError: git fails.
        """
        asked = list(dict.fromkeys(oids))
        async with self._answering():
            known = dict(zip(asked, await self._reader.facts(*asked), strict=True))
            sizes = {oid: facts.size for oid, facts in known.items() if facts is not None and facts.kind == "blob"}
            wanted, left = [], total
            for oid, size in sizes.items():
                if size <= min(limit, left):
                    wanted.append(oid)
                    left -= size
            contents = dict(zip(wanted, await self._reader.contents(*wanted), strict=True))
        return {oid: Blob(size, contents.get(oid)) for oid, size in sizes.items()}

    async def trees_of(self, commits: Iterable[str]) -> list[str]:
        """Return the ids of the trees of commits, in the same order.

        Raises:
            GitError: A commit does not exist, or git fails.
        """
        asked = list(commits)
        async with self._answering():
            known = await self._reader.facts(*(f"{oid}^{{tree}}" for oid in asked))
        trees = [facts.oid for facts in known if facts is not None]
        if len(trees) != len(asked):
            lost = asked[known.index(None)]
            raise GitError(f"there is no commit {lost}", "check whether the repository is complete: git fsck")
        return trees

    async def read_trees(self, oids: Iterable[str]) -> list[bytes]:
        """Return the contents of tree objects by their ids, in the same order; `parse_tree` reads them.

        Raises:
            GitError: A tree does not exist, or git fails.
        """
        asked = list(oids)
        async with self._answering():
            answers = await self._reader.contents(*asked)
        contents = [content for content in answers if content is not None]
        if len(contents) != len(asked):
            raise GitError(f"there is no tree {asked[answers.index(None)]}", "look for damage: git fsck")
        return contents

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """Raise what git says if its process for questions does not answer; `GitError` if it says nothing."""
        try:
            yield
        except NoAnswerError as error:
            reason = await self._runner.run("rev-parse", "--git-dir")  # raises with git's own words if it can
            raise GitError(f"git cat-file does not answer in {reason.text}", "try again") from error

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """Return the refs at or below `prefix`, a full ref name, sorted by name; empty if there are none.

        Raises:
            GitError: git fails.
        """
        answer = await self._runner.run("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        pairs = (line.rpartition(" ") for line in answer.text.split("\n") if line)
        return tuple(Ref(name, oid) for name, _, oid in pairs)

    async def person(self) -> tuple[str | None, str | None]:
        """Return `user.name` and `user.email` from the person's git configuration; None for one that is not set.

        Raises:
            GitError: The configuration is damaged, or git fails.
        """
        values = await self.settings.values("user.")
        return values.get("user.name"), values.get("user.email")

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return the paths that differ between two commits or trees, sorted by path, with renames detected.

        Raises:
            GitError: One does not exist, or the list is too long (code `git.output`).
        """

        async def ask() -> list[ChangedPath]:
            options = ("-r", "-M", "-z", "--raw", "--end-of-options")
            answer = await self._runner.run("diff-tree", *options, base, head, output_bytes=_MAX_DIFF_BYTES)
            return await asyncio.to_thread(_sorted_changes, answer)

        return list(await self._changes.get((base, head), ask, may_keep=lambda it: len(it) <= _KEPT_CHANGES))

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """Return the written form of the path of every file and submodule in a commit or tree, in git's order.

        Raises:
            GitError: There is no such commit or tree.
        """
        listed = await self._runner.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", oid)
        return tuple(write_name(path) for path in listed.fields())

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None) -> str:
        """Return the unified diff between two commits or trees, with renames detected; empty if they are equal.

        With `paths`, only of these files and folders, given in written form; empty for an empty list.

        Raises:
            GitError: One does not exist, or the diff is larger than 256 MiB (code `git.output`).
        """
        if paths is not None and not paths:
            return ""
        options = ("-r", "-M", "-p", "--no-color", "--no-ext-diff", "--no-textconv")
        only = [f":(top,literal){name_of(path)}" for path in paths or ()]
        answer = await self._runner.run("diff-tree", *options, "--end-of-options", base, head, "--", *only)
        return answer.stdout.decode("utf-8", "replace")


def _named(oid: str) -> str:
    """Return `revision:path`, with the path in its written form, as git reads it; an id alone is returned as it is."""
    revision, colon, path = oid.partition(":")
    return f"{revision}{colon}{name_of(path)}"


def _sorted_changes(answer: GitOutput) -> list[ChangedPath]:
    return sorted(parse_raw_diff(answer.fields()), key=lambda change: change.path)


def parse_raw_diff(fields: Sequence[str]) -> list[ChangedPath]:
    """Return the changes in the NUL-separated fields of `diff-tree --raw -z`, with paths in their written form.

    Source: git-diff-tree(1), RAW OUTPUT FORMAT.
    """
    changes: list[ChangedPath] = []
    rest = iter(fields)
    for meta in rest:
        old_mode, new_mode, old_blob, new_blob, letter = meta.lstrip(":").split(" ")
        status = cast(Literal["A", "M", "D", "R", "T"], letter[0])
        old_path = write_name(next(rest)) if status == _RENAMED else None
        mode, blob = (old_mode, old_blob) if status == "D" else (new_mode, new_blob)
        former = None if status in "AD" else old_blob
        changes.append(ChangedPath(write_name(next(rest)), status, old_path, mode, blob, former))
    return changes
