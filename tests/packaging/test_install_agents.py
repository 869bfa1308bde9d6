"""`scripts/install-agents` brings the programs that kinds need, in versions whose lookups they list (AGENT-1)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.agents.installed import describe_kinds
from aegis_tui.ports.agent_kind import KindFacts
from tests.real_agents import names

ADAPTERS = ("claude-agent-acp", "codex-acp")
"""Programs that let a kind speak ACP."""
NPM = """#!/bin/sh
echo "npm $*" >>"$CALLS"
while [ $# -gt 1 ]; do [ "$1" = --prefix ] && prefix=$2; shift; done
package=${1%@*}
mkdir -p "$prefix/node_modules/.bin" "$prefix/node_modules/$package/bin"
printf '#!/bin/sh\\necho v22.9.0\\n' >"$prefix/node_modules/$package/bin/node"
cp "$prefix/node_modules/$package/bin/node" "$prefix/node_modules/.bin/$PROGRAM"
chmod +x "$prefix/node_modules/$package/bin/node" "$prefix/node_modules/.bin/$PROGRAM"
"""
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
echo "pip $*" >>"$CALLS"
printf '#!/bin/sh\\n' >"${0%/*}/$PROGRAM"
chmod +x "${0%/*}/$PROGRAM"
"""


@pytest.fixture
def rows(root: Path) -> dict[str, tuple[str, str, str, str]]:
    """Kind -> source, package, version and program, as the script reads them."""
    lines = [line.split("\t") for line in (root / "scripts" / "agents.tsv").read_text("utf-8").splitlines()]
    return {kind: (source, package, version, program) for kind, source, package, version, program in lines[1:]}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An empty cache, and an npm and a Python that write down what they are asked for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("npm", NPM), ("python3", PYTHON)):
        (programs / name).write_text(text, "utf-8")
        (programs / name).chmod(0o755)
    place = {"XDG_DATA_HOME": str(tmp_path / "data"), "CALLS": str(tmp_path / "calls"), "HOME": str(tmp_path)}
    return {"PATH": f"{programs}:/usr/bin:/bin", **place}


def install(root: Path, environ: dict[str, str], kind: str, program: str = "x") -> subprocess.CompletedProcess[str]:
    argv = [str(root / "scripts" / "install-agents"), kind]
    environment = {**environ, "PROGRAM": program}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


def facts_of(kind: str, environ: dict[str, str]) -> KindFacts:
    return next(item for item in describe_kinds(environ) if item.name == kind)


def test_from_an_empty_cache_every_kind_gets_its_program_in_the_named_version(
    root: Path, environ: dict[str, str], rows: dict[str, tuple[str, str, str, str]], tmp_path: Path
) -> None:
    for kind, (_, _, _, program) in rows.items():
        done = install(root, environ, kind, program)
        assert done.returncode == 0, done.stderr
        place = tmp_path / "data" / "aegis-tui" / "agents" / "bin" / program
        assert place.exists()
        if kind not in ADAPTERS:
            found = facts_of(kind, {**environ, "PATH": "/nowhere"})
            assert found.program == str(place) and not found.missing
    calls = (tmp_path / "calls").read_text("utf-8").splitlines()
    node, *asked = [line.rpartition(" ")[2] for line in calls]
    assert node.startswith("node-") and node.endswith("@22"), "once, before the first that needs it"
    wanted = [f"{row[1]}{'@' if row[0] == 'npm' else '=='}{row[2]}" for row in rows.values()]
    assert asked == wanted and [line.partition(" ")[0] for line in calls[1:]] == [
        "npm" if row[0] == "npm" else "pip" for row in rows.values()
    ]


def test_the_versions_are_those_whose_lookups_the_kinds_list(
    rows: dict[str, tuple[str, str, str, str]], environ: dict[str, str]
) -> None:
    kinds = [item for item in describe_kinds(environ) if item.name != "native"]
    assert {item.name for item in kinds} == set(rows) - set(ADAPTERS)
    for item in kinds:
        source, package, version, program = rows[item.name]
        assert version in item.names, f"the file of {item.name} lists no names for {version}"
        assert item.missing == (program,)
        assert item.remedy == f"{'npm install -g' if source == 'npm' else 'pipx install'} {package}"


def test_a_kind_that_there_is_not_is_wrong_usage_and_without_npm_it_ends_with_5(
    root: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    assert install(root, environ, "codx").returncode == 2
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("bash", "cut", "dirname", "env", "grep", "mkdir"):
        (bare / name).symlink_to(
            next(place / name for place in map(Path, ("/usr/bin", "/bin")) if (place / name).exists())
        )
    done = install(root, {**environ, "PATH": str(bare)}, "codex")
    assert done.returncode == 5 and "npm is missing: install it first" in done.stderr


@pytest.mark.parametrize(
    ("version", "looked_up", "words"),
    [
        ("0.171.0", ["raw.githubusercontent.com"], ""),
        ("0.171.0", ["raw.githubusercontent.com", "new.example.org"], "codex 0.171.0 looked up new.example.org"),
        ("9.9.9", [], "the file of codex does not say which names version 9.9.9 looks up"),
    ],
)
def test_a_name_or_a_version_that_the_file_of_a_kind_does_not_list_fails_the_tests_of_real_programs(
    version: str, looked_up: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codex = tmp_path / "codex"
    codex.write_text(f"#!/bin/sh\necho codex-cli {version}\n", "utf-8")
    codex.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    names.version_of.cache_clear()
    report = [{"kind": "codex", "role": "worker", "blocked_names": looked_up}]
    try:
        if not words:
            names.check_names(report)
            return
        with pytest.raises(AssertionError, match=words):
            names.check_names(report)
    finally:
        names.version_of.cache_clear()
