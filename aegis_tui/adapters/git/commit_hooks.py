"""Finds the person's hooks for a commit, and prepares the commit that they are run on (GIT-6).

Which hooks and settings of hooks count is read from the base commit: a piece cannot change what it is checked with.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.adapters.git.guard import hooks_of_the_person
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.adapters.git.tree_files import NewFile, tree_with
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.ports.commit_hooks import HOOKS, FoundHooks

CONFIGURES: Final = (
    *(".githooks/**", ".git-hooks/**", ".husky/**", ".hooks/**", "**/.pre-commit-config.yaml", "**/.overcommit.yml"),
    *("**/lefthook.{yml,yaml,toml}", "**/.lefthook.{yml,yaml,toml}", "**/.lintstagedrc*", "**/.gitlint"),
    *("**/lint-staged.config.*", "**/commitlint.config.*", "**/.commitlintrc*"),
)
"""Globs of the files that say what hooks do."""

_SETTINGS: Final = ("user.name", "user.email", "core.autocrlf", "core.eol", "core.filemode", "core.ignorecase")
_SECTIONS: Final = ("filter.", "hooks.")
_RUNNABLE: Final = ("100755", "120000")
_IDENTITY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "aegis-tui"), ("EMAIL", "hooks@aegis.invalid"), ("DATE", "@0 +0000"))
}


class _Place(NamedTuple):
    """The file that git would run for one hook of the person, and what it needs around it."""

    path: Path
    inside: str | None
    """Its path relative to the checkout; None if it is elsewhere."""
    is_runnable: bool
    """Whether it is there now, and may be executed."""
    shown: tuple[Path, ...]
    """Folders and files that a sandbox has to show read-only, so that the hook can run in it."""


class GitCommitHooks:
    """The hooks of one repository. Implements `CommitHooks`; its methods raise `GitError` if git fails.

    Args:
        root: The top folder of the person's checkout.
        common_dir: The git folder that all worktrees share.
    """

    def __init__(self, root: Path, common_dir: Path) -> None:
        self._root, self._common_dir = root, common_dir
        self._runner = GitRunner(git_dir=common_dir, cwd=common_dir)

    async def find(self, base_oid: str) -> FoundHooks:
        """Return the hooks that a commit on a base would start; see `CommitHooks.find`."""
        folder = self._root / await hooks_of_the_person(GitRunner(git_dir=None, cwd=self._root), self._common_dir)
        programs: dict[str, Path] = {}
        shown: dict[Path, None] = {}
        untracked: dict[str, None] = {}
        for name, place in (await asyncio.to_thread(self._places, folder)).items():
            if place.inside is None:
                programs[name] = place.path
                shown.update(dict.fromkeys(place.shown))
                continue
            mode = await self._mode(base_oid, place.inside)
            if mode in _RUNNABLE or (not mode and place.is_runnable):
                programs[name] = Path(place.inside)
            if not mode and place.is_runnable:
                untracked[str(Path(place.inside).parent)] = None
        return FoundHooks(base_oid, programs, tuple(shown), tuple(item for item in untracked if item != "."))

    def _places(self, folder: Path) -> dict[str, _Place]:
        """Return the hooks that a folder may have: those in the checkout, and the executable ones elsewhere; blocking.

        A link that leads into the checkout counts as what it leads to.
        """
        places = {}
        for name in HOOKS:
            path = Path(os.path.normpath(folder / name))
            is_runnable = os.access(path, os.X_OK) and path.is_file()
            inside = self._inside(path)
            if inside is None and is_runnable:
                inside = self._inside(path.resolve())
            if inside is not None or is_runnable:
                places[name] = _Place(path, inside, is_runnable, () if inside else tuple(_to_show(path)))
        return places

    def _inside(self, path: Path) -> str | None:
        """Return the path relative to the checkout; None if it is outside, or in the git folder."""
        if path.is_relative_to(self._common_dir) or not path.is_relative_to(self._root):
            return None
        return str(path.relative_to(self._root))

    async def _mode(self, oid: str, path: str) -> str:
        """Return the mode of a file in a commit; "" if it is not there."""
        listed = await self._runner.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", oid, "--", path)
        return next((row.split(" ", 1)[0] for row in listed.fields()), "")

    async def staged(self, hooks: FoundHooks, oid: str) -> str:
        """Return `oid` with hooks and their settings as the base has them; see `CommitHooks.staged`."""
        base = hooks.base_oid
        changed = (await self._runner.run("diff-tree", "-r", "-z", "--name-only", base, oid)).fields()
        globs = [compile_glob(glob) for glob in CONFIGURES]
        folders = tuple(f"{path.parent}/" for path in hooks.programs.values() if not path.is_absolute())
        theirs = [
            path
            for path in changed
            if any(glob.matches(path) for glob in globs)
            or path.startswith(tuple(item for item in folders if item != "./"))
            or Path(path) in hooks.programs.values()
        ]
        if not theirs:
            return oid
        listed = await self._runner.run(
            "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", base, "--", *theirs
        )
        files = {path: NewFile("0", b"") for path in theirs}
        for row in listed.fields():
            head, _, path = row.partition("\t")
            mode, kind, blob = head.split()
            if kind == "blob" and path in files:
                files[path] = NewFile(mode, (await self._runner.run("cat-file", "blob", blob)).stdout)
        tree = await tree_with(self._runner, f"{oid}^{{tree}}", files)
        return (await self._runner.run("commit-tree", tree, "-p", base, "-m", "staged for hooks", env=_IDENTITY)).text

    async def lay_out(
        self, folder: Path, hooks: FoundHooks, *, worktree: Path, oid: str, branch: str
    ) -> dict[str, str]:
        """Create a repository in which a commit of `oid` on the base is about to be made; see `CommitHooks.lay_out`."""
        git_dir = folder / "git"
        kind = (await self._runner.run("rev-parse", "--show-object-format")).text
        plain = GitRunner(git_dir=None, cwd=folder)
        await plain.run("init", "-q", "--bare", "--template=", f"--object-format={kind}", str(git_dir))
        await asyncio.to_thread(_borrow, git_dir, self._common_dir)
        own = GitRunner(git_dir=git_dir, cwd=folder)
        settings = {**await self._settings(), "core.bare": "false", "core.worktree": str(worktree)}
        for name, value in settings.items():
            await own.run("config", name, value)
        head = f"refs/heads/{branch}"
        await own.run("symbolic-ref", "HEAD", head)
        if parent := await self._parent(hooks, oid):
            await own.run("update-ref", head, parent)
        await own.run("read-tree", oid)
        await asyncio.to_thread(self._copy_untracked, hooks, folder / "untracked")
        names = {"GIT_DIR": git_dir, "GIT_WORK_TREE": worktree, "GIT_INDEX_FILE": git_dir / "index"}
        return {**{name: str(path) for name, path in names.items()}, "GIT_EDITOR": ":", "GIT_PREFIX": ""}

    async def _parent(self, hooks: FoundHooks, oid: str) -> str:
        if oid != hooks.base_oid:
            return hooks.base_oid
        return (await self._runner.run("rev-parse", "-q", "--verify", f"{oid}^1", ok=(0, 1))).text

    async def _settings(self) -> dict[str, str]:
        """Return the settings that a commit and its hooks need; none of them names a file with a secret."""
        known = {item.name: item.value or "true" for item in await GitSettings(self._runner).list_all()}
        return {name: value for name, value in known.items() if name in _SETTINGS or name.startswith(_SECTIONS)}

    def _copy_untracked(self, hooks: FoundHooks, target: Path) -> None:
        for name in hooks.untracked:
            shutil.copytree(self._root / name, target / name, dirs_exist_ok=True, ignore=_links)

    async def messages(self, oids: Sequence[str]) -> list[str]:
        """Return the messages of commits, in this order; bytes that are not UTF-8 are replaced."""
        shown = [await self._runner.run("show", "-s", "--no-show-signature", "--format=%B", oid) for oid in oids]
        return [item.stdout.decode("utf-8", "replace") for item in shown]


def _borrow(git_dir: Path, common_dir: Path) -> None:
    place = git_dir / "objects/info"
    place.mkdir(parents=True, exist_ok=True)
    (place / "alternates").write_bytes(bytes(common_dir / "objects") + b"\n")


def _to_show(path: Path) -> list[Path]:
    """Return the folders of a hook and of what it links to; the files alone where a folder has more than hooks."""
    home = Path.home()
    places = {path.parent: path, path.resolve().parent: path.resolve()}
    return [file if home.is_relative_to(folder) else folder for folder, file in places.items()]


def _links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]
