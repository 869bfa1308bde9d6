"""Odd changes in a worktree of the fixture `repo`; each returns the paths that it touched, in written form."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from aegis_tui.domain.path.file_name import write_name


def rename(root: Path) -> list[str]:
    (root / "src/a.py").rename(root / "src/moved.py")
    return ["src/a.py", "src/moved.py"]


def delete_folder(root: Path) -> list[str]:
    shutil.rmtree(root / "web")
    return ["web/page.html"]


def run_bit(root: Path) -> list[str]:
    (root / "src/b.py").chmod(0o755)
    return ["src/b.py"]


def korean(root: Path) -> list[str]:
    (root / "한글 폴더/파일 이름.txt").write_text("바뀜\n")
    (root / "새 파일.txt").write_text("새\n")
    return ["한글 폴더/파일 이름.txt", "새 파일.txt"]


def not_utf8(root: Path) -> list[str]:
    name = os.fsdecode(b"latin\xe9.txt")
    (root / name).write_text("x\n")
    return [write_name(name)]


def file_becomes_folder(root: Path) -> list[str]:
    (root / "src/a.py").unlink()
    (root / "src/a.py").mkdir()
    (root / "src/a.py/x").write_text("x\n")
    return ["src/a.py", "src/a.py/x"]


def folder_becomes_file(root: Path) -> list[str]:
    shutil.rmtree(root / "web")
    (root / "web").write_text("web\n")
    return ["web", "web/page.html"]


def folder_becomes_link(root: Path) -> list[str]:
    shutil.rmtree(root / "web")
    (root / "web").symlink_to("/etc")
    return ["web/page.html", "web/passwd", "web"]


def link_moves(root: Path) -> list[str]:
    (root / "link").unlink()
    (root / "link").symlink_to("/etc/passwd")
    return ["link"]


def crlf_edited(root: Path) -> list[str]:
    (root / "run.bat").write_bytes(b"echo\r\npause\r\n")
    return ["run.bat"]


def binary(root: Path) -> list[str]:
    (root / "src/data").write_bytes(bytes(range(256)) * 9)
    return ["src/data"]


def a_thousand(root: Path) -> list[str]:
    names = [f"many/{number % 30}/{number}.txt" for number in range(1000)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return names


def gone_again(root: Path) -> list[str]:
    return ["src/never.py", "nowhere/at/all"]


ODD = [
    rename, delete_folder, run_bit, korean, not_utf8, file_becomes_folder, folder_becomes_file, folder_becomes_link,
    link_moves, crlf_edited, binary, a_thousand, gone_again,
]  # fmt: skip
