"""What goes into a submission, and what is never left out unsaid (FLOW-7, PART-1)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from aegis_tui.agent.git import Git
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.settings import InstanceScope
from aegis_tui.agent.staging import Staging
from aegis_tui.domain.scope.named_files import example_paths, globs_that_name_ignored
from aegis_tui.errors import AegisError, GitError


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    (folder / "src/a.py").write_text("1\n")
    (folder / "other.py").write_text("1\n")
    (folder / ".gitignore").write_text("build/\n*.log\n*_gen.py\nsecret.txt\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "P")
    git(folder, "config", "user.email", "p@example.org")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("new\n")


class Bench:
    def __init__(self, folder: Path, *partition: str) -> None:
        self.folder = folder
        self.staging = Staging(
            Git(folder), WriteScope("NATIVE-w01", InstanceScope(partition=partition, joint=("joint.py",)))
        )

    def stage(self, *written: str) -> list[str]:
        return asyncio.run(self.staging.stage(written=written))

    def refused(self, *written: str) -> AegisError:
        with pytest.raises(AegisError) as caught:
            self.stage(*written)
        return caught.value

    def staged(self) -> set[str]:
        return set(git(self.folder, "diff", "--cached", "--name-only").splitlines())


def test_changes_new_files_and_deletions_of_the_partition_are_staged(repository: Path) -> None:
    bench = Bench(repository, "src/**")
    put(repository, "src/new file.py", "src/ключ.py", "joint.py")
    (repository / "src/a.py").unlink()
    assert bench.stage() == []
    git(repository, "config", "core.quotePath", "off")
    assert bench.staged() == {"src/a.py", "src/new file.py", "src/ключ.py", "joint.py"}


@pytest.mark.parametrize(
    ("partition", "files", "named"),
    [
        (("secret.txt",), ("secret.txt",), {"secret.txt"}),
        (("build/**",), ("build/out/x.js",), {"build/out/x.js"}),
        (("build/out/x.js",), ("build/out/x.js", "build/out/y.js"), {"build/out/x.js"}),
        (("build/{a,b}/*.js",), ("build/a/x.js", "build/c/y.js"), {"build/a/x.js"}),
        (("logs/*.log", "src/**"), ("logs/a.log", "src/b.log"), {"logs/a.log"}),
        (("src/api_gen.py",), ("src/api_gen.py", "src/other_gen.py"), {"src/api_gen.py"}),
        (("src/**",), ("src/x_gen.py", "src/y.log"), set()),
        (("src/*.py",), ("src/x_gen.py",), set()),
    ],
)
def test_an_ignored_file_is_work_where_the_partition_names_it(
    repository: Path, partition: tuple[str, ...], files: Iterable[str], named: set[str]
) -> None:
    put(repository, *files)
    bench = Bench(repository, *partition)
    assert bench.stage() == []
    assert bench.staged() == named


def test_an_ignored_file_that_was_written_on_purpose_is_told_once_and_then_left_out(repository: Path) -> None:
    put(repository, "src/x_gen.py", "src/y.py")
    bench = Bench(repository, "src/**")
    assert (
        "ignored by git, by the rules of .gitignore: src/x_gen.py" in bench.refused("src/x_gen.py", "src/y.py").message
    )
    assert bench.stage("src/x_gen.py", "src/y.py") == ["src/x_gen.py"]
    assert bench.staged() == {"src/y.py"}


def test_new_files_outside_the_partition_are_told_once_left_out_and_stay_where_they_are(repository: Path) -> None:
    put(repository, "notes.txt", "lib/deep/x.py", "src/y.py")
    bench = Bench(repository, "src/**")
    assert "not in your partition: lib/deep/x.py, notes.txt" in bench.refused().message
    put(repository, "later.txt")
    assert "not in your partition: later.txt" in bench.refused().message
    assert bench.stage() == ["later.txt", "lib/deep/x.py", "notes.txt"]
    assert bench.staged() == {"src/y.py"}
    assert (repository / "notes.txt").read_text() == "new\n"


def test_a_change_of_a_foreign_tracked_file_is_staged_so_that_the_guard_refuses_it_by_name(repository: Path) -> None:
    (repository / "other.py").write_text("2\n")
    bench = Bench(repository, "src/**")
    assert bench.stage() == []
    assert bench.staged() == {"other.py"}


def test_a_file_in_a_submodule_that_is_not_set_up_is_refused_and_not_lost(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(repository), str(other))
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "lib/other")
    git(repository, "commit", "-qm", "submodule")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    bench = Bench(clone, "lib/**")
    assert bench.stage() == []
    put(clone, "lib/other/new.py")
    error = bench.refused()
    assert error.code == "git.submodule" and "lib/other" in error.message
    assert (clone / "lib/other/new.py").exists()


def test_a_path_outside_the_cone_of_a_sparse_checkout_is_staged(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "src")
    put(repository, "docs/new.md")
    bench = Bench(repository, "docs/**")
    assert bench.stage() == []
    assert bench.staged() == {"docs/new.md"}


def test_what_git_cannot_read_is_a_refusal_that_another_may_not_meet(repository: Path) -> None:
    nested = repository / "src/nested"
    nested.mkdir()
    git(nested, "init", "-q")
    error = Bench(repository, "src/**").refused()
    assert isinstance(error, GitError) and error.code == "git.add" and not error.is_certain
    assert "src/nested" in error.message


def test_example_paths_fill_wildcards_with_a_name_that_means_nothing() -> None:
    assert example_paths("a/**/*.py") == ["a/x/x.py"]
    assert example_paths("[ab]?/{c,d}") == ["ax/c", "ax/d"]
    assert globs_that_name_ignored(["build/**", "src/**"], {"build/x/x", "build/x"}) == ["build/**"]
