"""Make text from agents, models and repositories harmless to show (SEC-2): one rule for terminal, pane and JSON.

A hidden character is one that a reader does not see but a terminal, a parser or another reader may act on: controls,
direction marks, zero-width characters, tags, line and paragraph separators, surrogates, unassigned and private code
points. All text that is printed passes through here. Imports nothing heavy, because plain lock commands use it.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right

SHOWN_AS = "�"
"""What is shown in place of a hidden character."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_IGNORABLE = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0000, 0xE0FFF),
)
"""Invisible code points whose category is that of a letter, a mark or a symbol: Default_Ignorable_Code_Point of
Unicode 16 (DerivedCoreProperties.txt) without the categories above, and the blank braille pattern."""

_ONE_LINE = str.maketrans({"\r": "⏎", "\n": "⏎", "\t": " "})
_IGNORABLE_STARTS = tuple(first for first, _ in _IGNORABLE)
_JOINER, _AS_EMOJI = "\u200d", "\ufe0f"
_BEFORE_EMOJI_SELECTOR = frozenset("#*0123456789‼⁉〰〽")


def is_hidden(char: str) -> bool:
    """Return whether one character is hidden: not seen by a reader, but acted on by a terminal or a parser.

    These are controls (also tab and line break), direction marks, zero-width characters, surrogates, private and
    unassigned code points and the like. The neighbours of the character are not considered.
    """
    if " " <= char <= "~":
        return False
    if unicodedata.category(char) in _HIDDEN_CATEGORIES:
        return True
    code = ord(char)
    at = bisect_right(_IGNORABLE_STARTS, code) - 1
    return at >= 0 and code <= _IGNORABLE[at][1]


def has_hidden(text: str) -> bool:
    """Return whether the text has a character that `is_hidden`, such as a control or a line break.

    Joiners and selectors inside an emoji do not count.
    """
    if text.isascii():
        return not text.isprintable()
    return any(is_hidden(char) and not _is_emoji_part(text, at) for at, char in enumerate(text))


def inert(text: str, *, keep: str = "") -> str:
    """Return the text with each character that `is_hidden` replaced by `�`, except inside an emoji.

    Line breaks and tabs are hidden characters too.

    Args:
        text: Any text, even with unpaired surrogates; the result can be encoded.
        keep: Hidden characters to leave in, such as newline and tab.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        SHOWN_AS if is_hidden(char) and char not in keep and not _is_emoji_part(text, at) else char
        for at, char in enumerate(text)
    )


def one_line(text: str) -> str:
    """Return text from an agent, a model or a repository as one line that cannot affect a terminal (SEC-2).

    Line breaks become `⏎`, tabs blanks, and other characters that a reader does not see, such as escapes, `�`.
    """
    if text.isascii() and text.isprintable():
        return text
    return inert(text.translate(_ONE_LINE))


def without_hidden(text: str, *, keep: str = "") -> str:
    """Return the text without the characters that `is_hidden`, other than those in `keep` and those inside an emoji.

    For text that git or a model gets.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char for at, char in enumerate(text) if not is_hidden(char) or char in keep or _is_emoji_part(text, at)
    )


def escape_hidden(json_text: str) -> str:
    r"""Return JSON text with each hidden character as a `\uXXXX` escape: the same values, but harmless on a screen.

    Line feeds stay, and what is part of an emoji.

    Args:
        json_text: Valid JSON without hidden characters outside of strings, such as `json.dumps` returns.
    """
    if json_text.isascii() and json_text.isprintable():
        return json_text
    return "".join(
        _escape(char) if is_hidden(char) and char != "\n" and not _is_emoji_part(json_text, at) else char
        for at, char in enumerate(json_text)
    )


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _is_emoji_part(text: str, at: int) -> bool:
    """Return whether the character at index `at` is a zero-width joiner between two emoji, or a selector after one.

    Such characters are drawn as one with their neighbours.
    """
    char = text[at]
    if char not in (_JOINER, _AS_EMOJI) or at == 0:
        return False
    before = text[at - 1]
    is_symbol = unicodedata.category(before) in ("So", "Sk", "Sm") and not is_hidden(before)
    if char == _AS_EMOJI:
        return is_symbol or before in _BEFORE_EMOJI_SELECTOR
    is_after_emoji = is_symbol or (before == _AS_EMOJI and at > 1 and _is_emoji_part(text, at - 1))
    return is_after_emoji and at + 1 < len(text) and _is_emoji(text[at + 1])


def _is_emoji(char: str) -> bool:
    return unicodedata.category(char) == "So" and not is_hidden(char)
