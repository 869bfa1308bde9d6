"""The person's own secret scanners: how they are called, what is read from them, and what comes next if they fail.

The real programs are not on the machines that run these tests. Scripts stand in for them, which print reports in the
forms that the programs' documents and their own tests show.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.secrets.programs import ScannerPrograms
from aegis_tui.adapters.secrets.scanner import BestScanner
from aegis_tui.domain.rule.judge import SecretHit, SecretScan
from aegis_tui.ports.secret_scanner import ScannedText

TEXT = ScannedText("src/deploy/.gitleaks.toml", "a\nsecret\nb\n", ((2, "secret"),))
OTHER = ScannedText("src/b.py", "x\ny\n", ((1, "x"), (2, "y")))
V1 = [{"RuleID": "aws", "StartLine": 2, "EndLine": 2, "File": "{scan}/0/.gitleaks.toml"}]
BETTER_1 = [{"RuleID": "aws", "StartLine": 2, "EndLine": 2, "Metadata": {"path": "{scan}/0/.gitleaks.toml"}}]
BETTER_2 = {
    "schema_version": "1",
    "findings": [{"rule_id": "aws", "location": {"path": "{scan}/0/.gitleaks.toml", "start_line": 1, "end_line": 3}}],
    "scan": {"state": "complete"},
}
BETTER_2_RC = [
    {"ruleID": "aws", "attributes": {"path": "0/.gitleaks.toml"}, "location": {"startLine": 2, "endLine": 2}}
]


class Shelf:
    """A folder of programs for PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()

    def put(self, name: str, version: str, report: object, *, code: int = 0) -> None:
        lines = json.dumps(report)
        script = f"""#!/bin/sh
[ "$1" = version ] && {{ echo "{version}"; exit 0; }}
echo "$@" > {self.folder}/{name}.argv
find . -type f > {self.folder}/{name}.files
while [ $# -gt 0 ]; do case "$1" in --report-path|--output) out=$2;; esac; shift; done
[ {code} = 0 ] || {{ echo "Error: broken" >&2; exit {code}; }}
cat > "$out" <<'END'
{lines.replace("{scan}", "/any/where/scan")}
END
"""
        place = self.folder / name
        place.write_text(script)
        place.chmod(0o755)

    def argv(self, name: str) -> list[str]:
        return (self.folder / f"{name}.argv").read_text().split()

    def scan(self, *texts: ScannedText) -> SecretScan:
        environ = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        return asyncio.run(BestScanner(ScannerPrograms(SubprocessRunner(), environ)).scan(texts))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.parametrize(
    ("name", "version", "report"),
    [
        ("gitleaks", "8.24.2", V1),
        ("gitleaks", "v8.18.0", V1),
        ("betterleaks", "1.8.1", BETTER_1),
        ("betterleaks", "betterleaks version 2.0.0", BETTER_2),
        ("betterleaks", "2.0.0-rc.1", BETTER_2_RC),
    ],
)
def test_a_report_of_each_form_is_read(shelf: Shelf, name: str, version: str, report: object) -> None:
    shelf.put(name, version, report)
    scan = shelf.scan(TEXT, OTHER)
    assert scan.hits == (SecretHit(TEXT.path, 2, "aws"),)
    assert scan.scanner.startswith(f"{name} ") and scan.scanner.split()[1] in version


def test_no_comment_and_no_file_of_the_piece_can_excuse_anything(shelf: Shelf) -> None:
    shelf.put("gitleaks", "8.24.2", [])
    assert shelf.scan(TEXT, OTHER) == SecretScan("gitleaks 8.24.2", (), ())
    assert {"--ignore-gitleaks-allow", "--redact", "--no-git"} <= set(shelf.argv("gitleaks"))
    files = (shelf.folder / "gitleaks.files").read_text().split()
    assert sorted(files) == ["./scan/0/.gitleaks.toml", "./scan/1/b.py"], "no configuration at the top"


def test_a_program_that_would_ask_the_secrets_owner_is_told_not_to(shelf: Shelf) -> None:
    shelf.put("betterleaks", "2.0.0", {"findings": [], "scan": {"state": "complete"}})
    shelf.scan(TEXT)
    assert {"fs", "--offline", "--no-allow-comments"} <= set(shelf.argv("betterleaks"))


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ([], 126),
        ({"findings": [], "scan": {"state": "incomplete"}}, 0),
        ([{"RuleID": "aws", "File": "elsewhere"}], 0),
        ([{"RuleID": "aws", "File": "0/x", "StartLine": "two"}], 0),
        ("nothing", 0),
    ],
)
def test_one_that_fails_or_cannot_be_understood_is_followed_by_the_next(
    shelf: Shelf, report: object, code: int
) -> None:
    shelf.put("betterleaks", "1.8.1", report, code=code)
    shelf.put("gitleaks", "8.24.2", V1)
    scan = shelf.scan(TEXT)
    assert scan.scanner == "gitleaks 8.24.2" and scan.hits and "betterleaks" in scan.problems[0]


def test_a_finding_in_lines_that_the_piece_did_not_add_is_none(shelf: Shelf) -> None:
    shelf.put("gitleaks", "8.24.2", [{**V1[0], "StartLine": 1, "EndLine": 1}])
    assert shelf.scan(TEXT).hits == ()


def test_the_program_does_not_get_the_environment_of_the_hub(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_TOKEN", "t")
    place = shelf.folder / "gitleaks"
    place.write_text(f"#!/bin/sh\nenv > {shelf.folder}/env\necho 8.1.0\n")
    place.chmod(0o755)
    shelf.scan(TEXT)
    assert "AEGIS_TOKEN" not in (shelf.folder / "env").read_text()
