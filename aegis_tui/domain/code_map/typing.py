"""Reads off a Python annotation which class a value with it is an instance of."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[^\W\d][\w.]*\Z")
_GENERIC: Final = re.compile(r"([\w.]+)\[(.*)\]\Z", re.DOTALL)
_PARAMETER: Final = re.compile(r"\s*\*{0,2}([^\W\d]\w*)")
_TRANSPARENT: Final = frozenset(
    [
        *("Optional", "Annotated", "Final", "ClassVar", "Required", "NotRequired", "Awaitable", "Union"),
        *("Iterator", "AsyncIterator", "Generator", "AsyncGenerator", "ContextManager", "AbstractContextManager"),
        *("AsyncContextManager", "AbstractAsyncContextManager"),
    ]
)
"""Generic types of which a value is used like one of the type in brackets: as it is, awaited, or in a `with`."""


def classes_in(annotation: str) -> list[str]:
    """Return the names of the classes that a value with this Python annotation may be an instance of, as written.

    `None` is left out. A container such as `list[A]` gives the name of the container; `Optional[A]`, `Awaitable[A]`,
    `Iterator[A]` and the like give those of `A`. What is no name is left out, so the result may be empty.
    """
    text = annotation.strip().strip("'\"").strip()
    known: list[str] = []
    for part in _split(text, "|"):
        part = part.strip().strip("'\"")
        if _NAME.match(part):
            known.append(part)
        elif match := _GENERIC.match(part):
            name = match[1].rpartition(".")[2]
            inner = _split(match[2], ",")
            if name == "Union":
                known += [item for one in inner for item in classes_in(one)]
            elif name in _TRANSPARENT:
                known += classes_in(inner[0])
            else:
                known.append(match[1])
    return [name for name in known if name != "None"]


def parameters_of(signature: str) -> list[str]:
    """Return the names of the parameters in the signature of a Python function, in order, without `*`, `/` and stars.

    Those in front of the first `(` are not looked for; a signature without one gives none.
    """
    _, _, rest = signature.partition("(")
    depth, end = 1, len(rest)
    for at, letter in enumerate(rest):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            end = at
            break
    parts = (_PARAMETER.match(part) for part in _split(rest[:end], ","))
    return [match[1] for match in parts if match is not None]


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators outside of `[]`, `()` and `{}`; at least one part, perhaps empty.

    Args:
        text: The text.
        separator: One character.
    """
    parts, depth, begin = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "[({") - (letter in "])}")
        if letter == separator and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
