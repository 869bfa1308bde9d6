from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def sizes(root: Path, folder: Path, files: dict[str, str], allowed: str = "") -> subprocess.CompletedProcess[str]:
    for name in ("aegis_tui", "tests", "scripts"):
        (folder / name).mkdir()
    shutil.copy(root / "scripts" / "sizes.py", folder / "scripts")
    (folder / "scripts" / "sizes-allowed.txt").write_text(allowed, "utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    argv = [sys.executable, str(folder / "scripts" / "sizes.py")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 40
LONG_DOCSTRING = 'def f():\n    """One.\n' + "\n" * 40 + '    """\n'


def test_a_long_file_and_a_long_function_are_found_and_a_docstring_is_free(root: Path, tmp_path: Path) -> None:
    files = {
        "aegis_tui/file.py": "x = 1\n" * 401,
        "aegis_tui/function.py": LONG_FUNCTION,
        "tests/docstring.py": LONG_DOCSTRING,
    }
    done = sizes(root, tmp_path, files)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "aegis_tui/file.py: 401 lines, 400 at most",
        "aegis_tui/function.py:f: 41 lines, 40 at most",
    ]


def test_an_exception_with_a_reason_is_accepted(root: Path, tmp_path: Path) -> None:
    done = sizes(root, tmp_path, {"tests/a.py": LONG_FUNCTION}, "tests/a.py:f 41 one table of cases\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_exception_without_a_reason_or_without_need_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    done = sizes(root, tmp_path / "one", {"tests/a.py": LONG_FUNCTION}, "tests/a.py:f 41\n")
    assert "gives no reason" in done.stderr
    done = sizes(root, tmp_path / "two", {}, "tests/a.py 500 it was long once\n")
    assert done.returncode == 1
    assert "needs no exception" in done.stderr
