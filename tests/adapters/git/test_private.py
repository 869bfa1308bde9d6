"""An instance's own git folder and store: what it commits there comes over whole and checked, or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aegis_tui.adapters.git import intake
from aegis_tui.adapters.git.intake import write_pack
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import GitError, Refused
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.repository import RescueName, RescueRef, Worktree, WorktreeSpec
from tests.adapters.git.conftest import Shell


@dataclass
class Sandboxed:
    """A worktree whose instance has git folders of its own, at the places where they are kept outside a sandbox."""

    repo: Path
    tree: Worktree
    private: Path
    mounts: GitMounts
    person: Shell

    @property
    def store(self) -> Path:
        return self.private / "objects"

    @property
    def admin(self) -> Path:
        return self.private / "admin"

    def git(self, *args: str) -> str:
        """As the instance does: its own folders are named by variables, where a sandbox shows them by mounts."""
        names = {
            "GIT_DIR": self.tree.admin_dir,
            "GIT_WORK_TREE": self.tree.path,
            "GIT_INDEX_FILE": self.admin / "index",
            "GIT_OBJECT_DIRECTORY": self.store,
        }
        shell = Shell({**self.person.env, **{name: str(path) for name, path in names.items()}})
        return shell(self.tree.path, *args)

    def commit(self, name: str, text: str) -> str:
        """A commit of one more file, in the instance's own store; its own HEAD names it."""
        (self.tree.path / name).write_text(text)
        self.git("add", "--all")
        parent = OwnGit.of(self.tree.admin_dir).head() or "HEAD"
        oid = self.git("commit-tree", self.git("write-tree"), "-p", parent, "-m", f"Add {name}")
        (self.admin / "HEAD").write_text(oid + "\n")
        return oid

    def object(self, oid: str) -> Path:
        return self.store / oid[:2] / oid[2:]

    def take_in(self, *oids: str) -> None:
        async def run() -> None:
            await (await open_repository(self.repo)).take_in(self.private, oids)

        asyncio.run(run())

    def remove(self) -> RescueRef | None:
        async def run() -> RescueRef | None:
            repository = await open_repository(self.repo)
            return await repository.remove_worktree(self.tree.path, rescue=RescueName("r1", "w01"))

        return asyncio.run(run())

    def has(self, oid: str) -> bool:
        return self.person.attempt(self.repo, "cat-file", "-e", oid)[0] == 0


@pytest.fixture
def inside(
    repo: Path, git: Shell, tmp_path: Path, spec_for: Callable[..., WorktreeSpec], add: Callable[..., list[Worktree]]
) -> Sandboxed:
    [tree] = add(repo, spec_for("w01"))
    private = tmp_path / "state dir" / "instances" / "w01" / "git"

    async def run() -> GitMounts:
        return await (await open_repository(repo)).git_mounts(tree, private=private)

    mounts = asyncio.run(run())
    for source, place in mounts.shown_as:
        if not place.exists():
            place.symlink_to(source)  # as a sandbox shows the common objects
    return Sandboxed(repo, tree, private, mounts, git)


def test_nothing_of_the_common_git_folder_is_writable_and_the_rest_is_its_own(inside: Sandboxed) -> None:
    common = inside.repo / ".git"
    own = [source for source, place in inside.mounts.shown_as if place not in inside.mounts.read_only]
    assert own == [inside.admin, inside.store]
    assert inside.mounts.read_write == ()
    assert (common / "objects", inside.private / "common-objects") in inside.mounts.shown_as
    assert {inside.tree.admin_dir / name for name in ("commondir", "config.worktree", "gitdir")} < {
        *inside.mounts.read_only
    }


def test_a_commit_comes_over_with_all_it_needs_and_nothing_else(inside: Sandboxed) -> None:
    first = inside.commit("src/one 하나.py", "one\n")
    head = inside.commit("src/two.py", "two\n" * 100_000)
    stray = inside.git("hash-object", "-w", "src/two.py", "--path", "x.bat")
    assert not inside.has(head)
    inside.take_in(head)
    assert not inside.has(stray)
    assert inside.person(inside.repo, "show", f"{head}:src/two.py") == ("two\n" * 100_000).rstrip("\n")
    assert inside.has(first)
    inside.person(inside.repo, "fsck", "--full", "--strict")
    inside.take_in(head)


