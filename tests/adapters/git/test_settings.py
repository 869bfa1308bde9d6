"""The person's settings are read once, and every change of them is seen (PERF-18)."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from aegis_tui.adapters.git import settings as module
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.errors import GitError
from tests.adapters.git.conftest import Shell


class Counted(GitRunner):
    """Counts how often the settings are read."""

    times = 0

    async def run(self, *args: str, **options: object) -> object:  # type: ignore[override]
        self.times += "--list" in args
        return await super().run(*args, **options)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "their-home"
    (place / ".config/git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.delenv(name, raising=False)
    return place


def age(*files: Path) -> None:
    """Wait until a file that was changed now counts as unchanged for a while."""
    newest = max(max(file.stat().st_mtime_ns, file.stat().st_ctime_ns) for file in files)
    while time.time_ns() - newest <= module.SETTLED_NS:
        time.sleep(0.01)


def runner_of(repo: Path) -> Counted:
    return Counted(git_dir=repo / ".git", cwd=repo)


def read(settings: GitSettings, name: str) -> str | None:
    async def ask() -> str | None:
        return (await settings.values("")).get(name)

    return asyncio.run(ask())


def test_unchanged_files_are_read_once(repo: Path, home: Path) -> None:
    runner = runner_of(repo)
    settings = GitSettings(runner)
    age(repo / ".git/config")
    assert [read(settings, "core.bare") for _ in range(4)] == ["false"] * 4
    assert runner.times == 1


@pytest.mark.parametrize(
    "name",
    [".gitconfig", ".config/git/config", "included", "beside"],
)
def test_a_changed_file_is_read_again(repo: Path, home: Path, git: Shell, name: str) -> None:
    own = repo / ".git/config"
    with own.open("a") as stream:
        stream.write(f'[include]\n\tpath = {home}/included\n[includeIf "gitdir:{repo.parent}/"]\n\tpath = ~/beside\n')
    settings = GitSettings(runner_of(repo))
    file = home / name
    for step, text in enumerate(("", "[a]\n\tb = 1\n", "[a]\n\tb = 2\n", "")):
        if step:
            file.write_text(text)
        age(own, *([file] if step else []))
        wanted = text[-2:-1] or None
        assert [read(settings, "a.b") for _ in range(3)] == [wanted] * 3
    file.unlink()
    assert read(settings, "a.b") is None


def test_a_change_that_follows_at_once_is_seen(
    repo: Path, home: Path, git: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(file: str) -> tuple[int, ...] | None:
        """A file's stamp where times have steps of 20 ms, as on a kernel with a slow clock."""
        exact = stamp(file)
        return exact and (*(at // 20_000_000 * 20_000_000 for at in exact[:2]), *exact[2:])

    stamp = module._stamp
    monkeypatch.setattr(module, "_stamp", coarse)
    settings, own = GitSettings(runner_of(repo)), repo / ".git/config"
    before = own.read_text()
    for number in range(60):
        own.write_text(f"{before}[a]\n\tb = {number % 10}\n")
        assert read(settings, "a.b") == str(number % 10)


def test_a_file_system_with_whole_seconds_is_given_more_time(repo: Path, home: Path) -> None:
    runner, own = runner_of(repo), repo / ".git/config"
    settings = GitSettings(runner)
    whole = (int(time.time()) - 1) * 1_000_000_000
    assert module._is_settled((whole, whole + 1, 1, 1, 1), whole + 2 * module.SETTLED_NS)
    assert not module._is_settled((whole, whole, 1, 1, 1), whole + 2 * module.SETTLED_NS)
    os.utime(own, ns=(whole, time.time_ns() + 10**9))
    assert read(settings, "core.bare") == "false"


@pytest.mark.parametrize("condition", ["onbranch:main", "hasconfig:remote.*.url:https://example.org/**"])
def test_what_depends_on_more_than_files_is_always_read(repo: Path, home: Path, condition: str) -> None:
    own = repo / ".git/config"
    with own.open("a") as stream:
        stream.write(f'[includeIf "{condition}"]\n\tpath = {home}/x\n')
    runner = runner_of(repo)
    settings = GitSettings(runner)
    age(own)
    assert [read(settings, "core.bare") for _ in range(3)] == ["false"] * 3
    assert runner.times == 3


def test_the_machine_s_file_is_watched_too(repo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "machine"
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(file))
    settings = GitSettings(runner_of(repo))
    age(repo / ".git/config")
    assert [read(settings, "a.b") for _ in range(2)] == [None, None]
    file.write_text("[a]\n\tb = 1\n")
    assert read(settings, "a.b") == "1"


def test_a_damaged_file_is_reported_each_time(repo: Path, home: Path) -> None:
    settings, own = GitSettings(runner_of(repo)), repo / ".git/config"
    before = own.read_text()
    own.write_text(f"{before}[a\n")
    age(own)
    for _ in range(2):
        with pytest.raises(GitError, match="bad config"):
            read(settings, "a.b")
    own.write_text(before)
    assert read(settings, "core.bare") == "false"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", False), ("\tx = true\n", True), ("\tx\n", True), ("\tx = No\n", False), ("\tx = 2\n", None)],
)
def test_what_the_repository_itself_says_is_told_apart(repo: Path, home: Path, text: str, wanted: bool | None) -> None:
    (home / ".gitconfig").write_text("[y]\n\tx = true\n")
    with (repo / ".git/config").open("a") as stream:
        stream.write(f"[y]\n{text}")
    settings = GitSettings(runner_of(repo))
    assert asyncio.run(settings.is_true_here("y.x")) is wanted
