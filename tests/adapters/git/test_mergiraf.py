"""mergiraf is an optional driver: its version is checked, and its result like that of our own merge (GIT-3).

The program itself is rarely installed. A stand-in answers `--version` and `merge` as mergiraf 0.19 does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.mergiraf import Mergiraf, find_mergiraf
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.bootstrap.merge_driver import find_driver
from aegis_tui.domain.merge.proof import Versions
from tests.adapters.git.test_compose import AT, REF, Commit, Shell, commit

__all__ = ["commit"]

STAND_IN = """#!{python}
import os, pathlib, sys

if sys.argv[1:] == ["--version"]:
    print("mergiraf {version}")
    sys.exit(0)
command, base, left, right, flag, out, also, name = sys.argv[1:]
assert (command, flag, also, out) == ("merge", "-o", "-p", name), sys.argv
assert sorted(path.name for path in pathlib.Path().iterdir()) == sorted([base, left, right])
assert not {{"TOKEN", "PATH", "PYTHONPATH"}} & set(os.environ)
pathlib.Path(out).write_text({merged!r})
sys.exit({code})
"""
BASE = "def total(a, b):\n    both = a\n    both *= 2\n    return both\n"
OURS = "def total(a, b):\n    both = a\n    both += 1\n    return both\n"
THEIRS = "def total(a, b):\n    both = a\n    both += b\n    return both\n"
MERGED = "def total(a, b):\n    both = a\n    both += 1\n    both += b\n    return both\n"


def install(folder: Path, *, version: str = "0.19.0", merged: str = MERGED, code: int = 0) -> dict[str, str]:
    """Write the stand-in, and return variables with it on PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "mergiraf"
    text = STAND_IN.format(python=sys.executable, version=version, merged=merged, code=code)
    program.write_text(text)
    program.chmod(0o755)
    return {"PATH": str(folder), "TOKEN": "secret", "HOME": str(folder)}


@pytest.mark.parametrize(
    ("version", "is_used"), [("0.19.0", True), ("0.20.1", True), ("1.0.0", True), ("0.18.9", False), ("x", False)]
)
def test_only_a_new_enough_version_is_used(tmp_path: Path, version: str, is_used: bool) -> None:
    environ = install(tmp_path / "bin", version=version)
    assert (asyncio.run(find_mergiraf(environ)) is not None) is is_used
    assert asyncio.run(find_mergiraf({"PATH": str(tmp_path / "empty")})) is None


def test_it_is_off_unless_a_setting_switches_it_on(tmp_path: Path) -> None:
    environ = install(tmp_path / "bin")
    assert asyncio.run(find_driver(environ, tmp_path)) is None
    (tmp_path / ".config" / "aegis-tui").mkdir(parents=True)
    (tmp_path / ".config" / "aegis-tui" / "config.toml").write_text("mergiraf = true\n")
    environ["HOME"] = str(tmp_path)
    assert asyncio.run(find_driver(environ, tmp_path)) is not None


@pytest.mark.parametrize(("code", "text"), [(0, MERGED), (1, None), (70, None)])
def test_a_result_counts_only_with_status_0(tmp_path: Path, code: int, text: str | None) -> None:
    install(tmp_path, code=code)
    driver = Mergiraf(str(tmp_path / "mergiraf"))
    assert asyncio.run(driver.merge("src/a.py", Versions(BASE, OURS, THEIRS))) == text
    assert asyncio.run(driver.merge("src/no suffix", Versions(BASE, OURS, THEIRS))) is None
    gone = Mergiraf(str(tmp_path / "gone"))
    assert asyncio.run(gone.merge("src/a.py", Versions(BASE, OURS, THEIRS))) is None


def predict(repo: Path, folder: Path, ours: str, theirs: str, **stand_in: Any) -> tuple[Any, Any]:
    """Return the preview with the driver, and the result of composing if it is clean."""

    async def run() -> tuple[Any, Any]:
        driver = await find_mergiraf(install(folder, **stand_in))
        repository = await open_repository(repo, driver)
        preview = await repository.predict(ours, theirs)
        if not preview.clean:
            return preview, None
        await repository.update_ref(REF, ours, None)
        return preview, await repository.compose(REF, theirs, expect_oid=ours, message="merge b\n", at=AT)

    return asyncio.run(run())


def test_what_it_merges_is_checked_composed_and_labelled(
    repo: Path, commit: Commit, git: Shell, tmp_path: Path
) -> None:
    base = commit({"src/app.py": BASE})
    ours, theirs = commit({"src/app.py": OURS}, base), commit({"src/app.py": THEIRS}, base)
    preview, result = predict(repo, tmp_path / "bin", ours, theirs)
    assert preview.conflicts == () and result is not None
    assert str(git(repo, "show", f"{result.oid}:src/app.py")) == MERGED.strip()
    ((path, label, strategy),) = [(file.path, file.label, file.strategy) for file in result.files]
    assert (path, strategy) == ("src/app.py", "mergiraf") and label in ("proven", "unproven")


@pytest.mark.parametrize(
    "merged",
    [
        "def total(first, b:\n",
        BASE,
        f"{MERGED}\n\n{MERGED}",
        f"<<<<<<< left\n{OURS}=======\n{THEIRS}>>>>>>> right\n",
    ],
    ids=["not-parsable", "lost", "doubled", "markers"],
)
def test_a_result_that_the_check_refuses_stays_a_conflict(
    repo: Path, commit: Commit, tmp_path: Path, merged: str
) -> None:
    base = commit({"src/app.py": BASE})
    ours, theirs = commit({"src/app.py": OURS}, base), commit({"src/app.py": THEIRS}, base)
    preview, _ = predict(repo, tmp_path / "bin", ours, theirs, merged=merged)
    assert [item.path for item in preview.conflicts] == ["src/app.py"]


@pytest.mark.parametrize("path", ["uv.lock", "gen/api.py"])
def test_files_that_programs_make_are_not_given_to_it(repo: Path, commit: Commit, tmp_path: Path, path: str) -> None:
    head = "# Code generated by protoc. DO NOT EDIT.\n"
    base = commit({path: head + BASE})
    ours, theirs = commit({path: head + OURS}, base), commit({path: head + THEIRS}, base)
    preview, _ = predict(repo, tmp_path / "bin", ours, theirs, merged=head + MERGED)
    assert [item.path for item in preview.conflicts] == [path]
