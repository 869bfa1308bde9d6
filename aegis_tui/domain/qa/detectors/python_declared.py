"""What a Python project says itself about how it is tested: in tox, hatch, PDM, Poe, taskipy and nox files."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Collection, Iterator
from typing import Any

from aegis_tui.domain.qa.command import programs_of
from aegis_tui.domain.qa.detectors.base import Read

_REST = re.compile(r"\{(?:posargs|args)(?::[^{}]*)?\}")
_PYTHON = re.compile(r"\{(?:envpython|env_python)\}")
_NOX = re.compile(r"\bsession\.run\(([^()]*)\)")
_WORD = re.compile(r"[\"']([^\"']*)[\"']")
_MOST = 200


def declared_commands(files: Collection[str], read: Read) -> list[str]:
    """Return the plain commands in a project's own descriptions that run unittest or Django's tests, each once.

    A command with a part that only its tool could fill in is left out.

    Args:
        files: All tracked paths.
        read: Gives the text of a file; asked for `pyproject.toml`, `tox.ini`, `setup.cfg` and `noxfile.py`.
    """
    lines: list[str] = []
    if "pyproject.toml" in files:
        lines += _of_pyproject(read("pyproject.toml"))
    for name in ("tox.ini", "setup.cfg"):
        if name in files:
            lines += _of_ini(read(name))
    if "noxfile.py" in files:
        lines += (" ".join(_WORD.findall(call)) for call in _NOX.findall(read("noxfile.py")))
    plain = (_plain(line) for line in lines[:_MOST])
    return list(dict.fromkeys(line for line in plain if line and _runs_tests(line)))


def _of_pyproject(text: str) -> list[str]:
    try:
        tool = tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return []
    if not isinstance(tool, dict):
        return []
    lines = list(_strings(tool.get("hatch", {})))
    for name, key in (("pdm", "scripts"), ("poe", "tasks"), ("taskipy", "tasks")):
        table = tool.get(name)
        lines += _strings(table.get(key)) if isinstance(table, dict) else ()
    tox = tool.get("tox")
    if isinstance(tox, dict):
        lines += _commands_of_tox(tox)
    return lines


def _commands_of_tox(tox: dict[str, Any]) -> Iterator[str]:
    legacy = tox.get("legacy_tox_ini")
    if isinstance(legacy, str):
        yield from _of_ini(legacy)
    environments = tox.get("env", {})
    tables = [tox.get("env_run_base"), *(environments.values() if isinstance(environments, dict) else ())]
    for table in tables:
        for command in table.get("commands", ()) if isinstance(table, dict) else ():
            if isinstance(command, list) and all(isinstance(word, str) for word in command):
                yield " ".join(command)


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 6 and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item, depth + 1)


def _of_ini(text: str) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    sections = [name for name in parser.sections() if name.startswith("testenv")]
    values = [parser.get(name, "commands", fallback="") for name in sections]
    return [line.strip() for value in values for line in value.replace("\\\n", " ").splitlines() if line.strip()]


def _plain(line: str) -> str:
    line = _PYTHON.sub("python3", _REST.sub("", line)).strip()
    line = re.sub(r"^python(?= )", "python3", line)
    return "" if re.search(r"[{}$\n]", line) else re.sub(r"\s+", " ", line)


def _runs_tests(line: str) -> bool:
    programs = programs_of(line)
    if len(programs) != 1 or not programs[0]:
        return False
    words = programs[0]
    return words[0] == "unittest" or (any(word.endswith("manage.py") for word in words[:2]) and "test" in words)