def damaged(name: str, path: Path, canary: Path) -> None:
    """Put something else in the place of an object."""
    content = path.read_bytes()
    path.unlink()
    if name == "a link to another file":
        path.symlink_to(canary)
    elif name == "a pipe":
        os.mkfifo(path)
    elif name == "a folder":
        path.mkdir()
    elif name == "another object":
        path.write_bytes(zlib.compress(b"blob 5\0other"))
    elif name == "cut off":
        path.write_bytes(content[:-8])
    elif name == "longer than it says":
        path.write_bytes(zlib.compress(zlib.decompress(content) + b"x"))
    elif name == "no header":
        path.write_bytes(zlib.compress(b"x" * 1000))
    elif name == "a bomb":
        engine = zlib.compressobj(9)
        packed = engine.compress(b"blob 10\0")
        path.write_bytes(packed + b"".join(engine.compress(bytes(1 << 20)) for _ in range(30)) + engine.flush())
    elif name == "a size beyond all limits":
        path.write_bytes(zlib.compress(b"blob 99999999999999\0x"))


DAMAGE = (
    *("gone", "a link to another file", "a pipe", "a folder", "another object", "cut off", "longer than it says"),
    *("no header", "a bomb", "a size beyond all limits"),
)


@pytest.mark.boundary(
    layer="hub files",
    tried="an object in the agent's store that is a link, a pipe, incomplete, another object, a decompression bomb, "
    "or missing",
    refused="the commit is not imported; no object enters the repository",
)
@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_commit_that_is_not_whole_is_not_taken(inside: Sandboxed, tmp_path: Path, name: str, kind: str) -> None:
    head = inside.commit("src/new.py", "new\n")
    damaged_oid = inside.git("rev-parse", f"{head}:src/new.py" if kind == "blob" else f"{head}^{{tree}}")
    canary = tmp_path / "canary"
    canary.write_text("secret")
    damaged(name, inside.object(damaged_oid), canary)
    before = inside.person(inside.repo, "count-objects")
    with pytest.raises(GitError, match="cannot be copied"):
        inside.take_in(head)
    assert not inside.has(head) and canary.read_text() == "secret"
    assert inside.person(inside.repo, "count-objects") == before


@pytest.mark.boundary(
    layer="hub files",
    tried="a commit with a tree that contains .git, or an entry named ..",
    refused="git checks it as it checks fetched objects, and refuses it",
)
@pytest.mark.parametrize("name", [".git", "..", ".GIT"])
def test_a_tree_that_git_would_not_make_is_refused(inside: Sandboxed, name: str) -> None:
    blob = inside.git("hash-object", "-w", str(inside.tree.path / "README.md"))
    raw = b"100644 " + name.encode() + b"\0" + bytes.fromhex(blob)
    (inside.private / "raw").write_bytes(raw)
    tree = inside.git("hash-object", "-w", "-t", "tree", "--literally", str(inside.private / "raw"))
    head = inside.git("commit-tree", tree, "-p", "HEAD", "-m", "evil")
    with pytest.raises(GitError, match="cannot be copied"):
        inside.take_in(head)
    assert not inside.has(head)


@pytest.mark.boundary(
    layer="hub files",
    tried="deleting or replacing objects that other commits need",
    refused="the common store is read-only inside; changes to the agent's own store have no effect elsewhere",
)
def test_what_an_agent_does_to_its_store_stays_there(inside: Sandboxed) -> None:
    blob = inside.person(inside.repo, "rev-parse", "HEAD:src/a.py")
    inside.object(blob).parent.mkdir(exist_ok=True)
    inside.object(blob).write_bytes(zlib.compress(b"blob 5\0evil\n"))
    head = inside.commit("src/new.py", "new\n")
    inside.take_in(head, blob)
    assert inside.person(inside.repo, "cat-file", "blob", blob).startswith("a0")
    inside.person(inside.repo, "fsck", "--full", "--strict")


def test_staged_and_unstaged_work_is_rescued_from_the_agents_own_folders(inside: Sandboxed) -> None:
    head = inside.commit("src/committed.py", "committed\n")
    (inside.tree.path / "src/staged.py").write_text("staged\n")
    inside.git("add", "--all")
    (inside.tree.path / "src/staged.py").write_text("later\n")
    saved = inside.remove()
    assert saved is not None and not inside.tree.path.exists() and not inside.tree.admin_dir.exists()
    show = inside.person
    assert show(inside.repo, "show", f"{saved.oid}:src/staged.py") == "later"
    assert show(inside.repo, "show", f"{saved.oid}^2:src/staged.py") == "staged"
    assert show(inside.repo, "rev-parse", f"{saved.oid}^1") == head


def a_link(path: Path, canary: Path) -> None:
    path.symlink_to(canary)


def a_pipe(path: Path, canary: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path, canary: Path) -> None:
    path.mkdir()


