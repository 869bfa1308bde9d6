"""What an instance is given and what is taken away again (GIT-1, SEC-2, PANE-8)."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.instance.model import Instance
from aegis_tui.orchestrator.pane_exec import load_launch
from aegis_tui.ports.agent_kind import Launch
from tests.orchestrator.run_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def given(bench: Bench) -> dict[str, dict[str, str]]:
    """What the folder of each instance holds while it works: name of the file to its text."""
    found: dict[str, dict[str, str]] = {}

    def look(item: Instance) -> None:
        folder = bench.places["instances"] / item.instance_id
        found[item.instance_id] = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    for name in ("c01", "w01", "w02", "r01"):
        bench.plays[name] = look
    assert asyncio.run(bench.run()).ok is True
    return found


def launch_of(bench: Bench) -> tuple[list[str], dict[str, str], str]:
    """Argv, environment and folder of w01."""
    given(bench)
    return load_launch(str(bench.places["instances"].parent), "w01")


def test_the_token_stands_in_its_file_and_nowhere_else(bench: Bench) -> None:
    found = given(bench)
    assert {"w01", "w02", "r01"} <= set(found)
    tokens = {name: files["token"].strip() for name, files in found.items()}
    assert len(set(tokens.values())) == len(tokens)
    for name, files in found.items():
        others = "".join(text for file, text in files.items() if file != "token")
        assert all(token not in others for token in tokens.values()), name
    assert all(token not in repr(bench.terminal.opened) for token in tokens.values())
    assert list(bench.places["instances"].rglob("token")) == []


def test_the_launch_record_has_paths_and_names_and_only_what_is_passed_on(bench: Bench) -> None:
    _, environment, cwd = launch_of(bench)
    assert environment["AEGIS_AGENT_ID"] == "NATIVE-w01"
    assert environment["AEGIS_TOKEN_FILE"].endswith("/instances/w01/token")
    assert environment["HOME"].endswith("/instances/w01/home")
    assert environment["PATH"] == "/usr/bin"
    assert cwd.endswith("/worktrees/w01")


class Parrot:
    def argv(self, launch: Launch) -> list[str]:
        return ["parrot", launch.instance_id, launch.role]

    def environment(self, launch: Launch) -> dict[str, str]:
        return {"PARROT_SCOPE": str(launch.scope_file)}


def test_another_kind_is_started_by_its_own_words_in_the_common_surroundings(bench: Bench) -> None:
    bench.kinds[NATIVE] = Parrot()
    argv, environment, _ = launch_of(bench)
    assert argv[-3:] == ["parrot", "w01", "worker"]
    assert environment["PARROT_SCOPE"].endswith("/instances/w01/scope.json")
    assert environment["AEGIS_INSTANCE"] == "w01"
    assert "OPENAI_BASE_URL" not in environment


def test_the_scope_says_what_is_mine_and_whose_the_rest_is(bench: Bench) -> None:
    scope = json.loads(given(bench)["w01"]["scope.json"])
    assert scope["partition"] == ["src/a/**"]
    assert scope["owners"] == {"src/b/**": "NATIVE-w02"}


def test_the_guard_lets_commits_of_its_own_partition_on_its_own_branch(bench: Bench) -> None:
    guards = {}
    bench.plays["w01"] = lambda item: guards.update(bench.repository.guards)
    asyncio.run(bench.run())
    guard = guards[bench.places["worktrees"] / "w01"]
    assert (guard.own_ref, guard.allow) == ("refs/heads/aegis/run1/w01", ("src/a/**",))
    assert guard.integration_ref == "refs/heads/aegis/run1/integration"


def test_a_role_file_of_the_team_is_given_as_it_is_and_a_link_is_not_followed(bench: Bench) -> None:
    folder = bench.repository.root / ".agents" / "agents"
    folder.mkdir(parents=True)
    (folder / "worker.md").write_text("our way\n")
    (folder / "reviewer.md").symlink_to(folder / "worker.md")
    roles: dict[str, list[str]] = {}

    def look(item: Instance) -> None:
        place = bench.places["instances"] / item.instance_id / "roles"
        roles[item.role] = [path.read_text() for path in place.iterdir()]

    bench.plays.update(w01=look, r01=look)
    asyncio.run(bench.run())
    assert roles == {"worker": ["our way\n"], "reviewer": []}


def test_work_that_is_in_no_commit_is_saved_before_its_worktree_goes(bench: Bench) -> None:
    place = bench.places["worktrees"] / "w01"

    def leave(item: Instance) -> bool:
        bench.repository.unsaved[place] = {"src/a/half.py": "half\n"}
        bench.terminal.end(item.instance_id, status=1)
        return False

    bench.plays["w01"] = leave
    assert asyncio.run(bench.run()).ok is True
    refs = [event.data.model_dump()["rescue_ref"] for event in bench.events("instance:reclaimed")]
    (ref,) = [name for name in refs if name]
    assert bench.repository.files(bench.repository.refs[ref])["src/a/half.py"] == "half\n"
    assert place not in bench.repository.worktrees
