"""What stands in the way of a run is said before anything is made: no worktree, branch, ref, byte of `.git` or hub.

A hub that was there before stays as it is, one that a refused command had to start ends with it.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.conftest import open_workspace

GOOD = scenario_directory("calm") / "design.yaml"

OVERLAP = """\
goal: Two who write one file
features:
  - {id: a, title: A, brief: A., partition: ["src/**/models.py"]}
  - {id: b, title: B, brief: B., partition: ["src/shop/m*.py"]}
"""
INSIDE_SHARED = """\
goal: One who writes what all read
features:
  - id: a
    title: A
    brief: A.
    partition:
      - src/shop/models.py
shared: ["src/**"]
"""
CYCLE = """\
goal: Each waits for the other
features:
  - {id: a, title: A, brief: A., partition: ["a/**"], depends_on: [b]}
  - {id: b, title: B, brief: B., partition: ["b/**"], depends_on: [a]}
"""
UNKNOWN_KIND = """\
goal: Nobody builds this
features:
  - id: a
    title: A
    brief: A.
    partition: ["a/**"]
    kind: natve
"""
BAD_YAML = """\
goal: Broken
features:
  - id: a
   title: A
"""
BARE_GLOB = """\
goal: A glob without quotes
features:
  - {id: a, title: A, brief: A., partition: [*.py]}
"""
UNKNOWN_FIELD = """\
goal: A slip of the pen
features:
  - {id: a, title: A, brief: A., partitions: ["a/**"]}
