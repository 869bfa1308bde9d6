"""Gives each worktree ports of its own, exclusive among all workspaces of this user (GIT-1).

A claim is a file that names the worktree; it ends when the worktree is gone, however its owner ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

from aegis_tui.domain.environment.ports import FIRST_VARIABLE, LAST_VARIABLE, choose_ports

_LOCK = ".lock"


class PortClaims:
    """The claims of one user.

    Args:
        folder: Holds the claims; created when the first is made.
        count: How many ports a worktree gets; 0 for none.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count

    def claim(self, worktree: Path) -> dict[str, str]:
        """Return the variables AEGIS_PORT_FIRST and AEGIS_PORT_LAST with the first and last port of a worktree.

        They are the same again for the same worktree. Blocking.

        New ports are recorded in a file of the folder of claims. Empty if worktrees get no ports, or if none are left.

        Raises:
            OSError: The folder of claims cannot be read or written.
        """
        if not self._count:
            return {}
        with self._locked():
            claims = self._claims()
            ports = next((ports for ports, owner in claims if owner == worktree and len(ports) == self._count), None)
            if ports is None:
                start = zlib.crc32(os.fsencode(worktree))
                taken = [ports for ports, owner in claims if owner != worktree]
                ports = choose_ports(self._count, taken, start=start, is_free=_is_free)
                if ports is None:
                    return {}
                (self._folder / f"{ports.start}-{ports.stop - 1}").write_bytes(os.fsencode(worktree))
        return {FIRST_VARIABLE: str(ports.start), LAST_VARIABLE: str(ports.stop - 1)}

    def _claims(self) -> list[tuple[range, Path]]:
        """Return the ranges in use with their worktrees; delete the claims of worktrees that are gone.

        The caller holds the lock of the folder.

        Raises:
            OSError: The folder or a claim cannot be read, or a claim cannot be deleted.
        """
        claims = []
        for entry in self._folder.iterdir():
            first, _, last = entry.name.partition("-")
            if not (first.isdecimal() and last.isdecimal()):
                continue
            owner = Path(os.fsdecode(entry.read_bytes()))
            if owner.is_absolute() and owner.is_dir():
                claims.append((range(int(first), int(last) + 1), owner))
            else:
                entry.unlink(missing_ok=True)
        return claims

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_free(ports: range) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
