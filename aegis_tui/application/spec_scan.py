"""Finds out which spec files have changed, by what the files say and not by events (SPEC-4). All methods block."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_text import SpecFile, read_spec
from aegis_tui.application.yaml_text import MAX_SIZE_BYTES
from aegis_tui.domain.spec.document import Spec
from aegis_tui.errors import AegisError

_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_Stamp = tuple[int, int, int, int]
_NEVER: _Stamp = (0, 0, 0, 0)


class SeenSpec(NamedTuple):
    """What the file of a spec said when it was last read; with the same digest it says the same."""

    spec_id: str
    path: str
    """Relative to the checkout, with `/`."""
    digest: str
    """SHA-256 of its content in hexadecimal; empty if the file is gone."""
    spec: Spec | None
    """None if the file is gone or is no valid spec."""
    problem: str = ""
    """Why it is none; empty if it is one."""


class SpecScan:
    """Looks at the spec files of a checkout and remembers what each said.

    Args:
        folder: The specs of the checkout.
    """

    def __init__(self, folder: SpecFolder) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[_Stamp, SeenSpec]] = {}

    def look(self, *, whole: bool = False) -> list[SeenSpec]:
        """Return the files whose content differs from the last look, in the order of their names.

        Args:
            whole: Read every file. Otherwise only files are read whose size, times or inode changed, which misses a
                change that keeps all of them.

        Raises:
            UsageError: Two files have the same id, or there are too many.
        """
        changed = []
        paths = {path.stem: path for path in self._folder.paths()}
        for spec_id in sorted(self._seen.keys() - paths.keys()):
            _, gone = self._seen.pop(spec_id)
            changed.append(SeenSpec(spec_id, gone.path, "", None))
        for spec_id, path in paths.items():
            last = self._seen.get(spec_id)
            try:
                stamp = _stamp(path)
                if last is not None and last[0] == stamp and not whole:
                    continue
                seen = self._read(spec_id, path)
            except OSError:
                continue  # it vanished, or cannot be read now: the next look decides
            self._seen[spec_id] = stamp, seen
            if last is None or last[1].digest != seen.digest or last[1].path != seen.path:
                changed.append(seen)
        return changed

    def known(self) -> list[SeenSpec]:
        """Return what every file said at the last look."""
        return [seen for _, seen in self._seen.values()]

    def accept(self, spec_id: str, file: SpecFile) -> None:
        """Remember what the program itself has written into a file, so that the next look does not return that."""
        _, last = self._seen[spec_id]
        digest = hashlib.sha256(file.text.encode()).hexdigest()
        self._seen[spec_id] = _NEVER, SeenSpec(spec_id, last.path, digest, file.spec)

    def find(self, spec_id: str) -> SeenSpec | None:
        """Return what a file said at the last look; None if it was not there."""
        item = self._seen.get(spec_id)
        return item[1] if item else None

    @property
    def problems(self) -> dict[str, str]:
        """Why files are no valid specs, by the names of the files without their endings."""
        return {spec_id: seen.problem for spec_id, (_, seen) in self._seen.items() if seen.problem}

    def _read(self, spec_id: str, path: Path) -> SeenSpec:
        with os.fdopen(os.open(path, _READING), "rb") as file:
            content = file.read(MAX_SIZE_BYTES + 1)
        digest = hashlib.sha256(content).hexdigest()
        place = path.relative_to(self._folder.root).as_posix()
        try:
            spec = read_spec(content, name=path.name).spec
        except AegisError as error:
            return SeenSpec(spec_id, place, digest, None, error.message)
        return SeenSpec(spec_id, place, digest, spec)


def _stamp(path: Path) -> _Stamp:
    status = path.lstat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
