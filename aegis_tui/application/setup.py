"""Sets up a repository for its team (`init`), and undoes exactly that (CLI-2).

What was written is recorded in git's common folder, with the previous contents: undo restores them, and leaves files
alone that somebody has changed since.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.errors import Refused, UsageError

SETUP_FILES = Path(__file__).parent / "setup_files"
RUN_DATA = ("/.agents/specs/active/", "/.agents/specs/archive/", "/.agents/diffs/", "/.agents/design/", "/task.md")
"""Paths that runs write inside the checkout; they must never be committed (contract 1)."""

AGENT_DOCS = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".agent/rules/aegis-tui.md")
"""The files in which agent programs look for instructions: each gets the same section."""

BEGIN, END = "aegis-tui: begin", "aegis-tui: end"
RECORD = "aegis-init.json"


@dataclass(frozen=True, slots=True)
class SetupChange:
    """The files that `init` or its undo changed. Paths inside the checkout are relative to it."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Files that somebody has changed since `init`; undo leaves them as they are."""


class Setup:
    """Writes and removes the team's files of one repository.

    Args:
        root: The checkout.
        common_dir: Git's common folder, which contains `info/exclude` and the record of what was written.
        roles: Role name -> the text of its file.
    """

    def __init__(self, root: Path, common_dir: Path, roles: Mapping[str, str]) -> None:
        self._root, self._common_dir, self._roles = root.resolve(), common_dir.resolve(), roles

    def write(self, *, agent_docs: bool = False) -> SetupChange:
        """Write the files that are missing; files that exist stay as they are. Return the names of what was written.

        Also adds a block at the end of `info/exclude`, and with `agent_docs` of the files in `AGENT_DOCS`, unless it is
        there already; that counts as written. Of those, a symbolic link, and a file that is not in an encoding that
        extends ASCII, stay as they are and count as kept. After `Refused` or `OSError` some files may have been
        written: `undo` knows them.

        Args:
            agent_docs: Whether to add blocks about the workspace, for agents of other kinds.

        Raises:
            Refused: A path leads out of the checkout.
            UsageError: The record of an earlier call cannot be read.
            OSError: A file cannot be read or written.
        """
        record, written = self._load(), []
        for name, text in self._files().items():
            path = self._inside(name)
            if not path.exists():
                self._put(record, name, path, text.encode())
                written.append(name)
        kept = []
        blocks: list[tuple[str, Path, Callable[[bytes], bytes]]] = [
            (self._shown(self._exclude), self._exclude, lambda old: _with_block(old, "# {}", RUN_DATA))
        ]
        docs = _read_setup_file("agents.md").rstrip("\n").split("\n")
        for name in AGENT_DOCS if agent_docs else ():
            path = self._root / name
            if path.is_symlink() or (self._inside(name).exists() and b"\0" in path.read_bytes()):
                kept.append(name)
            else:
                blocks.append((name, path, lambda old: _with_block(old, "<!-- {} -->", docs, end=_line_end(old))))
        for name, path, add in blocks:
            old = path.read_bytes() if path.exists() else b""
            if (new := add(old)) != old:
                self._put(record, name, path, new)
                written.append(name)
        return SetupChange(written=tuple(written), kept=tuple(kept))

    @property
    def was_written(self) -> bool:
        """Whether `write` has written something here that was not undone yet."""
        return self._record.exists()

    def planned(self) -> list[str]:
        """Return the names of the files that `write` would create; git's exclude file, to which it adds, is not named.

        Raises:
            Refused: A path leads out of the checkout.
        """
        return [name for name in self._files() if not self._inside(name).exists()]

    def undo(self, *, only_agent_docs: bool = False) -> SetupChange:
        """Restore what was there before, byte for byte; from a file that was changed since, remove only our block.

        A changed file without such a block is kept. Folders that were created and are empty are deleted, and then the
        record.

        Args:
            only_agent_docs: Leave all but the files in `AGENT_DOCS` as they are, and in the record.

        Returns:
            The names of the files that were restored or cleared of our block, and of those kept.

        Raises:
            UsageError: Nothing was set up here, or the record cannot be read.
            Refused: A recorded path leads out of the checkout.
            OSError: A file cannot be restored. After this and `Refused`, some files may have been restored; the record
                stays, so that undo can be repeated.
        """
        record = self._load()
        if not record["files"]:
            raise UsageError("this repository was not set up", "set it up: aegis-tui init")
        removed, kept = [], []
        stays = {name: entry for name, entry in record["files"].items() if only_agent_docs and name not in AGENT_DOCS}
        for name, entry in reversed([item for item in record["files"].items() if item[0] not in stays]):
            if self._restore(self._place(name), entry):
                removed.append(name)
            else:
                kept.append(name)
        for name in reversed(record["folders"]):
            folder = self._place(name)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if stays:
            folders = [name for name in record["folders"] if self._place(name).is_dir()]
            _replace(self._record, json.dumps({"files": stays, "folders": folders}, indent=1).encode())
        else:
            self._record.unlink()
        return SetupChange(removed=tuple(reversed(removed)), kept=tuple(reversed(kept)))

    @property
    def _record(self) -> Path:
        return self._common_dir / RECORD

    @property
    def _exclude(self) -> Path:
        return self._common_dir / "info" / "exclude"

    def _files(self) -> dict[str, str]:
        roles = {f".agents/agents/{name}.md": text for name, text in sorted(self._roles.items())}
        return {
            ".agents/config.toml": _read_setup_file("config.toml"),
            **roles,
            ".agents/rules/default.toml": _read_setup_file("rules/default.toml"),
            **{
                f".agents/specs/templates/{path.name}": path.read_text("utf-8")
                for path in sorted((SETUP_FILES / "specs").glob("*.yaml"))
            },
        }

    def _inside(self, name: str) -> Path:
        path = self._root / name
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise Refused(f"{name} leads out of the checkout", "remove the symbolic link, then try again")
        return path

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)

    def _place(self, name: str) -> Path:
        """Return the path of a recorded name: in the checkout, or git's exclude file or its folder, wherever they are.

        Raises:
            Refused: It leads out of the checkout.
        """
        exclude = (self._exclude, self._exclude.parent)
        return next((path for path in exclude if self._shown(path) == name), None) or self._inside(name)

    def _put(self, record: dict[str, Any], name: str, path: Path, content: bytes) -> None:
        """Update the record, then write the file, so that nothing is lost if the process is killed in between.

        Args:
            record: What was written so far; the file, its former content and new folders are added.
            name: The file's name in the record.
            path: The file; its folder is created if it is missing.
            content: Its new content.

        Raises:
            OSError: The record or the file cannot be written, or its former content cannot be read.
        """
        old = path.read_bytes() if path.exists() else None
        first = record["files"].get(name, {"before": None if old is None else base64.b64encode(old).decode()})
        record["files"][name] = {**first, "sha256": hashlib.sha256(content).hexdigest()}
        missing = [folder for folder in path.parents if not folder.exists()]
        record["folders"] += [self._shown(folder) for folder in reversed(missing)]
        _replace(self._record, json.dumps(record, indent=1).encode())
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)

    def _restore(self, path: Path, entry: Mapping[str, Any]) -> bool:
        """Restore a file, or remove our block from one that was changed; return whether nothing of ours is left.

        The block counts only if exactly one begin and one end mark it. False, with the file as it is, if it was changed
        and has none. A missing file counts as restored.

        Args:
            path: The file.
            entry: Its entry in the record.

        Raises:
            OSError: The file cannot be read or written.
        """
        if not path.exists():
            return True
        now = path.read_bytes()
        before = None if entry["before"] is None else base64.b64decode(entry["before"])
        if hashlib.sha256(now).hexdigest() == entry["sha256"]:
            if before is None:
                path.unlink()
            else:
                _replace(path, before)
            return True
        without = _without_block(now, gap=before is not None and bool(before) and not before.endswith(b"\n"))
        if without == now:
            return False
        _replace(path, without)
        return True

    def _load(self) -> dict[str, Any]:
        try:
            record = json.loads(self._record.read_text("utf-8"))
            return {"files": dict(record["files"]), "folders": list(record["folders"])}
        except FileNotFoundError:
            return {"files": {}, "folders": []}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UsageError(
                f"{self._record} cannot be read: {error}", "move that file away, then undo by hand"
            ) from error


