"""Asks the mentor about a run, through the workspace's gateway (ROLE-11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aegis_tui.agent.reading_talk import ReadingTalk
from aegis_tui.bootstrap.role_model import model_of
from aegis_tui.bootstrap.roles import all_roles, find_role
from aegis_tui.domain.mentoring import PROPOSE_ROLES, Retrospective, mentor_brief, problems_of, role_diff
from aegis_tui.domain.role_file import TEAM_ROLES
from aegis_tui.sdk.discovery import WorkspacePaths


async def ask_mentor(
    root: Path, paths: WorkspacePaths, report: Mapping[str, Any], failures: Sequence[str], *, model: str | None
) -> tuple[Retrospective, str]:
    """Return the mentor's retrospective, and the changes that it proposes as a diff; nothing is written.

    Args:
        root: The person's checkout.
        paths: The workspace; its hub must run.
        report: The report of the run.
        failures: What failed in the run.
        model: The model, if the role names none; None for the first that the server lists.

    Raises:
        UsageError: A role file is not valid.
        ModelUnavailable: No model server answers.
        ModelError: The server refuses, or the mentor handed in nothing usable.
        GitError: git fails.
    """
    role, _ = find_role(root, "mentor")
    files = {item.name: path for item, path in all_roles(root)[0]}
    texts = {name: path.read_text("utf-8") for name, path in files.items()}
    async with model_of(role, paths, model) as (chat, name):
        talk = ReadingTalk(root, role, chat, name, end=PROPOSE_ROLES)
        brief = mentor_brief(report, failures, texts)
        answer = await talk.run(brief, lambda given: problems_of(cast(Retrospective, given), texts))
    proposal = cast(Retrospective, answer)
    own = [name for name, path in files.items() if path.parent == root / TEAM_ROLES]
    return proposal, role_diff(proposal, texts, own)
