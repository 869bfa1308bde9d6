from __future__ import annotations

import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.sdk.rotating_log import FactsFormatter, RotatingLog

TALKER = """
import logging, os, pathlib, sys
from aegis_tui.sdk.rotating_log import log_to
log = pathlib.Path(sys.argv[1])
os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log_to(log, max_bytes=2_000, kept_files=2)
for number in range(300):
    logging.info("line %d", number)
print("written directly", file=sys.stderr, flush=True)
"""


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_a_background_log_stays_small_and_private_and_stderr_goes_along(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TALKER, str(tmp_path / "x.log")], timeout=30, check=False)
    assert done.returncode == 0
    assert modes(tmp_path) == {"x.log": 0o600, "x.log.1": 0o600, "x.log.2": 0o600}
    assert all(path.stat().st_size <= 2_100 for path in tmp_path.iterdir())
    newest = (tmp_path / "x.log").read_text().splitlines()
    assert newest[-2:] == ["INFO line 299", "written directly"]
    older = (tmp_path / "x.log.1").read_text().splitlines()
    assert older[-1] != newest[0] and older[-1].startswith("INFO line ")


def test_a_process_in_a_terminal_keeps_its_log_there(tmp_path: Path) -> None:
    script = TALKER.replace("os.dup2", "(lambda *_: None)")
    argv = [sys.executable, "-c", script, str(tmp_path / "x.log")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert "INFO line 299" in done.stderr
    assert (tmp_path / "x.log").read_text() == ""


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "x.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        RotatingLog(tmp_path / "x.log")


def test_the_facts_of_a_record_stand_in_its_line() -> None:
    """A line that says that something failed says why, whatever the text holds."""
    facts = {"reason": "disk full\n2026 INFO forged", "aegis_path": "/a b", "long": "x" * 9_000}
    record = logging.makeLogRecord({"name": "hub", "levelname": "WARNING", "msg": "no %s", "args": ("room",), **facts})
    line = FactsFormatter().format(record)
    assert " WARNING hub: no room reason='disk full\\n2026 INFO forged' path='/a b' long='xxx" in line
    assert len(line) < 700
    assert "\n" not in line
