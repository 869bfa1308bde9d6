"""Files of the checkout in a worktree: copies that share nothing, whatever the worktree contains (GIT-1, SEC-2)."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.environment.copying import CopyResult, TreeCopy
from aegis_tui.adapters.environment.folder import read_regular
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.ports import PortClaims
from aegis_tui.errors import Refused
from aegis_tui.sdk.given_files import is_given


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "large", "missing"])
def test_only_a_small_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "Makefile"
    make: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
        "large": lambda: path.write_bytes(b"#" * (2 << 20)),
        "missing": lambda: None,
    }
    make[kind]()
    assert read_regular(path) == ""


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    place.mkdir()
    return source, place


def copy(source: Path, place: Path, *names: str, skip: tuple[str, ...] = (), limit_bytes: int = 1000) -> CopyResult:
    result = CopyResult()
    TreeCopy(source, place, skip=skip, limit_bytes=limit_bytes, result=result).copy(names)
    return result


def is_marked(path: Path) -> bool:
    with path.open("rb") as file:
        return is_given(file.fileno())


def test_a_copy_has_content_times_and_rights_and_is_no_hard_link(trees: tuple[Path, Path]) -> None:
    source, place = trees
    (source / "data/deep").mkdir(parents=True)
    tool = source / "data/deep/tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    os.utime(tool, ns=(1_000, 2_000))
    result = copy(source, place, "data/")
    made = place / "data/deep/tool"
    status = made.stat()
    assert (made.read_text(), status.st_mode & 0o777, status.st_mtime_ns) == ("#!/bin/sh\n", 0o755, 2_000)
    assert (status.st_nlink, tool.stat().st_nlink) == (1, 1)
    assert is_marked(made) and not is_marked(tool)
    made.write_text("changed")
    assert not is_marked(made)
    assert tool.read_text() == "#!/bin/sh\n" and (result.files, result.left_out) == (1, {})


def test_what_exists_stays_and_what_is_skipped_is_not_entered(trees: tuple[Path, Path]) -> None:
    source, place = trees
    for name in ("a.txt", "env/x", "env/lib/y", "b/c"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("theirs")
    (place / "a.txt").write_text("tracked")
    copy(source, place, "a.txt", "env/", "b", skip=("env/lib",))
    assert (place / "a.txt").read_text() == "tracked"
    assert (place / "env/x").exists() and not (place / "env/lib").exists() and (place / "b/c").exists()


def test_links_of_the_worktree_are_not_followed(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source, place = trees
    outside = tmp_path / "outside"
    outside.mkdir()
    (source / "conf").mkdir()
    (source / "conf/.env").write_text("secret")
    (source / "top.env").write_text("secret")
    (place / "conf").symlink_to(outside)
    (place / "top.env").symlink_to(outside / "top.env")
    result = copy(source, place, "conf/.env", "conf/", "top.env")
    assert list(outside.iterdir()) == [] and result.files == 0
    assert result.left_out == {"conf": "something else of this name exists"}


def test_links_stay_inside_and_nothing_but_files_is_copied(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source, place = trees
    (source / "real").write_text("1")
    (source / "near").symlink_to("real")
    (source / "absolute").symlink_to(source / "real")
    (source / "out").symlink_to(tmp_path)
    (source / "up").symlink_to("../outside")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(source / "socket"))  # a socket's path is limited to 104 bytes
    result = copy(source, place, *sorted(entry.name for entry in source.iterdir()), "gone", "../x", ".git/config")
    assert (place / "near").readlink() == Path("real")
    assert (place / "absolute").readlink() == place / "real"
    assert sorted(result.left_out) == ["out", "pipe", "socket", "up"]
    assert sorted(entry.name for entry in place.iterdir()) == ["absolute", "near", "real"]


def test_what_cannot_be_examined_is_left_out_and_the_rest_is_copied(trees: tuple[Path, Path]) -> None:
    source, place = trees
    (source / "listed").mkdir()
    (source / "listed/secret").write_text("s")
    (source / "b").write_text("b")
    (source / "listed").chmod(0o444)  # Its names can be read, but nothing about them, unless root does it.
    result = copy(source, place, "x" * 300, "listed/", "b")
    (source / "listed").chmod(0o755)
    assert (place / "b").read_text() == "b"
    hidden = {} if os.geteuid() == 0 else {"listed/secret": "Permission denied"}
    assert result.left_out == {"x" * 300: "File name too long", **hidden}


def test_the_limit_counts_everything_and_is_said(trees: tuple[Path, Path]) -> None:
    source, place = trees
    for name in ("a", "b", "c"):
        (source / name).write_bytes(b"x" * 400)
    with pytest.raises(Refused, match="MiB") as refused:
        copy(source, place, "a", "b", "c")
    assert refused.value.code == "environment.size"


def git(root: Path, *arguments: str) -> str:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    argv = ["git", "-C", str(root), "-c", "user.name=P", "-c", "user.email=p@example.org", *arguments]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_worktreeinclude_names_what_is_copied_if_git_ignores_it_too(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    files = [
        ".env",
        "a.local",
        "conf/sub/b.local",
        "conf/other",
        "data/x/f",
        "tree/u.local",
        "loose.txt",
        "né w/c.local",
    ]
    for name in [*files, "tree/tracked", "node_modules/p/i.js", "half/keep", "half/made.bin"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / ".gitignore").write_text(".env\n*.local\ndata/\nnode_modules/\n*.bin\n")
    (root / ".worktreeinclude").write_text(
        "# for worktrees\n.env\n*.local\n!conf/sub/b.local\ndata/\nconf/other\nloose.txt\nhalf/\n"
    )
    git(root, "init", "-q")
    git(root, "add", "tree/tracked", ".gitignore", ".worktreeinclude")
    git(root, "commit", "-qm", "start")
    base = git(root, "rev-parse", "HEAD")
    before = (root / ".git/index").read_bytes()
    included = IncludedFiles(root, root / ".git")
    assert asyncio.run(included.find(base)) == (
        ".env",
        "a.local",
        "data/",
        "half/made.bin",
        "né w/c.local",
        "tree/u.local",
    )
    (root / ".worktreeinclude").write_text("*\n")  # the base counts
    assert asyncio.run(IncludedFiles(root, root / ".git").find(base)) == asyncio.run(included.find(base))
    (root / ".gitignore").write_text("*.local\n")  # as a piece that takes `.env` out of .gitignore
    assert asyncio.run(included.ignored_in(root, [".env", "a.local"])) == ["a.local"]
    assert (root / ".git/index").read_bytes() == before


def test_a_folder_that_a_commit_replaced_by_a_link_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    (root / "elsewhere").mkdir(parents=True)
    (root / ".gitignore").write_text("*.local\ncache/\n")
    for link in ("config", "cache"):
        (root / link).symlink_to("elsewhere")
    subprocess.run(["git", "init", "-q", root], check=True)
    included = IncludedFiles(root, root / ".git")
    names = ["a.local", "config/b.local", "config/deep/c.local", "cache/", "elsewhere/d e.local"]
    assert asyncio.run(included.ignored_in(root, names)) == ["a.local", "elsewhere/d e.local"]


def test_without_a_file_in_the_base_that_of_the_checkout_counts_and_a_bare_repository_has_none(
    tmp_path: Path,
) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "start")
    (root / ".git/info/exclude").write_text(".env\n")
    (root / ".env").write_text("x")
    base = git(root, "rev-parse", "HEAD")
    assert asyncio.run(IncludedFiles(root, root / ".git").find(base)) == ()
    (root / ".worktreeinclude").write_text(".env\n")
    assert asyncio.run(IncludedFiles(root, root / ".git").find(base)) == (".env",)
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "-q", "--bare", str(root), str(bare))
    assert asyncio.run(IncludedFiles(bare, bare).find(base)) == ()


def test_ports_belong_to_one_worktree_until_it_is_gone(tmp_path: Path) -> None:
    claims = PortClaims(tmp_path / "ports", 500)
    worktrees = [tmp_path / f"w{number}" for number in range(30)]
    for worktree in worktrees:
        worktree.mkdir()
    given = [claims.claim(worktree) for worktree in worktrees]
    firsts = [item["AEGIS_PORT_FIRST"] for item in given if item]
    assert len(firsts) == len(set(firsts)) and {} in given, "there are fewer than 30 ranges of 500"
    assert claims.claim(worktrees[0]) == given[0]
    worktrees[0].rmdir()
    assert claims.claim(worktrees[given.index({})])["AEGIS_PORT_FIRST"] == firsts[0]
    assert PortClaims(tmp_path / "ports", 0).claim(worktrees[1]) == {}


def test_ports_on_which_somebody_listens_are_not_given_out(tmp_path: Path) -> None:
    claims, worktree = PortClaims(tmp_path / "ports", 10), tmp_path / "w"
    worktree.mkdir()
    first = int(claims.claim(worktree)["AEGIS_PORT_FIRST"])
    for claim in (tmp_path / "ports").glob("[0-9]*"):
        claim.unlink()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first + 3))
        listener.listen()
        assert int(claims.claim(worktree)["AEGIS_PORT_FIRST"]) != first
