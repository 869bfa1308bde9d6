from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from aegis_tui.agent.git import Git
from aegis_tui.agent.search import search_files
from aegis_tui.errors import UsageError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    (tmp_path / "src").mkdir()
    (tmp_path / ".gitignore").write_text("build\n")
    (tmp_path / "build").write_text("needle 1\n")
    (tmp_path / "src/new.py").write_text("needle = 12\n" + "long " * 200 + "needle\n")
    (tmp_path / "한국.txt").write_text("needle\n")
    (tmp_path / "b.bin").write_bytes(b"\0needle")
    return tmp_path


def search(folder: Path, pattern: str, glob: str | None = None) -> str:
    return asyncio.run(search_files(Git(folder), pattern, glob=glob))


def test_untracked_files_are_found_and_ignored_and_binary_ones_are_not(repository: Path) -> None:
    found = search(repository, "needle")
    assert "src/new.py:1:needle = 12" in found
    assert "한국.txt:1:needle" in found
    assert "build" not in found
    assert "b.bin" not in found
    assert "[cut]" in found


def test_a_glob_narrows_in_any_folder_or_by_path(repository: Path) -> None:
    assert search(repository, "needle", "*.txt") == "한국.txt:1:needle"
    assert search(repository, "needle", "lib/**") == "(no matches)"
    assert search(repository, "= \\d+$", "src/*.py") == "src/new.py:1:needle = 12"


def test_a_pattern_is_never_an_option(repository: Path) -> None:
    assert search(repository, "--open-files-in-pager=touch x") == "(no matches)"
    assert not (repository / "x").exists()


def test_a_broken_pattern_is_told(repository: Path) -> None:
    with pytest.raises(UsageError, match="search failed"):
        search(repository, "(unclosed")
