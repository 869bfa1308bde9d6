"""Connects the merge rules to git, to the files that come with the program, and to the secret scanners (FLOW-9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.adapters.apart import AnswerLostError, ask_apart
from aegis_tui.adapters.git.describe import import_roots, list_files
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.judge_apart import judge_apart
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.rule_files import own_rules, shipped_rules
from aegis_tui.adapters.secrets.programs import ScannerPrograms
from aegis_tui.adapters.secrets.scanner import BestScanner
from aegis_tui.domain.rule.model import MergeRule
from aegis_tui.errors import UsageError
from aegis_tui.orchestrator.name_check import NameCheck
from aegis_tui.orchestrator.rule_check import RuleCheck, RuleReport
from aegis_tui.ports.repository import Repository

_log = logging.getLogger(__name__)


def rule_check_of(repository: Repository, environ: Mapping[str, str]) -> RuleCheck:
    """Return the `RuleCheck` of a repository, with the rules that come with the program; nothing is read yet.

    Args:
        repository: The repository.
        environ: The environment, whose PATH is searched for secret scanners.
    """
    return RuleCheck(
        repository=repository,
        list_files=partial(list_files, repository.common_dir),
        scanner=BestScanner(ScannerPrograms(SubprocessRunner(), environ)),
        shipped=shipped_rules,
        judge=judge_apart,
        names=name_check_of(repository),
    )


def name_check_of(repository: Repository) -> NameCheck:
    """Return the check of a repository for names that nothing defines; nothing is read yet."""
    common_dir = repository.common_dir
    return NameCheck(repository, partial(list_files, common_dir), partial(import_roots, common_dir), _run_apart)


async def _run_apart(function: Callable[..., Any], arguments: tuple[Any, ...], *, size: int) -> Any:
    """Return what `ask_apart` returns; None, and a line in the log, if the function fails or takes too long."""
    try:
        return await ask_apart(function, arguments, size=size)
    except (AnswerLostError, OSError, RecursionError, MemoryError) as error:
        _log.warning("names were not checked: %s", error)
        return None


async def check_commits(root: Path, environ: Mapping[str, str], *, base: str | None, head: str) -> RuleReport:
    """Return what the rules of one commit find in the changes of another since their fork.

    Args:
        root: The repository's checkout.
        environ: The environment, whose PATH is searched for secret scanners.
        base: A commit, or any name for it; the parent of `head` if None.
        head: The same for the commit to be checked.

    Raises:
        UsageError: There is no such commit, or a file of rules in `base` is not valid.
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: git fails.
    """
    repository = await open_repository(root)
    oids = []
    for name in (head, base or f"{head}^"):
        oid = await repository.resolve(name)
        if oid is None and name == head:
            raise UsageError(f"there is no commit {name}", "git log lists the commits")
        if oid is None and base is None:
            raise UsageError(f"{head} has no parent to compare it with", "name a commit to compare with: --base COMMIT")
        if oid is None:
            raise UsageError(f"there is no commit {name}", "name another: --base COMMIT")
        oids.append(oid)
    return await rule_check_of(repository, environ).check(base=oids[1], into=oids[1], head=oids[0])


async def check_history(root: Path, environ: Mapping[str, str], commits: Sequence[str], base: str | None) -> RuleReport:
    """Return what the rules find in commits that are to be published; see `RuleCheck.check_history`.

    Args:
        root: The repository's checkout.
        environ: The environment, whose PATH is searched for secret scanners.
        commits: Their ids, the newest first; at least one.
        base: The commit below the oldest; None if that is the first of the history.

    Raises:
        UsageError: A file of rules is not valid.
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: git fails.
    """
    return await rule_check_of(await open_repository(root), environ).check_history(commits, base=base)


def rules_in(root: Path) -> tuple[tuple[MergeRule, ...], tuple[MergeRule, ...]]:
    """Return the merge rules that come with the program, and those of the checkout at `root`, committed or not.

    The second part is empty if the checkout has no folder of rules.

    Raises:
        UsageError: A file of rules is not valid.
        OSError: `root` or a file in it cannot be read.
    """
    return shipped_rules(), own_rules(root)
