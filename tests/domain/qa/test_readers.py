from __future__ import annotations

import re
from pathlib import Path

import pytest

from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.outcome import Outcome, ResultFile
from aegis_tui.domain.qa.readers import READERS, junit
from aegis_tui.domain.qa.readers.base import QaReader
from aegis_tui.domain.qa.verdict import judge

RECORDED = Path(__file__).with_name("recorded")
COMMANDS = {
    "pytest": "python3 -m pytest -q",
    "unittest": "python3 -m unittest discover",
    "node": "node --test",
    "npm": "npm test --silent",
    "jest": "npx --no-install jest",
    "vitest": "npx --no-install vitest run",
    "mocha": "npx mocha",
    "cargo": "cargo test",
    "ctest": "ctest --test-dir b",
    "go": "go test ./...",
    "maven": "mvn test",
    "mvn": "mvn test",
    "surefire": "mvn -B -o test",
    "gradle": "./gradlew test",
    "tap": "prove -v",
    "tapspec": "npx tape test.js | npx tap-spec",
    "rspec": "bundle exec rspec",
    "minitest": "bundle exec rake test",
    "testunit": "rake test",
}
TOOLS = {"maven": "jvm", "gradle": "jvm", "surefire": "jvm"}


def read(name: str, exit_code: int, *, with_file: str = "", with_text: bool = True) -> CheckResult:
    kind = name.partition("-")[0]
    files: tuple[ResultFile, ...] = ()
    if with_file:
        files = (ResultFile(TOOLS.get(kind, kind), (RECORDED / f"{name}.{with_file}").read_bytes()),)
    text = (RECORDED / f"{name}.txt").read_text("utf-8") if with_text else ""
    command = COMMANDS[kind]
    return assess(command, Outcome(exit_code, text, files, root="/scratch/run1-merged"), tools=tools_of(command))


PYTEST_FAILURES = ("tests/test_cart.py::TestCart::test_total[2]", "tests/test_cart.py::test_setup")
SUREFIRE_NAMES = tuple(
    f"shop.CartTest{name}" for name in ("$Inner.deep", ".each(int)[1]", ".each(int)[2]", ".fine", ".total")
)
RSPEC_NAMES = ("adds", "totals", "when empty is zero")
RSPEC_FAILURES = ("spec/cart_spec.rb::Cart totals", "spec/cart_spec.rb::Cart when empty is zero")
TOTALS = {
    "json": {"jest": ("je/a.test.js::cart totals",), "vitest": ("vi/a.test.mjs::cart totals",)},
    "": {"jest": ("cart › totals",), "vitest": ("vi/a.test.mjs > cart > totals",)},
}