"""


class Refusals:
    """Runs one refused command as text and as JSON, and looks that nothing was made."""

    def __init__(self, workspace: ScratchWorkspace) -> None:
        self.workspace = workspace

    def design(self, text: str) -> Path:
        """A design file beside the repository."""
        path = self.workspace.folder / "plan.yaml"
        path.write_text(text, "utf-8")
        return path

    def __call__(self, *arguments: str, code: int, says: list[str], error: str) -> dict[str, Any]:
        """Refused with exit code `code`, in words that hold all of `says`; returns the error object."""
        before = self._look()
        told = self.workspace.aegis(*arguments)
        assert (told.code, told.out) == (code, ""), told
        assert told.problems.startswith("aegis-tui: ") and "Traceback" not in told.err
        assert [word for word in says if word not in told.err] == [], told.err
        assert self._look() == before
        wire = self.workspace.aegis(*arguments, "--json")
        assert (wire.code, wire.problems) == (code, ""), wire
        found = wire.json
        assert (found["schema_version"], found["ok"]) == (1, False)
        assert {"code", "message", "hint"} <= found["error"].keys()
        assert found["error"]["code"] == error and found["error"]["hint"]
        text = found["error"]["message"] + found["error"]["hint"]
        assert [word for word in says if word not in text] == [], text
        assert self._look() == before
        problem: dict[str, Any] = found["error"]
        return problem

    def _look(self) -> dict[str, str]:
        """What there is once two looks agree: a hub that watches a repository asks git something now and then."""
        found, again = self._look_once(), self._look_once()
        while found != again:
            found, again = again, self._look_once()
        return found

    def _look_once(self) -> dict[str, str]:
        """The repository byte by byte, and what lies about: the hub, processes, sockets, worktrees, instances."""
        workspace = self.workspace
        found = {"left": "\n".join(workspace.leftovers())}
        for record in (workspace.folder / "run").rglob("hub.json"):
            found[str(record)] = record.read_text("utf-8")
        for path in sorted(workspace.root.rglob("*")):
            content = path.read_bytes() if path.is_file() else b"folder"
            found[str(path)] = hashlib.sha256(content).hexdigest()
        for made in (workspace.folder / "state").glob("aegis-tui/*/instances/*"):
            found[str(made)] = "instance"
        return found


@pytest.fixture
def refused(workspace: ScratchWorkspace) -> Refusals:
    return Refusals(workspace)


@pytest.fixture(scope="module")
def refused_by_hub() -> Iterator[Refusals]:
    """A workspace with a hub that has made all that it makes: both its sockets, and the gateway; tests share it."""
    with open_workspace() as workspace:
        workspace.aegis("hub", "start")
        workspace.until(lambda: workspace.leftovers().count("socket hub.sock") == 2, what="both sockets")
        status = ("hub", "status", "--json")
        workspace.until(lambda: workspace.aegis(*status).json["gateway"]["state"] == "running", what="the gateway")
        yield Refusals(workspace)


@pytest.mark.parametrize(
    ("text", "says", "issue"),
    [
        (OVERLAP, ["plan.yaml:4", "features[1].partition[0]", "src/shop/models.py"], (4, "features[1].partition[0]")),
        (
            INSIDE_SHARED,
            ["plan.yaml:8", "shared[0]", "of a", "src/shop/models.py"],
            (8, "shared[0]"),
        ),
        (CYCLE, ["plan.yaml:", "depends_on", "a", "b"], (3, "features[0].depends_on")),
        (UNKNOWN_KIND, ["plan.yaml:7", "features[0].kind", "natve", "native"], (7, "features[0].kind")),
        (BAD_YAML, ["plan.yaml:4", "not YAML"], (4, "")),
        (BARE_GLOB, ["plan.yaml:3", "quotes"], (3, "")),
        (
            UNKNOWN_FIELD,
            ["plan.yaml:3", "features[0].partitions", "did you mean partition"],
            (3, "features[0].partitions"),
        ),
    ],
    ids=["overlap", "inside shared", "cycle", "unknown kind", "bad YAML", "glob without quotes", "unknown field"],
)
def test_a_design_that_breaks_a_rule_is_refused_with_file_line_and_field(
    refused: Refusals, text: str, says: list[str], issue: tuple[int, str]
) -> None:
    path = refused.design(text)
    found = refused("run", "goal", "--design", str(path), "--headless", code=3, says=says, error="design")
    places = [(item["file"], item["line"], item["field"]) for item in found["issues"]]
    assert ("plan.yaml", *issue) in places


def test_an_overlap_names_a_path_that_both_match(refused: Refusals) -> None:
    path = refused.design(OVERLAP)
    found = refused("run", "g", "--design", str(path), "--headless", code=3, says=["models.py"], error="design")
    [overlap] = found["overlaps"]
    assert overlap["witness"] == "src/shop/models.py"
    assert set(overlap["owners"]) == {"a", "b"}


def test_a_request_that_is_wrong_in_itself_is_exit_two(refused: Refusals) -> None:
    good = str(GOOD)
    missing = str(refused.workspace.folder / "none.yaml")
    refused("run", "goal", "--headless", code=2, says=["--design", "--yes"], error="usage")
    refused("run", "goal", "--design", missing, "--headless", code=2, says=["none.yaml"], error="usage")
    refused("run", "  ", "--design", good, "--headless", code=2, says=["goal", "empty"], error="usage")
    refused("run", "g", "--design", good, "--sandbox", "some", code=2, says=["some", "strict"], error="usage")
    refused("run", "g", "--design", good, "--workers", "0", code=2, says=["--workers"], error="usage")
    refused("run", "g", "--design", good, "--kind", "natve", code=2, says=["natve", "native"], error="usage")
    refused("run", "g", "--design", good, "--note", "cook=x", code=2, says=["cook", "worker"], error="usage")
    refused("run", "g", "--desing", good, code=2, says=["--desing"], error="usage")
    refused("run", "--design", good, code=2, says=["GOAL"], error="usage")
    refused("rnu", "goal", code=2, says=["rnu"], error="usage")


def test_a_kind_whose_program_is_missing_is_exit_five_with_the_command_that_installs_it(refused: Refusals) -> None:
    folder = refused.workspace.folder / "config" / "aegis-tui" / "agents"
    folder.mkdir(parents=True)
    lines = ('title = "a parrot"', 'programs = ["no-such-parrot"]', 'install = "pipx install parrot"')
    (folder / "parrot.toml").write_text("\n".join([*lines, "[headless]", 'argv = ["no-such-parrot", "{prompt}"]']))
    says = ["the agent kind parrot needs no-such-parrot", "pipx install parrot"]
    run = ("run", "g", "--headless", "--design")
    refused(*run, str(GOOD), "--kind", "parrot", code=5, says=says, error="agent.program")


def test_an_unknown_setting_is_named_with_its_file(refused: Refusals) -> None:
    folder = refused.workspace.folder / "config" / "aegis-tui"
    folder.mkdir()
    (folder / "config.toml").write_text("# mine\nworker = 3\n")
    says = ["config.toml:2", "unknown setting worker", "did you mean workers"]
    refused("run", "g", "--design", str(GOOD), "--headless", code=2, says=says, error="usage")
    (folder / "config.toml").write_text("workers = 'many'\n")
    refused("run", "g", "--design", str(GOOD), "--headless", code=2, says=["config.toml:1", "workers"], error="usage")
    (folder / "config.toml").unlink()
    project = refused.workspace.root / ".agents"
    project.mkdir()
    (project / "config.toml").write_text("base_url = 'http://127.0.0.1:1/v1'\n")
    refused(
        "run",
        "g",
        "--design",
        str(GOOD),
        "--headless",
        code=2,
        says=["config.toml:1", "base_url", "project"],
        error="usage",
    )


def run_with(model: RecordedLLM) -> list[str]:
    return ["run", "g", "--design", str(GOOD), "--headless", "--base-url", model.base_url]


def test_the_hub_that_a_refused_run_had_to_start_ends_with_it(refused: Refusals, calm: RecordedLLM) -> None:
    refused.workspace.git("branch", "aegis")
    refused(*run_with(calm), code=3, says=["git branch -m aegis aegis-old"], error="preflight.branch")
    assert calm.requests == 0


def test_a_repository_that_cannot_carry_a_run_is_refused_with_the_command_that_helps(
    refused_by_hub: Refusals, calm: RecordedLLM
) -> None:
    refused, git, run = refused_by_hub, refused_by_hub.workspace.git, run_with(calm)
    for branch in ("aegis", "aegis/run1"):
        git("branch", branch)
        renamed = branch.replace("/", "-")
        refused(*run, code=3, says=[branch, f"git branch -m {branch} {renamed}-old"], error="preflight.branch")
        git("branch", "-D", branch)
    name = git("config", "user.name")
    git("config", "--unset", "user.name")
    refused(*run, code=3, says=["who you are", "git config --global user.name"], error="preflight.identity")
    git("config", "user.name", name)
    git("checkout", "-q", "--orphan", "empty")
    refused(*run, code=3, says=["no commit", "git commit"], error="preflight.commit")
    git("checkout", "-q", "-f", "main")
    assert calm.requests == 0


def test_a_folder_outside_any_repository_is_exit_five(refused: Refusals) -> None:
    refused.workspace.root = refused.workspace.folder / "plain"
    refused.workspace.root.mkdir()
    run = ["run", "g", "--design", str(GOOD), "--headless"]
    refused(*run, code=5, says=["not in a git repository", "git init"], error="git.unavailable")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def test_an_endpoint_outside_the_boundary_is_refused_and_no_byte_is_sent(
    refused_by_hub: Refusals, listener: socket.socket
) -> None:
    run = ["run", "g", "--design", str(GOOD), "--headless", "--base-url"]
    port = listener.getsockname()[1]
    # 0.0.0.0 reaches this machine, so that a connection would be seen; it is in no private range.
    for address in (f"0.0.0.0:{port}", "203.0.113.7:8001"):
        url, host = f"http://{address}/v1", address.split(":")[0]
        found = refused_by_hub(*run, url, code=3, says=[host, "private network"], error="boundary.endpoint")
        assert found["address"] == host
    url = "https://models.example.com/v1"
    refused_by_hub(*run, url, code=3, says=["models.example.com", "not looked up"], error="boundary.endpoint")
    refused_by_hub(*run, "ftp://127.0.0.1/v1", code=2, says=["ftp", "http"], error="usage")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_model_server_that_does_not_answer_is_exit_five(refused_by_hub: Refusals, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    url = f"http://127.0.0.1:{port}"
    run = ["run", "g", "--design", str(GOOD), "--headless", "--base-url", url]
    refused_by_hub(*run, code=5, says=[f"{url}/v1", "--base-url"], error="model.unavailable")


def test_a_port_asked_for_and_busy_is_exit_five(refused: Refusals, listener: socket.socket) -> None:
    port = str(listener.getsockname()[1])
    refused.workspace.environ["AEGIS_PORT"] = port
    run = ["run", "g", "--design", str(GOOD), "--headless"]
    refused(*run, code=5, says=[port, "AEGIS_PORT"], error="hub.unavailable")
    refused.workspace.environ["AEGIS_PORT"] = "high"
    refused(*run, code=2, says=["AEGIS_PORT"], error="usage")
