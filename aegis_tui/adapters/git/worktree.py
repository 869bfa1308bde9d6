"""Worktrees: made whole or made again, removed only after their content is saved (GIT-1).

Owns the `worktrees` folder of the common git folder. Serialised per repository: of sixteen `worktree add` at once one
in sixty-four fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.discovery import Discovery
from aegis_tui.adapters.git.folder import delete_trash, put_aside
from aegis_tui.adapters.git.guard import quote_config, write_guard
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.snapshot import Snapshots
from aegis_tui.adapters.git.worktree_config import enable_worktree_config, restore_worktree_config
from aegis_tui.errors import Conflict, GitError, Refused
from aegis_tui.ports.repository import Guard, RescueName, RescueRef, Worktree, WorktreeEntry, WorktreeSpec

logger = logging.getLogger(__name__)

_RECORD = "aegis.json"
_INCLUDE_MARK = "# aegis-tui guard"
_CHECKOUT_DEADLINE_S = 600.0
_FAST_CHECKOUT = ("-c", "checkout.workers=4", "-c", "checkout.thresholdForParallelism=200")

_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, asyncio.Lock]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Record:
    """What we noted in a worktree's own git folder when it was complete."""

    instance: str
    """Empty for a scratch worktree."""
    base_oid: str
    branch: str | None