def _read_setup_file(name: str) -> str:
    return (SETUP_FILES / name).read_text("utf-8")


def _with_block(old: bytes, comment: str, lines: Iterable[str], *, end: str = "\n") -> bytes:
    """Return the content with our block appended; unchanged if it has one already.

    Args:
        old: The content.
        comment: How the file writes a comment, with `{}` for the text; it marks the block's begin and end.
        lines: The lines between.
        end: What ends a line.
    """
    if comment.format(BEGIN).encode() in old:
        return old
    gap = "" if not old or old.endswith(b"\n") else end
    block = end.join([comment.format(BEGIN), *lines, comment.format(END)]) + end
    return old + (gap + block).encode()


def _line_end(content: bytes) -> str:
    """Return what ends most lines of a file: a line feed, or a carriage return and a line feed."""
    return "\r\n" if 2 * content.count(b"\r\n") > content.count(b"\n") else "\n"


def _without_block(content: bytes, *, gap: bool) -> bytes:
    """Return the content without our block; unchanged if it does not have exactly one begin and one end after it.

    Args:
        content: The content.
        gap: Whether a line end was put before the block; it goes too, unless text follows the block.
    """
    lines = content.splitlines(keepends=True)
    begins = [index for index, line in enumerate(lines) if BEGIN.encode() in line]
    ends = [index for index, line in enumerate(lines) if END.encode() in line]
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        return content
    before, after = b"".join(lines[: begins[0]]), b"".join(lines[ends[0] + 1 :])
    if gap and not after:
        before = before.removesuffix(b"\n").removesuffix(b"\r")
    return before + after


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step (rename). It keeps the mode of the file that it replaces, if there is one.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.aegis-new")
    fresh.write_bytes(content)
    fresh.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
    fresh.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
