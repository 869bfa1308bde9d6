"""What holds for the whole suite: why a test may be skipped, how long one may take, what tests share.

A skip names the program that is missing, and is a failure where that program is present.
"""

from __future__ import annotations

import compileall
import contextlib
import gc
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests import forked

PACKAGE = Path(__file__).parent.parent / "aegis_tui"

MISSING = re.compile(r"missing: (\S+)")


class Skips:
    """Collects the reasons of skips, on the process that sees all reports."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._add(report)

    def _add(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            place = report.longrepr
            self.reasons[report.nodeid] = str(place[2]) if isinstance(place, tuple) else str(place)

    def wrong(self) -> list[str]:
        """What is wrong with the skips there were, one line each."""
        found = []
        for nodeid, reason in sorted(self.reasons.items()):
            named = MISSING.search(reason)
            if named is None:
                found.append(f"{nodeid} was skipped without naming what is missing: {reason}")
            elif path := shutil.which(named[1]):
                found.append(f"{nodeid} was skipped for want of {named[1]}, which is here: {path}")
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.wrong() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"skipped: {len(self.reasons)}")
        for reason in sorted({found[0] for found in map(MISSING.search, self.reasons.values()) if found}):
            terminalreporter.write_line(f"  {reason}")
        for line in self.wrong():
            terminalreporter.write_line(f"wrong: {line}", red=True)


LONGEST_CALL_S = 30.0
LONG = ("soak", "real_vllm", "real_agents", "registry")
"""Marks of tests that may take minutes."""


def longest_call_s(load: float, cores: int) -> float:
    """How long a test may take where so many processes want to run on so many cores.

    A limit in seconds of wall time would fail honest tests on a busy machine: with four processes that want to run on
    two cores, each gets half of one, and a test takes twice as long. So the limit grows with the load for each core,
    and is never shorter than on a machine that has nothing else to do.
    """
    return LONGEST_CALL_S * max(1.0, load / cores)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a normal test that passes too late. Only its call counts: fixtures may be shared by many tests."""
    started, load = time.monotonic(), os.getloadavg()[0]
    outcome = yield
    took_s = time.monotonic() - started
    limit_s = longest_call_s(max(load, os.getloadavg()[0]), os.cpu_count() or 1)
    if took_s > limit_s and not any(item.get_closest_marker(name) for name in LONG):
        pytest.fail(
            f"the test passed, but took {took_s:.0f} s; a normal test may take {limit_s:.0f} s on this machine now: "
            f"make it shorter, or mark it as one of {', '.join(LONG)}",
            pytrace=False,
        )
    return outcome


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts the suite in the background has it ignore SIGINT, and `nohup` SIGHUP; so would all that the
    # suite starts after it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Hubs, gateways and agents are started by the hundred, agents always without writing compiled modules: without
    # this each of them compiles the package anew, for half of its time, where the shell forbids Python to write them.
    sys.dont_write_bytecode = False
    # Most of what a test makes is gone at its end by itself; the collector would look through all of it all the time.
    # `_collected` calls it instead.
    gc.set_threshold(100_000, 20, 20)
    if names_a_file(config):  # pytest-xdist hands the arguments on to its workers, and not what is changed here
        # Who names a file wants its tests, whatever they are of; an own `-m` has no such beginning.
        config.option.markexpr = config.option.markexpr.removeprefix("not thorough and ")
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(PACKAGE, quiet=1)
        config.pluginmanager.register(Skips(), "aegis-skips")
        programs = contextlib.ExitStack()
        programs.enter_context(forked.server())
        config.add_cleanup(programs.close)


def names_a_file(config: pytest.Config) -> bool:
    """Whether the command line names a file, a test in one, or a folder whose tests are all thorough."""
    named = [Path(config.invocation_params.dir, name.partition("::")[0]) for name in config.args]
    return config.args_source is pytest.Config.ArgsSource.ARGS and any(
        path.is_file() or any(f"tests/{place}" in f"{path.as_posix()}/" for place in THOROUGH) for path in named
    )


