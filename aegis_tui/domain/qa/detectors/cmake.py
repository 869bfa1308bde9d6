"""C and C++: configure, build and ctest, where the root's CMakeLists.txt turns tests on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read

_MANIFEST = "CMakeLists.txt"
_COMMENT = re.compile(r"#.*")
_TESTS_ON = re.compile(r"\b(?:enable_testing|include)\s*\(\s*(?:CTest\s*)?\)", re.I)
_TEST = re.compile(r"\b(?:add_test|gtest_discover_tests|catch_discover_tests|doctest_discover_tests)\s*\(", re.I)


class CmakeDetector:
    """Finds the tests that the root's CMakeLists.txt, or one up to two levels below it, hands to ctest."""

    name = "cmake"

    def wants(self, path: str) -> bool:
        """True for `CMakeLists.txt` of the root and of folders up to two levels below it."""
        return path == _MANIFEST or (path.endswith(f"/{_MANIFEST}") and path.count("/") <= 2)

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the commands that configure, build and run ctest, in a folder `build` or, if that is taken, `build-qa`.

        Nothing if the root's CMakeLists.txt does not turn tests on, or no CMakeLists.txt near it adds a test.
        """
        if _MANIFEST not in files or not _TESTS_ON.search(_COMMENT.sub("", read(_MANIFEST))):
            return
        texts = (_COMMENT.sub("", read(path)) for path in files if self.wants(path))
        if not any(_TEST.search(text) for text in texts):
            return
        folder = "build" if not any(path.startswith("build/") for path in files) else "build-qa"
        yield f"cmake -S . -B {folder}"
        yield f"cmake --build {folder}"
        yield f"ctest --test-dir {folder} --output-on-failure"
