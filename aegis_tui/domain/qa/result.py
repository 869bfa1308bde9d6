"""QA: which commands a repository has, what their output says, and whose change a failure is (FLOW-7).

Pure functions over text. A failure that the base has as well is not blamed on the change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.piece_rules import design_table
from aegis_tui.domain.run import Run
from aegis_tui.domain.run_event import FOUNDATION

_NAMES = (
    re.compile(r"^(?:FAILED|ERROR) (\S+::\S+|\S+\.py)", re.M),
    re.compile(r"^(?:FAIL|ERROR): (\S+(?: \([^)\n]+\))?)", re.M),
    re.compile(r"^\s*--- FAIL: (\S+)", re.M),
    re.compile(r"^test (\S+) \.\.\. FAILED", re.M),
    re.compile(r"^\s*not ok \d+ (?:- )?([^#\n]+?)\s*(?:#.*)?$", re.M),
)
_PASSED = (
    re.compile(r"\b(\d+) passed\b"),
    re.compile(r"^# pass (\d+)", re.M),
)
_FAILED = (
    re.compile(r"\b(\d+) failed\b"),
    re.compile(r"^# fail (\d+)", re.M),
)
_UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
_UNITTEST_BAD = re.compile(r"\b(?:failures|errors)=(\d+)")
_PATH = re.compile(r"[\w./+@-]+\.[A-Za-z]{1,5}\b")


class QaResult(FrozenModel):
    """What one command's run says."""

    ok: bool
    passed: int | None = None
    failed: int | None = None
    failures: tuple[str, ...] = ()


def read_result(exit_code: int | None, output: str) -> QaResult:
    """What a test, lint or type command says by its exit code and output; counts are None where it names none."""
    names: list[str] = []
    for pattern in _NAMES:
        names += [found.strip() for found in pattern.findall(output)]
    passed, failed = _count(_PASSED, output), _count(_FAILED, output)
    if (ran := _UNITTEST_RAN.search(output)) is not None:
        bad = sum(int(number) for number in _UNITTEST_BAD.findall(output[ran.end() :]))
        passed, failed = int(ran.group(1)) - bad, bad
    unique = tuple(dict.fromkeys(names))
    if failed is None and unique:
        failed = len(unique)
    return QaResult(ok=exit_code == 0, passed=passed, failed=failed, failures=unique)


def _count(patterns: Iterable[re.Pattern[str]], output: str) -> int | None:
    for pattern in patterns:
        if found := pattern.findall(output):
            return int(found[-1])
    return None


def new_failures(command: str, now: QaResult, base: QaResult | None) -> tuple[str, ...]:
    """Failures that the change brings; empty when the command passes or the base fails in the same way.

    Args:
        command: Stands for the failure of a command whose output names none.
        now: On the composed tree.
        base: On the base; None when it was not run because nothing fails now.
    """
    if now.ok:
        return ()
    before = base or QaResult(ok=True)
    fresh = tuple(name for name in now.failures if name not in before.failures)
    if fresh or (now.failures and not before.ok):
        return fresh
    return () if not before.ok else (now.failures or (command,))


def detect_qa(files: Collection[str], read: Callable[[str], str]) -> tuple[str, ...]:
    """The QA commands of a repository, from its build files; empty when none is known.

    Args:
        files: All tracked paths.
        read: The text of a tracked file.
    """
    names = set(files)
    found: list[str] = []
    if "package.json" in names and re.search(r'"test"\s*:', read("package.json")):
        found.append("npm test --silent")
    if "go.mod" in names:
        found += ["go vet ./...", "go test ./..."]
    if "Cargo.toml" in names:
        found.append("cargo test")
    if not found and any(_is_python_test(name) for name in files):
        found.append("python3 -m pytest -q" if _uses_pytest(names, files, read) else "python3 -m unittest discover")
    return tuple(found)


def _is_python_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _uses_pytest(names: set[str], files: Collection[str], read: Callable[[str], str]) -> bool:
    if any(path.rsplit("/", 1)[-1] in ("conftest.py", "pytest.ini") for path in files):
        return True
    places: list[str] = [name for name in ("pyproject.toml", "setup.cfg", "tox.ini") if name in names]
    places += [name for name in files if re.fullmatch(r"(?:[\w-]*requirements[\w-]*/)?[\w-]*\.txt", name)][:20]
    places += [name for name in files if _is_python_test(name)][:20]
    return any("pytest" in read(name) for name in places)


def blame(run: Run, outputs: Sequence[str], changed: Mapping[str, Collection[str]]) -> list[str]:
    """The pieces whose change a failure speaks of, most often named first; empty when the output names nobody's.

    Args:
        run: The run, for its partitions.
        outputs: What the failing commands printed.
        changed: Piece name -> paths that it changes.
    """
    table = design_table(run)
    votes: dict[str, int] = {}
    for path in (found for output in outputs for found in _PATH.findall(output)):
        for name in _owners(path, changed, table.owner_of):
            votes[name] = votes.get(name, 0) + 1
    return sorted(votes, key=lambda name: (-votes[name], list(changed).index(name)))


def _owners(path: str, changed: Mapping[str, Collection[str]], owner_of: Callable[[str], str | None]) -> set[str]:
    clean = path.lstrip("./")
    found: set[str] = set()
    for name, files in changed.items():
        if name != FOUNDATION and any(clean == item or clean.endswith(f"/{item}") for item in files):
            found.add(name)
    owner = owner_of(clean) if not found else None
    if owner in changed and owner != FOUNDATION and owner is not None:
        found.add(owner)
    return found
