"""Scanners for secrets in the lines that a piece adds (FLOW-9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aegis_tui.domain.rule.judge import SecretScan


@dataclass(frozen=True, slots=True)
class ScannedText:
    """One changed text file."""

    path: str
    """In its written form."""
    content: str
    lines: tuple[tuple[int, str], ...]
    """The added lines with their numbers, from 1; only these count."""


class SecretScanner(Protocol):
    """Looks for secrets. Sends nothing anywhere, and keeps no secret."""

    async def prepare(self) -> None:
        """Do now what the first `scan` would spend its time on; call it when a run begins. Never raises."""
        ...

    async def scan(self, texts: Sequence[ScannedText]) -> SecretScan:
        """Return the secrets found in the added lines, and the name of the scanner that ran. Never raises.

        If no scanner could run, `scanner` of the result is empty, and nothing is found.
        """
        ...
