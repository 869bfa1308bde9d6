"""Live prediction agrees with the merge that follows: what structure solves is soft, what it refuses is hot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.ports.merge import MergePreview
from tests.adapters.git.conftest import Shell
from tests.adapters.git.test_live_trees import Lab, lab

__all__ = ["lab"]

OURS, THEIRS = "\n\ndef ours():\n    return 1\n", "\n\ndef theirs():\n    return 2\n"
MIGRATION = "class Migration:\n    dependencies = [('shop', '0001_initial')]\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


async def predicted(it: Lab, ours: dict[str, str], theirs: dict[str, str]) -> MergePreview:
    write(it.one, ours)
    write(it.two, theirs)
    return await it.compare(await it.look(it.one, *ours), await it.look(it.two, *theirs))


def whole_file(it: Lab, extra: str, name: str = "src/a.py") -> dict[str, str]:
    return {name: (it.one / name).read_text("utf-8") + extra}


def labels(preview: MergePreview) -> Sequence[tuple[str, str, str | None]]:
    return [(file.path, file.label, file.strategy) for file in preview.files]


def test_functions_that_two_add_at_one_place_are_soft_and_merged_so_later(lab: Any, git: Shell) -> None:
    async def play(it: Lab) -> None:
        preview = await predicted(it, whole_file(it, OURS), whole_file(it, THEIRS))
        assert (preview.clean, preview.soft, preview.conflicts) == (True, ("src/a.py",), ())
        assert labels(preview) == [("src/a.py", "proven", "structure")]
        for root in (it.one, it.two):
            git(root, "commit", "-qam", "work", "--no-verify")
        heads = [git(root, "rev-parse", "HEAD").strip() for root in (it.one, it.two)]
        later = await it.repository.predict(heads[0], heads[1])
        assert later.clean and labels(later) == labels(preview)

    lab(play)


def test_lines_that_no_rule_merges_stay_hot_with_the_reason(lab: Any) -> None:
    async def play(it: Lab) -> None:
        text = (it.one / "src/a.py").read_text("utf-8")
        preview = await predicted(it, {"src/a.py": text.replace("a7", "b7")}, {"src/a.py": text.replace("a7", "c7")})
        (conflict,) = preview.conflicts
        assert conflict.hunks == 1 and conflict.reason.startswith("both sides change")
        assert preview.soft == () and preview.files == ()

    lab(play)


def test_a_file_that_one_deletes_keeps_the_others_as_git_left_them(lab: Any) -> None:
    """As in the merge itself, nothing is solved beside a conflict that is not within a file."""

    async def play(it: Lab) -> None:
        theirs = {**whole_file(it, THEIRS), "src/b.py": "b = 1\n"}
        write(it.one, whole_file(it, OURS))
        (it.one / "src/b.py").unlink()
        write(it.two, theirs)
        mine, other = await it.look(it.one, "src/a.py", "src/b.py"), await it.look(it.two, *theirs)
        assert [item.path for item in (await it.compare(mine, other)).conflicts] == ["src/a.py", "src/b.py"]

    lab(play)


def test_a_lock_file_that_two_change_is_hot_though_the_lines_are_far_apart(lab: Any, git: Shell, repo: Path) -> None:
    lines = "".join(f"line {at}\n" for at in range(40))

    write(repo, {"web/yarn.lock": lines})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "lock")

    async def play(it: Lab) -> None:
        preview = await predicted(it, {"web/yarn.lock": "first\n" + lines}, {"web/yarn.lock": lines + "last\n"})
        (conflict,) = preview.conflicts
        assert "regenerate it with `yarn install`" in conflict.reason
        same = await predicted(it, {"web/yarn.lock": lines + "new\n"}, {"web/yarn.lock": lines + "new\n"})
        assert same.clean

    lab(play)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ("0002_a.py", "0002_b.py", "both have the number 0002"),
        ("0002_a.py", "0003_b.py", "both have the parent 0001_initial"),
    ],
)
def test_migrations_that_exclude_each_other_are_hot_though_no_file_is_shared(
    lab: Any, ours: str, theirs: str, reason: str
) -> None:
    async def play(it: Lab) -> None:
        folder = "shop/migrations"
        preview = await predicted(it, {f"{folder}/{ours}": MIGRATION}, {f"{folder}/{theirs}": MIGRATION})
        (conflict,) = preview.conflicts
        assert conflict.path == f"{folder}/{theirs}" and preview.both_changed == (conflict.path,)
        assert conflict.reason == f"it conflicts with the migration {folder}/{ours}: {reason}"
        write(it.two, {f"{folder}/{theirs}": "x = 1\n"})
        calm = await it.compare(await it.look(it.one, f"{folder}/{ours}"), await it.look(it.two, f"{folder}/{theirs}"))
        assert calm.clean

    lab(play)


def test_an_answer_is_kept_and_a_process_that_dies_is_replaced(lab: Any) -> None:
    async def play(it: Lab) -> None:
        assert (await predicted(it, whole_file(it, OURS), whole_file(it, THEIRS))).clean
        child = it.trees._process._child
        assert child is not None
        child.kill()
        await child.wait()
        mine, other = await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py")
        again = await it.compare(mine, other)
        assert it.trees._process._child is child and again.soft == ("src/a.py",), "known answers need no process"
        write(it.one, whole_file(it, "X = 1\n"))
        fresh = await it.compare(await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py"))
        assert fresh.clean, "the process was not started anew"
        last = it.trees._process._child
        assert last is not None and last is not child
        await it.trees.close()
        assert not psutil.pid_exists(last.pid)

    lab(play)


def test_a_file_that_the_parser_cannot_stand_ends_no_prediction(lab: Any) -> None:
    async def play(it: Lab) -> None:
        deep = "x = " + "(" * 100_000 + ")" * 100_000 + "\n"
        text = (it.one / "src/a.py").read_text("utf-8")
        preview = await predicted(it, {"src/a.py": text + deep}, {"src/a.py": text + THEIRS})
        assert [item.path for item in preview.conflicts] == ["src/a.py"]
        assert (await predicted(it, {"src/a.py": text + OURS}, {"src/a.py": text + THEIRS})).clean

    lab(play)


def test_a_name_that_two_define_far_apart_is_hot_once_it_was_checked(lab: Any) -> None:
    async def play(it: Lab) -> None:
        text = (it.one / "src/a.py").read_text("utf-8")
        helper = "def helper():\n    return 1\n\n\n"
        preview = await predicted(it, {"src/a.py": helper + text}, {"src/a.py": f"{text}\n\n{helper}"})
        assert preview.clean and preview.files == (), "the lines do not clash"
        assert await it.trees.judge()
        mine, other = await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py")
        checked = await it.compare(mine, other)
        (conflict,) = checked.conflicts
        assert (conflict.reason, checked.soft) == ("defined twice: helper", ())
        assert not await it.trees.judge(), "it is checked once"

    lab(play)


def test_a_checked_file_without_fault_is_soft_and_proven(lab: Any) -> None:
    async def play(it: Lab) -> None:
        text = (it.one / "src/a.py").read_text("utf-8")
        await predicted(it, {"src/a.py": "FIRST = 1\n" + text}, {"src/a.py": text + "LAST = 1\n"})
        assert not await it.trees.judge()
        checked = await it.compare(await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py"))
        assert labels(checked) == [("src/a.py", "proven", "text")]

    lab(play)
