from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from aegis_tui.adapters import result_files
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.domain.qa.readers.base import Wanted

SUREFIRE = "**/target/surefire-reports/TEST-*.xml"


def collect(root: Path, *patterns: str, since_ns: int = 0) -> list[bytes]:
    wanted = [Wanted("jvm", pattern) for pattern in patterns]
    found = asyncio.run(LocalResultFiles().collect(wanted, root=root, since_ns=since_ns))
    return [file.content for file in found]


def report(root: Path, name: str, content: bytes = b"<testsuite/>") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_are_found_below_the_worktree_and_by_their_own_path(tmp_path: Path) -> None:
    report(tmp_path, "b/target/surefire-reports/TEST-b.xml", b"b")
    report(tmp_path, "target/surefire-reports/TEST-a.xml", b"a")
    report(tmp_path, "target/surefire-reports/a.txt")
    report(tmp_path, "node_modules/x/target/surefire-reports/TEST-x.xml", b"x")
    own = report(tmp_path, "results/pytest.xml", b"own")
    assert collect(tmp_path, SUREFIRE, str(own)) == [b"own", b"b", b"a"]


def test_files_from_before_the_command_are_left_out(tmp_path: Path) -> None:
    path = report(tmp_path, "target/surefire-reports/TEST-a.xml")
    os.utime(path, ns=(10**18, 10**18))
    assert collect(tmp_path, SUREFIRE, since_ns=10**18 + 1) == []
    assert collect(tmp_path, SUREFIRE, since_ns=10**18) == [b"<testsuite/>"]


@pytest.mark.parametrize("trick", ["link", "folder link", "fifo", "folder", "large"])
def test_what_is_no_plain_small_file_is_not_there(tmp_path: Path, trick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "MAX_BYTES", 1000)
    outside = report(tmp_path / "outside", "target/surefire-reports/TEST-a.xml", b"secret")
    root = tmp_path / "root"
    path = root / "target" / "surefire-reports" / "TEST-a.xml"
    path.parent.mkdir(parents=True)
    if trick == "link":
        path.symlink_to(outside)
    elif trick == "folder link":
        path.parent.rmdir()
        path.parent.symlink_to(outside.parent)
    elif trick == "fifo":
        os.mkfifo(path)
    elif trick == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"x" * 1001)
    assert collect(root, SUREFIRE, str(path)) == []


def test_all_files_of_one_command_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "MAX_BYTES", 10)
    for name in ("a", "b", "c"):
        report(tmp_path, f"target/surefire-reports/TEST-{name}.xml", name.encode() * 6)
    assert collect(tmp_path, SUREFIRE) == [b"a" * 6]


def test_a_text_is_read_without_following_links(tmp_path: Path) -> None:
    secret = report(tmp_path, "secret", b"s")
    (tmp_path / "package.json").symlink_to(secret)
    files = LocalResultFiles()
    assert files.read_text(tmp_path, "package.json") == ""
    assert files.read_text(tmp_path, "absent") == ""
    report(tmp_path, "pyproject.toml", b"caf\xe9")
    assert files.read_text(tmp_path, "pyproject.toml") == "caf�"


def test_no_folder_on_the_way_to_a_result_is_followed(tmp_path: Path) -> None:
    outside = report(tmp_path / "outside", "target/surefire-reports/TEST-a.xml", b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "target").symlink_to(outside.parents[1])
    assert collect(root, SUREFIRE) == []
    assert LocalResultFiles().read_text(root, "target/surefire-reports/TEST-a.xml") == ""
