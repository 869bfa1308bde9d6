"""Ordinary projects as fresh clones: QA runs against the worktree, and a broken change shuts the gate (FLOW-7)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.domain.qa.assess import assess
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.detectors import detect_qa
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.ports.sandbox import SandboxMode
from tests.orchestrator.qa_lab import Lab

SANDBOXES: list[SandboxMode] = ["off", "auto"]


def judge(lab: Lab, command: str, oid: str, sandbox: SandboxMode) -> QaCheck:
    """The check that decides on a commit whose base is the checkout's."""
    base, merged = (lab.run(one, command, sandbox=sandbox)[0] for one in (lab.git("rev-parse", "HEAD"), oid))
    results = [assess(command, run.outcome, tools=run.tools) for run in (merged, base)]
    return compare(1, command, *results)


def python_project(lab: Lab) -> tuple[str, str, str]:
    """A src layout, installed in editable form by setuptools: its source, the text of it, the command."""
    test = "import unittest, shop\nclass T(unittest.TestCase):\n"
    test += "    def test_price(self): self.assertEqual(shop.price(), 1)\n"
    lab.write("pyproject.toml", '[project]\nname = "shop"\nversion = "1"\n')
    lab.write("tests/test_price.py", test)
    _, site = lab.virtualenv()
    (site / "__editable__.shop-1.pth").write_text(f"{lab.root}/src")
    return "src/shop/__init__.py", "def price(): return VALUE\n", "python -m unittest discover -s tests"


def npm_project(lab: Lab) -> tuple[str, str, str]:
    """A workspace whose test imports another package of the workspace and an installed one."""
    if shutil.which("npm") is None:
        pytest.skip("missing: npm")
    lab.write("package.json", '{"name": "whole", "workspaces": ["p/*"], "scripts": {"test": "node --test p/site"}}')
    lab.write("p/shop/package.json", '{"name": "shop", "main": "index.js"}')
    lab.write("p/site/package.json", '{"name": "site"}')
    test = "const {test} = require('node:test')\n"
    test += "test('price', () => require('dep').equal(require('shop').price(), 1))\n"
    lab.write("p/site/price.test.js", test)
    lab.write("node_modules/dep/index.js", "exports.equal = require('assert').equal\n")
    (lab.root / "node_modules/shop").symlink_to("../p/shop")
    return "p/shop/index.js", "exports.price = () => VALUE\n", "npm test"


def make_project(lab: Lab) -> tuple[str, str, str]:
    """A C program with a test target; its Makefile is what detection finds."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("missing: make, cc")
    makefile = "test: price\n\t./price\n\nprice: price.c\n\tcc -o price price.c\n"
    lab.write("Makefile", makefile)
    (command,) = detect_qa(["Makefile", "price.c"], lambda name: makefile if name == "Makefile" else "")
    return "price.c", "int main(void) { return VALUE != 1; }\n", command


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("project", [python_project, npm_project, make_project])
def test_a_good_change_passes_and_a_broken_one_shuts_the_gate(
    tmp_path: Path, project: Callable[[Lab], tuple[str, str, str]], sandbox: SandboxMode
) -> None:
    lab = Lab(tmp_path)
    lab.write(".gitignore", ".venv/\nnode_modules/\n")
    name, text, command = project(lab)
    good = lab.commit_change(name, text.replace("VALUE", "1"), text.replace("VALUE", "2 - 1"))
    lab.write(name, text.replace("VALUE", "2"))
    lab.git("commit", "-qam", "broken")
    broken = lab.git("rev-parse", "HEAD")
    lab.git("checkout", "-q", "--detach", "HEAD~1")
    passed, failed = judge(lab, command, good, sandbox), judge(lab, command, broken, sandbox)
    count = None if project is make_project else 1  # make does not say how many tests its target has run
    assert (passed.ok, passed.status, passed.executed) == (True, "passed", count)
    assert (failed.ok, failed.status, len(failed.new_failures)) == (False, "failed", 1)


CMAKE = """cmake_minimum_required(VERSION 3.10)
project(shop C)
enable_testing()
add_executable(price price.c)
add_test(NAME price COMMAND price)
"""


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_what_is_detected_of_a_cmake_project_builds_and_runs_its_tests(tmp_path: Path, sandbox: SandboxMode) -> None:
    if shutil.which("ctest") is None or shutil.which("cc") is None:
        pytest.skip("missing: ctest, cc")
    lab = Lab(tmp_path)
    lab.write("CMakeLists.txt", CMAKE)
    changed = lab.commit_change("price.c", "int main(void) { return 0; }\n", "int main(void) { return 1; }\n")
    commands = detect_qa(["CMakeLists.txt", "price.c"], lambda name: CMAKE)
    base, merged = (lab.run(oid, *commands, sandbox=sandbox) for oid in (lab.git("rev-parse", "HEAD"), changed))
    results = [
        [assess(command, run.outcome, tools=run.tools) for command, run in zip(commands, runs, strict=True)]
        for runs in (merged, base)
    ]
    checks = [compare(at, *of) for at, of in enumerate(zip(commands, *results, strict=True), 1)]
    assert [(check.status, check.ok) for check in checks] == [("passed", True), ("passed", True), ("failed", False)]
    assert checks[2].new_failures == ("price",) and checks[2].executed == 1