def rubbish(path: Path, canary: Path) -> None:
    path.write_bytes(b"DIRC" + bytes(1000))


@pytest.mark.boundary(
    layer="hub files",
    tried="a link, a pipe, a folder or random bytes as HEAD, index or modules in a worktree's git folder",
    refused="read as text, or copied before git reads it; the files are saved nevertheless",
)
@pytest.mark.parametrize("trick", [a_link, a_pipe, a_folder, rubbish])
@pytest.mark.parametrize("name", ["HEAD", "index"])
def test_a_hostile_git_folder_does_not_keep_the_files_from_being_saved(
    inside: Sandboxed, tmp_path: Path, trick: Callable[[Path, Path], None], name: str
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("ref: refs/heads/main\n")
    (inside.tree.path / "src/new.py").write_text("new\n")
    (inside.admin / name).unlink()
    trick(inside.admin / name, canary)
    saved = inside.remove()
    assert saved is not None
    assert inside.person(inside.repo, "show", f"{saved.oid}:src/new.py") == "new"
    assert canary.read_text() == "ref: refs/heads/main\n"


@pytest.mark.boundary(
    layer="hub files",
    tried="pipes named .gitignore and .gitattributes, a link named .gitmodules, unreadable files, a file of a terabyte",
    refused="the hub's git does not wait; what a commit cannot hold stays in place, and a message says so",
)
def test_a_worktree_full_of_traps_is_saved_or_left_as_it_is(inside: Sandboxed) -> None:
    path = inside.tree.path
    (path / "src/new.py").write_text("new\n")
    for name in (".gitignore", "src/.gitattributes", "web/.gitmodules", "src/pipe"):
        (path / name).unlink(missing_ok=True)
        os.mkfifo(path / name)
    (path / "web/.gitmodules").unlink()
    (path / "web/.gitmodules").symlink_to("/dev/zero")
    (path / "nested/.git").mkdir(parents=True)
    os.mkfifo(path / "nested/.git/HEAD")
    (path / "src/closed.py").write_text("closed\n")
    (path / "src/closed.py").chmod(0)
    (path / "src/huge").touch()
    os.truncate(path / "src/huge", 1 << 40)
    with pytest.raises(Refused, match="too many to be saved"):
        inside.remove()
    assert (path / "src/new.py").exists()
    (path / "src/huge").unlink()
    shutil.rmtree(path / "nested")
    saved = inside.remove()
    assert saved is not None and not path.exists()
    assert inside.person(inside.repo, "show", f"{saved.oid}:src/closed.py") == "closed"


def test_an_empty_pack_is_not_written_for_what_is_known(inside: Sandboxed, tmp_path: Path) -> None:
    head = inside.commit("src/new.py", "new\n")
    assert write_pack(inside.store, [head], tmp_path / "pack", is_known=lambda oid: True).objects == 0
    assert write_pack(inside.store, [head], tmp_path / "pack", is_known=lambda oid: False).objects == 4


def test_only_objects_that_the_store_has_are_looked_up(
    inside: Sandboxed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit links to every file of the repository, so a look for each would take seconds in a large one."""
    head = inside.commit("src/new.py", "new\n")
    asked: list[str] = []

    def is_known(oid: str) -> bool:
        asked.append(oid)
        return False

    write_pack(inside.store, [head], tmp_path / "pack", is_known=is_known)
    assert 0 < len(asked) <= 4
    monkeypatch.setattr(intake, "MAX_OBJECTS", 3)
    with pytest.raises(GitError, match="more than 3 objects"):
        write_pack(inside.store, [head], tmp_path / "pack", is_known=lambda oid: False)


def test_objects_with_long_ids_come_over_too(tmp_path: Path, git: Shell) -> None:
    root, store = tmp_path / "long", tmp_path / "store"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(root))
    (root / "file").write_text("text\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Start")
    (root / "file").write_text("changed\n")
    git(root, "commit", "-qam", "Change")
    head = git(root, "rev-parse", "HEAD")
    store.mkdir()
    for oid in (head, git(root, "rev-parse", "HEAD^{tree}"), git(root, "rev-parse", "HEAD:file")):
        (store / oid[:2]).mkdir(exist_ok=True)
        (root / ".git/objects" / oid[:2] / oid[2:]).rename(store / oid[:2] / oid[2:])
    git(root, "reset", "-q", "--soft", git(root, "rev-parse", "HEAD@{1}"))

    async def run() -> None:
        repository = await open_repository(root)
        await repository._intake.take(store, [head])

    asyncio.run(run())
    assert git(root, "show", f"{head}:file") == "changed"
    git(root, "fsck", "--full", "--strict")
