"""Finds secrets with a program of the person: betterleaks or gitleaks (FLOW-9).

A program gets copies of the changed files in a folder of its own, under numbers instead of their folders, so that no
file of the piece can be its configuration or its list of exceptions. It is told to ignore comments that excuse a line.
betterleaks 2 would show each secret to the service that it belongs to; it is told not to.

Sources: https://github.com/gitleaks/gitleaks, https://github.com/betterleaks/betterleaks (docs/v2_migration.md)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.domain.rule.judge import SecretHit
from aegis_tui.errors import Unavailable
from aegis_tui.ports.program import ProgramRunner
from aegis_tui.ports.secret_scanner import ScannedText

PROGRAMS = ("betterleaks", "gitleaks")
"""In the order in which they are tried."""

DEADLINE_S = 60.0
_MAX_REPORT_BYTES = 32 << 20
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "GITLEAKS_CONFIG", "GITLEAKS_CONFIG_TOML", "BETTERLEAKS_CONFIG")
_FIRST = ("--report-format", "json", "--exit-code", "0", "--no-banner", "--redact", "--ignore-gitleaks-allow")
_SECOND = ("--offline", "--no-allow-comments", "--exit-code", "0", "--redact", "--silent")


class ScannerFailedError(Exception):
    """A scanner could not be asked; the text says why, for a person."""


class ScannerPrograms:
    """Runs the scanners that are on the person's PATH.

    Args:
        programs: Runs them.
        environ: The environment, whose PATH is searched.
    """

    def __init__(self, programs: ProgramRunner, environ: Mapping[str, str]) -> None:
        self._programs, self._path = programs, environ.get("PATH")
        self._environ = {name: environ[name] for name in _KEPT if name in environ}
        self._versions: dict[str, str] = {}

    def find(self) -> list[str]:
        """Return the names of the programs on the PATH, in the order in which they are to be tried; may be empty."""
        return [name for name in PROGRAMS if shutil.which(name, path=self._path)]

    async def scan(self, name: str, texts: Sequence[ScannedText]) -> tuple[str, tuple[SecretHit, ...]]:
        """Have one program look at the texts; return its name with its version, and what it found in the added lines.

        One hit for each finding that covers an added line, at the first such line; empty if it found nothing. The
        program gets copies in a temporary folder, which is deleted.

        Args:
            name: One of `PROGRAMS`.
            texts: The changed files, each with its whole content and its added lines.

        Raises:
            ScannerFailedError: It cannot be started, fails, takes over a minute, or answers in an unknown form.
        """
        program = shutil.which(name, path=self._path) or name
        try:
            with scratch_folder() as folder:
                version = await self._version(name, program, folder)
                await asyncio.to_thread(_lay_out, folder / "scan", texts)
                report = folder / "report.json"
                code, said = await self._run(_argv(program, name, version, folder / "scan", report), folder)
                if code != 0:
                    raise ScannerFailedError(f"{name} {version} ended with {code}: {said.strip()[-200:]}")
                raw = await asyncio.to_thread(_read, report)
        except (OSError, Unavailable) as error:
            raise ScannerFailedError(f"{name} cannot be used: {error}") from error
        return f"{name} {version}", tuple(_hits(raw, texts, name))

    async def _version(self, name: str, program: str, folder: Path) -> str:
        if program not in self._versions:
            _, said = await self._run([program, "version"], folder)
            match = re.search(r"(\d+)(?:\.\d+)+", said)
            if match is None:
                raise ScannerFailedError(f"{name} does not report its version")
            self._versions[program] = match[0]
        return self._versions[program]

    async def _run(self, argv: Sequence[str], folder: Path) -> tuple[int | None, str]:
        done = await self._programs.run(argv, cwd=folder, environment=self._environ, timeout_s=DEADLINE_S)
        return done.exit_code, done.output


def _argv(program: str, name: str, version: str, folder: Path, report: Path) -> list[str]:
    if name == "gitleaks":
        return [program, "detect", "--no-git", "--source", str(folder), *_FIRST, "--report-path", str(report)]
    if version.startswith("1."):
        return [program, "dir", str(folder), *_FIRST, "--report-path", str(report)]
    return [program, "fs", str(folder), *_SECOND, "--output", str(report)]


def _lay_out(folder: Path, texts: Sequence[ScannedText]) -> None:
    """Write the content of each text to `folder/<its index>/<its file name>`, because some patterns look at the name.

    A name with unusual characters is replaced by `file`.

    Raises:
        OSError: A file cannot be written.
    """
    for number, text in enumerate(texts):
        place = folder / str(number)
        place.mkdir(parents=True)
        last = text.path.rpartition("/")[2]
        name = last if re.fullmatch(r"[\w.-]{1,100}", last) and last.strip(".") else "file"
        (place / name).write_text(text.content, "utf-8", errors="replace")


def _read(report: Path) -> Any:
    """Return the JSON value in a report.

    An empty list if there is no report, as some programs that find nothing write none.

    Raises:
        ScannerFailedError: It is larger than 32 MiB, or not JSON.
        OSError: It cannot be read.
    """
    with contextlib.suppress(FileNotFoundError):
        if report.stat().st_size > _MAX_REPORT_BYTES:
            raise ScannerFailedError("its report is too large")
        try:
            return json.loads(report.read_bytes() or b"[]")
        except ValueError as error:
            raise ScannerFailedError("its report is not JSON") from error
    return []


def _hits(report: Any, texts: Sequence[ScannedText], name: str) -> Iterator[SecretHit]:
    """Yield one hit for each finding in a report that covers an added line: the first such line.

    Args:
        report: The report's JSON value, in the form of gitleaks, betterleaks 1 or betterleaks 2.
        texts: What was scanned; the report names a text by its index.
        name: The program, for messages.

    Raises:
        ScannerFailedError: The report has no known form, or says that the scan is not complete.
    """
    state = report.get("scan") if isinstance(report, dict) else None
    if isinstance(state, dict) and state.get("state", "complete") != "complete":
        raise ScannerFailedError(f"{name} did not scan all files")
    rows = report.get("findings") if isinstance(report, dict) else report
    if not isinstance(rows, list):
        raise ScannerFailedError(f"{name} printed a report in an unknown format")
    for row in rows:
        number, first, last, kind = _place(row, name)
        added = {line for line, _ in texts[number].lines} if 0 <= number < len(texts) else set()
        if lines := sorted(added & set(range(first, min(last, first + 10_000) + 1))):
            yield SecretHit(texts[number].path, lines[0], kind)


def _place(row: Any, name: str) -> tuple[int, int, int, str]:
    """Return the index of the text, the first and the last line, and the kind of secret of a finding.

    Raises:
        ScannerFailedError: The finding has no known form.
    """
    try:
        where = row.get("location") or row
        about = row.get("attributes") or row.get("Attributes") or row.get("Metadata") or {}
        path = row.get("File") or where.get("path") or about["path"]
        first = where.get("StartLine") or where.get("startLine") or where["start_line"]
        last = where.get("EndLine") or where.get("endLine") or where.get("end_line") or first
        kind = row.get("RuleID") or row.get("ruleID") or row["rule_id"]
        return int(Path(path).parent.name), int(first), int(last), str(kind)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ScannerFailedError(f"{name} printed a report in an unknown format") from error
