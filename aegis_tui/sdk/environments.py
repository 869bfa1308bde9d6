"""Where a workspace keeps the environments that its set-up command made, and what the person allowed (GIT-1).

No sandbox can write here, but for that of a set-up command while it runs, in its own tree and HOME.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aegis_tui.domain.wire.environment import WorktreeEnvironment
from aegis_tui.ports.prepared_environment import MadeEnvironment
from aegis_tui.sdk.private_file import load_record, write_private

ENVIRONMENT_NAME = "environment.json"
"""The file in an instance's folder that says what its worktree has besides the tracked files."""

_RECORD = "environment.json"
_CONSENTS = "allowed.json"
_MOST_CONSENTS = 20
"""How many are remembered: each is for one state of the lock files, and old states seldom come back."""

_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{12}\Z")


class EnvironmentFolder:
    """The folder of the environments of one workspace. All methods block.

    Args:
        folder: The folder; may not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def tree(self, name: str) -> Path:
        """Return the path of the folder in which an environment's set-up command ran; it may not exist."""
        return self.path / name / "tree"

    def home(self, name: str) -> Path:
        """Return the path of the HOME that an environment's set-up command had; it may not exist."""
        return self.path / name / "home"

    def log(self, name: str) -> Path:
        """Return the path of the file with the output of an environment's set-up command, also of one that failed.

        It may not exist.
        """
        return self.path / f"{name}.log"

    def find(self, key: str, tree_oid: str) -> MadeEnvironment | None:
        """Return the complete environment that fits a tree, as recorded; None if there is none.

        It is the one made for this tree; else the newest of the same key that is good for every tree.

        Args:
            key: The key of the set-up.
            tree_oid: The id of the tree.

        Raises:
            OSError: The folder cannot be listed.
        """
        made = {item.name: item for item in self.made()}
        if exact := made.get(name_of(key, tree_oid)):
            return exact
        return next((item for item in made.values() if item.name.startswith(key) and item.is_for_every_tree), None)

    def made(self) -> list[MadeEnvironment]:
        """Return the complete environments, as recorded, the newest first; empty if there are none.

        One without a readable record counts as not complete.

        Raises:
            OSError: The folder cannot be listed.
        """
        complete = [item for name in self.names() if (item := self._load(name))]
        return sorted(complete, key=lambda item: item.finished_unix, reverse=True)

    def logs(self) -> list[Path]:
        """Return the paths of the files with the output of set-up commands, the newest first.

        Empty if there are none.
        """
        logs = [path for path in self.path.glob("*.log") if _NAME.match(path.stem) and path.is_file()]
        return sorted(logs, key=lambda path: path.stat().st_mtime, reverse=True)

    def names(self) -> Iterator[str]:
        """Yield the names of all environments, sorted, also of those that are not complete.

        None if there is no folder, or if its path cannot be looked at.

        Raises:
            OSError: The folder cannot be listed.
        """
        if os.path.isdir(self.path):  # noqa: PTH112  # False, and no error, for a path that cannot be looked at
            yield from sorted(entry.name for entry in self.path.iterdir() if entry.is_dir() and _NAME.match(entry.name))

    def record(self, made: MadeEnvironment) -> None:
        """Write the record of an environment into its folder, which must exist: from then on it counts as complete.

        Raises:
            OSError: The record cannot be written.
        """
        write_private(self.path / made.name / _RECORD, json.dumps(asdict(made), ensure_ascii=True))

    def _load(self, name: str) -> MadeEnvironment | None:
        fields = load_record(self.path / name / _RECORD)
        try:
            return MadeEnvironment(**{**fields, "made": tuple(fields["made"]), "left_out": tuple(fields["left_out"])})
        except (KeyError, TypeError):
            return None

    def allowed(self) -> dict[str, Any]:
        """Return what the person allowed, by the key of its set-up; empty if nothing, or the file cannot be read.

        Each value has `command`, `network` (whether it may use it) and `allowed_at` (a timestamp). Never raises.
        """
        return load_record(self.path / _CONSENTS)

    def allow(self, key: str, command: str, *, network: bool, at: str) -> None:
        """Record that the person allows a set-up; the record of an earlier permission of the same key is replaced.

        The 20 newest permissions are kept. The folder is created if needed.

        Args:
            key: The key of the set-up, which depends on its command and on the content of the lock files.
            command: Its command.
            network: Whether it may use the network.
            at: The timestamp.

        Raises:
            OSError: The record cannot be written.
        """
        others = [(name, item) for name, item in self.allowed().items() if name != key][1 - _MOST_CONSENTS :]
        self._write({**dict(others), key: {"command": command, "network": network, "allowed_at": at}})

    def forget(self) -> int:
        """Take back everything that the person allowed; return how many set-ups that were. Nothing is written if none.

        Raises:
            OSError: The record cannot be written.
        """
        count = len(self.allowed())
        if count:
            self._write({})
        return count

    def _write(self, consents: dict[str, Any]) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.path / _CONSENTS, json.dumps(consents, indent=1))


def worktree_environment(folder: Path) -> WorktreeEnvironment | None:
    """Return what the worktree of an instance has besides the tracked files; None if nothing was recorded.

    Args:
        folder: The folder of the instance, which it cannot write.
    """
    fields = load_record(folder / ENVIRONMENT_NAME)
    if not fields:
        return None
    return {
        "prepared": str(fields.get("prepared", "")),
        "places": [str(item) for item in fields.get("places", ())],
        "copied": int(fields.get("copied", 0)),
        "left_out": {str(name): str(reason) for name, reason in dict(fields.get("left_out", {})).items()},
        "ports": [int(item) for item in fields.get("ports", ())],
    }


def name_of(key: str, tree_oid: str) -> str:
    """Return the name of an environment: the key of its set-up, `-`, and the first 12 digits of the tree's id."""
    return f"{key}-{tree_oid[:12]}"
