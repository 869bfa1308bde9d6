"""Source trees of strangers, as the registries publish them: a run finds their checks, and the checks really run.

A person's path, with the marker `registry`: the source goes into a new repository, `environment show` suggests a set-up
command, the person sets and allows it, and a run without a word about QA changes one line (FLOW-7, GIT-1).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.e2e.test_kill import call, serve

pytestmark = pytest.mark.registry

REVIEWER = [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])]


@dataclass(frozen=True)
class Tree:
    """One published source tree."""

    registry: str
    """`pypi` or `npm`."""
    name: str
    version: str
    changed: str
    """The file that gets one more line, a remark."""
    command: str
    """The check that has to be found."""
    least: int
    """How many tests it has to execute at least."""


TREES = (
    Tree("pypi", "cssselect2", "0.8.0", "cssselect2/parser.py", "python3 -m pytest -q", 20),
    Tree("pypi", "prettytable", "3.16.0", "src/prettytable/prettytable.py", "python3 -m pytest -q", 100),
    Tree("pypi", "furl", "2.1.4", "furl/furl.py", "python3 -m pytest -q", 50),
    Tree("pypi", "hyperlink", "21.0.0", "src/hyperlink/_url.py", "python3 -m pytest -q", 50),
    Tree("pypi", "pyasn1-modules", "0.4.2", "pyasn1_modules/pem.py", "python3 -m unittest discover", 100),
    Tree("npm", "duplexify", "4.1.3", "index.js", "npm test --silent", 10),
    Tree("npm", "mqtt-packet", "9.0.1", "parser.js", "npm test --silent", 100),
)


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    # The person's Python has no packages; the one that runs this suite may happen to have some.
    bare = scratch.folder / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    others = [place for place in os.environ["PATH"].split(os.pathsep) if Path(place) != Path(sys.executable).parent]
    scratch.environ["PATH"] = os.pathsep.join([str(bare / "bin"), *others])
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_the_checks_of_a_strangers_project_are_found_and_run(
    workspace: ScratchWorkspace, tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    become_repository(workspace, tree)
    suggested = set_up(workspace, tree)
    answer = run(workspace, tree)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{tree.registry} {tree.name} {tree.version}\n  set-up: {suggested}\n{told(workspace, answer)}"
        )
    assert answer.code == 0, (answer.out[-3000:], answer.err[-3000:])
    report = answer.json
    assert report["environment"]["state"] == "prepared"
    (check,) = [item for item in report["qa"] if item["command"] == tree.command]
    assert check["ok"] and check["executed"] >= tree.least
    assert report["commit"]["files"] == 1


def become_repository(workspace: ScratchWorkspace, tree: Tree) -> None:
    """Fetch the source with the registry's own client, and commit it."""
    fetched = workspace.folder / "fetched"
    fetched.mkdir()
    pinned = {"pypi": f"{tree.name}=={tree.version}", "npm": f"{tree.name}@{tree.version}"}[tree.registry]
    if tree.registry == "npm":
        if shutil.which("npm") is None:
            pytest.skip("missing: npm")
        argv = ["npm", "pack", "--silent", pinned]
    else:
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", tree.name, pinned]
    subprocess.run(argv, cwd=fetched, check=True, capture_output=True, timeout=600)
    (archive,) = fetched.iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(fetched, filter="data")
    archive.unlink()
    (source,) = fetched.iterdir()
    source.rename(workspace.root)
    workspace.init({})


def set_up(workspace: ScratchWorkspace, tree: Tree) -> str:
    """Follow what `environment show` suggests, with the network; return the command."""
    assert workspace.aegis("init").code == 0
    shown = workspace.aegis("environment", "show", "--json").json
    assert shown["suggested"], shown
    environ, folders = registry_settings()
    workspace.environ.update(environ)
    settings = workspace.folder / "config/aegis-tui/config.toml"
    settings.parent.mkdir()
    lines = {
        "setup": shown["suggested"],
        "network": True,
        "pass_on": sorted(environ),
        "show": [str(path) for path in folders],
    }
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in lines.items())
    settings.write_text(f"[environment]\n{text}")
    allowed = workspace.aegis("environment", "allow")
    assert allowed.code == 0, allowed.err
    return str(shown["suggested"])


def registry_settings() -> tuple[dict[str, str], list[Path]]:
    """The variables and folders by which pip and npm reach their registries on this machine."""
    names = re.compile(
        r"PIP_|NPM_CONFIG_|npm_config_|NODE_EXTRA_CA|SSL_CERT|REQUESTS_CA|CURL_CA|https?_proxy|HTTPS?_PROXY"
    )
    environ = {name: value for name, value in os.environ.items() if names.match(name)}
    argv = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for name, value in re.findall(r"^\w+\.([\w-]+)='(.*)'$", listed, re.M):
        if name in ("index-url", "extra-index-url", "find-links", "constraint", "trusted-host", "cert"):
            environ.setdefault(f"PIP_{name.upper().replace('-', '_')}", value.replace("\\n", " ").strip())
    if shutil.which("npm"):
        asked = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True)
        environ.setdefault("npm_config_registry", asked.stdout.strip())
    words = [word.removeprefix("file://") for value in environ.values() for word in value.split()]
    roots = {f"/{word.split('/')[1]}/{word.split('/')[2]}" for word in words if re.match(r"/\w+/\w", word)}
    return environ, sorted(Path(root) for root in roots if Path(root).exists() and not root.startswith("/etc/"))


def run(workspace: ScratchWorkspace, tree: Tree) -> CommandResult:
    """Change one line, with a design that says nothing about QA."""
    mark = "//" if tree.changed.endswith("js") else "#"
    steps = [
        call("bash", command=f"printf '\\n{mark} seen\\n' >> {tree.changed}"),
        call("report", status="done", summary="docs: remark"),
    ]
    model = serve(workspace.folder / "scripts", {"one": steps, "reviewer": REVIEWER})
    design = {
        "goal": "Remark",
        "features": [{"id": "one", "title": "Remark", "brief": "Do it. [[script:one]]", "partition": [tree.changed]}],
    }
    place = workspace.folder / "design.yaml"
    place.write_text(json.dumps(design))
    options = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
    try:
        return workspace.aegis("run", "Remark", *options, "--note", "reviewer=[[script:reviewer]]", timeout_s=1500)
    finally:
        model.close()


def told(workspace: ScratchWorkspace, answer: CommandResult) -> str:
    """What the run said, and its checks, for the record."""
    lines = [f"  | {line}" for line in answer.err.replace(str(workspace.folder), "").splitlines()]
    for check in json.loads(answer.out)["qa"] or ():
        base = check["base"] or {}
        lines.append(
            f"  {check['command']}: {check['status']}, ok {check['ok']}, executed {check['executed']}, passed "
            f"{check['passed']}, failed {check['failed']}; base: executed {base.get('executed')}, failed "
            f"{base.get('failed')}; {check['note'] or check['reason'] or ''}"
        )
    return "\n".join(lines) + "\n"
