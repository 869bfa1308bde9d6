"""Worktrees in which the project really works: linked, copied and made environments, through whole runs (GIT-1)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.e2e.test_kill import call, serve
from tests.workspace import Served

TEST = """import os, unittest, helperlib, shop

class T(unittest.TestCase):
    def test_price(self):
        self.assertEqual(helperlib.twice(shop.price()), 4)

    def test_what_only_the_checkout_has(self):
        self.assertEqual(open(".env.test").read(), "TOKEN=1\\n")

    def test_ports(self):
        self.assertLess(int(os.environ["AEGIS_PORT_FIRST"]), int(os.environ["AEGIS_PORT_LAST"]))
"""
FILES = {
    "src/shop/__init__.py": "def price(): return 1\n",
    "tests/__init__.py": "",
    "tests/test_shop.py": TEST,
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["helperlib>=1"]\n',
    ".gitignore": ".venv/\n.env*\n__pycache__/\n",
    ".worktreeinclude": ".env.test\n",
    "setup-env.sh": "",
}
SETUP = """set -eu
python3 -m venv --without-pip .venv
site=$(echo .venv/lib/python*/site-packages)
printf 'def twice(x): return 2 * x\\n' > $site/helperlib.py
mkdir -p $site/helperlib-1.0.dist-info
echo $PWD/src > $site/__editable__.shop.pth
echo built > .env.made
echo "made by $0"
"""
IDENTITY = ("-c", "user.name=P", "-c", "user.email=p@example.org")
REVIEWER = [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])]
WORKS = (
    "python3 -c 'import helperlib, shop; assert shop.__file__.startswith(\"'$PWD'\")' && grep -q TOKEN .env.test "
    "&& test ! -e .env && test -n $AEGIS_PORT_FIRST {more} && sed -i 's/return 1/return 2/' src/shop/__init__.py"
)
"""What the worker does: the edit is made only if its worktree works."""

DONE = call("report", status="done", summary="feat: double the price")


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    yield scratch
    scratch.aegis("hub", "stop")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def run(workspace: ScratchWorkspace, *, more: str = "") -> CommandResult:
    """A run with one worker, which checks its worktree before it edits; `more` is checked by it and by QA."""
    scripts = workspace.folder / f"scripts{len(list(workspace.folder.iterdir()))}"
    model = serve(scripts, {"one": [call("bash", command=WORKS.format(more=more)), DONE], "reviewer": REVIEWER})
    design = {
        "goal": "Double the price",
        "features": [{"id": "one", "title": "One", "brief": "Do it. [[script:one]]", "partition": ["src/**"]}],
        "qa": {"commands": [f"python3 -m unittest {more}"]},
    }
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps(design))
    try:
        arguments = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
        return workspace.aegis("run", "Double", *arguments, "--note", "reviewer=[[script:reviewer]]")
    finally:
        model.close()


def make_venv(root: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    site = next((root / ".venv/lib").glob("python*/site-packages"))
    (site / "helperlib.py").write_text("def twice(x): return 2 * x\n")
    (site / "helperlib-1.0.dist-info").mkdir()
    (site / "__editable__.shop.pth").write_text(f"{root}/src\n")


def test_a_worktree_has_the_environment_of_the_checkout_and_the_files_that_are_named(
    workspace: ScratchWorkspace,
) -> None:
    workspace.init(FILES)
    library = workspace.folder / "library"
    workspace.git("init", "-q", str(library))
    (library / "code.txt").write_text("library\n")
    workspace.git("-C", str(library), "add", "-A")
    workspace.git("-C", str(library), *IDENTITY, "commit", "-qm", "start")
    workspace.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/library")
    workspace.git("commit", "-qm", "chore: library")
    make_venv(workspace.root)
    (workspace.root / ".env.test").write_text("TOKEN=1\n")
    (workspace.root / ".env").write_text("SECRET=1\n")
    answer = run(workspace, more="&& grep -q library vendor/library/code.txt")
    assert answer.code == 0, (answer.out[-3000:], answer.err[-3000:])
    (check,) = answer.json["qa"]
    assert (check["status"], check["executed"]) == ("passed", 3)
    environment = answer.json["environment"]
    assert (environment["state"], environment["places"]) == ("linked", [".venv"])
    assert (environment["included"], environment["missing"]) == ([".env.test"], [])
    assert workspace.git("status", "--porcelain") == ""
    assert workspace.git("for-each-ref", "refs/aegis/rescue") == "", "copies are nobody's work"


def test_a_set_up_command_that_fails_ends_the_run_with_its_reason(workspace: ScratchWorkspace) -> None:
    settings = '[environment]\nsetup = "echo looking; echo no such package: helperlib; exit 7"\n'
    workspace.init({**FILES, ".agents/config.toml": settings})
    assert workspace.aegis("environment", "allow").code == 0
    answer = run(workspace)
    assert answer.code == 1, (answer.out[-3000:], answer.err[-3000:])
    error = answer.json["error"]
    assert (error["code"], answer.json["instances"]) == ("environment.setup", [])
    assert "failed with exit code 7: no such package: helperlib" in error["message"]
    assert "aegis-tui environment log" in error["hint"]
    assert "looking" in workspace.aegis("environment", "log").out


def test_a_set_up_command_needs_consent_and_makes_the_environment_once(workspace: ScratchWorkspace) -> None:
    workspace.init(
        {**FILES, "setup-env.sh": SETUP, ".agents/config.toml": '[environment]\nsetup = "bash setup-env.sh"\n'}
    )
    (workspace.root / ".env.test").write_text("TOKEN=1\n")
    refused = run(workspace)
    assert (refused.code, refused.json["error"]["code"]) == (3, "environment.consent")
    assert refused.json["error"]["inputs"] == ["pyproject.toml", "setup-env.sh"]
    assert workspace.aegis("environment", "allow").code == 0
    answer = run(workspace, more="&& test -s .env.made")
    assert answer.code == 0, (answer.out[-3000:], answer.err[-3000:])
    (check,) = answer.json["qa"]
    assert (check["status"], check["executed"]) == ("passed", 3)
    environment = answer.json["environment"]
    assert (environment["state"], environment["reused"]) == ("prepared", False)
    assert "made by setup-env.sh" in workspace.aegis("environment", "log").out
    again = run(workspace, more="&& test -s .env.made")
    assert again.code == 0, (again.out[-3000:], again.err[-3000:])
    assert again.json["environment"]["reused"] is True
