"""Merges `go.sum` as a set of lines: each says what one module at one version hashes to (GIT-3).

Go reads such a file in any order and ignores lines that it does not need, so what both sides have together serves both.
Source: https://go.dev/ref/mod#go-sum-files
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aegis_tui.domain.merge.proof import MergeFault, Versions
from aegis_tui.domain.merge.undecided import Undecided

_LINE: Final = re.compile(r"(?P<module>\S+) (?P<version>v\S+) (?P<hash>h\d+:\S+)")
_NUMBERS: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-([^+]*))?")

_Part = tuple[int, int, str]
_Key = tuple[str, tuple[int, ...], bool, tuple[_Part, ...], str, bool]


def is_sum_file(path: str) -> bool:
    """Whether a file is one of Go's checksum files, by its name."""
    return path.rpartition("/")[2] in ("go.sum", "go.work.sum")


def merge_sums(versions: Versions) -> str:
    """Return the lines of both sides, each once, in the order in which Go writes them.

    Raises:
        Undecided: The two have different hashes for one module and version, or a line is no checksum.
    """
    lines = {*_lines(versions.ours), *_lines(versions.theirs)}
    if faults := _faults(lines):
        raise Undecided(f"{faults[0].kind}: {faults[0].what}")
    return "".join(f"{line}\n" for line in sorted(lines, key=_order))


def judge_sums(versions: Versions, merged: str) -> list[MergeFault]:
    """Return what speaks against a merged file; an empty list is the proof that it has what both sides have."""
    lines = list(_lines(merged))
    faults = _faults(lines)
    lost = sorted({*_lines(versions.ours), *_lines(versions.theirs)}.difference(lines))
    faults += [MergeFault("lost", line) for line in lost]
    return faults + [MergeFault("doubled", line) for line in sorted({line for line in lines if lines.count(line) > 1})]


def _lines(text: str) -> Iterable[str]:
    return (line for line in text.split("\n") if line)


def _faults(lines: Iterable[str]) -> list[MergeFault]:
    """Return the lines that are no checksums, and the modules with two hashes."""
    faults: list[MergeFault] = []
    hashes: dict[tuple[str, str, str], str] = {}
    for line in lines:
        if (match := _LINE.fullmatch(line)) is None:
            faults.append(MergeFault("syntax", f"no checksum: {line}"))
            continue
        module, version, digest = match.groups()
        key = module, version, digest.partition(":")[0]
        if hashes.setdefault(key, digest) != digest:
            faults.append(MergeFault("defined twice", f"{module} {version} has two hashes"))
    return faults


def _order(line: str) -> _Key:
    """Return the place of a line: by module and version as Go compares them, the `/go.mod` line of each last."""
    module, version, _ = line.split(" ")
    plain, _, rest = version.partition("/")
    match = _NUMBERS.match(plain)
    if match is None:
        return module, (), False, (), plain, bool(rest)
    numbers = tuple(int(part) for part in match.groups()[:3])
    return module, numbers, match[4] is None, tuple(map(_part, (match[4] or "").split("."))), plain, bool(rest)


def _part(text: str) -> _Part:
    """Return the place of one identifier of a pre-release: numbers come first. Source: https://semver.org, item 11."""
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)
