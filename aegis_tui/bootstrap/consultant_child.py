"""The program that drafts a spec for the hub: JSON on stdin, JSON on stdout (see `ChildConsultant`)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aegis_tui.agent.consultation import draft_spec
from aegis_tui.bootstrap.role_model import model_of
from aegis_tui.bootstrap.roles import find_role
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import CONSULTANT, SpecDraft
from aegis_tui.errors import AegisError, ModelError, UsageError
from aegis_tui.sdk.discovery import WorkspacePaths


async def consult(fields: dict[str, Any]) -> SpecDraft:
    """Return the consultant's draft of a spec; the model is asked through the workspace's gateway.

    Args:
        fields: `spec` (a `Spec`), `root`, `model`, and `key`, `state_dir` and `runtime_dir` of the workspace.

    Raises:
        AegisError: There is none.
        KeyError, TypeError, ValueError: `fields` has another form.
    """
    root = Path(fields["root"])
    paths = WorkspacePaths(fields["key"], Path(fields["state_dir"]), Path(fields["runtime_dir"]))
    role, _ = find_role(root, CONSULTANT)
    async with model_of(role, paths, fields["model"]) as (model, name):
        return await draft_spec(root, role, model, name, Spec.model_validate(fields["spec"]))


def main() -> int:
    """Draft a spec as stdin says, print how it ended and return 0; an `AegisError` is its `problem`.

    Any other error is raised.
    """
    try:
        draft = asyncio.run(consult(json.load(sys.stdin)))
        report = {"draft": draft.model_dump(mode="json"), "problem": "", "is_final": True}
    except AegisError as error:
        is_final = isinstance(error, UsageError) or (isinstance(error, ModelError) and error.is_certain)
        report = {"draft": None, "problem": f"{error.message}; {error.hint}".rstrip("; "), "is_final": is_final}
    sys.stdout.write(json.dumps(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
