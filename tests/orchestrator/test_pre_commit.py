"""Hooks of the pre-commit framework on the result, with what it has installed for the person (GIT-6)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.environment.pre_commit import show_environments
from tests.orchestrator.test_result_hooks import Lab

CONFIGURATION = """\
repos:
- repo: file://{hooks}
  rev: {rev}
  hooks: [{{id: no-bad-words}}, {{id: small-letters}}]
"""
HOOKS = """\
- {id: no-bad-words, name: no bad words, entry: ./check, language: script, files: a.txt}
- {id: small-letters, name: small letters, entry: ./lower, language: script, files: a.txt}
"""


def store_of(folder: Path, *rows: tuple[str, str, str]) -> Path:
    """A store of pre-commit with these rows, each with its folder."""
    store = folder / ".cache/pre-commit"
    store.mkdir(parents=True)
    with sqlite3.connect(store / "db.db") as connection:
        connection.execute("CREATE TABLE repos (repo TEXT, ref TEXT, path TEXT)")
        connection.executemany("INSERT INTO repos VALUES (?, ?, ?)", rows)
    for _, _, path in rows:
        Path(path).mkdir(parents=True, exist_ok=True)
    return store


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A checkout, the home of its person, and that of a sandbox."""
    for name in ("repo", "person", "home"):
        (tmp_path / name).mkdir()
    return tmp_path / "repo", tmp_path / "person", tmp_path / "home"


def test_what_the_configuration_names_is_shown_and_listed_and_nothing_else(folders: tuple[Path, Path, Path]) -> None:
    root, person, home = folders
    store = person / ".cache/pre-commit"
    rows = [
        ("https://example.org/named", "v1", f"{store}/repo1"),
        ("https://example.org/named:black==24,isort", "v1", f"{store}/repo2"),
        ("https://example.org/of-another-project", "v1", f"{store}/repo3"),
        ("https://example.org/named", "v2", f"{person}/secrets"),
    ]
    store_of(person, *rows)
    (root / ".pre-commit-config.yaml").write_text("repos: [{repo: 'https://example.org/named', rev: v1}]\n")
    assert show_environments(root, home, {"HOME": str(person)}) == [store / "repo1", store / "repo2"]
    with sqlite3.connect(home / ".cache/pre-commit/db.db") as connection:
        assert {row[0] for row in connection.execute("SELECT repo FROM repos")} == {rows[0][0], rows[1][0]}


def test_without_a_configuration_nothing_is_made(folders: tuple[Path, Path, Path]) -> None:
    root, person, home = folders
    store_of(person, ("https://example.org/named", "v1", f"{person}/.cache/pre-commit/repo1"))
    assert show_environments(root, home, {"HOME": str(person)}) == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "folder", "damaged store"])
def test_what_is_in_the_way_stays_as_it_is(folders: tuple[Path, Path, Path], kind: str) -> None:
    root, person, home = folders
    store = store_of(person, ("named", "v1", f"{person}/.cache/pre-commit/repo1"))
    (root / ".pre-commit-config.yaml").write_text("named")
    if kind == "link":
        (home / "elsewhere").mkdir()
        (home / ".cache").symlink_to("elsewhere")
    elif kind == "folder":
        (home / ".cache/pre-commit").mkdir(parents=True)
    else:
        (store / "db.db").write_text("no database" * 99)
    before = sorted(str(path) for path in home.rglob("*"))
    shown = show_environments(root, home, {"HOME": str(person)})
    assert shown == ([] if kind == "damaged store" else [store / "repo1"])
    assert sorted(str(path) for path in home.rglob("*")) == before


@pytest.mark.skipif(shutil.which("pre-commit") is None, reason="missing: pre-commit")
def test_its_installed_hooks_refuse_and_format_the_result_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, hooks = tmp_path / "person", tmp_path / "hooks"
    monkeypatch.setenv("HOME", str(person))
    person.mkdir()
    hooks.mkdir()
    for name, text in {
        ".pre-commit-hooks.yaml": HOOKS,
        "check": '#!/bin/sh\n! grep -nH bad "$@"\n',
        "lower": '#!/bin/sh\ntr A-Z a-z < "$1" > t; cat t > "$1"; rm t\n',
    }.items():
        (hooks / name).write_text(text)
        (hooks / name).chmod(0o755)
    git = ["git", "-C", str(hooks), "-c", "user.name=P", "-c", "user.email=p@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "hooks"]):
        subprocess.run([*git, *arguments], check=True)
    rev = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "lab").mkdir()
    lab = Lab(tmp_path / "lab")
    lab.commit({".pre-commit-config.yaml": CONFIGURATION.format(hooks=hooks, rev=rev)})
    for arguments in (["install"], ["install-hooks"], ["run", "--all-files"]):
        subprocess.run(["pre-commit", *arguments], cwd=lab.root, check=True, capture_output=True)
    shutil.rmtree(hooks)
    lab.environ = {"PATH": os.defpath, "HOME": str(person)}  # it is found by the hook, not by PATH
    base, oid = lab.result({"a.txt": "a bad word\n"})
    assert "a.txt:1:a bad word" in lab.judge(base, oid).only.output_tail
    base, oid = lab.result({"a.txt": "UPPER\n"})
    check = lab.judge(base, oid).only
    assert not check.ok and "+upper" in check.output_tail
    base, oid = lab.result({"a.txt": "good\n"})
    assert lab.judge(base, oid).only.status == "passed"