@pytest.mark.parametrize(
    ("name", "exit_code", "with_file", "counts", "failures"),
    [
        ("pytest-failed", 1, "xml", (4, 2, 2), PYTEST_FAILURES),
        ("pytest-failed", 1, "", (4, 2, 2), PYTEST_FAILURES),
        ("unittest-failed", 1, "", (3, 0, 4), None),
        ("node-failed", 1, "", (5, 2, 3), ("totals", "group", "group > inner")),
        ("node-spec", 1, "", (5, 2, 3), ("totals", "inner", "group")),
        ("jest-failed", 1, "json", (2, 1, 1), TOTALS["json"]["jest"]),
        ("jest-failed", 1, "", (2, 1, 1), TOTALS[""]["jest"]),
        ("vitest-failed", 1, "json", (2, 1, 1), TOTALS["json"]["vitest"]),
        ("vitest-failed", 1, "", (2, 1, 1), TOTALS[""]["vitest"]),
        ("mocha-failed", 1, "", (2, 1, 1), ()),
        ("tapspec-failed", 1, "", (3, 2, 1), ("adds > sums",)),
        ("cargo-failed", 101, "", (2, 1, 1), ("src/lib.rs::tests::total",)),
        ("cargo-json", 101, "", (2, 1, 1), ("tests::total",)),
        ("go-json-failed", 1, "", (3, 1, 2), ("example.com/cart.TestTotal/empty", "example.com/cart.TestTotal")),
        ("go-failed", 1, "", (None, None, 2), ("TestTotal", "TestTotal/empty")),
        ("surefire-failed", 1, "xml", (5, 3, 2), ("shop.CartTest.each(int)[2]", "shop.CartTest.total")),
        ("surefire-failed", 1, "", (5, 3, 2), ()),
        ("surefire-setup", 1, "xml", (1, 0, 1), ("shop.CartTest.",)),
        ("surefire-setup", 1, "", (1, 0, 1), ()),
        ("maven-failed", 1, "xml", (2, 1, 1), ("shop.CartTest.total",)),
        ("maven-failed", 1, "", (2, 1, 1), ()),
        ("gradle-failed", 1, "", (2, 1, 1), ()),
        ("rspec-failed", 1, "json", (3, 1, 2), RSPEC_FAILURES),
        ("rspec-failed", 1, "", (3, 1, 2), RSPEC_FAILURES),
        ("minitest-failed", 1, "", (3, 1, 2), None),
        ("minitest-verbose", 1, "", (3, 1, 2), ("TestCart#test_errors", "TestCart#test_totals")),
        ("testunit-failed", 1, "", (3, 1, 2), ("test_errors(TestCart)", "test_totals(TestCart)")),
        ("testunit-verbose", 1, "", (3, 1, 2), ("test_errors(TestCart)", "test_totals(TestCart)")),
    ],
)
def test_a_failed_run_is_read_with_counts_and_identities(
    name: str,
    exit_code: int,
    with_file: str,
    counts: tuple[int | None, int | None, int],
    failures: tuple[str, ...] | None,
) -> None:
    result = read(name, exit_code, with_file=with_file)
    assert (result.status, result.reason) == ("failed", "")
    assert (result.executed, result.passed, result.failed) == counts
    if failures is not None:
        assert result.failures == failures


VERBOSE = tuple(f"test_{name} (tests.test_v.T.test_{name})" for name in ("doc", "err", "fail", "plain", "sub"))


def test_unittest_names_its_tests_where_it_is_asked_to() -> None:
    result = read("unittest-verbose", 1)
    assert (result.executed, result.tests) == (5, VERBOSE)


def test_a_test_that_is_expected_to_fail_is_no_failure_of_unittest() -> None:
    text = "Ran 3 tests in 0.001s\n\nOK (expected failures=1)\n"
    result = assess("python3 -m unittest", Outcome(0, text), tools=tools_of("python3 -m unittest"))
    assert (result.status, result.executed, result.failed) == ("passed", 2, 0)


def test_unittest_names_subtests_and_failed_set_ups() -> None:
    assert read("unittest-failed", 1).failures == (
        "setUpClass (tests.test_cart.S)",
        "test_bad (tests.test_cart.T.test_bad)",
        "test_sub (tests.test_cart.T.test_sub) (n=1)",
        "test_sub (tests.test_cart.T.test_sub) (n=2)",
    )


@pytest.mark.parametrize(
    ("name", "with_file", "executed", "tests"),
    [
        ("pytest-passed", "xml", 1, ("tests/test_ok.py::test_a",)),
        ("pytest-passed", "", 1, None),
        ("unittest-passed", "", 1, None),
        ("jest-pass", "", 1, None),
        ("vitest-pass", "", 1, None),
        ("ctest-passed", "", 1, ("fine",)),
        ("cargo-passed-quiet", "", 3, None),
        ("go-passed", "", None, None),
        ("surefire-passed", "xml", 5, SUREFIRE_NAMES),
        ("surefire-passed", "", 5, None),
        ("rspec-passed", "json", 3, tuple(f"spec/cart_spec.rb::Cart {name}" for name in RSPEC_NAMES)),
        ("rspec-passed", "", 3, None),
        ("minitest-passed", "", 1, None),
        ("tapspec-passed", "", 3, None),
    ],
)
def test_a_passed_run_says_how_many_tests_ran(
    name: str, with_file: str, executed: int | None, tests: tuple[str, ...] | None
) -> None:
    result = read(name, 0, with_file=with_file)
    assert (result.status, result.executed, result.tests) == ("passed", executed, tests)


