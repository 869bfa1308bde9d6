"""Checks a piece with the merge rules of its base commit before it may be merged (FLOW-9).

Only what the piece changes is looked at. The rules come from the base commit, which no piece can change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, TypeVar

from aegis_tui.domain.code_map.language import suffix_of
from aegis_tui.domain.rule.change import PathChange, first_lines, read_change
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.rule.judge import Neighbours, SecretScan, needs_neighbours
from aegis_tui.domain.rule.model import MergeRule
from aegis_tui.domain.rule.parse import FOLDER, MAX_FILE_BYTES, combined, parse_rules
from aegis_tui.errors import GitError, UsageError
from aegis_tui.orchestrator.name_check import ListFiles, NameCheck
from aegis_tui.ports.commits import Blob, ChangedPath
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.secret_scanner import ScannedText, SecretScanner

FILE_BYTES, PIECE_BYTES = 4 << 20, 64 << 20
"""How much of one file and of a whole piece is looked at; a person has to allow what is beyond that."""

NEIGHBOURS = 5
"""With how many similar files of the base the header of a new file is compared."""

MOST_SINGLY = 200
"""How many commits that are to be published are searched for secrets one by one."""

_KEPT_BASES = 4
_EMPTY_TREES = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)
"""The ids of the tree without files, in SHA-1 and in SHA-256; every git knows them."""
_SUBMODULE = "160000"
_RULES: Final = f"{FOLDER}/"

Kept = TypeVar("Kept")

Judge = Callable[
    [Sequence[MergeRule], Sequence[PathChange], SecretScan, Neighbours], Awaitable[tuple[RuleFinding, ...]]
]
"""Applies rules; see `aegis_tui.domain.rule.judge.judge`."""


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What the rules found in a piece."""

    findings: tuple[RuleFinding, ...] = ()
    scanner: str = ""
    """Which secret scanner ran, with its version; empty if none ran, or there was nothing to look at."""


