from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest

from aegis_tui.domain.qa.detectors import BUILD_FILES_READ, DETECTORS, TESTS_READ, detect_qa, wanted_files
from aegis_tui.domain.qa.detectors.base import QaDetector, Read

PYTEST, UNITTEST = "python3 -m pytest -q", "python3 -m unittest discover"
CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n"


def package(script: str, **fields: str) -> str:
    more = "".join(f', "{name}": "{value}"' for name, value in fields.items())
    return f'{{"scripts": {{"test": "{script}"}}{more}}}'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"test_a.py": CASE}, (UNITTEST,)),
        ({"tests/__init__.py": "", "tests/test_a.py": CASE}, (UNITTEST,)),
        ({"tests/test_a.py": CASE}, (f"{UNITTEST} -s tests",)),
        ({"tests/a_test.py": CASE}, (f"{UNITTEST} -s tests -p '*_test.py'",)),
        ({"tests/test_a.py": CASE, "tests/unit/test_b.py": CASE}, ()),
        ({"tests/a_test.py": CASE, "tests/test_b.py": CASE}, ()),
        ({"manage.py": "django", "shop/test_a.py": CASE}, ()),
        ({"tests/test_a.py": "def test_a():\n    assert True\n"}, (PYTEST,)),
        ({"tests/test_a.py": "async def test_a(): ...\n"}, (PYTEST,)),
        ({"tests/test_a.py": "print('no test')\n"}, ()),
        ({"tests/test_a.py": "import pytest\n"}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "tests/conftest.py": ""}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "noxfile.py": 'session.run("pytest")'}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "requirements/dev.in": "pytest>=8\n"}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "requirements-dev.txt": "pytest==8.4\n"}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "pyproject.toml": "[tool.pytest.ini_options]\n"}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "pyproject.toml": '[dependency-groups]\ndev = ["pytest"]\n'}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "pyproject.toml": "[broken\n# pytest"}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "pyproject.toml": "pytest = " + "[" * 50_000}, (PYTEST,)),
        ({"tests/test_a.py": CASE, "pyproject.toml": "[tool.ruff]\n# no pytest here"}, (f"{UNITTEST} -s tests",)),
        ({"tests/test_a.py": CASE, "setup.cfg": "[tool:pytest]\n"}, (PYTEST,)),
        ({"package.json": package("node --test")}, ("npm test --silent",)),
        ({"package.json": package("jest"), "pnpm-lock.yaml": ""}, ("pnpm test",)),
        ({"package.json": package("jest"), "yarn.lock": ""}, ("yarn test",)),
        ({"package.json": package("jest"), "bun.lock": ""}, ("bun run test",)),
        ({"package.json": package("jest", packageManager="pnpm@9.1.0")}, ("pnpm test",)),
        ({"package.json": package("vitest")}, ("npm test --silent -- --run",)),
        ({"package.json": package("vitest"), "pnpm-lock.yaml": ""}, ("pnpm test --run",)),
        ({"package.json": package("vitest run")}, ("npm test --silent",)),
        ({"package.json": package("vitest watch")}, ("npx --no-install vitest run",)),
        ({"package.json": package("jest --watch")}, ("npx --no-install jest",)),
        ({"package.json": package("tsc && my-runner --watch")}, ()),
        ({"package.json": package('echo \\"Error: no test specified\\" && exit 1')}, ()),
        ({"package.json": "{}"}, ()),
        ({"package.json": "not json"}, ()),
        ({"package.json": '{"scripts": {"testing": "x"}}'}, ()),
        ({"go.mod": "", "cart.go": "", "cart_test.go": ""}, ("go vet ./...", "go test ./...")),
        ({"go.mod": "", "cart.go": ""}, ("go vet ./...",)),
        ({"svc/go.mod": "", "svc/a.go": "", "svc/a_test.go": ""}, ("go -C svc vet ./...", "go -C svc test ./...")),
        ({"Cargo.toml": "", "crates/a/Cargo.toml": ""}, ("cargo test",)),
        ({"rust/Cargo.toml": ""}, ("cargo test --manifest-path rust/Cargo.toml",)),
        ({"Cargo.toml": "", "test_a.py": CASE}, ("cargo test", UNITTEST)),
        ({"go.mod": "", "a.go": "", "test_a.py": "import pytest"}, ("go vet ./...", PYTEST)),
        ({"vendor/x/go.mod": "", "vendor/x/a_test.go": "", "vendor/x/test_a.py": CASE}, ()),
        ({"README.md": ""}, ()),
        ({"pom.xml": "", "Makefile": "test:"}, ()),
    ],
)
def test_qa_commands_are_those_that_the_build_files_make_sure(files: dict[str, str], expected: tuple[str, ...]) -> None:
    assert detect_qa(files, lambda name: files.get(name, "")) == expected


def test_build_files_are_read_however_many_tests_there_are() -> None:
    files = {f"a/tests/test_{number:03}.py": CASE for number in range(500)}
    files |= {"z/requirements/dev.in": "pytest", "pyproject.toml": "[tool.ruff]"}
    wanted = wanted_files(files)
    assert {"z/requirements/dev.in", "pyproject.toml"} <= set(wanted)
    assert len(wanted) <= TESTS_READ + 2
    assert {name[13] for name in wanted[2:]} == {"0", "1", "2", "3", "4"}, "the tests that are read are spread out"
    texts = {name: files[name] for name in wanted}
    assert detect_qa(files, lambda name: texts.get(name, "")) == (PYTEST,)


class ZigDetector:
    """A detector that is not in `DETECTORS`: it reads one build file and many test files."""

    name = "zig"

    def wants(self, path: str) -> bool:
        return path.endswith("build.zig") or self.is_test(path)

    def is_test(self, path: str) -> bool:
        return path.endswith(".test.zig")

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        if "addTest" in read("build.zig"):
            yield "zig build test"


def test_another_detector_is_asked_like_those_of_the_package() -> None:
    files = {"test_a.py": CASE, "build.zig": "b.addTest(.{})", "README.md": ""}
    detectors = (*DETECTORS, ZigDetector())
    wanted = wanted_files(files, detectors=detectors)
    assert wanted == ["build.zig", "test_a.py"]
    texts = {name: files[name] for name in wanted}
    assert detect_qa(files, lambda name: texts.get(name, ""), detectors=detectors) == (UNITTEST, "zig build test")
    assert wanted_files(files) == ["test_a.py"]


def test_the_files_of_another_detector_are_limited_like_those_of_the_package() -> None:
    files = [f"p{number:03}/build.zig" for number in range(BUILD_FILES_READ + 20)]
    files += [f"p/{number:03}.test.zig" for number in range(TESTS_READ * 3)]
    wanted = wanted_files(files, detectors=(ZigDetector(),))
    assert sum(path.endswith("build.zig") for path in wanted) == BUILD_FILES_READ
    assert sum(path.endswith(".test.zig") for path in wanted) == TESTS_READ


def test_every_detector_keeps_the_protocol_and_has_a_unique_name() -> None:
    assert [detector for detector in DETECTORS if not isinstance(detector, QaDetector)] == []
    names = [detector.name for detector in DETECTORS]
    assert len(set(names)) == len(names)
