"""QA of Rust and Go projects in worktrees: toolchains, downloaded packages and build folders (FLOW-7, GIT-1)."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from aegis_tui.ports.sandbox import SandboxMode
from tests.orchestrator.qa_lab import Lab

pytestmark = pytest.mark.thorough

SANDBOXES: list[SandboxMode] = ["off", "auto"]
GO_TEST = """package shop
import ("testing"; "example.org/dep")
func TestPrice(t *testing.T) { if dep.Twice(Price()) != 4 { t.Fatal(Price()) } }
"""


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_go_project_finds_the_packages_of_the_person(tmp_path: Path, sandbox: SandboxMode) -> None:
    if shutil.which("go") is None:
        pytest.skip("missing: go")
    lab = Lab(tmp_path)
    proxy = tmp_path / "proxy/example.org/dep/@v"
    proxy.mkdir(parents=True)
    (proxy / "v1.0.0.mod").write_text("module example.org/dep\n")
    (proxy / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.org/dep@v1.0.0/go.mod", "module example.org/dep\n")
        archive.writestr("example.org/dep@v1.0.0/dep.go", "package dep\nfunc Twice(x int) int { return 2 * x }\n")
    lab.environ |= {"GOPATH": str(tmp_path / "gopath")}
    lab.write("go.mod", "module example.org/shop\ngo 1.19\nrequire example.org/dep v1.0.0\n")
    lab.write("price_test.go", GO_TEST)
    download = {**os.environ, **lab.environ, "GOPROXY": f"file://{tmp_path}/proxy", "GONOSUMDB": "*"}
    lab.write("price.go", "package shop\n")
    subprocess.run(["go", "mod", "tidy"], cwd=lab.root, env=download, check=True, capture_output=True)
    changed = lab.commit_change(
        "price.go", "package shop\nfunc Price() int { return 1 }\n", "package shop\nfunc Price() int { return 2 }\n"
    )
    (run,) = lab.run(changed, "go test ./...", sandbox=sandbox)
    assert run.outcome.exit_code == 0, run.outcome.output


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_go_project_with_an_ignored_vendor_folder_gets_a_copy(tmp_path: Path, sandbox: SandboxMode) -> None:
    if shutil.which("go") is None:
        pytest.skip("missing: go")
    lab = Lab(tmp_path)
    lab.write(".gitignore", "vendor/\n")
    lab.write("go.mod", "module example.org/shop\ngo 1.19\nrequire example.org/dep v1.0.0\n")
    lab.write("vendor/modules.txt", "# example.org/dep v1.0.0\n## explicit\nexample.org/dep\n")
    lab.write("vendor/example.org/dep/dep.go", "package dep\nfunc Twice(x int) int { return 2 * x }\n")
    lab.write("price_test.go", GO_TEST)
    changed = lab.commit_change(
        "price.go", "package shop\nfunc Price() int { return 1 }\n", "package shop\nfunc Price() int { return 2 }\n"
    )
    (run,) = lab.run(changed, "go test ./... && echo spoilt >> vendor/modules.txt", sandbox=sandbox)
    assert run.outcome.exit_code == 0, run.outcome.output
    assert "spoilt" not in (lab.root / "vendor/modules.txt").read_text()


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_rust_project_is_built_with_the_persons_toolchain_and_packages(tmp_path: Path, sandbox: SandboxMode) -> None:
    if shutil.which("cargo") is None:
        pytest.skip("missing: cargo")
    if subprocess.run(["cargo", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("missing: toolchain-for-cargo")  # rustup is here and has none for this home
    lab = Lab(tmp_path)
    lab.write(".gitignore", "target/\n")
    lab.write("Cargo.toml", '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n')
    lab.write("Cargo.lock", 'version = 3\n\n[[package]]\nname = "shop"\nversion = "0.1.0"\n')
    lab.write("target/left", "theirs")
    body = "pub fn price() -> i32 {{ {} }}\n#[test]\nfn price_is_two() {{ assert_eq!(price(), 2); }}\n"
    changed = lab.commit_change("src/lib.rs", body.format(1), body.format(2))
    (run,) = lab.run(changed, "test -f target/left && cargo test --offline", sandbox=sandbox, timeout_s=120)
    assert run.outcome.exit_code == 0, run.outcome.output
