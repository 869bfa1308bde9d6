from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest

from aegis_tui.domain.qa.detectors import BUILD_FILES_READ, DETECTORS, TESTS_READ, detect_qa, wanted_files
from aegis_tui.domain.qa.detectors.base import QaDetector, Read

PYTEST, UNITTEST = "python3 -m pytest -q", "python3 -m unittest discover"
DJANGO, GRADLE = "python3 manage.py test", "--offline --no-daemon --continue test"
JAVA_TEST, NPM_WEB = "src/test/java/shop/CartTest.java", "npm --prefix web test --silent"
GO = ("go vet ./...", "go test ./...")
CMAKE = ("cmake -S . -B build", "cmake --build build", "ctest --test-dir build --output-on-failure")
TOX = "[testenv]\ndeps = x\ncommands =\n {envpython} -m unittest discover -s a {posargs}\n other {envdir}\n"
NOX = 'def tests(session):\n    session.run("python", "-m", "unittest", "discover", "b")\n'
HATCH = '[tool.hatch.envs.default.scripts]\ntest = "python -m unittest -b {args}"\nlint = "ruff check"\n'
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
        ({"manage.py": "django", "shop/test_a.py": CASE}, (DJANGO,)),
        ({"manage.py": "django", "shop/test_a.py": CASE, "setup.cfg": "[tool:pytest]\n"}, (PYTEST,)),
        ({"manage.py": "not that", "shop/test_a.py": CASE}, ()),
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
        ({"pom.xml": "", JAVA_TEST: ""}, ("mvn -B -o test",)),
        ({"pom.xml": "", "mvnw": "", "core/" + JAVA_TEST: ""}, ("sh mvnw -B -o test",)),
        ({"build.gradle.kts": "", "gradlew": "", "src/test/kotlin/ATest.kt": ""}, (f"sh gradlew {GRADLE}",)),
        ({"settings.gradle": "", "app/" + JAVA_TEST: ""}, (f"gradle {GRADLE}",)),
        ({"build.gradle": "", "src/main/java/A.java": ""}, ()),
        ({"build.gradle": "", "pom.xml": "", JAVA_TEST: ""}, ()),
        ({"CMakeLists.txt": "enable_testing()\nadd_test(NAME a COMMAND a)\n"}, CMAKE),
        ({"CMakeLists.txt": "include(CTest)", "test/CMakeLists.txt": "gtest_discover_tests(a)"}, CMAKE),
        ({"CMakeLists.txt": "enable_testing()\n# add_test(x)\n"}, ()),
        ({"CMakeLists.txt": "add_test(NAME a COMMAND a)"}, ()),
        ({"Makefile": "test: build\n\t./run-tests\n"}, ("make test",)),
        ({"Makefile": "all:\n\techo\ncheck:\n\t./x\n"}, ("make check",)),
        ({"Makefile": "test := a\ntests:\n\t./x\n"}, ()),
        ({"Makefile": "test:\n\tgo test ./...\n", "go.mod": "", "a.go": "", "a_test.go": ""}, GO),
        ({"Gemfile": "gem 'rspec'", "spec/a_spec.rb": ""}, ("bundle exec rspec",)),
        ({".rspec": "", "spec/a_spec.rb": ""}, ("rspec",)),
        ({"Gemfile": "", "spec/a_spec.rb": ""}, ()),
        ({"Gemfile": "", "Rakefile": "Rake::TestTask.new", "test/a_test.rb": ""}, ("bundle exec rake test",)),
        ({"Rakefile": "Minitest::TestTask.create", "test/x/test_a.rb": ""}, ("rake test",)),
        ({"Gemfile": "gem 'rails'", "bin/rails": "", "test/models/a_test.rb": ""}, ("ruby bin/rails test",)),
        ({"web/package.json": package("jest"), "go.mod": "", "a.go": "", "a_test.go": ""}, (NPM_WEB, *GO)),
        ({"web/package.json": package("jest"), "web/pnpm-lock.yaml": ""}, ("pnpm -C web test",)),
        ({"web/package.json": package("jest"), "yarn.lock": ""}, ("yarn --cwd web test",)),
        ({"web/package.json": package("vitest")}, ()),
        ({"package.json": "{}", "web/package.json": package("jest")}, (NPM_WEB,)),
        ({"api/pyproject.toml": "", "api/tests/test_a.py": "import pytest"}, (f"cd api && {PYTEST}",)),
        (
            {"a/setup.py": "", "a/test_a.py": CASE, "b/pyproject.toml": "pytest", "b/test_b.py": CASE},
            (f"cd a && {UNITTEST}", f"cd b && {PYTEST}"),
        ),
        ({"api/manage.py": "django", "api/shop/test_a.py": CASE}, (f"cd api && {DJANGO}",)),
        ({"a/pyproject.toml": "", "a/test_a.py": CASE, "tests/test_b.py": CASE}, ()),
        ({"a/test_a.py": CASE, "b/test_b.py": CASE, "tox.ini": TOX}, ("python3 -m unittest discover -s a",)),
        ({"a/test_a.py": CASE, "b/test_b.py": CASE, "tox.ini": TOX + " python -m unittest b\n"}, ()),
        ({"a/test_a.py": CASE, "b/test_b.py": CASE, "noxfile.py": NOX}, ("python3 -m unittest discover b",)),
        ({"a/test_a.py": CASE, "b/test_b.py": CASE, "pyproject.toml": HATCH}, ("python3 -m unittest -b",)),
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