class Worktrees:
    """The worktrees of one repository.

    Args:
        place: Where it is.
        runner: Runs git in its common folder.
        snapshots: Saves content.
    """

    def __init__(self, place: Discovery, runner: GitRunner, snapshots: Snapshots) -> None:
        self._place = place
        self._runner = runner
        self._snapshots = snapshots

    async def add(self, spec: WorktreeSpec) -> Worktree:
        """See `Repository.add_worktree`."""
        run = spec.branch.split("/")[1]
        async with self._lock():
            await self._sweep()
            admin = self._find_complete(spec.path)
            if admin is None or not spec.path.is_dir():
                await self._clear(spec.path, RescueName(run, spec.instance), spec.base_oid)
                admin = await self._make(spec)
            self._link(spec.path, admin)
            (admin / "locked").write_text(f"aegis-tui {spec.instance}\n")
            await self._guard(admin, spec.guard)
            record = Record(spec.instance, spec.base_oid, spec.branch)
            _write_record(admin, record)
        return Worktree(spec.path, spec.branch, spec.base_oid, admin)

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """See `Repository.add_scratch`."""
        async with self._lock():
            admin = self.find_admin(path)
            if admin is None and path.exists():
                raise Conflict(f"{path} is taken by something else", "move it away", code="worktree.path")
            if admin is not None:
                await self._drop_scratch(path, admin)
            admin = await self._register(path, oid, ["--detach"], "aegis-tui scratch")
            await self._fill(path, admin)
            _write_record(admin, Record("", oid, None))
        await asyncio.to_thread(delete_trash, path.parent)
        return Worktree(path, None, oid, admin)

    async def remove(self, path: Path, *, rescue: RescueName | None, already_saved: str | None) -> RescueRef | None:
        """See `Repository.remove_worktree`."""
        saved: RescueRef | None = None
        async with self._lock():
            admin = self.find_admin(path)
            if admin is not None:
                saved = await self._remove_registered(path, admin, rescue, already_saved)
            elif path.exists():
                saved = await self._remove_stray(path, rescue)
            if not any(self._records()):
                restore_worktree_config(self._place.common_dir)
        await asyncio.to_thread(delete_trash, path.parent)
        return saved

    async def list(self) -> tuple[WorktreeEntry, ...]:
        """See `Repository.list_worktrees`."""
        text = (await self._runner.run("worktree", "list", "--porcelain", "-z")).stdout
        blocks = text.decode("utf-8", "surrogateescape").split("\0\0")
        entries: list[WorktreeEntry] = []
        for block in blocks:
            if not block.strip("\0"):
                continue
            facts = dict(line.partition(" ")[::2] for line in block.strip("\0").split("\0"))
            path = Path(facts["worktree"])
            admin = self.find_admin(path)
            record = _read_record(admin) if admin else None
            head = facts.get("HEAD", "")
            entries.append(
                WorktreeEntry(
                    path=path,
                    head_oid=head if head.strip("0") else None,
                    branch=facts["branch"].removeprefix("refs/heads/") if "branch" in facts else None,
                    is_bare="bare" in facts,
                    is_missing=not path.exists(),
                    lock_reason=facts.get("locked"),
                    instance=record.instance if record and record.instance else None,
                )
            )
        return tuple(entries)

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """See `Repository.set_guard`."""
        async with self._lock():
            await self._guard(self.admin_of(path), guard)

    async def restore_config(self) -> bool:
        """See `Repository.restore_config`."""
        async with self._lock():
            return not any(self._records()) and restore_worktree_config(self._place.common_dir)

    def find_admin(self, path: Path) -> Path | None:
        """The folder in the common one that stands for the worktree at `path`, whole or not."""
        wanted = path.resolve()
        for link in self._place.common_dir.glob("worktrees/*/gitdir"):
            target = link.parent / link.read_text(errors="surrogateescape").rstrip("\n")
            if target.parent.resolve() == wanted:
                return link.parent
        return None

    def admin_of(self, path: Path) -> Path:
        """As `find_admin`, for a worktree that must be there.

        Raises:
            GitError: There is none.
        """
        admin = self.find_admin(path)
        if admin is None:
            raise GitError(f"{path} is no worktree of this repository", "aegis-tui worktree list")
        return admin

    def _lock(self) -> asyncio.Lock:
        locks = _locks.setdefault(asyncio.get_running_loop(), {})
        return locks.setdefault(self._place.common_dir, asyncio.Lock())

    def _records(self) -> list[Path]:
        return list(self._place.common_dir.glob(f"worktrees/*/{_RECORD}"))

    def _find_complete(self, path: Path) -> Path | None:
        admin = self.find_admin(path)
        return admin if admin is not None and _read_record(admin) is not None else None

    async def _sweep(self) -> None:
        """Forget worktrees of ours that were cut off before git knew where they are."""
        for admin in list(self._place.common_dir.glob("worktrees/*")):
            if not (admin / "gitdir").exists() and _is_reserved(admin):
                await self._drop_admin(admin)

    async def _make(self, spec: WorktreeSpec) -> Path:
        exists = await self._branch_exists(spec.branch)
        target = ["--no-track", "-b", spec.branch] if not exists else []
        commit = spec.branch if exists else spec.base_oid
        admin = await self._register(spec.path, commit, target, f"aegis-tui {spec.instance}")
        await self._fill(spec.path, admin)
        return admin

    async def _register(self, path: Path, commit: str, target: list[str], reason: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        args = ["worktree", "add", "--no-checkout", "--lock", "--reason", reason, *target, "--", str(path), commit]
        try:
            await self._runner.run(*args)
        except GitError as first:
            # Another program may have been at the worktrees folder. What the attempt left is empty.
            logger.info("worktree add is tried again", extra={"git_error": first.message})
            await self._drop_admin(self.find_admin(path))
            put_aside(path, path.parent)
            branch = target[-1] if "-b" in target else None
            if branch and await self._branch_exists(branch):
                args = [*args[: args.index("--no-track")], "--", str(path), branch]
            await self._runner.run(*args)
        return self.admin_of(path)

    async def _fill(self, path: Path, admin: Path) -> None:
        """Check the files out. The worktree's own git folder is fresh here: nobody has written to it but git."""
        runner = GitRunner(git_dir=admin, cwd=path)
        await runner.run(
            *_FAST_CHECKOUT, "reset", "--hard", "--quiet", work_tree=path, deadline_s=_CHECKOUT_DEADLINE_S
        )

    async def _clear(self, path: Path, rescue: RescueName, base_oid: str) -> None:
        """Make room where a worktree was cut off in the making, or lost its folder or its registration."""
        admin = self.find_admin(path)
        if admin is None and not path.exists():
            return
        if admin is None and path.is_dir() and not any(path.iterdir()):
            return
        if admin is None:
            await self._remove_stray(path, rescue)
            return
        if _read_record(admin) is not None or await self._has_work(path, admin, base_oid):
            await self._snapshots.rescue(path, admin, name=rescue, base=base_oid, already_saved=None)
        put_aside(path, path.parent)
        await self._drop_admin(admin)

    async def _has_work(self, path: Path, admin: Path, base_oid: str) -> bool:
        """True if an unfinished worktree holds more than part of its base: files that a checkout did not write."""
        if not path.is_dir():
            return False
        snapshot = await self._snapshots.take(path, admin)
        base_tree = await self._snapshots.tree_of(base_oid)
        answer = await self._runner.run("diff-tree", "-r", "--name-status", "-z", base_tree, snapshot.tree)
        return any(status != "D" for status in answer.fields()[::2])

    async def _remove_registered(
        self, path: Path, admin: Path, rescue: RescueName | None, already_saved: str | None
    ) -> RescueRef | None:
        record = _read_record(admin)
        if record is None and not _is_reserved(admin):
            raise Refused(f"{path} is not a worktree of ours", "git worktree remove", code="worktree.foreign")
        if record is not None and not record.instance:
            await self._drop_scratch(path, admin)
            return None
        if rescue is None:
            raise Refused(f"{path} holds an instance's work", "name the run and instance to save it for")
        base = record.base_oid if record else None
        saved = await self._snapshots.rescue(path, admin, name=rescue, base=base, already_saved=already_saved)
        put_aside(path, path.parent)
        await self._drop_admin(admin)
        return saved

    async def _remove_stray(self, path: Path, rescue: RescueName | None) -> RescueRef | None:
        """Remove a folder that was a worktree of ours until git lost its registration."""
        link = path / ".git"
        home = self._place.common_dir / "worktrees"
        target = link.read_text(errors="replace").removeprefix("gitdir: ").strip() if link.is_file() else ""
        if rescue is None or not target or Path(target).parent.resolve() != home.resolve():
            raise Refused(f"{path} is not a worktree of ours", "move it away", code="worktree.foreign")
        saved = await self._snapshots.rescue(path, None, name=rescue, base=None, already_saved=None)
        put_aside(path, path.parent)
        return saved

    async def _drop_scratch(self, path: Path, admin: Path) -> None:
        record = _read_record(admin)
        if (record is None and not _is_reserved(admin)) or (record is not None and record.instance):
            raise Refused(f"{path} is not a scratch worktree", "use another path", code="worktree.foreign")
        put_aside(path, path.parent)
        await self._drop_admin(admin)

    async def _drop_admin(self, admin: Path | None) -> None:
        """Forget one worktree whose folder is gone; never prunes, which would forget the person's as well."""
        if admin is None:
            return
        put_aside(admin, self._place.common_dir)
        await asyncio.to_thread(delete_trash, self._place.common_dir)
        home = admin.parent
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()

    def _link(self, path: Path, admin: Path) -> None:
        """Mend the worktree's link to its own git folder."""
        link = path / ".git"
        wanted = f"gitdir: {admin}\n"
        if not link.is_file() or link.is_symlink() or link.read_text(errors="replace") != wanted:
            if link.is_symlink() or link.is_file():
                link.unlink()
            elif link.exists():
                raise Refused(f"{link} is a repository of its own", "move it away", code="rescue.repository")
            link.write_text(wanted)

    async def _guard(self, admin: Path, guard: Guard) -> None:
        await self._enable_config()
        settings = await asyncio.to_thread(write_guard, guard, await self._person_hooks())
        own = admin / "config.worktree"
        text = own.read_text(errors="surrogateescape") if own.exists() else ""
        kept = text.partition(_INCLUDE_MARK)[0]
        block = f"{_INCLUDE_MARK}\n[include]\n\tpath = {quote_config(str(settings))}\n"
        own.write_text(kept + block, errors="surrogateescape")

    async def _enable_config(self) -> None:
        key = "extensions.worktreeConfig"
        answer = await self._runner.run("config", "--local", "--type=bool", "--get", key, ok=(0, 1))
        if answer.text != "true":
            enable_worktree_config(self._place.common_dir)

    async def _person_hooks(self) -> str:
        # Asked scope by scope, because our own `-c core.hooksPath` would answer first.
        for scope in ("--worktree", "--local", "--global", "--system"):
            answer = await self._runner.run(
                "config", scope, "--includes", "--type=path", "--get", "core.hooksPath", ok=(0, 1, 128)
            )
            if answer.code == 0:
                return answer.text
        return str(self._place.common_dir / "hooks")

    async def _branch_exists(self, branch: str) -> bool:
        answer = await self._runner.run("show-ref", "--verify", "--quiet", f"refs/heads/{branch}", ok=(0, 1))
        return answer.code == 0


def _is_reserved(admin: Path) -> bool:
    """True if a worktree is locked by us; git writes the lock before anything else."""
    lock = admin / "locked"
    return lock.is_file() and lock.read_text(errors="replace").startswith("aegis-tui")


def _read_record(admin: Path) -> Record | None:
    try:
        plain = json.loads((admin / _RECORD).read_text())
        return Record(str(plain["instance"]), str(plain["base_oid"]), plain["branch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_record(admin: Path, record: Record) -> None:
    plain = {"instance": record.instance, "base_oid": record.base_oid, "branch": record.branch}
    fresh = admin / f"{_RECORD}.new"
    fresh.write_text(json.dumps(plain) + "\n")
    fresh.replace(admin / _RECORD)
