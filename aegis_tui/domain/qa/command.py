"""Find the programs that a QA command starts, from its text: without wrappers and variable assignments. Does no IO."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

Words = tuple[str, ...]
"""A program and its arguments, without variables in front and without wrappers such as `npx` or `uv run`."""

_SPECIAL = re.compile(r"[;&|<>()$`\\*?~#\n{}\[\]!]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SEPARATORS = frozenset(";&|()")
_PLAIN_WRAPPERS = frozenset({"env", "time", "nice", "exec", "command", "npx", "bunx", "nohup", "xvfb-run", "stdbuf"})
_RUN = frozenset({"run"})
_EXEC = frozenset({"exec", "dlx", "x"})
_RUNNERS = dict.fromkeys(("uv", "poetry", "pipenv", "hatch", "pdm", "rye", "coverage"), _RUN) | dict.fromkeys(
    ("pnpm", "yarn", "npm", "bun", "bundle"), _EXEC
)
"""Programs that start another program -> the verbs that do so; `npm run` and `pnpm run` run scripts instead."""
_ELSEWHERE = re.compile(r"--?(?:r|recursive|ws?|workspaces?|F|filter|C|dir|prefix|cwd)(?:=.*)?$")
"""Options with which package managers run the script of another folder, or of several."""

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")


def is_simple(command: str) -> bool:
    """Return whether the command is one program with plain arguments, so that arguments can be added at its end.

    False if it has any character that is special in a shell, such as `|`, `$` or `*`.
    """
    return not _SPECIAL.search(command) and len(programs_of(command)) == 1


def programs_of(command: str) -> tuple[Words, ...]:
    """Return the programs that a shell command starts, in order; empty when the text cannot be parsed.

    Each is the program's name without its folder, and its arguments; wrappers such as `npx` and variables are left out.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    try:
        tokens = list(lexer)
    except ValueError:
        return ()
    return tuple(words for part in _parts(tokens) if (words := _unwrapped(part)))


def _parts(tokens: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for token in tokens:
        if token and set(token) <= _SEPARATORS | {"\n"}:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _unwrapped(words: list[str]) -> Words:
    for _ in range(8):
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        rest = _inside(words)
        if rest is None:
            break
        words = rest
    return (words[0].rsplit("/", 1)[-1], *words[1:]) if words else ()


def _inside(words: list[str]) -> list[str] | None:
    """Return the words of the command that a wrapper such as `npx`, `timeout 5` or `uv run` starts, perhaps none.

    `python -m MODULE` counts as a wrapper too. None when the first word is no wrapper.
    """
    if not words:
        return None
    name, rest = words[0].rsplit("/", 1)[-1], words[1:]
    if name == "timeout":
        return _without_options(rest)[1:]
    if name in _PLAIN_WRAPPERS:
        return _without_options(rest)
    if _PYTHON.fullmatch(name) and "-m" in rest and all(word.startswith("-") for word in rest[: rest.index("-m")]):
        return rest[rest.index("-m") + 1 :]
    if len(rest) > 1 and rest[0] in _RUNNERS.get(name, ()):
        return _without_options(rest[1:])
    return None


def _without_options(words: list[str]) -> list[str]:
    while words and (words[0].startswith("-") or _ASSIGNMENT.match(words[0])):
        words = words[1:]
    return words


def script_of(command: str) -> str | None:
    """Return the name of the package script that a command runs (`npm test`, `pnpm run unit`); None when it runs none.

    None also for a command with several programs. `bun test` runs bun's own test tool, not a script; a script of
    another folder is not in this package.json.
    """
    programs = programs_of(command)
    if len(programs) != 1 or programs[0][0] not in ("npm", "pnpm", "yarn", "bun"):
        return None
    given = programs[0][1:]
    if any(_ELSEWHERE.match(word) for word in given[: given.index("--") if "--" in given else None]):
        return None
    words = [word for word in given if not word.startswith("-")]
    if words[:1] in (["test"], ["t"]):
        return None if programs[0][0] == "bun" else "test"
    if words[:1] in (["run"], ["run-script"]) and len(words) > 1:
        return words[1]
    return None


def program_name(command: str) -> str:
    """Return a short name for a check: its first program apart from `cd`, `export` and so on, else its first word.

    Never empty unless the command is.
    """
    programs = programs_of(command)
    chosen = next((words for words in programs if words[0] not in ("cd", "export", "set", "true", ":")), None)
    words = chosen or (programs[0] if programs else tuple(command.split()[:1]))
    return words[0] if words else command
