from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.errors import Conflict, MergeConflict
from aegis_tui.ports.repository import WorktreeSpec

Shell = Any
Commit = Callable[..., str]
T = TypeVar("T")
REF = "refs/heads/aegis/r1/integration"
AT = 1_700_000_000


def use(repo: Path, action: Callable[[GitRepository], Awaitable[T]]) -> T:
    async def run() -> T:
        return await action(await open_repository(repo))

    return asyncio.run(run())


@pytest.fixture
def commit(repo: Path, git: Shell, tmp_path: Path) -> Commit:
    """Makes a commit on `base` that sets files (None deletes), in a clone, and brings it here."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repo), str(clone))

    def make(files: dict[str, str | None], base: str = "origin/main") -> str:
        git(clone, "checkout", "-q", "--detach", base)
        for name, text in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
        git(clone, "add", "--all", ".")
        git(clone, "commit", "-qm", "piece")
        oid = str(git(clone, "rev-parse", "HEAD"))
        git(repo, "fetch", "-q", str(clone), oid)
        return oid

    return make


def lines(change: dict[int, str]) -> str:
    return "".join(f"{change.get(number, f'a{number}')}\n" for number in range(20))


def test_two_sides_that_change_the_same_lines_are_hot(repo: Path, commit: Commit, git: Shell) -> None:
    ours = commit({"src/a.py": lines({3: "ours", 15: "ours too"}), "src/b.py": "b\n"})
    theirs = commit({"src/a.py": lines({3: "theirs", 15: "theirs too"})})
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert not preview.clean
    assert preview.tree is None
    assert preview.both_changed == ("src/a.py",)
    [conflict] = preview.conflicts
    assert (conflict.path, conflict.kind, conflict.hunks) == ("src/a.py", "hot", 2)
    assert conflict.base == git(repo, "rev-parse", "main:src/a.py")
    assert conflict.ours == git(repo, "rev-parse", f"{ours}:src/a.py")
    assert conflict.theirs == git(repo, "rev-parse", f"{theirs}:src/a.py")
    assert "ours\n||||||| " in conflict.text
    assert "a3\n=======\ntheirs\n>>>>>>> " in conflict.text
    assert preview.soft == ()


def test_two_sides_that_change_the_same_file_elsewhere_are_soft(repo: Path, commit: Commit) -> None:
    ours, theirs = commit({"src/a.py": lines({2: "ours"})}), commit({"src/a.py": lines({17: "theirs"})})
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert preview.clean
    assert preview.tree
    assert preview.soft == ("src/a.py",)
    assert preview.conflicts == ()


def test_two_sides_that_share_no_path_have_nothing_in_common(repo: Path, commit: Commit) -> None:
    ours, theirs = commit({"src/a.py": "x\n"}), commit({"한글 폴더/새 것.txt": "x\n"})
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert preview.clean
    assert preview.both_changed == ()


def test_a_file_deleted_on_one_side_and_changed_on_the_other_is_hot(repo: Path, commit: Commit) -> None:
    ours, theirs = commit({"src/a.py": None}), commit({"src/a.py": "x\n"})
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    [conflict] = preview.conflicts
    assert (conflict.ours, conflict.hunks, conflict.text) == (None, 0, "")
    assert conflict.theirs is not None


def test_attributes_of_the_repository_decide_a_merge_not_the_persons_files(repo: Path, commit: Commit) -> None:
    ours, theirs = commit({"CHANGES": "start\nours\n"}), commit({"CHANGES": "start\ntheirs\n"})
    (repo / ".gitattributes").write_text("")
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert preview.clean


def test_uncommitted_work_is_predicted_through_snapshots(repo: Path, spec_for: Callable[..., WorktreeSpec]) -> None:
    specs = [spec_for("w01"), spec_for("w02")]

    async def run(repository: GitRepository) -> Any:
        snapshots = []
        for spec in specs:
            await repository.add_worktree(spec)
            (spec.path / "src/a.py").write_text(lines({5: spec.instance}))
            snapshots.append(await repository.snapshot_commit(spec.path))
        return await repository.predict(*snapshots)

    preview = use(repo, run)
    assert [conflict.path for conflict in preview.conflicts] == ["src/a.py"]


def test_composition_is_repeatable_and_gives_the_same_commit(repo: Path, git: Shell, commit: Commit) -> None:
    base = git(repo, "rev-parse", "main")
    piece = commit({"src/a.py": "piece\n"})

    async def run(repository: GitRepository) -> None:
        await repository.update_ref(REF, base, None)
        first = await repository.compose(REF, piece, expect_oid=base, message="merge: w01\n", at=AT)
        again = await repository.compose(REF, piece, expect_oid=base, message="merge: w01\n", at=AT)
        assert (first.already, again.already) == (False, True)
        assert again.oid == first.oid == await repository.resolve(REF)
        assert again.tree == first.tree
        await repository.update_ref(REF, base, first.oid)
        rerun = await repository.compose(REF, piece, expect_oid=base, message="merge: w01\n", at=AT)
        assert rerun == first

    use(repo, run)
    assert git(repo, "log", "-1", "--format=%P|%an|%ct", REF) == f"{base} {piece}|Ada Person|{AT}"


def test_a_conflicting_piece_leaves_the_working_ref_and_says_where(repo: Path, git: Shell, commit: Commit) -> None:
    ours, theirs = commit({"src/a.py": "ours\n"}), commit({"src/a.py": "theirs\n"})

    async def run(repository: GitRepository) -> None:
        await repository.update_ref(REF, ours, None)
        with pytest.raises(MergeConflict) as caught:
            await repository.compose(REF, theirs, expect_oid=ours, message="m\n", at=AT)
        assert caught.value.data["conflicts"][0]["path"] == "src/a.py"
        assert caught.value.data["conflicts"][0]["hunks"] == 1
        assert await repository.resolve(REF) == ours

    use(repo, run)


def test_a_ref_that_moved_meanwhile_is_not_overwritten(repo: Path, git: Shell, commit: Commit) -> None:
    base, other, piece = git(repo, "rev-parse", "main"), commit({"x": "1\n"}), commit({"y": "1\n"})

    async def run(repository: GitRepository) -> None:
        await repository.update_ref(REF, other, None)
        with pytest.raises(Conflict) as caught:
            await repository.compose(REF, piece, expect_oid=base, message="m\n", at=AT)
        assert caught.value.code == "ref.moved"
        for action in (repository.update_ref(REF, piece, base), repository.update_ref(REF, piece, None)):
            with pytest.raises(Conflict):
                await action
        with pytest.raises(Conflict):
            await repository.delete_ref(REF, base)
        await repository.delete_ref(REF, other)
        assert await repository.resolve(REF) is None

    use(repo, run)


def test_the_squash_has_the_tested_tree_the_base_as_parent_and_is_repeatable(
    repo: Path, git: Shell, commit: Commit
) -> None:
    base, piece = git(repo, "rev-parse", "main"), commit({"src/a.py": "piece\n"})
    branch = "aegis/r1/result"

    async def run(repository: GitRepository) -> str:
        tree = await repository.tree_of(piece)
        first = await repository.squash(tree=tree, parent=base, branch=branch, message="feat: 제목\n", at=AT)
        again = await repository.squash(tree=tree, parent=base, branch=branch, message="feat: 제목\n", at=AT)
        assert first == again
        with pytest.raises(Conflict):
            await repository.squash(tree=tree, parent=base, branch=branch, message="feat: other\n", at=AT)
        return first

    oid = use(repo, run)
    assert git(repo, "log", "-1", "--format=%H|%P|%T|%s", branch) == "|".join(
        (oid, base, git(repo, "rev-parse", f"{piece}^{{tree}}"), "feat: 제목")
    )
    git(repo, "merge", "-q", "--ff-only", branch)


def test_changes_are_read_with_renames_links_and_any_name(repo: Path, git: Shell, commit: Commit) -> None:
    text = (repo / "src/b.py").read_text()
    head = commit(
        {"src/b.py": None, "src/moved 이동.py": text, "README.md": None, "new\tname": "x\n", "src/a.py": "y\n"}
    )

    async def run(repository: GitRepository) -> None:
        changes = await repository.changed_paths("main", head)
        assert [(change.status, change.old_path, change.path) for change in changes] == [
            ("D", None, "README.md"),
            ("A", None, "new\tname"),
            ("M", None, "src/a.py"),
            ("R", "src/b.py", "src/moved 이동.py"),
        ]
        blobs = {change.path: await repository.read_blob(change.blob) for change in changes}
        assert blobs["new\tname"] == b"x\n"
        assert blobs["README.md"] == b"shop\n"
        diff = await repository.diff_text("main", head, ["src/a.py"])
        assert "+y" in diff
        assert "README" not in diff
        assert "README" in await repository.diff_text("main", head)
        assert await repository.diff_text("main", head, []) == ""

    use(repo, run)


def test_kept_commits_are_listed_below_their_run(repo: Path, git: Shell) -> None:
    oid = git(repo, "rev-parse", "main")

    async def run(repository: GitRepository) -> None:
        for _ in range(2):
            assert await repository.keep("r1", "w01", oid) == "refs/aegis/runs/r1/w01"
        assert [(ref.name, ref.oid) for ref in await repository.list_refs("refs/aegis/runs/r1")] == [
            ("refs/aegis/runs/r1/w01", oid)
        ]
        assert await repository.merge_bases("main", oid) == [oid]
        assert await repository.is_ancestor(oid, "main")
        assert await repository.commit_exists(oid)
        assert not await repository.commit_exists("0" * 40)
        assert await repository.resolve("refs/heads/none") is None

    use(repo, run)