def test_cargo_names_each_test_with_its_binary() -> None:
    expected = ("doc cart::src/lib.rs - add (line 1)", "src/lib.rs::tests::fine", "src/lib.rs::tests::total")
    assert read("cargo-passed", 0).tests == expected


@pytest.mark.parametrize(
    ("name", "exit_code", "with_file"),
    [
        ("pytest-none", 5, "xml"),
        ("pytest-none", 5, ""),
        ("pytest-collectonly", 0, "xml"),
        ("pytest-collectonly", 0, ""),
        ("unittest-empty", 0, ""),
        ("node-empty", 0, ""),
        ("tapspec-none", 1, ""),
        ("npm-placeholder", 1, ""),
        ("npm-placeholder-silent", 1, ""),
        ("jest-none", 1, ""),
        ("jest-pnone", 0, ""),
        ("vitest-none", 1, ""),
        ("mocha-none", 1, ""),
        ("mocha-empty", 0, ""),
        ("ctest-none", 0, ""),
        ("go-none", 0, ""),
        ("surefire-none", 0, ""),
        ("surefire-empty", 0, ""),
        ("rspec-none", 0, "json"),
        ("rspec-none", 0, ""),
        ("minitest-none", 0, ""),
    ],
)
def test_a_test_tool_that_ran_no_test_is_empty(name: str, exit_code: int, with_file: str) -> None:
    result = read(name, exit_code, with_file=with_file)
    assert result.status == "empty"
    assert result.reason and result.remedy


@pytest.mark.parametrize(
    ("name", "exit_code", "with_file", "unloaded", "words"),
    [
        ("pytest-collection", 2, "xml", ("tests/test_load.py",), "could not load tests/test_load.py"),
        ("pytest-collection", 2, "", ("tests/test_load.py",), "could not load tests/test_load.py"),
        ("pytest-continue", 1, "xml", ("tests/test_load.py",), "could not load"),
        ("pytest-continue", 1, "", ("tests/test_load.py",), "could not load"),
        ("pytest-conftest", 4, "", ("/scratch/run1-merged/conftest.py",), "could not load"),
        ("pytest-usage", 4, "", (), "unrecognized arguments: --no-such-option"),
        ("pytest-nofile", 4, "xml", (), "file or directory not found: tests/absent.py"),
        ("pytest-nofile", 4, "", (), "file or directory not found: tests/absent.py"),
        ("pytest-internal", 3, "", (), "pytest broke: RuntimeError: boom"),
        ("unittest-load", 1, "", ("tests.test_load",), "could not load tests.test_load"),
        ("unittest-nodir", 1, "", (), "Start directory is not importable: 'absent'"),
        ("node-load", 1, "", ("b.test.js",), "could not load b.test.js"),
        ("npm-jest-absent", 127, "", (), "jest is missing"),
        ("jest-load", 1, "json", ("je/load.test.js",), "could not load je/load.test.js"),
        ("jest-load", 1, "", ("je/load.test.js",), "could not load je/load.test.js"),
        ("vitest-load", 1, "json", ("vi/load.test.mjs",), "could not load vi/load.test.mjs"),
        ("vitest-load", 1, "", ("vi/load.test.mjs",), "could not load vi/load.test.mjs"),
        ("cargo-compile", 101, "", ("cart (lib)", "cart (lib test)"), "could not load cart (lib)"),
        ("ctest-failed", 8, "", ("adds", "absent"), "could not load adds, absent"),
        ("ctest-nodir", 1, "", (), "Failed to change working directory"),
        ("go-json-build", 1, "", ("example.com/cart",), "could not load example.com/cart"),
        ("go-build", 1, "", ("example.com/cart",), "could not load example.com/cart"),
        ("go-json-build-event", 1, "", ("example.com/cart",), "could not load example.com/cart"),
        ("rspec-load", 1, "json", ("./spec/broken_spec.rb",), "could not load ./spec/broken_spec.rb"),
        ("rspec-load", 1, "", ("./spec/broken_spec.rb",), "could not load ./spec/broken_spec.rb"),
        ("minitest-load", 1, "", ("nothing_like_it",), "could not load nothing_like_it"),
        ("maven-compile", 1, "", (), "COMPILATION ERROR"),
        ("surefire-compile", 1, "", (), "COMPILATION ERROR"),
        ("mvn-failed", 1, "", (), "could not be resolved"),
        ("gradle-compile", 1, "", (), ":compileTestJava"),
        ("tap-bail", 1, "", (), "no database"),
        ("tap-short", 1, "", (), "3 tests were planned, only 2 reported"),
    ],
)
def test_what_could_not_be_loaded_or_broke_off_did_not_run(
    name: str, exit_code: int, with_file: str, unloaded: tuple[str, ...], words: str
) -> None:
    result = read(name, exit_code, with_file=with_file)
    assert result.status == "not_run"
    assert result.unloaded == unloaded
    assert words in result.reason


