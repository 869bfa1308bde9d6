"""Which QA commands a repository has, by its build files: `DETECTORS` in the order in which their commands run. Pure.

A detector that is not sure says nothing: a run without `qa:` is refused with a hint, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aegis_tui.domain.qa.detectors.base import QaDetector, Read, SamplesTests
from aegis_tui.domain.qa.detectors.cargo import CargoDetector
from aegis_tui.domain.qa.detectors.cmake import CmakeDetector
from aegis_tui.domain.qa.detectors.go import GoDetector
from aegis_tui.domain.qa.detectors.jvm import GradleDetector, MavenDetector
from aegis_tui.domain.qa.detectors.make import MakeDetector
from aegis_tui.domain.qa.detectors.node import NodeDetector
from aegis_tui.domain.qa.detectors.python import PythonDetector
from aegis_tui.domain.qa.detectors.ruby import RubyDetector

BUILD_FILES_READ = 100
"""How many build files are read."""

TESTS_READ = 60
"""How many test files are read."""

DETECTORS: tuple[QaDetector, ...] = (
    NodeDetector(),
    GoDetector(),
    CargoDetector(),
    MavenDetector(),
    GradleDetector(),
    CmakeDetector(),
    RubyDetector(),
    PythonDetector(),
    MakeDetector(),
)


def wanted_files(files: Collection[str], *, detectors: Sequence[QaDetector] = DETECTORS) -> list[str]:
    """Return what to read for `detect_qa`: build files, then test files that are spread over all of them.

    Args:
        files: All tracked paths.
        detectors: Those whose files are wanted.

    Returns:
        At most `BUILD_FILES_READ` build files and at most `TESTS_READ` test files, each part sorted by path.
    """
    samplers = [detector for detector in detectors if isinstance(detector, SamplesTests)]
    tests = sorted(path for path in files if any(sampler.is_test(path) for sampler in samplers))
    sampled = frozenset(tests)
    build_files = sorted(
        path for path in files if path not in sampled and any(detector.wants(path) for detector in detectors)
    )
    step = max(1, -(-len(tests) // TESTS_READ))
    return [*build_files[:BUILD_FILES_READ], *tests[::step]]


def detect_qa(files: Collection[str], read: Read, *, detectors: Sequence[QaDetector] = DETECTORS) -> tuple[str, ...]:
    """Return the QA commands of a repository, in the order in which to run them; empty when no detector is sure.

    Make is asked only if no detector before it knows a command.

    Args:
        files: All tracked paths.
        read: Gives the text of the files that `wanted_files` names.
        detectors: Those that are asked, in this order.
    """
    commands: list[str] = []
    for detector in detectors:
        if not (commands and isinstance(detector, MakeDetector)):
            commands += detector.commands(files, read)
    return tuple(commands)
