"""Has the best secret scanner that this machine offers look at a piece, and says which one it was (FLOW-9)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError

from aegis_tui.adapters.apart import AnswerLostError, ask_apart
from aegis_tui.adapters.secrets.library import library_name, load_detectors, scan_with_library
from aegis_tui.adapters.secrets.programs import ScannerFailedError, ScannerPrograms
from aegis_tui.domain.rule.judge import SecretHit, SecretScan
from aegis_tui.ports.secret_scanner import ScannedText

_log = logging.getLogger(__name__)

Ask = Callable[[Sequence[ScannedText]], Awaitable[tuple[SecretHit, ...]]]


async def ask_library(texts: Sequence[ScannedText]) -> tuple[SecretHit, ...]:
    """Return the secrets that the library finds in the added lines (path, line, kind), not blocking the event loop.

    Over 256 Ki characters are scanned in a separate process.

    Raises:
        ImportError: The library is not installed.
        AnswerLostError: The separate process failed, also because the library is not installed, or took over a minute.
        OSError: The separate process cannot be started.
    """
    size = sum(len(line) for text in texts for _, line in text.lines)
    return await ask_apart(scan_with_library, (tuple(texts),), size=size)


class BestScanner:
    """Tries the person's own programs first, then the library that comes along. Implements `SecretScanner`.

    Args:
        programs: The person's programs.
        ask: Asks the library.
    """

    def __init__(self, programs: ScannerPrograms, ask: Ask = ask_library) -> None:
        self._programs, self._ask = programs, ask

    async def prepare(self) -> None:
        """Load the library, in a thread, unless the person has a program that scans; without the library do nothing."""
        if not any(self._programs.find()):
            with contextlib.suppress(ImportError):
                await asyncio.to_thread(load_detectors)

    async def scan(self, texts: Sequence[ScannedText]) -> SecretScan:
        """Return what the first scanner that works finds, its name, and why those before it failed.

        The name is empty if none works. Raises nothing.
        """
        problems: list[str] = []
        for name in self._programs.find():
            try:
                scanner, hits = await self._programs.scan(name, texts)
                return SecretScan(scanner, hits, tuple(problems))
            except ScannerFailedError as error:
                _log.warning("a secret scanner failed", extra={"scanner": name, "reason": str(error)})
                problems.append(str(error))
        try:
            return SecretScan(library_name(), await self._ask(texts), tuple(problems))
        except (ImportError, PackageNotFoundError, AnswerLostError, OSError) as error:
            problems.append(f"detect-secrets cannot be used: {error}")
        return SecretScan("", (), tuple(problems))