THOROUGH = (
    "e2e/",
    "soak/",
    "docs/test_hub_doc.py",
    "docs/test_roles_doc.py",
    "docs/test_specs_doc.py",
    "domain/glob/test_glob_effort.py",
    "domain/qa/test_long_output.py",
    "gateway/test_consultant.py",
    "gateway/test_every_dialect.py",
    "gateway/test_gateway_patience.py",
    "gateway/test_gateway_process.py",
    "hub/test_code_map.py",
    "hub/test_documents.py",
    "hub/test_fanout.py",
    "hub/test_faults.py",
    "hub/test_linearizability.py",
    "hub/test_mcp.py",
    "hub/test_process.py",
    "testing/test_sample_repository.py",
    "application/test_doctor.py",
    "adapters/git/test_bombs.py",
    "adapters/git/test_filling.py",
    "adapters/git/test_guard.py",
    "adapters/git/test_live_structure.py",
    "adapters/git/test_mergiraf.py",
    "adapters/git/test_private.py",
    "adapters/git/test_structural_merge.py",
    "adapters/test_assess_apart.py",
    "adapters/vllm/test_server.py",
    "packaging/test_bench.py",
    "packaging/test_bench_merge.py",
    "packaging/test_docs.py",
    "packaging/test_fresh_machine.py",
    "packaging/test_skips.py",
    "packaging/test_wheel.py",
    "agent/acp/test_editor.py",
    "agent/hosted/test_acp.py",
    "agent/hosted/test_guard.py",
    "agent/hosted/test_limits.py",
    "agent/hosted/test_session.py",
    "agent/hosted/test_terminal.py",
    "agent/test_program.py",
    "cli/test_agent.py",
    "cli/test_connect.py",
    "cli/test_events.py",
    "cli/test_hub.py",
    "cli/test_mcp.py",
    "cli/test_repair.py",
    "cli/test_worktree.py",
    "orchestrator/test_lockfiles.py",
    "orchestrator/test_proposal.py",
    "orchestrator/test_qa.py",
    "orchestrator/test_qa_hostile.py",
    "orchestrator/test_qa_projects.py",
    "orchestrator/test_qa_run.py",
    "orchestrator/test_result_hooks.py",
    "orchestrator/test_screen_watch.py",
    "tui/screens/test_dialogs.py",
    "tui/screens/test_first_use.py",
    "tui/screens/test_suggest.py",
    "tui/test_app.py",
    "tui/test_feed.py",
    "tui/test_looks.py",
    "tui/test_mishap.py",
    "tui/test_opening.py",
    "sdk/test_user_servers.py",
)
"""Files of tests of the whole program (runs from goal to commit, QA in its sandbox, hubs that are killed, installs, the
dashboard driven by keys in every theme) and of input without measure. They have the mark `thorough`, as have long
searches for counterexamples. Such tests are left out unless somebody names their file, or the mark."""


def pytest_collection_finish() -> None:
    collect()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # pytest collects once more before it ends


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Generator[None]:
    """Collect what the tests of a module left, so that a connection that none of them closed fails one of them.

    Else it is noticed whenever the collector happens to run, in a test that has nothing to do with it.
    """
    yield
    collect()


def collect() -> None:
    gc.collect()
    gc.freeze()  # what is used now mostly lasts to the end: it is not looked through again


SHARED_SETUP = (
    "e2e/test_attach.py",
    "e2e/test_boundary.py",
    "e2e/test_comeback.py",
    "e2e/test_commands.py",
    "cli/",
    "packaging/test_skips.py",
    "packaging/test_wheel.py",
)
"""Modules whose fixtures are dear: one worker runs all of such a module, so that they are set up once."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.as_posix()
        if any(f"tests/{name}" in place for name in THOROUGH):
            item.add_marker(pytest.mark.thorough)
        if any(f"tests/{name}" in place for name in SHARED_SETUP):
            item.add_marker(pytest.mark.xdist_group(place))
