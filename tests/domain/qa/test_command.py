from __future__ import annotations

import shlex

import pytest

from aegis_tui.domain.qa.assess import ask, tools_of
from aegis_tui.domain.qa.command import is_simple, program_name, programs_of, script_of
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace


def place(files: dict[str, str] | None = None) -> CommandPlace:
    return CommandPlace("/results", lambda name: (files or {}).get(name, ""))


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("python3 -m pytest -q", (("pytest", "-q"),)),
        ("PYTHONPATH=src python3 -X dev -m unittest", (("python3", "-X", "dev", "-m", "unittest"),)),
        ("PYTHONPATH=src python3 -B -m unittest discover", (("unittest", "discover"),)),
        ("./node_modules/.bin/vitest run", (("vitest", "run"),)),
        ("cd a && npx --no-install jest --ci; true", (("cd", "a"), ("jest", "--ci"), ("true",))),
        ("timeout 60 go test ./...", (("go", "test", "./..."),)),
        ("poetry run python -m pytest", (("pytest",),)),
        ("uv run --frozen pytest -x", (("pytest", "-x"),)),
        ("coverage run -m pytest", (("pytest",),)),
        ("(cd go\ngo test ./...)", (("cd", "go"), ("go", "test", "./..."))),
        ("echo 'not closed", ()),
        ("", ()),
    ],
)
def test_the_programs_behind_wrappers_are_seen(command: str, programs: tuple[tuple[str, ...], ...]) -> None:
    assert programs_of(command) == programs


def test_a_check_is_named_after_its_program() -> None:
    assert program_name("cd a && python3 -m pytest") == "pytest"
    assert program_name("npm test --silent") == "npm"
    assert program_name("echo 'not closed") == "echo"


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("npm test --silent", "test"),
        ("npm t", "test"),
        ("pnpm run unit", "unit"),
        ("yarn test", "test"),
        ("npm ci", None),
        ("bun test", None),
        ("bun run test", "test"),
        ("pnpm -r test", None),
        ("pnpm --filter=web run unit", None),
        ("npm test -w web", None),
        ("npm test --workspaces", None),
        ("npm test -- -w", "test"),
        ("cd a && npm test", None),
        ("npm test && npm run lint", None),
        ("make test", None),
    ],
)
def test_the_script_of_a_package_manager_is_seen(command: str, script: str | None) -> None:
    assert script_of(command) == script


@pytest.mark.parametrize("command", ["a && b", "a | tee x", "a > x", "a $(b)", "a *.py", "a;b", "a\nb"])
def test_a_command_with_shell_in_it_is_not_simple(command: str) -> None:
    assert not is_simple(command)
    assert is_simple("npx jest --ci -t 'a b'")


PYTEST_OPTIONS = "--junitxml=/results/pytest.xml -o junit_family=xunit1"


def test_pytest_is_asked_by_its_environment_and_the_command_stays_as_it_is() -> None:
    asked = ask("make test", place())
    assert (asked.command, asked.environment) == ("make test", {"PYTEST_ADDOPTS": PYTEST_OPTIONS})


def test_a_folder_for_results_may_have_a_blank_in_its_name() -> None:
    here = CommandPlace("/my results", lambda name: "")
    assert shlex.split(ask("pytest", here).environment["PYTEST_ADDOPTS"])[0] == "--junitxml=/my results/pytest.xml"
    assert shlex.split(ask("npx jest", here).command)[-1] == "--outputFile=/my results/jest.json"


def test_a_project_that_only_says_how_such_a_file_is_written_is_asked_for_one() -> None:
    files = {"pytest.ini": "[pytest]\njunit_family = xunit2\n"}
    assert ask("pytest", place(files)).environment == {"PYTEST_ADDOPTS": PYTEST_OPTIONS}


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("pytest --junitxml=out.xml", {}),
        ("pytest -p no:junitxml", {}),
        ("pytest", {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--junit-xml=out.xml"'}),
        ("pytest", {"tox.ini": "[pytest]\naddopts = --junitxml out.xml"}),
    ],
)
def test_a_project_with_files_of_its_own_is_left_alone(command: str, files: dict[str, str]) -> None:
    assert ask(command, place(files)) == Asked(command)


JEST, VITEST = (
    "--json --outputFile=/results/jest.json",
    "--reporter=default --reporter=json --outputFile.json=/results/vitest.json",
)


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        ("npx --no-install jest --ci", {}, f"npx --no-install jest --ci {JEST}"),
        ("npm test --silent", {"package.json": '{"scripts": {"test": "jest"}}'}, f"npm test --silent -- {JEST}"),
        ("npm test -- --ci", {"package.json": '{"scripts": {"test": "jest"}}'}, f"npm test -- --ci {JEST}"),
        ("pnpm test", {"package.json": '{"scripts": {"test": "vitest run"}}'}, f"pnpm test {VITEST}"),
        ("npm test", {"package.json": '{"scripts": {"test": "tsc && jest"}}'}, "npm test"),
        ("npm test", {"package.json": '{"scripts": {"test": "jest --json"}}'}, "npm test"),
        ("npm test", {"package.json": '{"scripts": {"test": "node --test"}}'}, "npm test"),
        ("npm test", {"package.json": "{"}, "npm test"),
        ("npx vitest run", {"vitest.config.ts": "reporters: ['dot']"}, f"npx vitest run {VITEST}"),
        ("npx vitest run", {"vitest.config.ts": "outputFile: 'junit.xml'"}, "npx vitest run"),
        ("jest | tee log", {}, "jest | tee log"),
        ("go test ./...", {}, "go test -json ./..."),
        ("go vet ./... && go test ./...", {}, "go vet ./... && go test ./..."),
        ("go test -json ./...", {}, "go test -json ./..."),
        ("python3 -m unittest discover -s tests", {}, "python3 -m unittest discover -s tests -v"),
        ("python3 -m unittest -q", {}, "python3 -m unittest -q"),
        ("python3 -m unittest | tee log", {}, "python3 -m unittest | tee log"),
        ("cargo test", {}, "cargo test --no-fail-fast"),
        ("cargo test -p cart -- --quiet", {}, "cargo test --no-fail-fast -p cart -- --quiet"),
        ("cargo test --no-fail-fast", {}, "cargo test --no-fail-fast"),
        ("cargo test && cargo clippy", {}, "cargo test && cargo clippy"),
        ("ctest --test-dir b", {}, "ctest --test-dir b"),
    ],
)
def test_a_command_is_lengthened_only_where_the_addition_reaches_the_tool(
    command: str, files: dict[str, str], expected: str
) -> None:
    assert ask(command, place(files)).command == expected


def test_where_tools_write_files_by_themselves_they_are_looked_for() -> None:
    assert [item.pattern for item in ask("./mvnw -q verify", place()).files[1:]] == [
        "**/target/surefire-reports/TEST-*.xml",
        "**/target/failsafe-reports/TEST-*.xml",
        "**/build/test-results/**/TEST-*.xml",
    ]
    assert [item.tool for item in ask("ctest --output-junit /results/x.xml", place()).files] == ["pytest"]


def test_the_tools_of_a_command_are_those_of_its_script() -> None:
    files = {"package.json": '{"scripts": {"test": "tsc && vitest run", "lint": "eslint ."}}'}
    assert [reader.tool for reader in tools_of("npm test", place(files))] == ["vitest"]
    assert [reader.tool for reader in tools_of("npm run lint", place(files))] == ["eslint"]
    assert [reader.tool for reader in tools_of("go vet ./...")] == []
    assert [reader.tool for reader in tools_of("pytest && go test ./...")] == ["pytest", "go"]
