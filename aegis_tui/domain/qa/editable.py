"""Where the files of an editable install lead, and the same files led to another tree. Pure functions over text.

Installers write the place of the sources in several forms: a `.pth` file with folders (setuptools, poetry, hatch, pdm,
flit, uv), a `.pth` file that imports a finder whose module holds a table of paths (setuptools), an `.egg-link` file
(setuptools before 64), a start line of a script. All hold absolute paths as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Translate = Callable[[str], str | None]
"""An absolute path -> the path to use instead; None where it stays as it is."""

_QUOTED = re.compile(r"""(?P<quote>['"])(?P<path>/[^'"\n]*)(?P=quote)""")
_CODE = ("import ", "import\t")


def pth_folders(text: str) -> list[str]:
    """The folders that a `.pth` or `.egg-link` file adds, as written; lines of code and comments are left out.

    Source: the Python documentation of `site`.
    """
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", *_CODE))]


def quoted_paths(text: str) -> list[str]:
    """Every absolute path that stands between quotation marks: the table of a finder, a `sys.path.insert`."""
    return [match["path"] for match in _QUOTED.finditer(text)]


def translate_pth(text: str, translate: Translate) -> str:
    """The same `.pth` or `.egg-link` file with its folders, also those in lines of code, translated."""
    lines = []
    for line in text.splitlines():
        kept = line.strip()
        lines.append(translate_quoted(line, translate) if kept.startswith(_CODE) else translate(kept) or line)
    return "\n".join(lines) + "\n"


def translate_quoted(text: str, translate: Translate) -> str:
    """The same text with the absolute paths between quotation marks translated."""

    def replaced(match: re.Match[str]) -> str:
        instead = translate(match["path"])
        return match[0] if instead is None else f"{match['quote']}{instead}{match['quote']}"

    return _QUOTED.sub(replaced, text)


def replace_folder(text: str, old: str, new: str) -> str:
    """The same text with a folder and what lies in it named by a new place; `/a/bc` is not in `/a/b`."""
    return re.sub(rf"{re.escape(old)}(?![\w.-])", lambda _: new, text)
