"""Which tests of the base do not run any more; one may have moved or have other parameters now (FLOW-7). Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

_PARAMETERS = re.compile(r"(?<=.)[\[({].*", re.DOTALL)
_GO_SUBTEST = re.compile(r"(\.(?:Test|Example|Fuzz)\w*)/.*", re.DOTALL)
_UNITTEST = re.compile(r"(\w+) \([\w.]+\)")
_DIGITS = re.compile(r"\d+")


def lost_tests(base: Collection[str], now: Collection[str]) -> list[str]:
    """The tests of the base that nothing stands for now, sorted.

    A test is still there when as many tests of its function run as before, whatever their parameters; when a test of
    the same name runs in another file or class instead, it has moved. Any other new test stands for none.

    Args:
        base: Identities on the base.
        now: Identities on the result.
    """
    gone, fresh = sorted(set(base) - set(now)), set(now) - set(base)
    for key in (_function, _name):
        offered = Counter(key(test) for test in fresh)
        left: list[str] = []
        for test in gone:
            if offered[key(test)]:
                offered[key(test)] -= 1
                fresh.remove(next(item for item in sorted(fresh) if key(item) == key(test)))
            else:
                left.append(test)
        gone = left
    return gone


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