def test_a_file_of_results_counts_where_the_exit_code_says_all_is_well() -> None:
    assert read("pytest-failed", 0, with_file="xml").status == "failed"
    assert read("jest-failed", 0, with_file="json").status == "failed"


def test_text_that_speaks_of_failures_counts_against_a_base_that_speaks_of_fewer() -> None:
    talk, more = (assess("./check", Outcome(0, f"{count} failed, 4 passed in 0.1s\n")) for count in (3, 4))
    assert (talk.status, talk.failed, talk.exit_code) == ("failed", 3, 0)
    assert judge("./check", talk, talk).ok
    assert not judge("./check", more, talk).ok


def test_two_tests_of_one_name_fail_if_one_of_them_does() -> None:
    case = '{"fullName": "adds", "status": "%s"}'
    jest = '{"testResults": [{"name": "a.js", "assertionResults": [%s, %s]}]}'
    suite = (
        '<testsuite><testcase classname="C" name="adds">%s</testcase><testcase classname="C" name="adds"/></testsuite>'
    )
    files = {"jest": jest % (case % "failed", case % "passed"), "jvm": suite % "<failure/>"}
    for tool, content in files.items():
        result = assess("make", Outcome(1, "", (ResultFile(tool, content.encode()),)))
        assert (result.executed, result.failed, len(result.failures)) == (2, 1, 1), tool


def test_a_test_that_failed_once_has_failed_whatever_one_of_the_same_name_did() -> None:
    go = "".join(f'{{"Action": "{word}", "Package": "x", "Test": "TestA"}}\n' for word in ("fail", "pass"))
    cargo = "".join(f'{{"type": "test", "event": "{word}", "name": "a"}}\n' for word in ("failed", "ok"))
    run = "     Running unittests src/lib.rs (target/debug/deps/%s-0123456789abcdef)\n\ntest adds ... %s\n\n"
    run += "test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n"
    text = run % ("cart", "FAILED", "FAILED", 0, 1) + run % ("shop", "ok", "ok", 1, 0)
    for output in (go, cargo, text):
        result = assess("make", Outcome(1, output))
        assert (result.status, result.failed, len(result.failures)) == ("failed", 1, 1), output


def test_two_sessions_of_one_command_are_added_up_from_the_text() -> None:
    text = (RECORDED / "pytest-passed.txt").read_text("utf-8")
    last = ResultFile("pytest", (RECORDED / "pytest-passed.xml").read_bytes())
    result = assess("make test", Outcome(0, text + text, (last,)))
    assert (result.status, result.executed) == ("passed", 2)


def test_two_tools_of_one_command_are_added_up() -> None:
    text = "".join((RECORDED / f"{name}.txt").read_text("utf-8") for name in ("unittest-passed", "cargo-passed"))
    result = assess("make test", Outcome(0, text))
    assert (result.status, result.executed) == ("passed", 4)


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>',
        b"<testsuite><testcase name='a'>",
        b"<html/>",
        b"",
        b"\x00\xff\xfe",
        b"<testsuite>" * 100 + b"</testsuite>" * 100,
        b'<?xml version="1.0" encoding="no-such"?><testsuite/>',
        b'<?xml version="1.0" encoding="utf-7"?><testsuite/>',
        b'<?xml version="1.0" encoding="punycode"?><testsuite/>',
        b'<?xml version="1.0" encoding="idna"?><testsuite/>',
    ],
)
def test_a_hostile_or_broken_file_of_results_is_not_read(content: bytes) -> None:
    with pytest.raises(junit.Unreadable):
        junit.read_cases(content)
    text = (RECORDED / "pytest-failed.txt").read_text("utf-8")
    result = assess("pytest", Outcome(1, text, (ResultFile("pytest", content),)))
    assert (result.status, result.failures) == ("failed", PYTEST_FAILURES)


