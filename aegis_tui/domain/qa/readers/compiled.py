"""Go, cargo and ctest: tools that build what they test, so that a build that breaks is no test that failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aegis_tui.domain.qa.command import Words, is_simple
from aegis_tui.domain.qa.outcome import Outcome, Reading
from aegis_tui.domain.qa.readers import junit
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, Wanted, plain, repeated

_CARGO_TEST = re.compile(r"^\s*(?:[A-Z_]+=\S* )*cargo (?:\+\S+ )?(?:test|t)\b")
_GO_TEST = re.compile(r"\bgo test\b")


class GoReader:
    """Reads `go test`, by its `-json` stream where it can be asked for."""

    tool = "go"
    _failed = re.compile(r"^[ \t]*--- FAIL: (\S+)", re.M)
    _package = re.compile(r"^(ok|FAIL|\?) *\t(\S+)(?:[ \t]+(.*))?$", re.M)

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is `go test`; `go vet` is not."""
        return words[0] == "go" and "test" in words[1:4]

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command with `-json` behind `go test`, which changes only how results are printed; no result file.

        Any other command, and one that is more than one plain program, stays as it is.
        """
        if not is_simple(command) or "-json" in command or not _GO_TEST.search(command):
            return Asked(command)
        return Asked(_GO_TEST.sub("go test -json", command, count=1))

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results in the JSON stream, else in the lines of packages and failures; None without either.

        Lines do not count the tests that passed: `passed` is None then. A package that does not build is among
        `unloaded`.
        """
        text = plain(outcome.output)
        events = [event for event in _json_lines(text) if "Action" in event]
        if not events:
            return self._by_text(text)
        # Before Go 1.24 a package that does not build is no event, but a line of text between the events.
        broken = [name for word, name, rest in self._package.findall(text) if word == "FAIL" and " failed]" in rest]
        reading = _go_events(events)
        return replace(reading, unloaded=tuple(dict.fromkeys((*reading.unloaded, *broken))))

    def _by_text(self, text: str) -> Reading | None:
        packages = self._package.findall(text)
        failures = repeated(self._failed.findall(text))
        if not packages and not failures:
            return None
        unloaded = tuple(name for word, name, rest in packages if word == "FAIL" and " failed]" in rest)
        ran = any(word == "ok" and "[no tests to run]" not in rest for word, _, rest in packages) or bool(failures)
        if not ran and not unloaded and not any(word == "FAIL" for word, _, _ in packages):
            return Reading(self.tool, 0, 0)
        return Reading(self.tool, None, len(failures) or None, failures, None, unloaded)


def _go_events(events: list[dict[str, Any]]) -> Reading:
    states: dict[str, str] = {}
    failed_packages: dict[str, bool] = {}
    with_failures: set[str] = set()
    for event in events:
        package, test, action = str(event.get("Package", "")), event.get("Test"), event["Action"]
        if test and action in ("pass", "fail", "skip"):
            name = f"{package}.{test}"
            states[name] = "fail" if states.get(name) == "fail" else str(action)
            with_failures |= {package} if action == "fail" else set()
        elif not test and action == "fail":
            failed_packages[package] = True
    ran = frozenset(name for name, state in states.items() if state != "skip")
    failures = tuple(name for name, state in states.items() if state == "fail")
    unloaded = tuple(name for name in failed_packages if name not in with_failures)
    passed = len(ran) - len(failures)
    return Reading("go", passed, len(failures), failures, ran, unloaded, is_machine_readable=True)


