"""The guard as the process that a program's hook runs, with a running hub: it allows, refuses and locks (PART-3)."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted.layers import guard_commands
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.sdk.discovery import find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick
from tests.workspace import Served

ME, OTHER = "CLAUDE-frontend", "CLAUDE-backend"
IMPATIENT = """
import os, sys
from aegis_tui.agent.hosted import guard
guard._LOCK_WAIT_S = 0.3
sys.exit(guard.main(["guard", "before"], os.environ))
"""
"""The guard with a shorter wait for a lock."""


@dataclass
class Post:
    """An instance of a hub that runs, with its worktree, its scope file and its guard."""

    served: Served
    person: HubQuick
    other: HubQuick
    secret: str
    environ: dict[str, str]

    @property
    def root(self) -> Path:
        return self.served.root

    def run(self, step: str, text: str, *, command: str = "", **environ: str) -> tuple[int, str]:
        command = command or guard_commands(sys.executable)[f"guard_{step}"]
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.root,
            env={**self.environ, **environ},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout == "" and self.secret not in done.stderr
        return done.returncode, done.stderr

    def before(self, path: str, *, field: str = "file_path", **environ: str) -> tuple[int, str]:
        return self.run("before", call(path, field=field), **environ)

    def after(self, path: str) -> None:
        assert self.run("after", call(path)) == (0, "")

    def mine(self) -> HubQuick:
        return HubQuick.at(self.environ["AEGIS_HUB"], self.secret)

    def holder(self, path: str) -> str | None:
        lock = self.person.state()["locks"].get(path)
        return str(lock["agent_id"]) if lock else None


def call(path: str, *, field: str = "file_path") -> str:
    return json.dumps({"tool_name": "Write", "tool_use_id": "call-1", "tool_input": {field: path, "content": "x"}})


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    served = Served()
    try:
        served.init({"src/a/app.py": "x = 1\n", "src/b/app.py": "x = 1\n", "src/routes.py": "ROUTES = []\n"})
        started = served.aegis("hub", "start")
        assert started.code == 0, started.err
        yield posted(served)
        served.aegis("hub", "stop")
        left = served.leftovers()
    finally:
        served.close()
    assert left == []


def posted(served: Served) -> Post:
    address = find_hub(workspace_paths(workspace_key_of(served.root), served.environ))
    assert address is not None
    person = HubQuick(address)
    token_files: dict[str, str] = {}
    for name, folder in (("frontend", "src/a"), ("backend", "src/b")):
        fields: dict[str, Any] = {"agent_type": "CLAUDE", "instance_id": name, "partition": [f"{folder}/**"]}
        token_files[name] = person.command("agent:register", **fields)["token_file"]
    scope = {"partition": ["src/a/**"], "joint": ["src/routes.py"], "owners": {"src/b/**": OTHER}}
    scope_file, home = served.folder / "scope.json", served.folder / "frontend-home"
    scope_file.write_text(json.dumps(scope), "utf-8")
    home.mkdir()
    secret = Path(token_files["frontend"]).read_text("utf-8").strip()
    environ = {
        **served.environ,
        "HOME": str(home),
        "AEGIS_AGENT_ID": ME,
        "AEGIS_HUB": f"unix:{address.socket}",
        "AEGIS_TOKEN_FILE": token_files["frontend"],
        "AEGIS_SCOPE_FILE": str(scope_file),
        "AEGIS_WORKTREE": str(served.root),
        "AEGIS_ASK_TOOL": "mcp__aegis__request_scope",
    }
    other = HubQuick.at(f"unix:{address.socket}", Path(token_files["backend"]).read_text("utf-8").strip())
    return Post(served, person, other, secret, environ)


@pytest.fixture(autouse=True)
def beating(post: Post) -> None:
    """The sessions of both instances last until the end of each test."""
    for hub in (post.mine(), post.other):
        hub.command("heartbeat")


@pytest.mark.parametrize("field", ["file_path", "notebook_path", "path", "absolute_path", "filePath"])
def test_a_file_of_the_partition_is_allowed_by_any_name_of_the_argument(post: Post, field: str) -> None:
    assert post.before(str(post.root / "src/a/new.py"), field=field) == (0, "")
    assert post.before("src/a/deep/er/new.py", field=field) == (0, "")
    assert post.holder("src/a/new.py") is None


def test_a_foreign_file_is_refused_with_its_owner_and_the_way_out(post: Post) -> None:
    way_out = "so it was not changed; ask for it with the tool mcp__aegis__request_scope and a reason, or leave it"
    assert post.before(str(post.root / "src/b/app.py")) == (2, f"AEGIS: src/b/app.py belongs to {OTHER}, {way_out}\n")
    code, said = post.before("src/b/app.py", AEGIS_ASK_TOOL="")
    assert (code, said) == (2, f"AEGIS: src/b/app.py belongs to {OTHER}, so it was not changed; leave it as it is\n")


def test_a_link_does_not_lead_out_of_the_partition(post: Post) -> None:
    link = post.root / "src/a/link.py"
    link.symlink_to("../b/app.py")
    try:
        code, said = post.before(str(link))
    finally:
        link.unlink()
    assert code == 2 and "src/b/app.py belongs to" in said


@pytest.mark.parametrize("path", [".git/config", "src/a/.git/hooks/pre-commit", ".agents/specs/active/a.yaml", "."])
def test_what_nobody_may_write_is_refused_without_asking_the_hub(post: Post, path: str) -> None:
    code, said = post.before(path, AEGIS_HUB="unix:/nowhere")
    assert code == 2 and path in said and "does not answer" not in said


def test_outside_the_worktree_only_home_and_the_temporary_folder_are_allowed(post: Post, tmp_path: Path) -> None:
    assert post.before(f"{post.environ['HOME']}/notes.md")[0] == 0
    assert post.before("/tmp/draft.md")[0] == 0
    code, said = post.before("/etc/hosts")
    assert code == 2 and said.startswith("AEGIS: /etc/hosts is outside your worktree")
    assert post.before(f"{post.root}/../../../etc/hosts")[0] == 2


def test_a_joint_file_is_locked_from_before_the_edit_until_after_it(post: Post) -> None:
    assert post.before("src/routes.py") == (0, "")
    assert post.holder("src/routes.py") == ME
    post.after("src/routes.py")
    assert post.holder("src/routes.py") is None


def test_a_lock_that_the_program_took_itself_is_still_there_after_the_edit(post: Post) -> None:
    mine = post.mine()
    mine.command("lock:acquire", path="src/routes.py", lock_type="EXCLUSIVE")
    assert post.before("src/routes.py") == (0, "")
    post.after("src/routes.py")
    assert post.holder("src/routes.py") == ME
    mine.command("lock:release", path="src/routes.py")


def test_a_joint_file_that_another_holds_is_waited_for(post: Post) -> None:
    post.other.command("lock:acquire", path="src/routes.py", lock_type="EXCLUSIVE", ttl_s=120)
    release = threading.Timer(1.0, lambda: post.other.command("lock:release", path="src/routes.py"))
    release.start()
    assert post.before("src/routes.py") == (0, "")
    release.join()
    post.after("src/routes.py")


def test_a_joint_file_that_stays_locked_is_refused_with_its_holder(post: Post) -> None:
    post.other.command("lock:acquire", path="src/routes.py", lock_type="EXCLUSIVE", ttl_s=120)
    try:
        code, said = post.run("before", call("src/routes.py"), command=shlex.join([sys.executable, "-c", IMPATIENT]))
    finally:
        post.other.command("lock:release", path="src/routes.py")
    assert code == 2 and said.startswith(f"AEGIS: {OTHER} holds the lock of src/routes.py for ")
    assert said.endswith(" s at most; do other work and edit it later\n")


def test_a_granted_path_is_allowed_although_the_scope_file_does_not_know_it(post: Post) -> None:
    asked = post.mine().command("scope:request", path="src/b/granted.py", reason="a name is used here")
    post.other.command("scope:grant", request=asked["request"])
    assert post.before("src/b/granted.py") == (0, "")
    assert post.holder("src/b/granted.py") == ME
    post.after("src/b/granted.py")
    assert post.before("src/b/other.py")[0] == 2


@pytest.mark.parametrize("missing", ["AEGIS_HUB", "AEGIS_TOKEN_FILE"])
def test_without_a_hub_own_files_are_allowed_and_all_others_refused(post: Post, missing: str) -> None:
    assert post.before("src/a/app.py", **{missing: "unix:/nowhere"}) == (0, "")
    for path in ("src/routes.py", "src/b/app.py"):
        code, said = post.before(path, **{missing: "unix:/nowhere"})
        assert code == 2 and f"{path} was not changed: the hub, which has to allow it, does not answer" in said


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"tool_input": {}}', '{"tool_input": {"file_path": 3}}', "[" * 100_000]
)
def test_a_call_that_cannot_be_read_is_refused(post: Post, text: str) -> None:
    code, said = post.run("before", text)
    assert code == 2 and said.startswith("AEGIS: ") and said.count("\n") == 1


def test_without_a_scope_file_nothing_is_allowed(post: Post) -> None:
    code, said = post.before("src/a/app.py", AEGIS_SCOPE_FILE="/nowhere")
    assert code == 2 and "what you may write cannot be read" in said


def test_every_file_of_a_patch_is_checked(post: Post) -> None:
    def patch(*paths: str) -> str:
        lines = [f"*** Update File: {path}\n@@\n-x\n+y" for path in paths]
        return json.dumps({"tool_input": {"patchText": "\n".join(["*** Begin Patch", *lines, "*** End Patch"])}})

    assert post.run("before", patch("src/a/app.py", "src/a/new.py")) == (0, "")
    code, said = post.run("before", patch("src/routes.py", "src/b/app.py"))
    assert code == 2 and f"src/b/app.py belongs to {OTHER}" in said
    assert post.holder("src/routes.py") is None, "what was locked for a refused call is released"


def test_the_worktree_is_found_by_git_where_no_variable_names_it(post: Post) -> None:
    assert post.before("src/a/app.py", AEGIS_WORKTREE="") == (0, "")
    assert post.before("src/b/app.py", AEGIS_WORKTREE="")[0] == 2


def test_a_module_of_the_worktree_is_not_imported(post: Post, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(0)\n")
    assert post.before("src/b/app.py", PYTHONPATH=str(tmp_path))[0] == 2


def test_what_was_written_under_the_lock_is_recorded(post: Post) -> None:
    file = post.root / "src/routes.py"
    before = file.read_bytes()
    try:
        assert post.before(str(file)) == (0, "")
        file.write_text("ROUTES = [1]\n")
        post.after(str(file))
    finally:
        file.write_bytes(before)
    written = [event["data"] for event in post.served.events() if event["type"] == "code:written"]
    oids = [data["new_oid"] for data in written if data["file"] == "src/routes.py"]
    assert oids == [blob_id(b"ROUTES = [1]\n")]
    assert post.holder("src/routes.py") is None


def test_a_joint_file_that_has_moved_on_is_brought_in_and_read_again_first(post: Post) -> None:
    root = post.root

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    base = git("rev-parse", "HEAD")
    (root / "src/routes.py").write_text("ROUTES = ['merged']\n")
    git("commit", "-q", "-am", "merged")
    git("update-ref", "refs/heads/integration", "HEAD")
    git("reset", "-q", "--hard", base)
    environ = {"AEGIS_INTEGRATION_REF": "refs/heads/integration"}
    try:
        code, said = post.before("src/routes.py", **environ)
        assert code == 2 and "has changed on the integration branch" in said and "\nRead it again" in said
        assert (root / "src/routes.py").read_text() == "ROUTES = ['merged']\n"
        assert post.holder("src/routes.py") is None
        assert post.before("src/routes.py", **environ) == (0, "")
        post.after("src/routes.py")
    finally:
        git("reset", "-q", "--hard", base)
