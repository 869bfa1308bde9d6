"""Lockfiles that two pieces change are made again by their package managers, without a network (GIT-3).

The package managers are the real ones, in the sandbox; a test is skipped where one is not installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.orchestrator.lockfile_maker import LockfileMaker
from tests.orchestrator.qa_lab import Lab
from tests.orchestrator.test_proposal import FAILED, PASSED, WORKING
from tests.orchestrator.test_proposal import Bench as Proposals

INTEGRITY = f"sha512-{'A' * 86}=="


class Bench(Proposals):
    """Two pieces that change a lockfile; QA fails if there is a file `red`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environ = {"PATH": os.environ["PATH"]}
        self.lab = Lab(folder / "lab", self.environ)
        self.lab.root = self.folder

    async def lockfiles(self) -> LockfileMaker | None:
        return LockfileMaker(await self.lab.runner(), self.environ)

    async def test(self, run: object, oid: str, **_: object) -> tuple[tuple[QaCheck, ...], tuple[str, ...]]:
        red = "red" in self.git("ls-tree", "--name-only", oid).split()
        return ((FAILED,) if red else (PASSED,)), ()

    def begin(self, change: Callable[[Path], object]) -> None:
        """Make a change part of the base."""
        change(self.folder)
        self.base = self.commit("files")
        self.run.working_oid = self.base
        self.run.facts = self.run.facts.model_copy(update={"base_oid": self.base})

    def both(self, alpha: Callable[[Path], object], beta: Callable[[Path], object]) -> None:
        """Merge a change of alpha; beta makes its own from the base."""
        self.branch("alpha", alpha)
        assert self.compose("alpha").oid
        self.branch("beta", beta)

    def show(self, path: str) -> str:
        return self.git("show", f"{WORKING}:{path}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"missing: {program}")


def npm(*names: str, locked: Iterable[str] | None = None) -> Callable[[Path], object]:
    """Write `web/package.json`, and the lockfile that npm writes for it."""

    def change(folder: Path) -> None:
        about = {"name": "app", "version": "1.0.0", "dependencies": dict.fromkeys(names, "^1.0.0")}
        packages = {
            f"node_modules/{name}": {
                "version": "1.0.3",
                "resolved": f"https://packages.example/{name}/-/{name}-1.0.3.tgz",
                "integrity": INTEGRITY,
            }
            for name in (names if locked is None else locked)
        }
        lock = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
        (folder / "web").mkdir(exist_ok=True)
        (folder / "web/package.json").write_text(json.dumps(about, indent=2) + "\n")
        text = json.dumps({**lock, "packages": {"": about, **packages}}, indent=2) + "\n"
        (folder / "web/package-lock.json").write_text(text)

    return change


@needs("npm")
def test_npm_makes_a_lockfile_with_the_packages_of_both(bench: Bench) -> None:
    bench.begin(npm("b-one", "m-one", "t-one"))
    bench.both(npm("a-new", "b-one", "m-one", "t-one"), npm("b-one", "m-one", "n-new", "t-one"))
    assert bench.check("beta")["blocking"] == ()
    tested = bench.test_piece("beta")
    labels = {file.path: (file.label, file.strategy) for file in tested.proposed}
    assert labels["web/package-lock.json"] == ("unproven", "manager"), tested.overlaps
    assert bench.compose("beta").oid
    lock = json.loads(bench.show("web/package-lock.json"))
    names = ["a-new", "b-one", "m-one", "n-new", "t-one"]
    assert list(lock["packages"]) == ["", *(f"node_modules/{name}" for name in names)]
    assert list(lock["packages"][""]["dependencies"]) == names
    assert "Merged-file: web/package-lock.json (by manager, unproven)" in bench.git("log", "-1", "--format=%B", WORKING)


@needs("npm")
def test_what_the_package_manager_cannot_do_offline_leaves_the_conflict_and_says_why(bench: Bench) -> None:
    bench.begin(npm("b-one", "m-one", "t-one"))
    old = ("b-one", "m-one", "t-one")
    bench.both(npm("a-new", *old), npm("b-one", "m-one", "n-new", "t-one", locked=(*old, "z-stray")))
    (conflict,) = bench.test_piece("beta").overlaps
    assert conflict.path == "web/package-lock.json" and conflict.kind == "hot"
    assert "regenerate it with `npm install --package-lock-only` in web; `npm install" in conflict.reason
    assert "fails here: npm error code ENOTCACHED" in conflict.reason
    assert bench.compose("beta").oid is None


@needs("npm")
def test_a_lockfile_whose_tree_fails_the_checks_is_not_merged(bench: Bench) -> None:
    bench.begin(npm("b-one", "m-one", "t-one"))

    def red(folder: Path) -> None:
        npm("b-one", "m-one", "n-new", "t-one")(folder)
        (folder / "red").write_text("")

    bench.both(npm("a-new", "b-one", "m-one", "t-one"), red)
    (conflict,) = bench.test_piece("beta").overlaps
    assert "a merge was tried, and the checks did not pass" in conflict.reason


def test_without_its_package_manager_the_conflict_stands(bench: Bench) -> None:
    bench.environ["PATH"] = "/nonexistent"
    bench.begin(npm("b-one", "m-one", "t-one"))
    bench.both(npm("a-new", "b-one", "m-one", "t-one"), npm("b-one", "m-one", "n-new", "t-one"))
    (conflict,) = bench.check("beta")["blocking"]
    assert conflict.reason.endswith("regenerate it with `npm install --package-lock-only` in web")


def toolchain() -> str:
    """The folder with the real cargo: a launcher would look for it in a HOME that commands do not have."""
    found = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=False)
    return f"{found.stdout.strip()}/bin"


