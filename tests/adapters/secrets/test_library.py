"""Secrets that the library finds in added lines, and what it takes for none (FLOW-9)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.secrets.library import library_name, load_detectors, scan_with_library
from aegis_tui.adapters.secrets.programs import ScannerPrograms
from aegis_tui.adapters.secrets.scanner import BestScanner, ask_library
from aegis_tui.ports.secret_scanner import ScannedText

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


def text(content: str, path: str = "a.py") -> ScannedText:
    return ScannedText(path, content, tuple(enumerate(content.split("\n"), 1)))


def kinds(content: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.kind) for hit in scan_with_library((text(content),))]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"key = '{AWS}'", "AWS Access Key"),
        (f'"token": "{GITHUB}"', "GitHub Token"),
        ("-----BEGIN RSA PRIVATE " + "KEY-----", "Private Key"),
        ("slack = 'xox" + "b-123456789012-1234567890123-abcdefABCDEF123456789012'", "Slack Token"),
        ("sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", "Stripe Access Key"),
        ('password = "tr0ub4dor-and-3-staple"', "Secret Keyword"),
        ("url = 'https://bob:s3cr3tP4ssw0rd@db.example.org/x'", "Basic Auth Credentials"),
    ],
)
def test_it_finds_a_secret_in_its_line(line: str, kind: str) -> None:
    assert (2, kind) in kinds(f"import os\n{line}\nx = 1")


@pytest.mark.parametrize(
    "line",
    [
        'password = "secret"',
        'API_KEY = os.environ["API_KEY"]',
        'client_secret="my-client-secret"',
        "http://user:password@localhost/",
        "password: ${DB_PASSWORD_1}",
        'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    ],
)
def test_it_takes_names_placeholders_and_checksums_for_none(line: str) -> None:
    assert kinds(line) == []


def test_only_added_lines_count() -> None:
    content = f"a = '{AWS}'\nb = 1"
    assert scan_with_library((ScannedText("a.py", content, ((2, "b = 1"),)),)) == ()


def test_a_comment_of_the_file_does_not_excuse_a_line() -> None:
    assert kinds(f"key = '{AWS}'  # pragma: allowlist secret  gitleaks:allow nosec")


def test_a_secret_far_into_a_long_line_is_found() -> None:
    assert kinds("x" * 30_000 + f" {AWS} " + "y" * 30_000) == [(1, "AWS Access Key")]


def test_a_long_text_is_looked_at_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def here(*_: object) -> None:
        raise AssertionError("looked at in the hub")

    monkeypatch.setattr(asyncio, "to_thread", here)
    (hit,) = asyncio.run(ask_library((text("x = 1\n" * 60_000 + f"key = '{AWS}'"),)))
    assert hit.line == 60_001


def test_the_library_runs_where_no_program_is_installed_and_says_its_name() -> None:
    scanner = BestScanner(ScannerPrograms(SubprocessRunner(), {"PATH": "/nowhere"}))
    scan = asyncio.run(scanner.scan((text(f"key = '{AWS}'"),)))
    assert scan.scanner == library_name() and scan.hits and scan.problems == ()


def test_it_is_loaded_before_the_first_scan_if_no_program_will_scan(tmp_path: Path) -> None:
    def prepare(path: str) -> int:
        load_detectors.cache_clear()
        asyncio.run(BestScanner(ScannerPrograms(SubprocessRunner(), {"PATH": path})).prepare())
        return load_detectors.cache_info().currsize

    assert prepare(str(tmp_path)) == 1
    program = tmp_path / "gitleaks"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert prepare(str(tmp_path)) == 0


def test_without_any_scanner_none_is_named_and_the_reason_is() -> None:
    async def gone(_: object) -> None:
        raise ImportError("No module named 'detect_secrets'")

    scanner = BestScanner(ScannerPrograms(SubprocessRunner(), {"PATH": "/nowhere"}), gone)  # type: ignore[arg-type]
    scan = asyncio.run(scanner.scan((text("x = 1"),)))
    assert scan.scanner == "" and "No module named" in scan.problems[0]


def test_it_is_loaded_without_a_way_to_the_network_and_leaves_none_behind() -> None:
    code = (
        "import sys\nfrom aegis_tui.adapters.secrets.library import load_detectors\nprint(len(load_detectors()))\n"
        "print([name for name in ('requests', 'urllib3', 'http.client') if name in sys.modules])\n"
        "import requests\nprint(requests.get.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:3] == [str(len(load_detectors())), "[]", "requests.api"]
