"""Asks a consultant in a process of its own, which can be ended at any time (ROLE-5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from aegis_tui.adapters.code_map.program import ask_program
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import SpecDraft
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.consultant import Consulted

_LONGEST_S: Final = 3600.0
PROGRAM: Final = "aegis_tui.bootstrap.consultant_child"
"""The module that is run: it reads what is wanted as JSON from stdin, and prints how it ended as JSON."""


class ChildConsultant:
    """Implements `Consultant`: starts a process for each spec, and kills it if the consultation is cancelled."""

    async def consult(self, spec: Spec, root: Path, paths: WorkspaceFolders, *, model: str | None) -> Consulted:
        """Return what a process made of the spec; it has ended when this returns or is cancelled.

        `Consultant.consult` describes the arguments. A process that fails, or takes an hour, counts as a problem that
        may pass.
        """
        fields = {
            **{"spec": spec.model_dump(mode="json"), "root": str(root), "key": paths.key, "model": model},
            **{"state_dir": str(paths.state_dir), "runtime_dir": str(paths.runtime_dir)},
        }
        said = await ask_program(PROGRAM, json.dumps(fields).encode(), timeout_s=_LONGEST_S)
        try:
            report = json.loads(said)
            draft = None if report["draft"] is None else SpecDraft.model_validate(report["draft"])
            return Consulted(draft, str(report["problem"]), bool(report["is_final"]))
        except (ValueError, KeyError, TypeError):
            return Consulted(None, "the process of the consultant failed", is_final=False)
