"""Reads facts about a commit and a tree, for reports and detection. Works with SHA-1 and SHA-256 repositories."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.run.report_model import CommitSeen

_TRAILERS = "%(trailers:only,unfold,separator=%x00,key_value_separator=%x01)"


async def describe_commit(common_dir: Path, oid: str) -> CommitSeen:
    """Return subject, number of changed files, and trailers of a commit (keys `subject`, `files`, `trailers`).

    `files` counts those that differ from its first parent, a renamed one once. The value of `trailers` is name -> list
    of values.

    Raises:
        GitError: There is no such commit.
    """
    runner = GitRunner(git_dir=common_dir, cwd=common_dir)
    wanted = f"--format=%s%x00{_TRAILERS}"
    shown = await runner.run("show", "-s", "--no-show-signature", wanted, "--end-of-options", oid)
    changed = await runner.run(
        *("diff-tree", "-r", "-M", "-z", "--root", "--no-commit-id", "--name-only", "-m", "--first-parent"),
        *("--end-of-options", oid),
    )
    subject, *fields = shown.stdout.decode("utf-8", "replace").rstrip("\n").split("\0")
    trailers: dict[str, list[str]] = {}
    for name, separator, value in (field.partition("\1") for field in fields):
        if separator:
            trailers.setdefault(name, []).append(value)
    return {"subject": subject, "files": len(changed.fields()), "trailers": trailers}


async def list_files(common_dir: Path, oid: str) -> dict[str, str]:
    """Return the blob id of every file of a commit, by its path in written form; submodules are left out.

    Raises:
        GitError: There is no such commit.
    """
    runner = GitRunner(git_dir=common_dir, cwd=common_dir)
    listed = await runner.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", oid)
    files = {}
    for row in listed.fields():
        head, _, path = row.partition("\t")
        if " blob " in head:
            files[write_name(path)] = head.split()[2]
    return files


async def import_roots(common_dir: Path, oid: str) -> frozenset[str]:
    """Return the first parts of the modules that the Python files of a commit import at the start of a line.

    Relative imports are left out; empty for a commit without Python files.

    Raises:
        GitError: There is no such commit, or the imports are more than can be listed.
    """
    runner = GitRunner(git_dir=common_dir, cwd=common_dir)
    pattern = r"^[[:space:]]*(from|import)[[:space:]]+[A-Za-z_][A-Za-z0-9_]*"
    listed = await runner.run("grep", "-hoE", "-e", pattern, oid, "--", "*.py", "*.pyi", ok=(0, 1))
    return frozenset(line.split()[-1] for line in listed.stdout.decode("utf-8", "replace").splitlines() if line.split())
