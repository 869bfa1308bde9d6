"""The folders that stand for worktrees inside the common git folder, and our notes in them. Plain files, no git."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.folder import delete_trash, put_aside
from aegis_tui.adapters.git.guard import quote_config
from aegis_tui.errors import GitError, Refused

RECORD_NAME = "aegis.json"

PROTECTED_FILES = (RECORD_NAME, "commondir", "config.worktree", "gitdir", "locked")
"""What no commit writes in a worktree's own git folder, and what would lead git elsewhere."""

LOCK_PREFIX = "aegis-tui"
"""How the lock reason of every worktree of ours starts."""

_INCLUDE_MARK = "# aegis-tui guard"


@dataclass(frozen=True, slots=True)
class Record:
    """What was noted when a worktree was complete."""

    instance: str
    """Empty for a scratch worktree."""
    base_oid: str
    branch: str | None


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
        for link in self._home.glob("*/gitdir"):
            target = link.parent / link.read_text(errors="surrogateescape").rstrip("\n")
            if target.parent.resolve() == wanted:
                return link.parent
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
        link = path / ".git"
        target = link.read_text(errors="replace").removeprefix("gitdir: ").strip() if link.is_file() else ""
        return bool(target) and Path(target).parent.resolve() == self._home.resolve()


def is_reserved(admin: Path) -> bool:
    """True if a worktree is locked by us; git writes the lock before anything else."""
    lock = admin / "locked"
    return lock.is_file() and lock.read_text(errors="replace").startswith(LOCK_PREFIX)


def read_record(admin: Path) -> Record | None:
    """Our note, or None where the worktree is unfinished or not ours."""
    try:
        plain = json.loads((admin / RECORD_NAME).read_text())
        return Record(str(plain["instance"]), str(plain["base_oid"]), plain["branch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(admin: Path, record: Record) -> None:
    """Note that a worktree is complete, and lock it."""
    (admin / "locked").write_text(f"{LOCK_PREFIX} {record.instance or 'scratch'}\n")
    plain = {"instance": record.instance, "base_oid": record.base_oid, "branch": record.branch}
    fresh = admin / f"{RECORD_NAME}.new"
    fresh.write_text(json.dumps(plain) + "\n")
    fresh.replace(admin / RECORD_NAME)


def mend_link(path: Path, admin: Path) -> None:
    """Make the worktree's `.git` file point to its own git folder.

    Raises:
        Refused: A repository stands in its place.
    """
    link = path / ".git"
    wanted = f"gitdir: {admin}\n"
    if link.is_file() and not link.is_symlink() and link.read_text(errors="replace") == wanted:
        return
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.exists():
        raise Refused(f"{link} is a repository of its own", "move it away", code="rescue.repository")
    link.write_text(wanted)


def include_settings(admin: Path, settings: Path) -> None:
    """Let a worktree's configuration end with a settings file; other settings in it stay."""
    own = admin / "config.worktree"
    text = own.read_text(errors="surrogateescape") if own.exists() else ""
    block = f"{_INCLUDE_MARK}\n[include]\n\tpath = {quote_config(str(settings))}\n"
    fresh = own.with_name(own.name + ".new")
    fresh.write_text(text.partition(_INCLUDE_MARK)[0] + block, errors="surrogateescape")
    fresh.replace(own)
