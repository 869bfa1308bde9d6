import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A git repository with one tracked file and an ignore rule."""
    root = tmp_path / "repo"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "a.py").write_text("one\n")
    return root