class CargoReader:
    """Reads `cargo test`; its JSON lines where a nightly toolchain writes them."""

    tool = "cargo"
    _result = re.compile(r"^test result: \w+\. (\d{1,9}) passed; (\d{1,9}) failed;", re.M)
    _line = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)\b", re.M)
    _listed = re.compile(r"^    (\S+)$", re.M)
    _target = re.compile(r"^ +(?:Running (?:unittests )?(\S+) \(|Doc-tests (\S+))", re.M)
    _broken = re.compile(r"^error: could not compile `([^`\n]+)`(?: \(([^)\n]+)\))?", re.M)
    _fetch = re.compile(r"^error: (failed to (?:get|load|download|select|fetch|query).+|no matching package.+)$", re.M)

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is `cargo test`."""
        return words[0] == "cargo" and any(word in ("test", "t") for word in words[1:4])

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the command with `--no-fail-fast` behind `cargo test`; no result file, as stable cargo writes none.

        Without it, what follows a failed test program would be compared on neither tree. Any other command, and one
        that is more than one plain program, stays as it is.
        """
        if not is_simple(command) or "--no-fail-fast" in command or not _CARGO_TEST.match(command):
            return Asked(command)
        return Asked(_CARGO_TEST.sub(r"\g<0> --no-fail-fast", command, count=1))

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results of all test programs together; None without a result, build error or failed download.

        Crates that do not compile are among `unloaded`; a failed download is `stopped`. Names of all tests are None if
        the lines do not name as many as the totals count.
        """
        text = plain(outcome.output)
        results = self._result.findall(text)
        broken = tuple(dict.fromkeys(f"{name} ({part})" if part else name for name, part in self._broken.findall(text)))
        fetch = self._fetch.search(text)
        if events := [event for event in _json_lines(text) if event.get("type") in ("test", "suite")]:
            return _cargo_events(events, broken)
        if not results and not broken and not fetch:
            return None
        stopped = f"cargo could not get what the build needs: {fetch[1]}" if fetch and not results else ""
        states = list(self._named(text))
        listed = tuple(name for name, state in states if state == "FAILED")
        passed, failed = (sum(int(item[at]) for item in results) for at in (0, 1))
        tests = frozenset(name for name, state in states if state != "ignored")
        complete = tests if len(tests) == passed + failed else None
        remedy = "cargo fetch" if stopped else ""
        names = listed if len(listed) == failed else self._listed_names(text, failed)
        return Reading(self.tool, passed, failed, names, complete, broken, stopped, remedy)

    def _named(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield the name of each test line, with the program that it belongs to before it, and how the test ended."""
        target = ""
        for line in text.splitlines():
            if match := self._target.match(line):
                target = match[1] or f"doc {match[2]}"
            elif test := self._line.match(line):
                yield f"{target}::{test[1]}" if target else test[1], test[2]

    def _listed_names(self, text: str, failed: int) -> tuple[str, ...]:
        """Return the names below `failures:`, which quiet runs print too; empty if there are not `failed` of them."""
        names = [name for part in text.split("\nfailures:\n\n---- ")[1:] for name in self._listed.findall(part)]
        return tuple(names) if len(names) == failed else ()


def _cargo_events(events: list[dict[str, Any]], broken: tuple[str, ...]) -> Reading:
    states = [(str(e.get("name")), e.get("event")) for e in events if e["type"] == "test"]
    ran = [name for name, state in states if state in ("ok", "failed", "timeout")]
    failures = tuple(name for name, state in states if state in ("failed", "timeout"))
    passed = len(ran) - len(failures)
    return Reading("cargo", passed, len(failures), failures, frozenset(ran), broken, is_machine_readable=True)


class CtestReader:
    """Reads ctest, by its lines; ctest before 3.21 writes no file of results."""

    tool = "ctest"
    _line = re.compile(
        r"^ *\d+/\d+ +Test +#\d+: (.+?) \.{2,} *(?:\*{3})?(Passed|Failed|Not Run|Timeout|Exception|Skipped)"
    )
    _total = re.compile(r"^\d+% tests passed, (\d{1,9}) tests failed out of (\d{1,9})", re.M)
    _none = re.compile(r"^No tests were found!!!", re.M)
    _stopped = re.compile(r"^(Failed to change working directory to .+|CMake Error: .+)$", re.M)

    def starts(self, words: Words) -> bool:
        """Return whether a program with its arguments is ctest."""
        return words[0] == "ctest"

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the same command: not every ctest can write a result file, and its lines name all tests."""
        return Asked(command)

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results by the lines of tests; None when there is no trace of ctest.

        A test that could not be started is among `unloaded`; no test found gives counts of 0.
        """
        text = plain(outcome.output)
        states = {m[1]: m[2] for m in map(self._line.match, text.splitlines()) if m}
        totals = self._total.search(text)
        if not states and not totals:
            stopped = self._stopped.search(text) if "ctest" in text.lower() else None
            if stopped:
                return Reading(self.tool, stopped=stopped[1])
            return Reading(self.tool, 0, 0) if self._none.search(text) else None
        unloaded = tuple(name for name, state in states.items() if state == "Not Run")
        ran = frozenset(name for name, state in states.items() if state not in ("Not Run", "Skipped"))
        failures = tuple(name for name, state in states.items() if name in ran and state != "Passed")
        return Reading(self.tool, len(ran) - len(failures), len(failures), failures, ran, unloaded)


