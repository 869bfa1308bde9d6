"""From dispatch to commit in each odd kind of repository: the tree is right, and what is the person's stays (GIT-7).

Each kind is built as a person would have it. The tree of the result is compared with one that git alone builds from the
same change, and everything of the person's, byte by byte, with what was there before.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.e2e.odd_kinds import DONE, KINDS, Odd, large_files_of_git_lfs, large_files_of_lfs
from tests.e2e.test_kill import call, serve
from tests.workspace import Served

REVIEWER = [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])]
OURS = ("aegis/", "refs/aegis/", "refs/heads/aegis/", "logs/refs/heads/aegis/", "logs/refs/aegis/", "objects/")
"""What a run may add to a git folder."""


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    yield scratch
    scratch.aegis("hub", "stop")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def run(workspace: ScratchWorkspace, odd: Odd) -> CommandResult:
    """One feature, built by a worker that takes these steps."""
    model = serve(workspace.folder / "scripts", {"one": odd.steps, "reviewer": REVIEWER})
    design = {
        "goal": "Make a file",
        "features": [{"id": "one", "title": "One", "brief": "Make it. [[script:one]]", "partition": [odd.partition]}],
        "qa": {"commands": [odd.check]},
    }
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps(design))
    try:
        arguments = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
        note = ["--note", "reviewer=[[script:reviewer]]"]
        return workspace.aegis("run", "Make a file", *arguments, *note, folder=odd.folder)
    finally:
        model.close()


def git(workspace: ScratchWorkspace, *arguments: str, stdin: bytes = b"", index: str = "") -> bytes:
    """What git prints, as bytes, without its last line end."""
    environ = {**workspace.environ, **({"GIT_INDEX_FILE": index} if index else {})}
    argv = ["git", *arguments]
    done = subprocess.run(argv, cwd=workspace.root, env=environ, input=stdin, capture_output=True, check=True)
    return done.stdout.removesuffix(b"\n")


def expected_tree(workspace: ScratchWorkspace, odd: Odd) -> str:
    """The tree of HEAD with the changes, built by git alone, with an index of its own."""
    index = str(workspace.folder / "expected-index")
    plain = ("-c", "index.sparse=false", "-c", "core.splitIndex=false", "-c", "core.sparseCheckout=false")
    git(workspace, *plain, "read-tree", "HEAD", index=index)
    zeros = b"0" * len(git(workspace, "rev-parse", "HEAD"))
    lines = []
    for path, content in odd.changes.items():
        if content is None:
            lines.append(b"0 " + zeros + b"\t" + path)
        else:
            oid = git(workspace, "hash-object", "-w", "--no-filters", "--stdin", stdin=content)
            lines.append(odd.modes.get(path, "100644").encode() + b" " + oid + b"\t" + path)
    git(workspace, *plain, "update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0", index=index)
    return git(workspace, *plain, "write-tree", index=index).decode()


def of_the_person(workspace: ScratchWorkspace) -> dict[str, bytes]:
    """Everything of the person's, path -> content: files and links of the checkout, and git's folders but for objects.

    Left out is what a run may add to git's folders.
    """
    found: dict[str, bytes] = {}
    folders = {Path(os.fsdecode(git(workspace, "rev-parse", "--absolute-git-dir")))}
    common = Path(os.fsdecode(git(workspace, "rev-parse", "--git-common-dir")))
    folders.add((workspace.root / common).resolve())
    for top in (workspace.root, *folders):
        for path in top.rglob("*"):
            name = os.fsdecode(bytes(path.relative_to(top)))
            if top == workspace.root and name.split("/")[0] == ".git":
                continue
            if top != workspace.root and name.startswith((*OURS, "worktrees/w", "worktrees/run")):
                continue
            if path.is_symlink():
                found[f"{top}:{name}"] = b"-> " + os.fsencode(path.readlink())
            elif path.is_file():
                mode = b"x" if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else b"-"
                found[f"{top}:{name}"] = mode + path.read_bytes()
    return found


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_change_is_committed_and_nothing_else_changes(
    workspace: ScratchWorkspace, make: Callable[[ScratchWorkspace], Odd]
) -> None:
    odd = make(workspace)
    before = of_the_person(workspace)
    answer = run(workspace, odd)
    assert answer.code == 0, (answer.out[-3000:], answer.err[-3000:])
    assert odd.says in answer.err
    result = workspace.git("rev-parse", "aegis/run1/result")
    assert workspace.git("rev-parse", f"{result}^{{tree}}") == expected_tree(workspace, odd)
    assert workspace.git("rev-parse", f"{result}^") == workspace.git("rev-parse", "HEAD")
    workspace.aegis("hub", "stop")
    after = of_the_person(workspace)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()


@pytest.mark.parametrize("make", [large_files_of_lfs, large_files_of_git_lfs], ids=lambda make: make.__name__)
def test_a_file_of_lfs_that_an_agent_changes_is_refused_and_not_lost(
    workspace: ScratchWorkspace, make: Callable[[ScratchWorkspace], Odd]
) -> None:
    """Its content could only be stored in the person's git folder, which agents cannot write."""
    make(workspace)
    steps = [call("bash", command="echo more >> big.bin"), *[DONE] * 5]
    answer = run(workspace, Odd(steps, partition="**", check="true"))
    assert answer.code == 1, (answer.out[-3000:], answer.err[-3000:])
    assert "big.bin: clean filter 'lfs' failed" in answer.json["error"]["message"]
    assert workspace.git("show", "refs/aegis/rescue/run1/w01/1:big.bin") == "large content\nmore"