def test_a_file_of_results_over_the_limit_is_not_read() -> None:
    content = b"<testsuite>" + b" " * junit.MAX_BYTES + b"</testsuite>"
    with pytest.raises(junit.Unreadable, match="bytes"):
        junit.read_cases(content)


def test_suites_inside_suites_are_read_once() -> None:
    content = b"""<testsuites><testsuite name="a"><testcase name="x"/><testsuite name="b"><testcase name="y"/>
    <testsuite name="c"><testcase name="z"/></testsuite></testsuite></testsuite></testsuites>"""
    assert [case.name for case in junit.read_cases(content)] == ["x", "y", "z"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"testResults": 3}', b"[" * 100_000, b'{"testResults": [3, null]}'])
def test_broken_json_of_jest_is_not_read(content: bytes) -> None:
    text = (RECORDED / "jest-failed.txt").read_text("utf-8")
    result = assess("jest", Outcome(1, text, (ResultFile("jest", content),)))
    assert result.failures == ("cart › totals",)


def test_no_pattern_walks_over_lines_from_every_line() -> None:
    """A tested tree prints what it likes: millions of empty lines would be read by each of them to the end."""
    folder = Path(junit.__file__).parent.parent
    begins = [
        f"{path.name}: {pattern}"
        for path in folder.rglob("*.py")
        for pattern in re.findall(r'"\^(?:\\s[*+]|\[\^[^\]\\]+\][*+])[^"]*", re\.M', path.read_text())
    ]
    assert begins == []


def test_a_duration_is_kept_in_milliseconds() -> None:
    assert assess("make check", Outcome(0, "", duration_s=1.23456)).duration_s == 1.235


@pytest.mark.parametrize(
    ("file", "classname", "identity"),
    [
        ("tests/test_cart.py", "tests.test_cart.TestCart", "tests/test_cart.py::TestCart::test_x"),
        ("tests/test_cart.py", "tests.test_cart", "tests/test_cart.py::test_x"),
        ("tests/test_cart.py", "tests.test_cartoon.TestCart", "tests.test_cartoon.TestCart::test_x"),
        ("", "tests.test_cart.TestCart", "tests.test_cart.TestCart::test_x"),
        ("", "", "test_x"),
    ],
)
def test_a_test_of_pytest_goes_by_its_node_id(file: str, classname: str, identity: str) -> None:
    case = f'<testcase file="{file}" classname="{classname}" name="test_x"/>'
    content = f"<testsuites><testsuite>{case}</testsuite></testsuites>".encode()
    command = COMMANDS["pytest"]
    outcome = Outcome(0, "1 passed in 0.01s", (ResultFile("pytest", content),))
    assert assess(command, outcome, tools=tools_of(command)).tests == (identity,)


def test_every_reader_keeps_the_protocol_and_has_a_unique_name() -> None:
    assert [reader for reader in READERS if not isinstance(reader, QaReader)] == []
    tools = [reader.tool for reader in READERS]
    assert len(set(tools)) == len(tools)


@pytest.mark.parametrize("results", ["5", "true", '"x"', "{}", "null"])
def test_results_of_jest_in_another_form_are_no_tests(results: str) -> None:
    content = f'{{"testResults": [{{"name": "a.test.js", "status": "failed", "assertionResults": {results}}}]}}'
    found = assess("npx jest", Outcome(1, "", (ResultFile("jest", content.encode()),)))
    assert (found.status, found.unloaded) == ("not_run", ("a.test.js",))
