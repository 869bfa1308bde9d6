"""A git repository with one commit, for tests that need no workspace."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def commit_all(folder: Path) -> None:
    """Commit everything in a folder, which becomes a repository if it is none."""
    for arguments in (("init", "-q"), ("add", "-A"), (*AUTHOR, "commit", "-qm", "first")):
        subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=20)


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """Write these files, text by path, into a folder and commit them; return the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    commit_all(folder)
    return folder
