"""What may check a repository of which no detector is sure: commands for the person to choose from. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read
from aegis_tui.domain.qa.detectors.python_declared import declared_commands
from aegis_tui.domain.qa.package import scripts_of

MOST = 8
_TARGET = re.compile(r"^((?:unit[-_]?)?tests?|check|ci|verify|qa)\s*::?(?!=)", re.M)
_SCRIPT = re.compile(r"(?:test|check|lint|verify)(?::\w+)?")
_PYTHON_TEST = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")


def suggest_qa(files: Collection[str], read: Read) -> tuple[str, ...]:
    """Return commands that may check the repository, at most `MOST`, each once, the likeliest first.

    Empty if nothing in the repository points to any.

    Args:
        files: All tracked paths.
        read: Gives the text of the files that `wanted_files` names.
    """
    return tuple(dict.fromkeys(_all(files, read)))[:MOST]


def _all(files: Collection[str], read: Read) -> Iterator[str]:
    for name in ("GNUmakefile", "Makefile", "makefile"):
        if name in files:
            yield from (f"make {target}" for target in _TARGET.findall(read(name)))
    if "package.json" in files:
        yield from (f"npm run {name}" for name in scripts_of(read("package.json")) if _SCRIPT.fullmatch(name))
    yield from declared_commands(files, read)
    if any(_PYTHON_TEST.search(path) for path in files):
        yield "python3 -m pytest -q"
        yield "python3 -m unittest discover"
    for manifest, command in _BY_FILE.items():
        if manifest in files:
            yield command
    if "pyproject.toml" in files:
        text = read("pyproject.toml")
        yield from (command for table, command in _BY_TABLE.items() if f"[tool.{table}" in text)


_BY_FILE = {
    "pom.xml": "mvn -B -o test",
    "build.gradle": "gradle --offline --no-daemon test",
    "build.gradle.kts": "gradle --offline --no-daemon test",
    "CMakeLists.txt": "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure",
    "Rakefile": "rake",
    "tox.ini": "tox",
    "noxfile.py": "nox",
    "mix.exs": "mix test",
    "build.sbt": "sbt test",
    "Package.swift": "swift test",
    "deno.json": "deno test",
    "composer.json": "composer test",
    "mypy.ini": "mypy .",
    "ruff.toml": "ruff check .",
    ".flake8": "flake8",
}
_BY_TABLE = {"mypy": "mypy .", "ruff": "ruff check .", "pyright": "pyright"}
