"""The mentor's changes become a diff that git applies; no other change of a role file is accepted (ROLE-11)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from aegis_tui.agent.role import SHIPPED, load_role
from aegis_tui.domain.mentoring import Retrospective, mentor_brief, problems_of, role_diff

ROLES = {name: (SHIPPED / f"{name}.md").read_text("utf-8") for name in ("worker", "scout")}
OLD = "Report failed when the task cannot be done, and say why."


def proposal(*changes: tuple[str, str, str]) -> Retrospective:
    rows = [{"role": role, "reason": "two\ntimes", "old": old, "new": new} for role, old, new in changes]
    return Retrospective.model_validate({"summary": "s", "changes": rows})


def test_git_applies_the_diff_to_a_file_of_the_team_and_creates_another(tmp_path: Path) -> None:
    given = proposal(
        ("worker", OLD, "Say why."), ("scout", "at most thirty lines".title(), "x"), ("worker", "Say why.", "W.")
    )
    assert [text.partition(":")[0] for text in problems_of(given, ROLES)] == ["changes.1.old"]
    given = proposal(("worker", OLD, "Say why."), ("scout", "At most thirty lines.", "Ten lines."))
    assert not problems_of(given, ROLES)
    folder = tmp_path / ".agents" / "agents"
    folder.mkdir(parents=True)
    (folder / "worker.md").write_text(ROLES["worker"], "utf-8")
    (tmp_path / "a.diff").write_text(role_diff(given, ROLES, ["worker"]), "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=20)
    subprocess.run(["git", "apply", "a.diff"], cwd=tmp_path, check=True, timeout=20)
    assert (folder / "worker.md").read_text("utf-8") == ROLES["worker"].replace(OLD, "Say why.")
    assert "Ten lines." in load_role("scout", folders=[folder]).prompt


def test_what_cannot_be_changed_is_named() -> None:
    given = proposal(
        ("nobody", "a", "b"),
        ("worker", "# ", "b"),
        ("worker", "tools: [read", "tools: [bash, read"),
        ("worker", "report]\n---\nYou are", "report, verdict]\n---\nYou are"),
        ("worker", OLD, "Say\x1b[2J why."),
    )
    first, second, third, fourth, fifth = problems_of(given, ROLES)
    assert "fields at the top" in fourth and "invisible" in fifth
    assert "there is no role nobody" in first and "times in the file" in second and "fields at the top" in third
    assert role_diff(proposal(), ROLES, []) == ""


def test_the_brief_has_failures_report_and_roles() -> None:
    text = mentor_brief({"run": "run1"}, ["w01, cart: it broke"], ROLES)
    assert "- w01, cart: it broke" in text and '"run": "run1"' in text and OLD in text
