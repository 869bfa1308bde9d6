r"""File names as text (contract 3): names are bytes, and every message, event and screen must be able to carry them.

Inside a process a name is a Python string in which each byte that is not UTF-8 is a lone surrogate (PEP 383), as
`os.fsdecode` returns it. Such a string cannot be encoded, so it never leaves the code that reads the file. Everywhere
else a name is in its written form: the name itself where it is UTF-8, and git's quoted form, `"latin\351.txt"`, where
it is not or where it begins with a quotation mark. The written form can be converted back without loss.

Source: git-config(1), core.quotePath.
"""

from __future__ import annotations

import re
from typing import Any, Final

QUOTE: Final = '"'

_ESCAPES: Final = {
    "a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92,
}  # fmt: skip
_LETTERS: Final = {value: letter for letter, value in _ESCAPES.items()}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\[abtnvfr"\\]|\\[0-3][0-7]{2})*)"', re.DOTALL)
_ESCAPE: Final = re.compile(r'\\([abtnvfr"\\]|[0-3][0-7]{2})')


def write_name(name: str) -> str:
    r"""Return the written form of a name or path: itself, or in git's quoted form, such as `"latin\351.txt"`.

    It is quoted if it is not UTF-8 or begins with a quotation mark.

    Args:
        name: As Python holds it; it may have lone surrogates (PEP 383).

    Returns:
        Text that UTF-8 can carry; `read_name` returns the name again.
    """
    if name.isascii() or not _SURROGATE.search(name):
        return name if not name.startswith(QUOTE) else _quote(name)
    return _quote(name)


def read_name(text: str) -> str:
    """Return the name as Python holds it, from its written form, which is quoted as by git or plain (`write_name`).

    Raises:
        ValueError: It begins with a quotation mark, but is not in git's quoted form, or has a NUL in it.
    """
    if not text.startswith(QUOTE):
        return text
    match = _QUOTED.fullmatch(text)
    if match is None or "\\000" in match[1].replace("\\\\", ""):
        raise ValueError(
            f'{text} begins with a quotation mark but is not a name in git\'s quoted form, such as "latin\\351.txt"'
        )
    at, raw = 0, bytearray()
    body = match[1]
    for escape in _ESCAPE.finditer(body):
        raw += body[at : escape.start()].encode("utf-8", "surrogateescape")
        raw.append(_ESCAPES[escape[1]] if escape[1] in _ESCAPES else int(escape[1], 8))
        at = escape.end()
    raw += body[at:].encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "surrogateescape")


def name_of(text: str) -> str:
    """Return the name as Python holds it, from its written form; never raises.

    A text that begins with a quotation mark but is not in git's quoted form (from an old log) is returned unchanged.
    """
    if not text.startswith(QUOTE):
        return text
    try:
        return read_name(text)
    except ValueError:
        return text


def canonical_name(text: str) -> str:
    """Return the canonical written form of a name that a person or client wrote: equal names become equal texts.

    Raises:
        ValueError: It begins with a quotation mark, but is not in git's quoted form, or has a NUL in it.
    """
    return write_name(read_name(text)) if text.startswith(QUOTE) else text


def is_below(path: str, folder: str) -> bool:
    """Return whether `path` lies inside `folder`, at any depth, both in their written form.

    A path is not inside itself.

    Compares text only; letter case counts.
    """
    if path.startswith(QUOTE):
        path, folder = name_of(path), name_of(folder)
    return path.startswith(f"{folder}/")


def parent_of(path: str) -> str:
    """Return the folder that `path` lies in, in its written form; empty for a path at the root."""
    if not path.startswith(QUOTE):
        return path.rpartition("/")[0]
    parent = name_of(path).rpartition("/")[0]
    return write_name(parent) if parent else ""


def encodable_text(text: str) -> str:
    """Return the text unchanged, or as a whole in git's quoted form where UTF-8 cannot carry it."""
    return _quote(text) if _SURROGATE.search(text) else text


def encodable(value: Any) -> Any:
    """Return a copy of a value in which each text that UTF-8 cannot carry is in git's quoted form; tuples become lists.

    For texts that this program writes itself, such as a refusal that names a file or a folder.
    """
    if isinstance(value, str):
        return encodable_text(value)
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    return value


def _quote(name: str) -> str:
    raw = name.encode("utf-8", "surrogatepass" if _is_foreign(name) else "surrogateescape")
    return QUOTE + "".join(map(_quoted_byte, raw)) + QUOTE


def _is_foreign(name: str) -> bool:
    """Return whether a text has a surrogate that stands for no byte (PEP 383): no file name has one, other text may."""
    return any(not "\udc80" <= char <= "\udcff" for char in _SURROGATE.findall(name))


def _quoted_byte(value: int) -> str:
    if value in _LETTERS:
        return f"\\{_LETTERS[value]}"
    return chr(value) if 0x20 <= value < 0x7F else f"\\{value:03o}"
