"""Odd kinds of repositories, each built as a person would have it, and what a run does there (GIT-7)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_kill import call

WRITE = call("write", path="out/x.txt", content="made\n")
DONE = call("report", status="done", summary="feat: make it")
FILES = {"README.md": "hello\n", "in/a.txt": "a\n", "far/b.txt": "b\n", "out/old.txt": "old\n"}


@dataclass
class Odd:
    """What a run does in one odd repository, and what has to come of it."""

    steps: list[dict[str, Any]] = field(default_factory=lambda: [WRITE, DONE])
    changes: Mapping[bytes, bytes | None] = field(default_factory=lambda: {b"out/x.txt": b"made\n"})
    """Path -> what git stores of it in the result; None for a path that is gone."""
    modes: Mapping[bytes, str] = field(default_factory=dict)
    """Path -> its mode, if it is not 100644."""
    partition: str = "out/**"
    check: str = "test -f out/x.txt"
    folder: Path | None = None
    """Where the commands are run, if not in the top folder."""
    says: str = ""
    """What the run has to say."""


def start(workspace: ScratchWorkspace, files: Mapping[str, str] = FILES) -> None:
    workspace.init(files)


def names(workspace: ScratchWorkspace) -> Odd:
    """Names that are not ASCII or not UTF-8, line ends, links and programs."""
    start(
        workspace,
        {**FILES, ".gitattributes": "*.bat text eol=crlf\n", "한글 폴더/파일 이름.txt": "안녕\n", "🙂.md": "\n"},
    )
    root = workspace.root
    (root / "tab\tand\nline.txt").write_text("odd\n")
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("latin\n")
    (root / "run.bat").write_bytes(b"echo\r\n")
    (root / "go.sh").write_text("#!/bin/sh\n")
    (root / "go.sh").chmod(0o755)
    (root / "link").symlink_to("README.md")
    workspace.git("config", "core.autocrlf", "input")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "chore: names")
    script = "; ".join(
        [
            "printf 'more\\n' >> \"$(printf 'caf\\351.txt')\"",
            "mv '한글 폴더/파일 이름.txt' '한글 폴더/새 이름.txt'",
            "ln -sfn in/a.txt link",
            "printf 'new\\n' > \"$(printf 'tab\\tand\\nline.txt')\"",
            "printf 'echo two\\r\\n' > run.bat",
            "chmod +x README.md",
        ]
    )
    return Odd(
        steps=[call("bash", command=script), DONE],
        changes={
            b"caf\xe9.txt": b"latin\nmore\n",
            "한글 폴더/파일 이름.txt".encode(): None,
            "한글 폴더/새 이름.txt".encode(): "안녕\n".encode(),
            b"link": b"in/a.txt",
            b"tab\tand\nline.txt": b"new\n",
            b"run.bat": b"echo two\n",
            b"README.md": b"hello\n",
        },
        modes={b"link": "120000", b"README.md": "100755"},
        partition="**",
        check="test -L link",
    )


def sha256(workspace: ScratchWorkspace) -> Odd:
    start(workspace)
    (workspace.root / ".git").rename(workspace.folder / "sha1.git")
    workspace.git("init", "-q", "-b", "main", "--object-format=sha256")
    _commit_all(workspace)
    return Odd()


def reftable(workspace: ScratchWorkspace) -> Odd:
    start(workspace)
    (workspace.root / ".git").rename(workspace.folder / "files.git")
    try:
        workspace.git("init", "-q", "-b", "main", "--ref-format=reftable")
    except RuntimeError as error:
        assert "ref-format" in str(error)
        pytest.skip("missing: git-2.45, which has reftable")
    _commit_all(workspace)
    return Odd()


def sparse(workspace: ScratchWorkspace) -> Odd:
    """A sparse checkout with a sparse and split index; the worker and QA have what the person has not."""
    start(workspace)
    for name, value in {"core.splitIndex": "true", "core.untrackedCache": "true", "core.fileMode": "false"}.items():
        workspace.git("config", name, value)
    workspace.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    assert not (workspace.root / "far").exists()
    steps = [WRITE, call("bash", command="test -f far/b.txt && echo more >> far/b.txt"), DONE]
    return Odd(
        steps,
        {b"out/x.txt": b"made\n", b"far/b.txt": b"b\nmore\n"},
        partition="**",
        check="grep -q more far/b.txt && test -f out/x.txt",
        says="your checkout is sparse",
    )


def shallow_and_partial(workspace: ScratchWorkspace) -> Odd:
    """A shallow clone that has only the files of its own commit, from a remote that answers."""
    start(workspace)
    origin = workspace.root
    workspace.git("config", "uploadpack.allowFilter", "true")
    (origin / "README.md").write_text("again\n")
    workspace.git("commit", "-qam", "docs: again")
    workspace.root = workspace.folder / "clone"
    workspace.root.mkdir()
    workspace.git("clone", "-q", "--depth=1", "--filter=blob:none", f"file://{origin}", ".")
    _identity(workspace)
    return Odd()


def bare_with_worktrees(workspace: ScratchWorkspace) -> Odd:
    start(workspace)
    bare = workspace.folder / "bare.git"
    workspace.git("clone", "-q", "--bare", str(workspace.root), str(bare))
    workspace.root = bare
    _identity(workspace)
    workspace.git("worktree", "add", "-q", "-b", "mine", str(workspace.folder / "mine"))
    workspace.root = workspace.folder / "mine"
    return Odd()


def linked_and_detached(workspace: ScratchWorkspace) -> Odd:
    """A linked worktree with a detached HEAD, started in a subfolder of it; its path is long and Korean."""
    start(workspace)
    place = workspace.folder / ("긴 이름의 폴더 " * 6).strip() / ("깊은 " * 20).strip()
    workspace.git("worktree", "add", "-q", "--detach", str(place))
    workspace.root = place
    return Odd(folder=place / "in")


def in_a_merge(workspace: ScratchWorkspace) -> Odd:
    """A merge with a conflict, a stash, staged, changed and new files."""
    start(workspace)
    (workspace.root / "in/a.txt").write_text("stashed\n")
    workspace.git("stash")
    workspace.git("checkout", "-qb", "other")
    (workspace.root / "README.md").write_text("theirs\n")
    workspace.git("commit", "-qam", "docs: theirs")
    workspace.git("checkout", "-q", "main")
    (workspace.root / "README.md").write_text("ours\n")
    workspace.git("commit", "-qam", "docs: ours")
    with pytest.raises(RuntimeError):
        workspace.git("merge", "other")
    (workspace.root / "out/old.txt").write_text("staged\n")
    workspace.git("add", "out/old.txt")
    (workspace.root / "far/b.txt").write_text("changed\n")
    (workspace.root / "new.txt").write_text("new\n")
    assert (workspace.root / ".git/MERGE_HEAD").exists()
    return Odd()


def in_a_rebase(workspace: ScratchWorkspace) -> Odd:
    start(workspace)
    workspace.git("checkout", "-qb", "other")
    (workspace.root / "README.md").write_text("theirs\n")
    workspace.git("commit", "-qam", "docs: theirs")
    workspace.git("checkout", "-q", "main")
    (workspace.root / "README.md").write_text("ours\n")
    workspace.git("commit", "-qam", "docs: ours")
    workspace.git("checkout", "-q", "other")
    with pytest.raises(RuntimeError):
        workspace.git("rebase", "main")
    assert (workspace.root / ".git/rebase-merge").exists()
    return Odd()


def hostile_settings(workspace: ScratchWorkspace) -> Odd:
    """Settings that change what git prints, asks or refuses, and variables that lead git elsewhere."""
    start(workspace)
    settings = {
        "diff.external": "/bin/false",
        "diff.noprefix": "true",
        "diff.renames": "false",
        "core.pager": "/bin/false",
        "core.editor": "/bin/false",
        "core.fsmonitor": "/bin/false",
        "core.quotePath": "false",
        "core.abbrev": "4",
        "color.ui": "always",
        "commit.template": "/nonexistent",
        "commit.cleanup": "scissors",
        "commit.verbose": "true",
        "i18n.commitEncoding": "latin1",
        "status.showUntrackedFiles": "no",
        "log.showSignature": "true",
        "merge.ff": "only",
        "apply.whitespace": "error",
    }
    for name, value in settings.items():
        workspace.git("config", name, value)
    workspace.environ["GIT_DIR"] = str(workspace.root / ".git")
    workspace.environ["GIT_WORK_TREE"] = str(workspace.root)
    return Odd()


def with_a_large_file(workspace: ScratchWorkspace) -> Odd:
    """One that is larger than an agent may read, and one of bytes that are no text."""
    start(workspace)
    (workspace.root / "raw.bin").write_bytes(bytes(range(256)))
    with (workspace.root / "large.bin").open("wb") as file:
        file.truncate(64 << 20)
    _commit_all(workspace)
    return Odd()


def large_files_of_lfs(workspace: ScratchWorkspace) -> Odd:
    """Files that are pointers in git and content on disk, by a program that git keeps running (see `filter_of_lfs`)."""
    start(workspace)
    _use_lfs(workspace)
    (workspace.root / "big.bin").write_bytes(b"large content\n")
    _commit_all(workspace)
    assert workspace.git("show", "HEAD:big.bin").startswith("version https://git-lfs")
    steps = [call("bash", command="grep -q 'large content' big.bin"), WRITE, DONE]
    return Odd(steps, check="grep -q 'large content' big.bin && test -f out/x.txt", says="such as big.bin")


def large_files_of_git_lfs(workspace: ScratchWorkspace) -> Odd:
    """The same by git-lfs itself, with the hooks that it installs."""
    if shutil.which("git-lfs") is None:
        pytest.skip("missing: git-lfs")
    start(workspace)
    workspace.git("lfs", "install", "--local")
    workspace.git("lfs", "track", "*.bin")
    (workspace.root / "big.bin").write_bytes(b"large content\n")
    _commit_all(workspace)
    assert workspace.git("show", "HEAD:big.bin").startswith("version https://git-lfs")
    steps = [call("bash", command="grep -q 'large content' big.bin"), WRITE, DONE]
    return Odd(steps, check="grep -q 'large content' big.bin && test -f out/x.txt", says="such as big.bin")


def pointers_of_lfs_without_it(workspace: ScratchWorkspace) -> Odd:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n"
    start(workspace, {**FILES, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "big.bin": pointer})
    return Odd(check="grep -q spec/v1 big.bin && test -f out/x.txt")


def submodule_with_content(workspace: ScratchWorkspace) -> Odd:
    start(workspace)
    library = workspace.folder / "library"
    workspace.git("init", "-q", str(library))
    (library / "code.txt").write_text("library\n")
    workspace.git("-C", str(library), "add", "-A")
    workspace.git("-C", str(library), "-c", "user.name=P", "-c", "user.email=p@x.org", "commit", "-qm", "start")
    workspace.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib/code")
    workspace.git("commit", "-qm", "chore: library")
    (workspace.root / "lib/code/code.txt").write_text("changed by the person\n")
    steps = [call("bash", command="grep -qx library lib/code/code.txt"), WRITE, DONE]
    return Odd(steps, check="grep -qx library lib/code/code.txt && test -f out/x.txt", says="submodules")


def hooks_in_the_repository(workspace: ScratchWorkspace) -> Odd:
    """Tracked hooks: one refuses a form that the agent can mend, one a message, one changes the message."""
    start(workspace)
    hooks = {
        "pre-commit": "if git diff --cached | grep -q '^+.*bad'; then echo 'lint: bad word' >&2; exit 1; fi",
        "prepare-commit-msg": 'printf "\\nTicket: 7\\n" >> "$1"',
        "commit-msg": 'grep -q "^feat: " "$1" && grep -q "^Ticket: 7" "$1" || { echo "a form" >&2; exit 1; }',
        "pre-merge-commit": "echo 'no merges here' >&2; exit 1",
        "post-checkout": "exit 1",
    }
    (workspace.root / ".husky").mkdir()
    for name, text in hooks.items():
        (workspace.root / ".husky" / name).write_text(f"#!/bin/sh\n{text}\n")
        (workspace.root / ".husky" / name).chmod(0o755)
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "chore: hooks")
    workspace.git("config", "core.hooksPath", ".husky")
    bad = call("write", path="out/x.txt", content="bad\n")
    return Odd(
        steps=[bad, DONE, WRITE, DONE],
        says="git hook run commit-msg",
    )


def hooks_of_pre_commit(workspace: ScratchWorkspace) -> Odd:
    """A hook that pre-commit installed from another repository, which is gone: a sandbox could not fetch it."""
    if (program := shutil.which("pre-commit")) is None:
        pytest.skip("missing: pre-commit")
    start(workspace)
    hooks = workspace.folder / "hooks"
    hooks.mkdir()
    (hooks / ".pre-commit-hooks.yaml").write_text(
        "- {id: words, name: words, entry: ./words, language: script, files: x.txt}\n"
    )
    (hooks / "words").write_text('#!/bin/sh\n! grep -nH bad "$@"\n')
    (hooks / "words").chmod(0o755)
    workspace.git("init", "-q", str(hooks))
    workspace.git("-C", str(hooks), "add", "-A")
    workspace.git("-C", str(hooks), "-c", "user.name=P", "-c", "user.email=p@x.org", "commit", "-qm", "start")
    rev = workspace.git("-C", str(hooks), "rev-parse", "HEAD")
    text = f"repos: [{{repo: 'file://{hooks}', rev: {rev}, hooks: [{{id: words}}]}}]\n"
    (workspace.root / ".pre-commit-config.yaml").write_text(text)
    _commit_all(workspace)
    for arguments in (["install"], ["install-hooks"]):
        argv = [program, *arguments]
        subprocess.run(argv, cwd=workspace.root, env=workspace.environ, check=True, capture_output=True)
    shutil.rmtree(hooks)
    bad = call("write", path="out/x.txt", content="bad\n")
    return Odd(steps=[bad, DONE, WRITE, DONE], says="git hook run pre-commit")


KINDS: list[Callable[[ScratchWorkspace], Odd]] = [
    names,
    sha256,
    reftable,
    sparse,
    shallow_and_partial,
    bare_with_worktrees,
    linked_and_detached,
    in_a_merge,
    in_a_rebase,
    hostile_settings,
    with_a_large_file,
    large_files_of_lfs,
    large_files_of_git_lfs,
    pointers_of_lfs_without_it,
    submodule_with_content,
    hooks_in_the_repository,
    hooks_of_pre_commit,
]


def _use_lfs(workspace: ScratchWorkspace) -> None:
    """Set `filter.lfs` as `git lfs install` does; the program stands for git-lfs, which not every machine has."""
    program = Path(__file__).with_name("filter_of_lfs.py")
    store = workspace.root / ".git/lfs/objects"
    tool = workspace.folder / "git-lfs-stand-in"
    tool.write_text(f"#!{sys.executable}\n" + program.read_text("utf-8"))
    tool.chmod(0o755)
    workspace.git("config", "filter.lfs.process", f"{tool} {store}")
    workspace.git("config", "filter.lfs.required", "true")
    (workspace.root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")


def _identity(workspace: ScratchWorkspace) -> None:
    workspace.git("config", "user.name", "Person")
    workspace.git("config", "user.email", "person@example.org")


def _commit_all(workspace: ScratchWorkspace) -> None:
    _identity(workspace)
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "chore: start")