class JvmReader:
    """Reads Maven and Gradle, by the JUnit files of surefire, failsafe and Gradle's test tasks."""

    tool = "jvm"
    _maven = re.compile(
        r"^\[(?:INFO|WARNING|ERROR)\] +"
        r"Tests run: (\d{1,9}), Failures: (\d{1,9}), Errors: (\d{1,9}), Skipped: (\d{1,9})$",
        re.M,
    )
    _gradle = re.compile(r"^(\d{1,9}) tests? completed(?:, (\d{1,9}) failed)?(?:, (\d{1,9}) skipped)?$", re.M)
    _broken = re.compile(
        r"^\[ERROR\] (COMPILATION ERROR)|^> Task (:\S*compile\w+) FAILED|^\* What went wrong:\n"
        r"(Could not (?:determine|resolve) .+)$|^\[ERROR\] (?>Failed to execute goal .*?: )?"
        r"(.*Could not (?:resolve|transfer|find) .{0,200})",
        re.M,
    )
    _patterns = (
        "**/target/surefire-reports/TEST-*.xml",
        "**/target/failsafe-reports/TEST-*.xml",
        "**/build/test-results/**/TEST-*.xml",
    )

    def starts(self, words: Words) -> bool:
        """Return whether a program is Maven or Gradle with a goal that runs tests.

        These are test, verify, check, install, build and package.
        """
        return words[0] in ("mvn", "mvnw", "gradle", "gradlew") and any(
            word.rsplit(":", 1)[-1] in ("test", "verify", "check", "install", "build", "package") for word in words[1:]
        )

    def ask(self, command: str, place: CommandPlace) -> Asked:
        """Return the same command, with globs of the result files that Maven and Gradle write anyway.

        A command that names neither gets no files.
        """
        if not re.search(r"\b(?:mvnw?|gradlew?)\b", command):
            return Asked(command)
        return Asked(command, {}, tuple(Wanted(self.tool, pattern) for pattern in self._patterns))

    def read(self, outcome: Outcome) -> Reading | None:
        """Return the results in the files, else the printed totals; None without these and without a build error.

        Files that cannot be read are like no files. A build error is `stopped`.
        """
        text = plain(outcome.output)
        broken = [next(filter(None, groups)) for groups in self._broken.findall(text)]
        stopped = f"the build broke before the tests: {broken[0]}" if broken else ""
        files = [file.content for file in outcome.files if file.tool == self.tool]
        counted = junit.total(files, lambda case: f"{case.classname}.{case.name}") if files else None
        if counted is None:
            return self._by_text(text, stopped)
        cases, names = counted
        ran = [name for case, name in zip(cases, names, strict=True) if case.ran]
        failures = tuple(name for case, name in zip(cases, names, strict=True) if case.is_bad)
        passed = len(ran) - len(failures)
        return Reading(
            self.tool,
            passed,
            len(failures),
            failures,
            frozenset(ran),
            (),
            stopped,
            is_machine_readable=True,
            is_from_file=True,
        )

    def _by_text(self, text: str, stopped: str) -> Reading | None:
        maven, gradle = self._maven.findall(text), self._gradle.findall(text)
        if maven:
            run, failures, errors, skipped = map(int, maven[-1])
            bad = failures + errors
            return Reading(self.tool, run - skipped - bad, bad, stopped=stopped)
        if gradle:
            done = [tuple(int(part or 0) for part in item) for item in gradle]
            bad = sum(item[1] for item in done)
            return Reading(self.tool, sum(item[0] - item[2] for item in done) - bad, bad, stopped=stopped)
        return Reading(self.tool, stopped=stopped) if stopped else None


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and line.endswith("}"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value
