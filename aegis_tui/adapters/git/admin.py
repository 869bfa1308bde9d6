"""The folders of worktrees inside the common git folder, and our records in them. Reads and writes plain files."""

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
"""Files in a worktree's own git folder that commits do not write and that could redirect git: read-only for agents."""

LOCK_PREFIX = "aegis-tui"
SCRATCH_LOCK = f"{LOCK_PREFIX} scratch"
"""Lock reason of scratch worktrees; that of every worktree of ours starts with `LOCK_PREFIX`."""

_INCLUDE_MARK = "# aegis-tui guard"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """What is recorded once a worktree is complete."""

    instance: str
    """Empty for a scratch worktree."""
    base_oid: str
    branch: str | None
    private: Path | None = None
    """Folder of the instance's own copies of git's folders (`adapters/git/private.py`); None without a sandbox."""


class AdminFolders:
    """The git folders of one repository's worktrees.

    Args:
        common_dir: The repository's common git folder.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._home = common_dir / "worktrees"

    def find(self, path: Path) -> Path | None:
        """Return the git folder (`worktrees/<name>`) of the worktree at `path`, complete or not.

        None if git knows no worktree there. The worktree itself may be missing.
        """
        wanted = path.resolve()
        for admin in self._home.glob("*"):
            text = _read(admin, "gitdir").rstrip("\n")
            if text and (admin / text).parent.resolve() == wanted:
                return admin
        return None

    def get(self, path: Path) -> Path:
        """Return the git folder of the worktree at `path`.

        Raises:
            GitError: There is no worktree at `path`.
        """
        admin = self.find(path)
        if admin is None:
            raise GitError(f"{path} is not a worktree of this repository", "aegis-tui worktree list")
        return admin

    def find_complete(self, path: Path) -> Path | None:
        """Return the git folder of the worktree at `path` if it was completed and its folder exists, else None."""
        admin = self.find(path)
        return admin if admin is not None and read_record(admin) is not None and path.is_dir() else None

    def recorded(self) -> list[tuple[Path, Path]]:
        """Return the worktrees that this program has completed, as pairs: the worktree's path and its git folder.

        Empty if there are none. The worktree itself may have been deleted since.
        """
        admins = [path.parent for path in self._home.glob(f"*/{RECORD_NAME}")]
        return [(Path(gitdir).parent, admin) for admin in admins if (gitdir := _read(admin, "gitdir").rstrip("\n"))]

    def has_records(self) -> bool:
        """Return whether the repository has a worktree that this program has completed; its files may be gone."""
        return any(self._home.glob(f"*/{RECORD_NAME}"))

    def cut_off(self) -> list[Path]:
        """Return the git folders of this program's worktrees whose creation stopped before git recorded their path.

        Empty if there are none.
        """
        return [admin for admin in self._home.glob("*") if not (admin / "gitdir").exists() and is_reserved(admin)]

    def drop(self, admin: Path | None) -> None:
        """Delete the git folder of one worktree, so that git forgets it; do nothing for None; blocking.

        An empty folder `worktrees` goes too. `git worktree prune` is never used, as it affects the person's ones too.

        Raises:
            OSError: It cannot be moved away, or the empty folder cannot be removed.
        """
        if admin is None:
            return
        put_aside(admin, self._common_dir)
        delete_trash(self._common_dir)
        if self._home.is_dir() and not any(self._home.iterdir()):
            self._home.rmdir()

    def is_stray(self, path: Path) -> bool:
        """Return whether the `.git` file of the folder at `path` says that it is a worktree of this repository.

        Ask it for a folder for which `find` returns None: git has then lost its registration.
        """
        target = _read(path, ".git").removeprefix("gitdir: ").strip()
        return bool(target) and Path(target).parent.resolve() == self._home.resolve()


def is_reserved(admin: Path) -> bool:
    """Return whether git's lock file in a worktree's git folder has a reason that begins with `aegis-tui`.

    Then this program created the worktree: git writes that file before anything else.
    """
    return _read(admin, "locked").startswith(LOCK_PREFIX)


def is_scratch(admin: Path) -> bool:
    """Return whether a git folder belongs to a scratch worktree: one that this program made for checks.

    True even for one whose creation was interrupted.
    """
    record = read_record(admin)
    return not record.instance if record else _read(admin, "locked").strip() == SCRATCH_LOCK


def read_record(admin: Path) -> Record | None:
    """Return what `write_record` has written to a worktree's git folder: instance, base commit, branch.

    None if there is nothing, as the worktree is not complete or not this program's, or if it is damaged.
    """
    try:
        plain = json.loads(_read(admin, RECORD_NAME))
        private = plain.get("private")
        instance, base_oid = str(plain["instance"]), str(plain["base_oid"])
        return Record(instance, base_oid, plain["branch"], Path(private) if private else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(admin: Path, record: Record) -> None:
    """Record in a worktree's git folder that the worktree is complete, and lock it against `git worktree prune`.

    The files `locked` and `aegis.json` are written there, or replaced.

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
    """Write to the record of a worktree in which folder its instance has its own copies of git's folders.

    Do nothing if the worktree's git folder, `admin`, has no record.

    Raises:
        OSError: It cannot be written.
    """
    if record := read_record(admin):
        write_record(admin, replace(record, private=private))


def mend_link(path: Path, admin: Path) -> None:
    """Repair the `.git` file of the worktree at `path` so that it points to its own git folder, `admin`.

    Do nothing if it does. A link in its place is replaced, not followed.

    Raises:
        Refused: There is a repository in its place.
        OSError: It cannot be written.
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
    """Include a settings file at the end of a worktree's configuration; the settings in it before that are kept.

    An earlier such include is replaced, with all that follows it. If the file includes `settings` already, it is not
    written: that would remove the read-only mount over it in a sandbox.

    Args:
        admin: The worktree's git folder.
        settings: The file to include.

    Raises:
        OSError: The configuration cannot be written.
    """
    text = _read(admin, "config.worktree")
    block = f"{_INCLUDE_MARK}\n[include]\n\tpath = {quote_config(str(settings))}\n"
    wanted = text.partition(_INCLUDE_MARK)[0] + block
    if text != wanted:
        with UntrustedFolder(admin) as folder:
            folder.write("config.worktree", wanted.encode("utf-8", "surrogateescape"), mode=0o644)


def _read(folder: Path, name: str) -> str:
    """Return the text of a regular file of at most 1 MiB, which an agent may have written; empty if there is none."""
    return (read_file(folder / name, limit=_MAX_BYTES) or b"").decode("utf-8", "surrogateescape")
