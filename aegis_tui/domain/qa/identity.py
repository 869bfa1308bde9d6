"""Which tests of the base do not run any more; one may have moved or have other parameters now (FLOW-7). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

_PARAMETERS = re.compile(r"(?<=.)[\[({].*", re.DOTALL)
_GO_SUBTEST = re.compile(r"(\.(?:Test|Example|Fuzz)\w*)/.*", re.DOTALL)
_UNITTEST = re.compile(r"(\w+) \([\w.]+\)")
_DIGITS = re.compile(r"\d+")


def lost_tests(base: Collection[str], now: Collection[str], changed: Collection[str] | None = None) -> list[str]:
    """The tests of the base that nothing stands for now, sorted.

    A test is still there when as many tests of its function run as before, whatever their parameters; when a test of
    the same name runs in another file or class instead, it has moved. Any other new test stands for none.

    Args:
        base: Identities on the base.
        now: Identities on the result.
        changed: Files that the result changes: a test moves out of no other. None: that is not known.
    """
    gone, fresh = sorted(set(base) - set(now)), sorted(set(now) - set(base))
    gone, fresh = _unmatched(gone, fresh, _function)
    stays = [test for test in gone if not _may_have_moved(test, changed)]
    moved, _ = _unmatched([test for test in gone if test not in stays], fresh, _name)
    return sorted([*stays, *moved])


def _unmatched(gone: list[str], fresh: list[str], key: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """What is left of both when each new test has taken the place of one that went and has the same key."""
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
    """A test without its parameters; in names that are sentences, as those of JavaScript, numbers are parameters."""
    if _UNITTEST.fullmatch(test):
        return test
    path, separator, name = test.partition("::") if "::" in test else ("", "", test)
    plain = _PARAMETERS.sub("", _GO_SUBTEST.sub(r"\1", name))
    return f"{path}{separator}{_DIGITS.sub('#', name) if ' ' in plain else plain}"


def _name(test: str) -> str:
    """The name of the function alone, or the whole sentence."""
    if found := _UNITTEST.fullmatch(test):
        return found[1]
    last = _function(test).rpartition("::")[2]
    return last if " " in last else last.rpartition(".")[2]
