"""Asking a consultant, which turns a person's sentence into a specification (ROLE-5)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import SpecDraft
from aegis_tui.ports.code_map import WorkspaceFolders


class Consulted(NamedTuple):
    """How a consultation ended."""

    draft: SpecDraft | None
    """None if there is none."""
    problem: str = ""
    """Why there is none."""
    is_final: bool = True
    """Whether another attempt would end in the same way; False if, for example, no model server answered."""


class Consultant(Protocol):
    """Drafts specifications without blocking the event loop of the hub."""

    async def consult(self, spec: Spec, root: Path, paths: WorkspaceFolders, *, model: str | None) -> Consulted:
        """Look around in the checkout and return a draft, or why there is none; nothing is written.

        Args:
            spec: The draft that a person's sentence and a template made.
            root: The person's checkout.
            paths: The folders of the workspace, with the gateway through which the model is asked.
            model: The model, if the role names none; None for the first that the server lists.
        """
        ...
