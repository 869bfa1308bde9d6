"""Find the tests of the base that no longer run, apart from moved and re-parametrised ones (FLOW-7). Does no IO."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

_PARAMETERS = re.compile(r"(?<=.)[\[({].*", re.DOTALL)
_GO_SUBTEST = re.compile(r"(\.(?:Test|Example|Fuzz)\w*)/.*", re.DOTALL)
_UNITTEST = re.compile(r"(\w+) \([\w.]+\)")
_DIGITS = re.compile(r"\d+")


def lost_tests(base: Collection[str], now: Collection[str], changed: Collection[str] | None = None) -> list[str]:
    """Return the tests of the base that did not run on the result and that no new test replaces, sorted.

    A new test replaces one of the same function with other parameters, or a moved one: a test of the same name in
    another file or class. Each new test replaces at most one.

    Args:
        base: Names of the tests that ran on the base.
        now: Names of the tests that ran on the result.
        changed: Files that the result changes; only tests in them can have moved. None when that is not known: then all
            can.
    """
    gone, fresh = sorted(set(base) - set(now)), sorted(set(now) - set(base))
    gone, fresh = _unmatched(gone, fresh, _function)
    stays = [test for test in gone if not _may_have_moved(test, changed)]
    moved, _ = _unmatched([test for test in gone if test not in stays], fresh, _name)
    return sorted([*stays, *moved])


def _unmatched(gone: list[str], fresh: list[str], key: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """Pair each missing test with a new test of the same key; return the missing and the new tests without a pair.

    Args:
        gone: The missing tests.
        fresh: The new tests.
        key: Test -> what a pair has in common.
    """
    places: dict[str, list[str]] = {}
    for test in reversed(fresh):
        places.setdefault(key(test), []).append(test)
    left = []
    for test in gone:
        if same := places.get(key(test)):
            same.pop()
        else:
            left.append(test)
    return left, sorted(test for tests in places.values() for test in tests)


def _may_have_moved(test: str, changed: Collection[str] | None) -> bool:
    path, separator, _ = test.partition("::")
    if changed is None or not separator:
        return True
    return any(name == path or name.endswith(f"/{path}") for name in changed)


def _function(test: str) -> str:
    """Return a test's name without parameters, with its file if the name has one.

    A name with a space before its first bracket is a sentence: nothing is left out of it, and each number becomes `#`.
    A unittest name, `test (class)`, stays as it is.
    """
    if _UNITTEST.fullmatch(test):
        return test
    path, separator, name = test.partition("::") if "::" in test else ("", "", test)
    plain = _PARAMETERS.sub("", _GO_SUBTEST.sub(r"\1", name))
    return f"{path}{separator}{_DIGITS.sub('#', name) if ' ' in plain else plain}"


def _name(test: str) -> str:
    """Return only the name of a test's function, without file, class and parameters.

    A name that is a sentence is returned whole, with `#` for its numbers.
    """
    if match := _UNITTEST.fullmatch(test):
        return match[1]
    last = _function(test).rpartition("::")[2]
    return last if " " in last else last.rpartition(".")[2]
