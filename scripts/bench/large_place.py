"""A repository of 50,000 files, for the benchmarks of worktrees, as a clone would be: its objects are in one pack."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

FILES, PACKAGES, MODULES = 50_000, 1_000, 50
"""How many files there are besides the few that QA needs: packages of modules, which import each other."""

MEAN_LINES = 100
EDITED = "pkg0500/mod00.py"
_QA = {
    "tests/test_app.py": "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self) -> None:\n"
    "        self.assertTrue(True)\n",
}


def make_large(root: Path) -> str:
    """Make the repository at `root`, with its files checked out; return its only commit."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Person")
    git(root, "config", "user.email", "person@example.org")
    argv = ["git", "-c", "core.compression=1", "fast-import", "--quiet"]
    with subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(_stream())
    if importing.returncode:
        raise SystemExit("git fast-import failed")
    git(root, "reset", "-q", "--hard", "main")
    return git(root, "rev-parse", "main")


def git(root: Path, *arguments: str) -> str:
    """Run git in the repository and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.strip()


def _stream() -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter Person <person@example.org> 1700000000 +0000\ndata 5\nfiles\n"
    chance = random.Random(6)
    for number in range(FILES):
        package, module = divmod(number, MODULES)
        yield _entry(f"pkg{package:04}/mod{module:02}.py", _module(chance, package, module))
    for path, text in _QA.items():
        yield _entry(path, text)


def _module(chance: random.Random, package: int, module: int) -> str:
    beside, away = (module + 1) % MODULES, (package + 1) % PACKAGES
    lines = [f"from pkg{package:04} import mod{beside:02}", f"import pkg{away:04}.mod00"] if module < 3 else []
    count = chance.randint(MEAN_LINES // 2, MEAN_LINES * 3 // 2)
    lines += [f"VALUE_{number} = {chance.getrandbits(64)}  # {package} {module}" for number in range(count)]
    return "\n".join(lines) + "\n"


def _entry(path: str, text: str) -> bytes:
    content = text.encode()
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)
