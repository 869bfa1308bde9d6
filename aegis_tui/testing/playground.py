"""The demo's own surroundings: a sample repository, a scripted model server, state and runtime folders.

Everything is below one temporary folder that is removed at the end; the person's own state is never touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from aegis_tui.errors import ModelUnavailable
from aegis_tui.testing.driver import GateDriver, GateOpener
from aegis_tui.testing.sample_repository import create_sample_repository, git_in_sample, scenario_directory
from aegis_tui.testing.scenario import load_gates

SERVER_DEADLINE_S = 20.0
_STOP_DEADLINE_S = 5.0
_TESTS_DEADLINE_S = 60.0
_TESTS = ("-m", "unittest", "discover", "-t", ".", "-s", "tests")

FOREIGN = ("AEGIS_BASE_URL", "AEGIS_MODEL", "AEGIS_PORT", "AEGIS_WORKERS", "AEGIS_INSTANCE", "AEGIS_TOKEN_FILE")
"""Variables for the person's own work that must not affect the demo."""


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """The result of the sample repository's own tests on the present checkout."""

    ok: bool
    output: str


@dataclass(frozen=True, slots=True)
class Playground:
    """A demo's folder, repository and model server; created by `open_playground`."""

    folder: Path
    repository: Path
    base_oid: str
    scenario: Path
    base_url: str
    model: str
    opener: GateOpener

    def environment(self) -> dict[str, str]:
        """Return the variables with which a hub keeps its state and sockets inside the playground."""
        return {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_RUNTIME_DIR": str(self.folder / "run")}

    def driver(self) -> GateDriver:
        """Return a new driver that opens the scenario's gates by requests to the model server.

        Raises:
            UsageError: The scenario's `gates.yaml` is not valid.
        """
        return GateDriver(load_gates(self.scenario), self.opener)

    def promise(self) -> dict[str, Any]:
        """Return the fields of the scenario's `promise.yaml`, which says what its run must reach.

        Empty if it has none.
        """
        path = self.scenario / "promise.yaml"
        return dict(YAML(typ="safe", pure=True).load(path.read_text("utf-8"))) if path.exists() else {}

    def checkout_is_untouched(self) -> bool:
        """Return whether branch, commit, files and stash of the sample's checkout are as at the start of the run.

        Raises:
            GitError: git fails, as with a HEAD that is detached.
        """
        head = git_in_sample(self.repository, "symbolic-ref", "HEAD").strip()
        oid = git_in_sample(self.repository, "rev-parse", "HEAD").strip()
        dirty = git_in_sample(self.repository, "status", "--porcelain", "--ignored")
        stash = git_in_sample(self.repository, "stash", "list")
        return (head, oid, dirty, stash) == ("refs/heads/main", self.base_oid, "", "")

    def commits_of(self, branch: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return the commits of a branch that are not in the base, newest first, each with its parents.

        Raises:
            GitError: There is no such branch.
        """
        text = git_in_sample(self.repository, "rev-list", "--parents", branch, f"^{self.base_oid}")
        return [(row.split()[0], tuple(row.split()[1:])) for row in text.splitlines()]

    def check_out(self, branch: str) -> None:
        """Check out a branch, so that the person can look at it; raises `GitError` if there is none."""
        git_in_sample(self.repository, "checkout", "--quiet", branch)

    def run_tests(self) -> SuiteOutcome:
        """Run the sample's tests in the checkout; blocks. Tests that do not end within 60 s count as failed."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [sys.executable, *_TESTS],
                cwd=self.repository,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TESTS_DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return SuiteOutcome(False, f"the tests did not end within {_TESTS_DEADLINE_S:g} s")
        return SuiteOutcome(done.returncode == 0, done.stderr[-4000:])


@contextlib.contextmanager
def open_playground(name: str, *, keep: Path | None = None, pace: float | None = None) -> Iterator[Playground]:
    """Create the playground of a scenario, and remove it at the end.

    Args:
        name: The scenario.
        keep: A new or empty folder for the repository, which is then not removed.
        pace: Tokens per second of every reply, 0 for no limit; None: as the scripts say.

    Raises:
        UsageError: There is no such scenario, or `keep` is not empty.
        GitUnavailable: git is missing.
        GitError: git fails.
        ModelUnavailable: The scripted server does not start within 20 s.
    """
    scenario = scenario_directory(name)
    folder = Path(tempfile.mkdtemp(prefix=f"aegis-demo-{os.getpid()}-")).resolve()
    try:
        repository = keep.absolute() if keep else folder / "shop"
        base_oid = create_sample_repository(repository)
        (folder / "run").mkdir(mode=0o700)
        with scripted_server(scenario, folder, pace=pace) as card:
            opener = GateOpener(card["gates_url"], card["admin_token"])
            yield Playground(folder, repository, base_oid, scenario, card["url"], card["model"], opener)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def scripted_server(scenario: Path, folder: Path, *, pace: float | None = None) -> Iterator[Mapping[str, Any]]:
    """Run a scripted model server as a process while the block runs.

    Yields:
        What the server announces: `url`, `gates_url`, `admin_token`, `model`, `pid` and `scripted`.

    Args:
        scenario: The folder with its scripts.
        folder: The folder for its log and for the file with its announcement.
        pace: Tokens per second of every reply, 0 for no limit; None: as the scripts say.

    Raises:
        ModelUnavailable: It does not start.
    """
    announce = folder / "server.json"
    paced = [] if pace is None else ["--pace", str(pace)]
    module = "aegis_tui.testing.scripted_llm"
    argv = [sys.executable, "-m", module, str(scenario), *paced, "--announce", str(announce)]
    argv += ["--parent", str(os.getpid())]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield _card(process, announce, argv)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _card(process: subprocess.Popen[bytes], announce: Path, argv: Sequence[str]) -> Mapping[str, Any]:
    end = time.monotonic() + SERVER_DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        if announce.exists():
            card: dict[str, Any] = json.loads(announce.read_text("utf-8"))
            return card
        time.sleep(0.03)
    said = announce.with_name("server.log").read_text("utf-8", "replace")[-2000:].strip()
    raise ModelUnavailable(f"the scripted model server does not start: {said}", f"try: {' '.join(argv[:-4])}")
