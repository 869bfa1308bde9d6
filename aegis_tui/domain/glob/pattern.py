"""Path globs of a partition (PART-1): how they are read and which paths they match.

This module holds the syntax and the matcher. Whether two globs share a path is decided in `overlap`. It reads no files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import takewhile
from typing import Final, NoReturn, TypeVar

from aegis_tui.domain.glob.bits import bits_of
from aegis_tui.domain.glob.token import ANY_CHAR, STAR, CharSet, Ranges, Token, merge_ranges, subtract_ranges
from aegis_tui.domain.path.file_name import name_of, read_name, write_name
from aegis_tui.errors import Refused

MAX_ALTERNATIVES: Final = 256
"""The most globs that the braces of one glob may expand to (PART-1)."""

MAX_LENGTH: Final = 1024
"""The longest glob, in characters. It keeps the comparison of two hostile segments near one second."""

_GREEDY_STEPS: Final = 2_000
"""Over this product of lengths `SegmentBits` matches a segment: with stars, the greedy match takes quadratic time."""

MAX_DEPTH: Final = 255
"""The most segments of a path; a deeper one counts as not inside the repository."""

MAX_NESTING: Final = 20
"""The deepest nesting of braces."""

Entry = TypeVar("Entry")
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Segment:
    """The pattern of one path segment. Compared by identity, so that it is a cheap cache key."""

    tokens: tuple[Token, ...]
    """Single literal characters, character sets and stars, in order."""

    literal: str | None = None
    """The only name that it matches; None when it has a wildcard."""

    ignore_case: bool = False

    head: str = ""
    """What every name that it matches begins with: its first characters, up to the first wildcard."""

    tail: str = ""
    """What every name that it matches ends with: its last characters, after the last wildcard."""

    def matches(self, name: str) -> bool:
        """Return whether the pattern matches a segment name, which must be valid and in the form of `prepare`."""
        if self.literal is not None:
            return self.literal == name
        if len(self.tokens) * len(name) > _GREEDY_STEPS:
            return bits_of(self.tokens).matches(name)
        return self is ANY_SEGMENT or _wildcard_match(self.tokens, name, lambda token: token is STAR, _char_fits)


GLOBSTAR: Final = Segment(())
"""`**`: any number of segments, also none. Never the last entry of a pattern."""

ANY_SEGMENT: Final = Segment((STAR,))
Pattern = tuple[Segment, ...]


@dataclass(frozen=True)
class Glob:
    """A compiled glob, from `compile_glob`. Two are equal when their text and case rule are."""

    text: str
    ignore_case: bool
    patterns: tuple[Pattern, ...] = field(compare=False, repr=False)
    """One pattern for each brace alternative; each ends in a segment that is not `GLOBSTAR`."""

    def matches(self, path: str) -> bool:
        """Return whether the glob matches this path.

        Args:
            path: Relative to the repository, in its written form. An absolute path, or one with `..` or `//`, never
                matches.

        Source: PART-1.
        """
        names = split_path(path, ignore_case=self.ignore_case)
        return names is not None and any(
            _wildcard_match(pattern, names, lambda entry: entry is GLOBSTAR, Segment.matches)
            for pattern in self.patterns
        )

    def folded(self) -> Glob:
        """Return the same glob, compiled to ignore case; itself if it does so already."""
        return self if self.ignore_case else compile_glob(self.text, ignore_case=True)


@lru_cache(maxsize=1024)
def compile_glob(text: str, *, ignore_case: bool = False) -> Glob:
    """Compile a glob; results are cached.

    Args:
        text: Rooted at the repository, at most 1024 characters.
        ignore_case: Compare case-folded, as git does where `core.ignorecase` is set.

    Raises:
        Refused: code `glob`; the message names the glob and what is wrong with it.

    Source: PART-1.
    """
    try:
        raws = dict.fromkeys(_expand_braces(list(_units(unicodedata.normalize("NFC", _plain(text))))))
        return Glob(text, ignore_case, tuple(_parse_pattern(raw, ignore_case) for raw in raws))
    except Refused as error:
        raise Refused(f"glob '{text}': {error.message}", error.hint, code="glob", glob=text) from None


def escape_glob(path: str) -> str:
    """Return a glob that matches exactly this path; both in written form, quoted as git does (`write_name`)."""
    return write_name("".join(f"\\{char}" if char in "\\*?[]{}!," else char for char in name_of(path)))


def prepare(text: str, *, ignore_case: bool = False) -> str:
    """Return the form in which paths are compared: NFC, and with `ignore_case` each character case-folded."""
    if text.isascii():
        return text.lower() if ignore_case else text
    text = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", "".join(map(_fold, text))) if ignore_case else text


@lru_cache(maxsize=1024)
def split_path(path: str, *, ignore_case: bool = False) -> tuple[str, ...] | None:
    """Return the segments of a path in written form, each in the form of `prepare`; None if the path is not valid.

    It is absolute, empty or too deep then, or has an empty, `.` or `..` segment, or a NUL.
    """
    names = tuple(prepare(name_of(path), ignore_case=ignore_case).split("/"))
    return None if "\0" in path or len(names) > MAX_DEPTH or any(name in ("", ".", "..") for name in names) else names


def _wildcard_match(
    pattern: Sequence[Entry],
    items: Sequence[Item],
    is_star: Callable[[Entry], bool],
    fits: Callable[[Entry, Item], bool],
) -> bool:
    """Return whether a pattern matches all of the items; goes back only to the last star: O(pattern x items).

    Args:
        pattern: Entries that each match one item, and stars.
        items: What is matched, in order.
        is_star: Whether an entry matches any number of items, also none.
        fits: Whether any other entry matches an item.
    """
    at = taken = resume_from = 0
    last_star = -1
    while taken < len(items):
        if at < len(pattern) and is_star(pattern[at]):
            last_star, resume_from = at, taken
            at += 1
        elif at < len(pattern) and fits(pattern[at], items[taken]):
            at, taken = at + 1, taken + 1
        elif last_star >= 0:
            resume_from += 1
            at, taken = last_star + 1, resume_from
        else:
            return False
    return all(is_star(entry) for entry in pattern[at:])


def _char_fits(token: Token, char: str) -> bool:
    return char in token if isinstance(token, CharSet) else token == char


def _refuse(problem: str, hint: str = "") -> NoReturn:
    raise Refused(problem, hint, code="glob")


def _plain(text: str) -> str:
    """Return the text of a glob without git's quoting, if it has that (contract 3).

    Raises:
        Refused: It is empty, too long or wrongly quoted, or holds a control character.
    """
    if not 0 < len(text) <= MAX_LENGTH:
        _refuse(f"it is longer than {MAX_LENGTH} characters" if text else "it is empty")
    try:
        plain = read_name(text)
    except ValueError:
        _refuse("it begins with a quotation mark but is not in git's quoted form", 'write \\" for the mark itself')
    if any(unicodedata.category(char) == "Cc" for char in plain) or any("\ud800" <= char <= "\udfff" for char in text):
        _refuse("it holds a control character")
    return plain


def _units(text: str) -> Iterator[str]:
    """Yield the units of a glob: an escaped character, a whole class, or one character.

    Raises:
        Refused: An escape or a class is cut off.
    """
    at = 0
    while at < len(text):
        end = at + 1
        if text[at] == "\\":
            end += 1
            if text[at + 1 : end] in ("", "/"):
                _refuse("it has a backslash that escapes nothing", "use / between folders and \\\\ for a backslash")
        elif text[at] == "[":
            end = _class_end(text, at)
        yield text[at:end]
        at = end


def _class_end(text: str, start: int) -> int:
    at = start + 1
    at += text[at : at + 1] in ("!", "^")
    at += text[at : at + 1] == "]"
    while at < len(text) and text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        _refuse("a [ is never closed", "write \\[ for the character itself")
    return at + 1


def _expand_braces(units: Sequence[str], depth: int = 0) -> list[str]:
    """Return the text of every alternative, in order. As in a shell, braces without a comma are literal.

    Raises:
        Refused: A brace has no counterpart, or braces are nested too deeply or expand to too many alternatives.
    """
    if depth > MAX_NESTING:
        _refuse(f"braces are nested more than {MAX_NESTING} deep")
    results = [""]
    at = 0
    while at < len(units):
        if units[at] == "{":
            parts, at = _brace_group(units, at)
            choices = [choice for part in parts for choice in _expand_braces(part, depth + 1)]
            if len(parts) == 1:
                choices = [f"\\{{{choice}\\}}" for choice in choices]
        elif units[at] == "}":
            _refuse("a } was never opened", "write \\} for the character itself")
        else:
            choices, at = [units[at]], at + 1
        if len(results) * len(choices) > MAX_ALTERNATIVES:
            _refuse(f"its braces expand to more than {MAX_ALTERNATIVES} globs")
        results = [result + choice for result in results for choice in choices]
    return results


def _brace_group(units: Sequence[str], start: int) -> tuple[list[list[str]], int]:
    """Return the parts of the brace group that opens at `start`, and the index after it.

    Raises:
        Refused: The group never closes.
    """
    parts: list[list[str]] = [[]]
    depth = 0
    for at in range(start, len(units)):
        unit = units[at]
        depth += (unit == "{") - (unit == "}")
        if depth == 0:
            return parts, at + 1
        if unit == "," and depth == 1:
            parts.append([])
        elif at > start:
            parts[-1].append(unit)
    _refuse("a { is never closed", "write \\{ for the character itself")


def _parse_pattern(raw: str, ignore_case: bool) -> Pattern:
    if raw.startswith("!"):
        _refuse("it starts with !, but a glob cannot exclude paths", "write \\! for the character itself")
    raws = _split_segments(raw + "**" if raw.endswith("/") else raw)
    if raws == [""]:
        _refuse("an alternative is empty")
    if raws[0] == "":
        _refuse("it is absolute", "globs are rooted at the repository: leave out the leading /")
    pattern: list[Segment] = []
    for part in raws:
        segment = GLOBSTAR if part == "**" else _parse_segment(part, ignore_case)
        if segment is not GLOBSTAR or pattern[-1:] != [GLOBSTAR]:
            pattern.append(segment)
    if pattern[-1] is GLOBSTAR:
        pattern.append(ANY_SEGMENT)  # `dir/**` is what is below `dir`, not `dir` itself
    return tuple(pattern)


def _split_segments(raw: str) -> list[str]:
    segments = [""]
    for unit in _units(raw):
        if unit == "/":
            segments.append("")
        else:
            segments[-1] += unit
    return segments


@lru_cache(maxsize=1024)
def _parse_segment(raw: str, ignore_case: bool) -> Segment:
    tokens: list[Token] = []
    literal = ""
    for unit in _units(raw):
        if unit[0] not in "*?[":
            literal += unit[-1]
            continue
        tokens.extend(prepare(literal, ignore_case=ignore_case))
        literal = ""
        token = STAR if unit == "*" else ANY_CHAR if unit == "?" else _parse_class(unit, ignore_case)
        if token is not STAR or tokens[-1:] != [STAR]:
            tokens.append(token)
    tokens.extend(prepare(literal, ignore_case=ignore_case))
    if not tokens:
        _refuse("it has an empty segment (//)")
    if tokens == [STAR]:
        return ANY_SEGMENT
    if any(not isinstance(token, str) for token in tokens):
        return Segment(tuple(tokens), None, ignore_case, _text_before(tokens), _text_before(tokens[::-1])[::-1])
    name = "".join(str(token) for token in tokens)
    if name in (".", ".."):
        _refuse(f"a segment is {name}", "globs are rooted at the repository and name no . or ..")
    return Segment(tuple(tokens), name, ignore_case, name, name)


def _text_before(tokens: Sequence[Token]) -> str:
    """Return the literal characters before the first wildcard of these tokens; empty if it comes first."""
    return "".join(str(token) for token in takewhile(lambda token: isinstance(token, str), tokens))


@lru_cache(maxsize=1024)
def _parse_class(unit: str, ignore_case: bool) -> CharSet:
    negated = unit[1] in "!^"
    ranges = merge_ranges(_class_ranges(unit[2:-1] if negated else unit[1:-1]))
    if ignore_case:
        ranges = _fold_ranges(ranges)
    if negated:
        ranges = subtract_ranges(ANY_CHAR.ranges, ranges)
        ranges = subtract_ranges(ranges, folded_ranges()) if ignore_case else ranges
    ranges = subtract_ranges(ranges, ((0x00, 0x00), (0x2F, 0x2F)))
    if not ranges:
        _refuse(f"the class {unit} matches nothing")
    return CharSet(ranges)


def _class_ranges(body: str) -> Iterator[tuple[int, int]]:
    if "/" in body:
        _refuse("a class never matches /", "list the folders with {a,b} instead")
    if "[:" in body:
        _refuse("named classes like [:alpha:] are not supported", "write the range, as in [a-z]")
    atoms: list[tuple[str, bool]] = []
    escaped = False
    for char in body:
        if escaped or char != "\\":
            atoms.append((char, escaped))
        escaped = not escaped and char == "\\"
    at = 0
    while at < len(atoms):
        low = high = atoms[at][0]
        at += 1
        if at + 1 < len(atoms) and atoms[at] == ("-", False):
            high = atoms[at + 1][0]
            at += 2
        if low > high:
            _refuse(f"the range {low}-{high} is backwards")
        yield ord(low), ord(high)


def _fold_ranges(ranges: Ranges) -> Ranges:
    members = CharSet(ranges)
    images = [ord(folded) for char, folded in _folds().items() if char in members]
    return merge_ranges([*subtract_ranges(ranges, folded_ranges()), *((image, image) for image in images)])


def _fold(char: str) -> str:
    return char.lower() if char.isascii() else _folds().get(char, char)


@cache
def _folds() -> dict[str, str]:
    """Return each character that simple case folding changes -> its folded form. None above U+1E943 has case."""
    folds: dict[str, str] = {}
    for char in map(chr, range(0x1E944)):
        folded = next((form for form in (char.casefold(), char.lower()) if len(form) == 1), char)
        if folded != char:
            folds[char] = folded
    return folds


@cache
def folded_ranges() -> Ranges:
    """Return the ranges of the characters that case folding replaces, so that no folded name has them."""
    return merge_ranges((ord(char), ord(char)) for char in _folds())
