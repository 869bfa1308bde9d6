"""The search for the folders of packages: where it goes, and that it looks at each folder once (PERF-19)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.adapters.environment import node_modules
from aegis_tui.adapters.environment.build_folders import find_build_folders
from aegis_tui.adapters.environment.node_modules import package_folders


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found_in(root: Path, *manifests: str) -> list[str]:
    return [folder.relative_to(root).as_posix() for folder in package_folders(root, manifests)]


def test_packages_are_found_in_order_five_levels_deep_and_not_behind_links_or_in_installed_ones(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    make(root, "package.json", "b/package.json", "a/package.json", "a/x/package.json", "1/2/3/4/5/package.json")
    make(root, "1/2/3/4/5/6/package.json", "node_modules/n/package.json", ".venv/package.json", ".git/package.json")
    make(tmp_path, "elsewhere/package.json")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "c/package.json").mkdir(parents=True)
    (root / "d").mkdir()
    (root / "d/package.json").symlink_to(root / "package.json")
    assert found_in(root, "package.json") == [".", "1/2/3/4/5", "a", "a/x", "b", "d"]
    assert found_in(root, "go.mod") == [] and found_in(root / "missing", "go.mod") == []


def test_only_so_many_folders_are_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_modules, "_MANY", 2)
    make(tmp_path, "a/b/c/package.json", "a/package.json")
    assert found_in(tmp_path, "package.json") == ["a"]


def test_build_folders_are_found_with_one_look_at_each_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "go.mod", "vendor/x", "rust/Cargo.toml", "rust/target/x", "php/composer.json", "php/Gemfile")
    make(tmp_path, "php/vendor/x", "rust/vendor/x")
    looked: list[str] = []
    look = node_modules._look

    def counted(folder: str, wanted: frozenset[str]) -> tuple[list[str], bool]:
        looked.append(folder)
        return look(folder, wanted)

    monkeypatch.setattr(node_modules, "_look", counted)
    assert list(find_build_folders(tmp_path, tmp_path)) == ["vendor/", "php/vendor/", "rust/target/"]
    assert len(looked) == len(set(looked))


def test_a_folder_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "c/package.json").write_text("{}")
    read: list[str] = []
    really = node_modules._read

    def counted(folder: str, wanted: frozenset[str]) -> tuple[list[str], bool]:
        read.append(folder)
        return really(folder, wanted)

    monkeypatch.setattr(node_modules, "_read", counted)
    monkeypatch.setattr(node_modules, "_seen", {})
    assert found_in(tmp_path, "package.json") == found_in(tmp_path, "package.json") == ["c"] and len(read) == 8, (
        "what has just changed is read again"
    )
    monkeypatch.setattr(node_modules, "_SETTLED_NS", -1)
    for name in ("a/b", "a", "c", "."):
        os.utime(tmp_path / name, (1, 1))  # so that the next change of it is in another instant
    read.clear()
    assert found_in(tmp_path, "package.json") == found_in(tmp_path, "package.json") == ["c"] and len(read) == 4
    (tmp_path / "a/b/package.json").write_text("{}")
    (tmp_path / "c/package.json").unlink()
    (tmp_path / "c/package.json").mkdir()
    assert found_in(tmp_path, "package.json") == ["a/b"] and len(read) == 4 + 2
    (tmp_path / "a/b").rename(tmp_path / "a/d")
    assert found_in(tmp_path, "package.json") == ["a/d"]
