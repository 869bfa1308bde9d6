"""Read the paths in the files of a Python editable install, and rewrite them to another tree. Functions over text.

Installers write the path of the sources in several forms: a `.pth` file with folders (setuptools, poetry, hatch, pdm,
flit, uv), a `.pth` file that imports a finder whose module holds a table of paths (setuptools), an `.egg-link` file
(setuptools before 64), or the first line of a script. All hold absolute paths as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Translate = Callable[[str], str | None]
"""Takes an absolute path and returns the path to use instead; None to leave it unchanged."""

_QUOTED = re.compile(r"""(?P<quote>['"])(?P<path>/[^'"\n]*)(?P=quote)""")
_CODE = ("import ", "import\t")


def pth_folders(text: str) -> list[str]:
    """Return the folders that a `.pth` or `.egg-link` file adds, as written; code and comments are left out.

    Source: the Python documentation of `site`.
    """
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", *_CODE))]


def quoted_paths(text: str) -> list[str]:
    """Return every absolute path between quotation marks, in order, as in `sys.path.insert` or a finder's table."""
    return [match["path"] for match in _QUOTED.finditer(text)]


def translate_pth(text: str, translate: Translate) -> str:
    """Return the text of a `.pth` or `.egg-link` file with its folders translated, also those in lines of code.

    A line or path for which `translate` returns None stays as it is. Each line ends in a newline.

    Args:
        text: The text.
        translate: Takes an absolute path and returns the path to use instead; None to leave it unchanged.
    """
    lines = []
    for line in text.splitlines():
        kept = line.strip()
        lines.append(translate_quoted(line, translate) if kept.startswith(_CODE) else translate(kept) or line)
    return "\n".join(lines) + "\n"


def translate_quoted(text: str, translate: Translate) -> str:
    """Return the text with the absolute paths between quotation marks translated.

    Those for which `translate` returns None stay.
    """

    def replaced(match: re.Match[str]) -> str:
        instead = translate(match["path"])
        return match[0] if instead is None else f"{match['quote']}{instead}{match['quote']}"

    return _QUOTED.sub(replaced, text)


def replace_folder(text: str, old: str, new: str) -> str:
    """Return the text with a folder replaced in all paths, also in paths below it; `/a/bc` is not below `/a/b`."""
    return re.sub(rf"{re.escape(old)}(?![\w.-])", lambda _: new, text)
