"""Programs that git would start for what an agent wrote: filters, hooks, settings, submodules, a `git` of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.git.environment import without_relative_places
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.watch.git_writes import GitWrites
from aegis_tui.adapters.watch.listing import list_contents, stored_ids
from aegis_tui.errors import GitError
from aegis_tui.ports.repository import Worktree, WorktreeSpec
from aegis_tui.ports.tree_watch import FileChange
from tests.adapters.git.conftest import Shell

pytestmark = pytest.mark.thorough

MakeSpec = Callable[..., WorktreeSpec]
Add = Callable[..., list[Worktree]]
Remove = Callable[..., object]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """What every program of the agent makes when it is started outside of the sandbox."""
    return tmp_path / "trap"


@pytest.fixture
def filtered(repo: Path, git: Shell, tmp_path: Path) -> Path:
    """The person's repository with a filter, half of which is a program in the repository itself."""
    (repo / "tools").mkdir()
    for name, place, change in (("clean", repo / "tools", "tr b-z a-y"), ("smudge", tmp_path, "tr a-y b-z")):
        (place / name).write_text(f"#!/bin/sh\n{change}\n")
        (place / name).chmod(0o755)
    git(repo, "config", "filter.shift.clean", "tools/clean")
    git(repo, "config", "filter.shift.smudge", f"'{tmp_path / 'smudge'}'")
    git(repo, "config", "filter.shift.required", "true")
    (repo / ".gitattributes").write_text("*.txt filter=shift\n")
    (repo / "old.txt").write_text("bcd\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "With a filter")
    assert git(repo, "show", "HEAD:old.txt") == "abc"
    return repo


def set_traps(worktree: Path, trap: Path) -> None:
    (worktree / "tools/clean").write_text(f"#!/bin/sh\ntouch '{trap}'\ncat\n")
    (worktree / ".gitattributes").write_text("* filter=shift\n")
    (worktree / "new.txt").write_text("xyz\n")


@pytest.mark.boundary(
    layer="hub files",
    tried="the person's filter is a program in the repository, and the agent replaces it",
    refused="the hub and its file watcher start no filter for an agent's files; files that only the person wrote are "
    "filtered as usual",
)
def test_a_filter_of_the_repository_is_not_started_from_an_agents_worktree(
    filtered: Path, git: Shell, agent: Shell, spec_for: MakeSpec, add: Add, remove: Remove, trap: Path, tmp_path: Path
) -> None:
    spec = spec_for("w01", "**")
    add(filtered, spec)
    assert (spec.path / "old.txt").read_text() == "bcd\n"
    set_traps(spec.path, trap)
    (spec.path / "old.txt").write_text("changed\n")
    assert stored_ids(spec.path, ["new.txt"])["new.txt"] == git(tmp_path, "hash-object", str(spec.path / "new.txt"))
    assert remove(filtered, spec.path) is not None
    assert not trap.exists()
    assert git(filtered, "show", "refs/aegis/rescue/r1/w01/1:new.txt") == "xyz"


def test_a_commit_of_an_agent_is_checked_out_over_the_persons_without_its_filters(
    filtered: Path, git: Shell, spec_for: MakeSpec, add: Add, trap: Path, tmp_path: Path
) -> None:
    spec = spec_for("w01", "**")
    add(filtered, spec)
    set_traps(spec.path, trap)
    off = [item for key in ("clean", "smudge") for item in ("-c", f"filter.shift.{key}=cat")]
    git(spec.path, *off, "add", ".")
    tree = git(spec.path, *off, "write-tree")
    head = git(spec.path, "commit-tree", tree, "-p", "HEAD", "-m", "evil")
    qa = tmp_path / "qa"

    async def scratch() -> None:
        await (await open_repository(filtered)).add_scratch(qa, head)

    asyncio.run(scratch())
    assert not trap.exists()
    assert ((qa / "old.txt").read_text(), (qa / "new.txt").read_text()) == ("bcd\n", "xyz\n")
    assert git(qa, *off, "status", "--porcelain", "--", "tools", "new.txt") == ""
    add(filtered, spec_for("w02", "**", base=head))
    assert not trap.exists()


@pytest.mark.boundary(
    layer="hub files",
    tried="hooksPath, fsmonitor, diff, alias, sshCommand, pager and include settings, and hooks, in its own git folder",
    refused="neither the hub's nor the person's git reads that folder",
)
def test_settings_in_an_agents_own_git_folder_start_nothing(
    repo: Path, spec_for: MakeSpec, add: Add, remove: Remove, trap: Path, tmp_path: Path, git: Shell
) -> None:
    spec = spec_for("w01")
    [tree] = add(repo, spec)
    private = tmp_path / "private"

    async def lay_out() -> None:
        await (await open_repository(repo)).git_mounts(tree, private=private)

    asyncio.run(lay_out())
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
    program.chmod(0o755)
    keys = ("core.fsmonitor", "diff.external", "alias.status", "core.sshCommand", "core.pager", "gpg.program")
    own = private / "admin" / "config.worktree"
    for key in (*keys, "filter.x.clean", "filter.x.smudge", "diff.x.textconv", "diff.x.command", "merge.x.driver"):
        git(tmp_path, "config", "--file", str(own), key, str(program))
    git(tmp_path, "config", "--file", str(own), "core.hooksPath", str(program.parent))
    git(tmp_path, "config", "--file", str(own), "include.path", str(own))
    (program.parent / "post-index-change").write_bytes(program.read_bytes())
    (spec.path / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    (spec.path / "src/a.py").write_text("changed\n")
    list_contents(spec.path)
    GitWrites(spec.path).pick([FileChange("src/a.py", "modified", "w01", "0" * 40)])
    git(spec.path, "status")
    git(repo, "worktree", "list")
    assert remove(repo, spec.path) is not None
    assert not trap.exists()


@pytest.mark.boundary(
    layer="hub files",
    tried=".gitmodules whose URL or update setting is a command",
    refused="git refuses the commit when the hub imports it; the hub updates no submodule",
)
@pytest.mark.parametrize("setting", ["url = --upload-pack=touch", "url = a\n\tupdate = !touch", "path = -x\n\turl = a"])
def test_a_submodule_that_names_a_command_is_refused(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, tmp_path: Path, setting: str
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / ".gitmodules").write_text(f'[submodule "x"]\n\t{setting}\n')
    git(spec.path, "add", ".gitmodules")
    head = git(spec.path, "commit-tree", git(spec.path, "write-tree"), "-p", "HEAD", "-m", "evil")
    private = tmp_path / "private"
    (private / "objects").mkdir(parents=True)
    for oid in git(spec.path, "rev-list", "--objects", "--no-object-names", head, "--not", "main").split():
        (private / "objects" / oid[:2]).mkdir(exist_ok=True)
        (repo / ".git/objects" / oid[:2] / oid[2:]).rename(private / "objects" / oid[:2] / oid[2:])

    async def take_in() -> None:
        await (await open_repository(repo)).take_in(private, [head])

    with pytest.raises(GitError, match="cannot be copied"):
        asyncio.run(take_in())


@pytest.mark.boundary(
    layer="hub files",
    tried="a program named git in the worktree, with a relative folder on the person's PATH",
    refused="the PATH of the hub's programs contains no relative folders",
)
@pytest.mark.parametrize("entry", [".", "", "node_modules/.bin"])
def test_no_git_is_started_from_a_worktree(
    repo: Path,
    spec_for: MakeSpec,
    add: Add,
    remove: Remove,
    trap: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: str,
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    evil = spec.path / entry / "git"
    evil.parent.mkdir(parents=True, exist_ok=True)
    evil.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
    evil.chmod(0o755)
    monkeypatch.setenv("PATH", f"{entry}:{os.environ['PATH']}")
    list_contents(spec.path)
    assert remove(repo, spec.path) is not None
    assert not trap.exists()


@pytest.mark.boundary(
    layer="hub files",
    tried="libraries, a .gitconfig and modules in the worktree, where LD_LIBRARY_PATH, LD_PRELOAD, PYTHONPATH, HOME or "
    "GIT_CONFIG_GLOBAL of the person's name a relative folder",
    refused="relative entries are removed for the hub's programs: nothing is loaded from the folder where a program "
    "starts",
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LD_LIBRARY_PATH", ":/nowhere"),
        ("LD_LIBRARY_PATH", "."),
        ("LD_LIBRARY_PATH", "/nowhere:src/../"),
        ("LD_PRELOAD", "./libz.so.1"),
        ("HOME", "."),
        ("XDG_CONFIG_HOME", "."),
        ("GIT_CONFIG_GLOBAL", ".gitconfig"),
        ("GIT_EXEC_PATH", "libexec"),
    ],
)
def test_nothing_is_loaded_from_a_worktree(
    repo: Path, spec_for: MakeSpec, add: Add, remove: Remove, trap: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, value: str,
) -> None:  # fmt: skip
    spec = spec_for("w01")
    add(repo, spec)
    for library in ("libz.so.1", "libc.so.6", "libpcre2-8.so.0"):
        (spec.path / library).write_text("no library: a program that takes it ends at once\n")
    settings = f'[filter "x"]\n\tclean = touch {trap}; cat\n\trequired = true\n'
    (spec.path / ".gitconfig").write_text(settings)
    (spec.path / "git").mkdir()
    (spec.path / "git/config").write_text(settings)
    (spec.path / ".gitattributes").write_text("* filter=x\n")
    (spec.path / "src/a.py").write_text("changed\n")
    if name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.setenv(name, value)
    assert "src/a.py" in {item.path for item in list_contents(spec.path)}
    assert stored_ids(spec.path, ["src/a.py"])
    assert remove(repo, spec.path) is not None
    assert not trap.exists()


def test_an_environment_keeps_what_does_not_depend_on_where_a_program_starts() -> None:
    given = {
        "PATH": "/usr/bin:.:/bin",
        "LD_LIBRARY_PATH": "/opt/lib::$ORIGIN/lib:lib:/usr/lib",
        "LD_PRELOAD": "libjemalloc.so.2 /opt/a.so:./b.so",
        "PYTHONPATH": "src:",
        "NODE_PATH": "/opt/node",
        "HOME": "/home/ada",
        "XDG_CONFIG_HOME": "config",
        "BASH_ENV": "env.sh",
        "LANG": "C.UTF-8",
    }
    assert without_relative_places(given) == {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": "/opt/lib:$ORIGIN/lib:/usr/lib",
        "LD_PRELOAD": "libjemalloc.so.2:/opt/a.so",
        "NODE_PATH": "/opt/node",
        "HOME": "/home/ada",
        "LANG": "C.UTF-8",
    }
