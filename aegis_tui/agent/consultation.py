"""A conversation in which a consultant drafts a spec (ROLE-5). It reads the checkout and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from aegis_tui.agent.reading_talk import ReadingTalk
from aegis_tui.domain.role_file import Role
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import PROPOSE_SPEC, SpecDraft, draft_brief, problems_of
from aegis_tui.ports.llm import ChatModel


async def draft_spec(root: Path, role: Role, model: ChatModel, model_name: str, spec: Spec) -> SpecDraft:
    """Return what the consultant hands in for a spec; it fits the rules of a spec.

    Args:
        root: The checkout.
        role: The consultant's role.
        model: The model.
        model_name: Its name.
        spec: The draft that a person's sentence and a template made.

    Raises:
        ModelUnavailable: The server does not answer.
        ModelError: The server refuses, or the model handed in nothing usable within its limits.
        GitError: git cannot list the files.
    """
    talk = ReadingTalk(root, role, model, model_name, end=PROPOSE_SPEC)
    brief = draft_brief(spec, await talk.list_files())
    return cast(SpecDraft, await talk.run(brief, lambda draft: problems_of(spec, cast(SpecDraft, draft))))