class RuleCheck:
    """Applies the rules of a base commit to what a piece changes.

    Args:
        repository: Where the commits are.
        list_files: Lists the files of a commit.
        scanner: Looks for secrets.
        shipped: The rules that come with the program.
        judge: Applies rules without blocking the event loop.
        names: Looks for names that nothing defines; None to look for none.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        list_files: ListFiles,
        scanner: SecretScanner,
        shipped: Callable[[], Iterable[MergeRule]],
        judge: Judge,
        names: NameCheck | None = None,
    ) -> None:
        self.names = names
        self._repository, self._list_files, self._scanner = repository, list_files, scanner
        self._shipped, self._judge = shipped, judge
        self._files: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._rules: OrderedDict[str, tuple[MergeRule, ...]] = OrderedDict()

    async def prepare(self) -> None:
        """Have the secret scanner load what it needs; call it when a run begins. Never raises."""
        await self._scanner.prepare()

    async def rules_of(self, oid: str) -> tuple[MergeRule, ...]:
        """Return the rules in effect for pieces with this base commit: the shipped ones, then the team's in the commit.

        A rule of the team takes the place of a shipped one of its name; a rule that is `off` is left out.

        Raises:
            UsageError: A file of rules in the commit is not valid; the message names it.
            GitError: git fails.
        """
        if oid not in self._rules:
            files = await self._files_of(oid)
            own: list[MergeRule] = []
            for path in sorted(path for path in files if _is_rule_file(path)):
                own += parse_rules(await self._text(files[path], path), path)
            _remember(self._rules, oid, combined(self._shipped(), own))
        return self._rules[oid]

    async def check(self, *, base: str, into: str, head: str) -> RuleReport:
        """Return what the rules find in the changes of a commit since its fork from another.

        If they have no history in common, all that the commit contains is a change.

        Args:
            base: The commit whose rules are in effect, and whose files new ones are compared with.
            into: The commit that it would be merged into.
            head: The commit.

        Raises:
            UsageError: A file of rules in `base` is not valid.
            GitError: git fails, or the commit changes more files than can be listed.
        """
        forks = await self._repository.merge_bases(into, head)
        return await self._between(await self.rules_of(base), base, forks[0] if forks else _empty_tree(head), head)

    async def check_history(self, commits: Sequence[str], *, base: str | None) -> RuleReport:
        """Return what the rules find in what commits change together, and the secrets that each of them adds.

        A secret that a later commit removes again is found too. A merge is compared with its first parent.

        Args:
            commits: The commits that follow `base`, the newest first; at least one. Only `MOST_SINGLY` (200) of them
                are looked at one by one.
            base: The commit whose rules are in effect; None if the oldest commit is the first of the history. Then its
                own rules are in effect.

        Raises:
            UsageError: A file of rules is not valid.
            GitError: git fails, or more files are changed than can be listed.
        """
        ruled = base or commits[-1]
        rules = await self.rules_of(ruled)
        together = await self._between(rules, ruled, base or _empty_tree(ruled), commits[0])
        secret = [rule for rule in rules if rule.kind == "secret"]
        findings = {item.key: item for item in together.findings}
        scanner = together.scanner
        for oid in commits[:MOST_SINGLY] if secret and len(commits) > 1 else ():
            parent = await self._repository.resolve(f"{oid}^")
            alone = await self._between(secret, ruled, parent or _empty_tree(oid), oid)
            findings = {item.key: item for item in alone.findings} | findings
            scanner = scanner or alone.scanner
        return RuleReport(tuple(findings.values()), scanner)

    async def _between(self, rules: Sequence[MergeRule], base: str, start: str, head: str) -> RuleReport:
        """Return what rules find in the changes from one commit or tree to a commit; submodules are not looked at.

        Args:
            rules: The rules.
            base: The commit with whose files new files are compared.
            start: The commit or tree that the changes are relative to.
            head: The commit.

        Raises:
            GitError: git fails, or more files are changed than can be listed.
        """
        changed = await self._repository.changed_paths(start, head)
        changes = await self._changes([item for item in changed if item.mode != _SUBMODULE])
        texts = [ScannedText(item.path, item.text, item.added) for item in changes if item.added]
        scan = SecretScan()
        if texts and any(rule.kind == "secret" for rule in rules):
            scan = await self._scanner.scan(texts)
        near = await self._neighbours(rules, changes, base)
        return RuleReport(await self._judge(rules, changes, scan, near), scan.scanner)

    async def _changes(self, changed: Sequence[ChangedPath]) -> list[PathChange]:
        oids = [oid for item in changed for oid in (item.blob, item.old_blob) if oid and item.status != "D"]
        blobs = await self._repository.read_blobs(oids, limit=FILE_BYTES, total=PIECE_BYTES)
        return [_change(item, blobs) for item in changed]

    async def _neighbours(
        self, rules: Sequence[MergeRule], changes: Sequence[PathChange], base: str
    ) -> dict[str, tuple[str, ...]]:
        fresh = [
            item.path for item in changes if item.status == "A" and item.text and needs_neighbours(rules, item.path)
        ]
        if not fresh:
            return {}
        files = await self._files_of(base)
        near = {path: _similar(path, files) for path in fresh}
        oids = {files[name] for names in near.values() for name in names}
        blobs = await self._repository.read_blobs(oids, limit=FILE_BYTES, total=PIECE_BYTES)
        return {path: tuple(_heads([files[name] for name in names], blobs)) for path, names in near.items()}

    async def _files_of(self, oid: str) -> dict[str, str]:
        if oid not in self._files:
            _remember(self._files, oid, await self._list_files(oid))
        return self._files[oid]

    async def _text(self, blob: str, path: str) -> str:
        try:
            return (await self._repository.read_blob(blob, limit=MAX_FILE_BYTES)).decode("utf-8", "replace")
        except GitError as error:
            if error.code != "git.output":
                raise
            words = f"{path} is larger than {MAX_FILE_BYTES} bytes"
            raise UsageError(words, "split it", is_certain=True) from error


def _empty_tree(like: str) -> str:
    """Return the id of the tree without files, in the hash algorithm of another id of 40 or 64 digits.

    Raises:
        StopIteration: `like` has another length.
    """
    return next(oid for oid in _EMPTY_TREES if len(oid) == len(like))


def _remember(kept: OrderedDict[str, Kept], oid: str, value: Kept) -> None:
    kept[oid] = value
    while len(kept) > _KEPT_BASES:
        kept.popitem(last=False)


def _is_rule_file(path: str) -> bool:
    return path.startswith(_RULES) and suffix_of(path) == ".toml" and "/" not in path[len(_RULES) :]


def _change(item: ChangedPath, blobs: Mapping[str, Blob]) -> PathChange:
    new = blobs.get(item.blob) if item.status != "D" else None
    old = blobs.get(item.old_blob or "")
    return read_change(
        item.path,
        item.status,
        item.blob,
        new=new.content if new else None,
        old=old.content if old else None,
        size=new.size if new and new.content is None else None,
        old_size=old.size if old else 0,
        is_moved=item.status == "R" and item.old_blob == item.blob,
    )


def _similar(path: str, files: Iterable[str]) -> list[str]:
    """Return up to five other files with the suffix of `path`, those first that have most of its folders in common.

    Ties are in alphabetical order; empty if there is none.
    """
    suffix, folders = suffix_of(path), path.split("/")[:-1]
    same = (name for name in files if name.endswith(suffix) and suffix_of(name) == suffix and name != path)
    return nsmallest(NEIGHBOURS, same, key=lambda name: (-_shared(folders, name.split("/")[:-1]), name))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _heads(oids: Iterable[str], blobs: Mapping[str, Blob]) -> Iterator[str]:
    for oid in oids:
        blob = blobs.get(oid)
        if blob is not None and blob.content and b"\0" not in blob.content:
            yield first_lines(blob.content.decode("utf-8", "replace"))
