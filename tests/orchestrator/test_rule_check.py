"""A piece is checked with the rules of its base commit, on a real repository (FLOW-9)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.bootstrap.rules import check_commits, rule_check_of
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.errors import UsageError
from aegis_tui.orchestrator.rule_check import RuleReport

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
NOTICE = "# SPDX-License-Identifier: MIT\n"


class Bench:
    """A repository with a base commit and a branch that changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")
        self.put("README.md", "text\n")

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ("-c", "user.name=P", "-c", "user.email=p@example.org")
        argv = ["git", "-C", str(self.folder), *who, *arguments]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    def put(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self) -> str:
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", "x", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def check(self, base: str) -> RuleReport:
        """Commit what was changed since, and check it."""
        head = self.commit()
        return asyncio.run(check_commits(self.folder, {"PATH": os.environ["PATH"]}, base=base, head=head))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def places(found: RuleReport) -> list[tuple[str, str, int | None]]:
    return sorted((item.rule, item.file, item.line) for item in found.findings)


def test_everything_that_a_run_once_called_done_is_found(bench: Bench) -> None:
    base = bench.commit()
    bench.put("src/a.py", f"import os\nKEY = '{AWS}'\n\ndef f():\n    breakpoint()\n")
    bench.put("deploy.pem", "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIE\n")
    bench.put(".env", "A=1\n")
    bench.put("b.txt", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n")
    found = bench.check(base)
    assert places(found) == [
        ("access-key", "src/a.py", 2),
        ("conflict-marker", "b.txt", 1),
        ("conflict-marker", "b.txt", 5),
        ("env-file", ".env", None),
        ("private-key", "deploy.pem", 1),
        ("python-debugger", "src/a.py", 5),
        ("secret", "deploy.pem", 1),
        ("secret", "src/a.py", 2),
    ]
    assert found.scanner.startswith("detect-secrets ")
    assert all(AWS not in item.model_dump_json() for item in found.findings)
    assert all(item.severity == "error" and item.remedy for item in found.findings)


def test_what_the_base_has_already_is_not_blamed_on_the_piece(bench: Bench) -> None:
    bench.put("src/a.py", f"KEY = '{AWS}'\nbreakpoint()\n")
    bench.put(".env", "A=1\n")
    base = bench.commit()
    bench.put("src/a.py", f"KEY = '{AWS}'\nbreakpoint()\nx = 1\n")
    (bench.folder / "src/a.py").rename(bench.folder / "src/b.py")
    assert places(bench.check(base)) == []


def test_changes_to_ci_hooks_and_rules_wait_for_a_person(bench: Bench) -> None:
    bench.put(".github/workflows/ci.yml", "on: push\n")
    base = bench.commit()
    (bench.folder / ".github/workflows/ci.yml").unlink()
    bench.put(".husky/pre-commit", "true\n")
    bench.put(".agents/rules/own.toml", "")
    found = bench.check(base)
    assert {item.rule: item.severity for item in found.findings} == {
        "continuous-integration": "person",
        "hooks": "person",
        "rules-and-agents": "person",
    }


def test_a_piece_cannot_loosen_the_rules_and_its_team_can(bench: Bench) -> None:
    base = bench.commit()
    off = "[[rule]]\nname = 'env-file'\nseverity = 'off'\n"
    bench.put(".agents/rules/own.toml", off + "[[rule]]\nname = 'rules-and-agents'\nseverity = 'off'\n")
    bench.put(".gitattributes", "* binary -diff\n")
    bench.put(".env", "A=1\n")
    bench.put("x.py", "breakpoint()\n")
    assert {item.rule for item in bench.check(base).findings} == {"env-file", "rules-and-agents", "python-debugger"}
    base = bench.git("rev-parse", "HEAD")
    bench.put("b/.env", "A=1\n")
    bench.put(".agents/rules/own.toml", "")
    assert places(bench.check(base)) == []


def test_a_rule_of_the_team_is_obeyed(bench: Bench) -> None:
    rule = "name = 'no-print'\npattern = 'print'\npaths = ['src/**']\nmessage = 'no print'\nseverity = 'warning'\n"
    bench.put(".agents/rules/own.toml", f"[[rule]]\n{rule}")
    base = bench.commit()
    bench.put("src/a.py", "print(1)\n")
    assert [(item.rule, item.severity) for item in bench.check(base).findings] == [("no-print", "warning")]


def test_rules_that_are_not_valid_are_refused_with_their_file(bench: Bench) -> None:
    bench.put(".agents/rules/own.toml", "[[rule]]\nname = 'x'\n")
    base = bench.commit()
    with pytest.raises(UsageError, match=r"\.agents/rules/own\.toml, rule x"):
        bench.check(base)


def test_a_rules_file_that_is_a_link_is_no_file_of_rules(bench: Bench) -> None:
    (bench.folder / ".agents/rules").mkdir(parents=True)
    (bench.folder / ".agents/rules/own.toml").symlink_to("/etc/hostname")
    base = bench.commit()
    with pytest.raises(UsageError):
        bench.check(base)


def test_a_new_file_gets_the_notice_that_the_files_beside_it_have(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.put(f"src/{name}.py", f"{NOTICE}x = 1\n")
    bench.put("other/d.py", "x = 1\n")
    base = bench.commit()
    bench.put("src/new.py", "x = 1\n")
    bench.put("src/good.py", f"{NOTICE}x = 1\n")
    bench.put("src/new.js", "let x\n")
    assert places(bench.check(base)) == []
    (bench.folder / "other/d.py").unlink()
    (bench.folder / "src/new.py").unlink()
    base = bench.commit()
    bench.put("src/newer.py", "x = 1\n")
    assert places(bench.check(base)) == [("licence-header", "src/newer.py", None)]


@pytest.mark.thorough
def test_binary_and_large_files_wait_and_pictures_do_not(bench: Bench) -> None:
    base = bench.commit()
    bench.put("tool", b"\x7fELF\0\0")
    bench.put("icon.png", b"\x89PNG\0\0")
    bench.put("big.csv", "x,y\n" * 300_000)
    assert places(bench.check(base)) == [("binary", "tool", None), ("large-file", "big.csv", None)]


def test_a_file_that_no_rule_can_look_into_waits(bench: Bench) -> None:
    base = bench.commit()
    bench.put("big.csv", "x,y\n" * 1_200_000)
    assert ("unreadable", "big.csv", None) in places(bench.check(base))


def test_odd_names_links_and_submodules_are_no_obstacle(bench: Bench) -> None:
    base = bench.commit()
    name = os.fsencode(str(bench.folder)) + b"/caf\xe9 \n.py"
    with open(name, "wb") as file:  # noqa: PTH123  # a name that is not UTF-8
        file.write(b"breakpoint()\n")
    (bench.folder / "link").symlink_to("README.md")
    (bench.folder / "sub").mkdir()
    Bench(bench.folder / "sub").commit()
    assert [(item.rule, item.line) for item in bench.check(base).findings] == [("python-debugger", 1)]


@pytest.mark.thorough
def test_a_long_piece_is_judged_in_another_process(bench: Bench) -> None:
    base = bench.commit()
    bench.put("a.py", "x = 1\n" * 60_000 + "breakpoint()\n")
    assert places(bench.check(base)) == [("python-debugger", "a.py", 60_001)]


def test_rules_that_take_too_long_leave_the_decision_to_a_person(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.adapters.apart.ANSWER_S", 0.0)
    base = bench.commit()
    bench.put("a.py", "x = 1\n" * 60_000)
    found = bench.check(base).findings
    assert [(item.rule, item.severity) for item in found] == [("unreadable", "person")]


def test_files_and_rules_of_a_base_are_read_once(bench: Bench) -> None:
    base, asked = bench.commit(), []

    async def main() -> tuple[RuleFinding, ...]:
        check = rule_check_of(await open_repository(bench.folder), {"PATH": os.environ["PATH"]})
        listed = check._list_files

        async def count(oid: str) -> dict[str, str]:
            asked.append(oid)
            return await listed(oid)

        check._list_files = count
        for _ in range(2):
            await check.check(base=base, into=base, head=base)
        return (await check.check(base=base, into=base, head=base)).findings

    assert (asyncio.run(main()), asked) == ((), [base])
