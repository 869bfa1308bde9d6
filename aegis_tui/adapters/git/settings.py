"""The person's git settings, read again only when a file that they come from has changed (PERF-18)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.errors import GitError

SETTLED_NS: Final = 100_000_000
"""How long a file must have been unchanged before it is read, in nanoseconds: changes that follow at once may have the
same time."""

_COARSE_SETTLED_NS: Final = 3_000_000_000
"""The same where a file's time is a whole second: some file systems have no finer ones."""

_SECOND_NS: Final = 1_000_000_000
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0", ""})


class Setting(NamedTuple):
    """One line of a configuration file."""

    scope: str
    """`system`, `global`, `local`, `worktree` or `command`."""
    origin: str
    """Where it is written: `file:` and the path of the file, or `command line:`."""
    name: str
    """Its key: section and variable are in lower case."""
    value: str | None
    """None without `=`, which stands for true."""


def attribute_files(settings: Iterable[Setting], common_dir: Path | None) -> list[Path]:
    """Return the files outside commits in which git may find attributes; some may not exist. Source: gitattributes(5).

    Args:
        settings: All settings of git.
        common_dir: The common git folder; None leaves its file out.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    named = [item.value or "" for item in settings if item.name == "core.attributesfile"]
    places = [Path(name) for name in (*named, f"{home}/git/attributes", "/etc/gitattributes")]
    files = [] if common_dir is None else [common_dir / "info/attributes"]
    for place in places:
        with contextlib.suppress(RuntimeError):  # no home
            files.append(place.expanduser())
    return files


_Stamp = tuple[int, int, int, int, int] | None
"""Times, size, inode and device of a file; None if it cannot be reached."""


class _KeptSettings(NamedTuple):
    settings: tuple[Setting, ...]
    stamps: Mapping[str, _Stamp]


class GitSettings:
    """The settings that git sees in the common folder of one repository.

    Methods raise `GitError` if the configuration is damaged or git fails, and `GitUnavailable` if git cannot be
    started. A change of a file is seen by the next call.

    Args:
        runner: Runs git in the common folder.
    """

    def __init__(self, runner: GitRunner) -> None:
        self._runner = runner
        self._kept: _KeptSettings | None = None
        self._system: str | None = None

    async def list_all(self) -> tuple[Setting, ...]:
        """Return all settings; of several with one name, the last one counts, except where git uses all of them."""
        if self._kept is not None and _stamps(self._kept.stamps) == self._kept.stamps:
            return self._kept.settings
        started_ns = time.time_ns()
        listed = await self._runner.run("config", "--list", "-z", "--show-scope", "--show-origin", "--includes")
        settings = tuple(_parse(listed.fields()))
        self._kept = None
        files = await self._files(settings)
        if files is not None:
            stamps = _stamps(files)
            if all(_is_settled(stamp, started_ns) for stamp in stamps.values()):
                self._kept = _KeptSettings(settings, stamps)
        return settings

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin so, in the order of the files."""
        return [item.name for item in await self.list_all() if item.name.startswith(prefix)]

    async def values(self, prefix: str) -> dict[str, str]:
        """Return the values of the names that begin so; of several with one name, the last one."""
        return {item.name: item.value or "" for item in await self.list_all() if item.name.startswith(prefix)}

    async def is_true_here(self, name: str) -> bool | None:
        """Return what the repository's own file says of a setting that is true or false; None if it does not say it.

        False if it is not there. Files that it includes do not count.

        Args:
            name: In lower case.
        """
        own = str((self._runner.git_dir or Path()) / "config")
        here = [item for item in await self.list_all() if item.name == name and item.origin == f"file:{own}"]
        if not here:
            return False
        value = "true" if here[-1].value is None else here[-1].value.lower()
        return True if value in _TRUE else False if value in _FALSE else None

    async def _files(self, settings: Iterable[Setting]) -> list[str] | None:
        """Return the files that settings may come from, also those that do not exist; None if they are not known."""
        common = self._runner.git_dir
        origins = {item.origin for item in settings if item.scope != "command"}
        if common is None or not all(origin.startswith("file:/") for origin in origins):
            return None
        files = {str(common / "config"), str(common / "config.worktree"), *_of_the_person(os.environ)}
        files.update(origin.removeprefix("file:") for origin in origins)
        for item in settings:
            if item.name.startswith("includeif.") and not item.name.startswith("includeif.gitdir"):
                return None  # it depends on more than files
            if item.name.startswith(("include.", "includeif.")) and item.name.endswith(".path") and item.value:
                files.add(_included(item))
        files.update([] if os.environ.get("GIT_CONFIG_NOSYSTEM") else [await self._system_file()])
        return [file for file in files if file]

    async def _system_file(self) -> str:
        """Return the path of the machine's configuration file, which may not exist; "" if git does not say it."""
        if self._system is None:
            try:
                # The only way to learn it from a git before 2.42: have it open an editor that prints the path.
                asked = await self._runner.run("config", "--system", "--edit", env={"GIT_EDITOR": "echo"})
                self._system = asked.text
            except GitError:
                self._system = ""
        return self._system


def _of_the_person(environ: Mapping[str, str]) -> Iterator[str]:
    if given := environ.get("GIT_CONFIG_GLOBAL"):
        yield given
    home = environ.get("HOME", "")
    yield f"{home}/.gitconfig"
    yield f"{environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/git/config"


def _included(item: Setting) -> str:
    """Return the file that an `include` names; "" for a home that does not exist, which git reports itself."""
    try:
        return str(Path(item.origin.removeprefix("file:")).parent / Path(item.value or "").expanduser())
    except RuntimeError:
        return ""


def _parse(fields: Iterable[str]) -> Iterator[Setting]:
    parts = iter(fields)
    for scope, origin, entry in zip(parts, parts, parts, strict=True):
        name, has_value, value = entry.partition("\n")
        yield Setting(scope, origin, name, value if has_value else None)


def _stamps(files: Iterable[str]) -> dict[str, _Stamp]:
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> _Stamp:
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _is_settled(stamp: _Stamp, read_ns: int) -> bool:
    """Return whether a file has not changed for so long before it was read that a later change has another time."""
    if stamp is None:
        return True
    changed_ns = max(stamp[0], stamp[1])
    is_coarse = stamp[0] % _SECOND_NS == 0 == stamp[1] % _SECOND_NS
    return read_ns - changed_ns > (_COARSE_SETTLED_NS if is_coarse else SETTLED_NS)
