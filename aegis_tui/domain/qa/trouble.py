"""Find out why a command could not run, from its exit code and output, and what would help. Does no IO."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

from aegis_tui.domain.qa.command import program_name, programs_of
from aegis_tui.domain.qa.obstacle import Obstacle, ObstacleKind
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.package import PLACEHOLDER
from aegis_tui.domain.qa.readers.base import plain

NOT_FOUND, NOT_EXECUTABLE = 127, 126
TIMED_OUT = 124
"""The exit code of `timeout` (coreutils) when the time is up."""

LAST_LINES = 3

_KILLERS = frozenset({"SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGSEGV"}) | {
    "SIGTERM",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGSYS",
    "SIGTRAP",
    "SIGPIPE",
    "SIGALRM",
}
_ABSENT = (
    re.compile(r"^\S*(?:ba|da|z|k)?sh: (?:line \d+: |\d+: )?(\S+): (?:command )?not found$", re.M),
    re.compile(r"^\S*(?:ba|da|z|k)?sh: (?:line \d+: |\d+: )?(\S+): No such file or directory$", re.M),
    re.compile(r"^(?:\S*/)?env: ['‘]?([^'’\n]+?)['’]?: No such file or directory$", re.M),
    re.compile(r"^make(?:\[\d+\])?: (\S+): No such file or directory$", re.M),
)
_NO_FOLDER = re.compile(
    r"^\S*sh: (?:line \d+: |\d+: )?cd: (?:can't cd to )?(\S+?)(?:: No such file or directory)?$", re.M
)
_NO_MODULE = re.compile(r"^\S*python[\d.]*: No module named '?([\w.]+)'?", re.M)
_OWN_PYTHON = re.compile(r"^\S*/(\.?v?env/bin/python[\d.]*): No module named", re.M)
"""The Python of a virtual environment at one of the usual paths in a repository."""

_NO_NODE_MODULE = re.compile(r"^Error: Cannot find module '([^'\n]+)'", re.M)
_NPM_ABSENT = re.compile(
    r"^npm (?:ERR!|error) (?:could not determine executable to run|canceled due to missing packages)", re.M
)
_NO_SCRIPT = re.compile(
    r"(?:Missing script: \"?([\w:.-]+)|ERR_PNPM_NO_SCRIPT\S{0,40} +Missing script: (\S+)"
    r"|error Command \"([\w:.-]+)\" not found)"
)
_MAKE_ERROR = r"^make(?:\[\d+\])?: \*\*\* .*Error"
_SHELL_ERROR = re.compile(rf"{_MAKE_ERROR} (12[67]|1[3-4]\d)$", re.M)
_MISSING_PACKAGE = re.compile(r"Cannot find (?:module|package) '([^'\n]+)'|Failed to resolve import \"([^\"\n]+)\"")
_MISSING_IMPORT = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_REMEDIES = {
    "go": "install Go (https://go.dev/dl), or put it on PATH",
    "cargo": "install Rust (https://rustup.rs), or put cargo on PATH",
    "pytest": "python3 -m pip install pytest",
    "npm": "install Node.js with npm (https://nodejs.org)",
    "node": "install Node.js (https://nodejs.org)",
    "pnpm": "corepack enable pnpm",
    "yarn": "corepack enable yarn",
    "mvn": "install Maven (https://maven.apache.org)",
    "ctest": "install CMake (https://cmake.org)",
}
_STARTERS = frozenset({"npm", "pnpm", "yarn", "bun", "make", "just", "task"})
"""Programs that run commands which the project defines."""

_FROM_NPM = frozenset({"jest", "vitest", "mocha", "tsc", "eslint", "ava", "tap", "karma", "playwright", "cypress"})
OWN_COMMAND = "or name another command in the design: qa: {commands: [...]}"


def find_trouble(command: str, outcome: Outcome) -> Obstacle | None:
    """Return why the command certainly did not run to its end, by how it ended; None when it may have.

    That is: the first obstacle in the outcome, a time limit (its own or that of the run), a missing program, or a
    signal.
    """
    if outcome.obstacles:
        return outcome.obstacles[0]
    text = plain(outcome.output)
    if outcome.exit_code is None:
        last = last_lines(text)
        said = f"; its last lines: {last}" if last else "; it printed nothing"
        remedy = "allow it more time: qa.timeout_s in the configuration, or qa: {timeout_s: ...} in the design"
        return Obstacle(kind="timed_out", reason=f"it was ended after {outcome.timeout_s:.0f} s{said}", remedy=remedy)
    if outcome.exit_code == TIMED_OUT or re.search(rf"{_MAKE_ERROR} {TIMED_OUT}$", text, re.M):
        reason = f"its own time limit ended it; its last lines: {last_lines(text) or 'none'}"
        return Obstacle(kind="timed_out", reason=reason, remedy="set a longer time limit in the command")
    if outcome.exit_code in (NOT_FOUND, NOT_EXECUTABLE):
        return _absent(command, outcome.exit_code, text)
    return _killed(outcome.exit_code, text)


def guess_trouble(command: str, outcome: Outcome) -> Obstacle | None:
    """Return what the output of a failed command names as the reason why no test ran; None when it names none.

    Call it only for a command without any test result: the output of tests may say the same. None also for exit code 0
    and for a command without one.
    """
    if not outcome.exit_code:
        return None
    text = plain(outcome.output)
    if text.startswith("bwrap: "):
        return Obstacle(kind="environment", reason=f"the sandbox did not start: {last_lines(text)}")
    if folder := _last(_NO_FOLDER, text):
        remedy = f"correct the path, {OWN_COMMAND}"
        return Obstacle(kind="environment", reason=f"the tree has no folder {folder}", remedy=remedy)
    programs = {words[0] for words in programs_of(command)}
    if programs & _STARTERS and (name := _first(_ABSENT, text)):
        return missing(name)
    if name := _last(_NO_MODULE, text):
        return missing(name, "Python module ", python=_last(_OWN_PYTHON, text) or "python3")
    if (scripts := _NO_SCRIPT.findall(text)) and programs & _STARTERS:
        return no_script(next(filter(None, scripts[0]), "test"))
    if _NPM_ABSENT.search(text):
        return Obstacle(kind="dependency_missing", reason="its program is not in node_modules", remedy="npm ci")
    if name := _last(_NO_NODE_MODULE, text):
        return Obstacle(kind="dependency_missing", reason=f"node cannot find the module {name}", remedy="npm ci")
    return None


def _absent(command: str, exit_code: int, text: str) -> Obstacle:
    name = _first(_ABSENT, text) or program_name(command)
    if exit_code == NOT_EXECUTABLE:
        return Obstacle(kind="program_missing", reason=f"{name} cannot be executed", remedy=f"chmod +x {name}")
    return missing(name)


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> str:
    return next((capture for pattern in patterns if (capture := _last(pattern, text))), "")


def _last(pattern: re.Pattern[str], text: str) -> str:
    captures = pattern.findall(text)
    return str(captures[-1]) if captures else ""


def no_script(name: str) -> Obstacle:
    """Return the obstacle that package.json has no script of this name, with what to do about it."""
    return Obstacle(
        kind="program_missing", reason=f"package.json has no script {name}", remedy=f"add it, {OWN_COMMAND}"
    )


def missing(name: str, what: str = "", *, python: str = "python3") -> Obstacle:
    """Return the obstacle of a missing program or module, with the command that installs it, else `install NAME`.

    Args:
        name: The program, which may be a path, or the module.
        what: What stands before the name in the reason. Empty for a program; any other text, such as `Python module `,
            makes it a module that pip installs.
        python: The Python that lacks the module and should install it.
    """
    base = name.rsplit("/", 1)[-1]
    from_npm = base in _FROM_NPM or "node_modules" in name
    pip = f"{python} -m pip install {base}"
    remedy = "npm ci" if from_npm else pip if what else _REMEDIES.get(base, f"install {base}")
    kind: ObstacleKind = "dependency_missing" if what or from_npm else "program_missing"
    return Obstacle(kind=kind, reason=f"{what}{name} is missing", remedy=f"{remedy}, {OWN_COMMAND}")


def _killed(exit_code: int, text: str) -> Obstacle | None:
    number = -exit_code if exit_code < 0 else exit_code - 128
    if match := _SHELL_ERROR.search(text):
        number = int(match[1]) - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return None
    if exit_code >= 0 and name not in _KILLERS:
        return None
    last = last_lines(text)
    why = " (out of memory?)" if name == "SIGKILL" else ""
    return Obstacle(
        kind="killed", reason=f"it was killed by {name}{why}" + (f"; its last lines: {last}" if last else "")
    )


def last_lines(text: str) -> str:
    """Return the last three lines of an output that are not blank, cut to 120 characters each and joined with ` / `.

    Empty for an output without such lines.
    """
    lines = [line.strip()[:120] for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-LAST_LINES:])


def is_placeholder(text: str) -> bool:
    """Return whether an output is that of the test script which npm writes into a new package, so that no test ran."""
    return f"Error: {PLACEHOLDER}" in text


def import_remedy(text: str) -> str:
    """Return what would repair the missing import that the output names; empty when it names none."""
    if match := _MISSING_IMPORT.search(text):
        name = match[1].partition(".")[0]
        return f"make the module {name} importable for QA: install it, or bring the file back"
    if match := _MISSING_PACKAGE.search(text):
        name = next(filter(None, match.groups()))
        return f"install {name} in your checkout (npm install), or bring the file back"
    return ""
