"""The folders that stand for worktrees inside the common git folder, and our notes in them. Plain files, no git."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from aegis_tui.adapters.git.folder import delete_trash, put_aside
from aegis_tui.adapters.git.guard import quote_config
from aegis_tui.errors import GitError, Refused
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, read_file

RECORD_NAME = "aegis.json"

PROTECTED_FILES = (RECORD_NAME, "commondir", "config.worktree", "gitdir", "locked")
"""What no commit writes in a worktree's own git folder, and what would lead git elsewhere."""

LOCK_PREFIX = "aegis-tui"
SCRATCH_LOCK = f"{LOCK_PREFIX} scratch"
"""How the lock reason of every worktree of ours starts."""

_INCLUDE_MARK = "# aegis-tui guard"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """What was noted when a worktree was complete."""

    instance: str
    """Empty for a scratch worktree."""
    base_oid: str
    branch: str | None
    private: Path | None = None
    """Where the instance has its own copies of git's folders (`adapters/git/private.py`); None without a sandbox."""


class AdminFolders:
    """The worktrees' own git folders of one repository.

    Args:
        common_dir: Its common git folder.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._home = common_dir / "worktrees"

    def find(self, path: Path) -> Path | None:
        """The folder of the worktree at `path`, whole or not."""
        wanted = path.resolve()
        for admin in self._home.glob("*"):
            text = _read(admin, "gitdir").rstrip("\n")
            if text and (admin / text).parent.resolve() == wanted:
                return admin
        return None

    def get(self, path: Path) -> Path:
        """As `find`, for a worktree that must be there.

        Raises:
            GitError: There is none.
        """
        admin = self.find(path)
        if admin is None:
            raise GitError(f"{path} is no worktree of this repository", "aegis-tui worktree list")
        return admin

    def find_complete(self, path: Path) -> Path | None:
        """The folder of a worktree that was made to its end and still has its files."""
        admin = self.find(path)
        return admin if admin is not None and read_record(admin) is not None and path.is_dir() else None

    def has_records(self) -> bool:
        """True while a worktree of ours is there."""
        return any(self._home.glob(f"*/{RECORD_NAME}"))

    def cut_off(self) -> list[Path]:
        """Folders of ours that were made before git noted where their worktree is."""
        return [admin for admin in self._home.glob("*") if not (admin / "gitdir").exists() and is_reserved(admin)]

    def drop(self, admin: Path | None) -> None:
        """Forget one worktree; blocking. Never prunes, which would forget the person's missing ones as well."""
        if admin is None:
            return
        put_aside(admin, self._common_dir)
        delete_trash(self._common_dir)
        if self._home.is_dir() and not any(self._home.iterdir()):
            self._home.rmdir()

    def is_stray(self, path: Path) -> bool:
        """True if the folder at `path` says it is a worktree of this repository, which knows nothing of it."""
        target = _read(path, ".git").removeprefix("gitdir: ").strip()
        return bool(target) and Path(target).parent.resolve() == self._home.resolve()


def is_reserved(admin: Path) -> bool:
    """True if a worktree is locked by us; git writes the lock before anything else."""
    return _read(admin, "locked").startswith(LOCK_PREFIX)


def is_scratch(admin: Path) -> bool:
    """True if it is a scratch worktree's, also one that was cut off in the making."""
    record = read_record(admin)
    return not record.instance if record else _read(admin, "locked").strip() == SCRATCH_LOCK


def read_record(admin: Path) -> Record | None:
    """Our note, or None where the worktree is unfinished or not ours."""
    try:
        plain = json.loads(_read(admin, RECORD_NAME))
        private = plain.get("private")
        instance, base_oid = str(plain["instance"]), str(plain["base_oid"])
        return Record(instance, base_oid, plain["branch"], Path(private) if private else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(admin: Path, record: Record) -> None:
    """Note that a worktree is complete, and lock it.

    Raises:
        OSError: It cannot be written.
    """
    plain = {"instance": record.instance, "base_oid": record.base_oid, "branch": record.branch}
    if record.private is not None:
        plain["private"] = str(record.private)
    with UntrustedFolder(admin) as folder:
        folder.write("locked", f"{LOCK_PREFIX} {record.instance or 'scratch'}\n".encode(), mode=0o644)
        folder.write(RECORD_NAME, json.dumps(plain).encode() + b"\n", mode=0o644)


def note_private(admin: Path, private: Path) -> None:
    """Note where the instance of a complete worktree has its own copies of git's folders."""
    if record := read_record(admin):
        write_record(admin, replace(record, private=private))


def mend_link(path: Path, admin: Path) -> None:
    """Make the worktree's `.git` file point to its own git folder.

    Raises:
        Refused: A repository stands in its place.
    """
    wanted = f"gitdir: {admin}\n"
    with UntrustedFolder(path) as folder:
        if folder.read(".git", limit=_MAX_BYTES) == wanted.encode("utf-8", "surrogateescape"):
            return
        status = folder.status(".git")
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise Refused(f"{path / '.git'} is a repository of its own", "move it away", code="rescue.repository")
        folder.write(".git", wanted.encode("utf-8", "surrogateescape"), mode=0o644)


def include_settings(admin: Path, settings: Path) -> None:
    """Let a worktree's configuration end with a settings file; other settings in it stay.

    A file that says so already is left alone: replacing it would take away the read-only mount over it in a sandbox.
    """
    text = _read(admin, "config.worktree")
    block = f"{_INCLUDE_MARK}\n[include]\n\tpath = {quote_config(str(settings))}\n"
    wanted = text.partition(_INCLUDE_MARK)[0] + block
    if text != wanted:
        with UntrustedFolder(admin) as folder:
            folder.write("config.worktree", wanted.encode("utf-8", "surrogateescape"), mode=0o644)


def _read(folder: Path, name: str) -> str:
    """A small file of a folder that an agent without a sandbox can write; empty for anything else."""
    return (read_file(folder / name, limit=_MAX_BYTES) or b"").decode("utf-8", "surrogateescape")