@needs("cargo")
def test_cargo_makes_a_lockfile_with_the_dependencies_of_both(bench: Bench) -> None:
    bench.environ["PATH"] = f"{toolchain()}:{os.environ['PATH']}"

    def crates(**dependencies: str) -> Callable[[Path], object]:
        def change(folder: Path) -> None:
            (folder / "Cargo.toml").write_text('[workspace]\nmembers = ["a", "b", "c"]\nresolver = "2"\n')
            for name in "abc":
                (folder / name / "src").mkdir(parents=True, exist_ok=True)
                (folder / name / "src/lib.rs").write_text("")
                wanted = "".join(f'{one} = {{ path = "../{one}" }}\n' for one in dependencies.get(name, ""))
                about = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n{wanted}'
                (folder / name / "Cargo.toml").write_text(about)
            argv = ["cargo", "generate-lockfile", "--offline"]
            subprocess.run(argv, cwd=folder, env={**os.environ, **bench.environ}, check=True, capture_output=True)

        return change

    bench.begin(crates())
    bench.both(crates(a="b"), crates(b="c"))
    tested = bench.test_piece("beta")
    assert [file.strategy for file in tested.proposed if file.path == "Cargo.lock"] == ["manager"], tested.overlaps
    assert bench.compose("beta").oid
    packages = tomllib.loads(bench.show("Cargo.lock"))["package"]
    assert {item["name"]: item.get("dependencies") for item in packages} == {"a": ["b"], "b": ["c"], "c": None}


@needs("uv")
def test_uv_makes_a_lockfile_with_the_dependencies_of_both(bench: Bench) -> None:
    def projects(**dependencies: str) -> Callable[[Path], object]:
        def change(folder: Path) -> None:
            for name in ("app", "b", "c"):
                place = folder if name == "app" else folder / name
                place.mkdir(exist_ok=True)
                wanted = list(dependencies.get(name, ""))
                sources = "".join(f'{one} = {{ path = "{"" if name == "app" else "../"}{one}" }}\n' for one in wanted)
                about = f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n'
                about += f"dependencies = {json.dumps(wanted)}\n[tool.uv.sources]\n{sources}"
                (place / "pyproject.toml").write_text(about)
            subprocess.run(["uv", "lock", "--offline"], cwd=folder, check=True, capture_output=True)

        return change

    bench.begin(projects(app="b"))
    bench.both(projects(app="bc"), projects(app="b", b="c"))
    tested = bench.test_piece("beta")
    assert [file.strategy for file in tested.proposed if file.path == "uv.lock"] == ["manager"], tested.overlaps
    assert bench.compose("beta").oid
    packages = {item["name"]: item for item in tomllib.loads(bench.show("uv.lock"))["package"]}
    assert [[one["name"] for one in packages[name]["dependencies"]] for name in ("app", "b")] == [["b", "c"], ["c"]]


def test_checksums_of_go_need_no_package_manager(bench: Bench) -> None:
    def sums(*names: str) -> Callable[[Path], object]:
        lines = "".join(f"example.org/{name} v1.0.0 h1:{name * 4}=\n" for name in names)
        return lambda folder: (folder / "go.sum").write_text(lines)

    bench.begin(sums("m"))
    bench.both(sums("m", "n"), sums("m", "o"))
    assert bench.check("beta")["blocking"] == ()
    (file,) = bench.compose("beta").files
    assert (file.label, file.strategy) == ("proven", "set")
    assert [line.split()[0][-1] for line in bench.show("go.sum").splitlines()] == ["m", "n", "o"]
