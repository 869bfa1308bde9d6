"""Has drafts of specs filled in by a consultant, in the background (ROLE-5, SPEC-6).

Which drafts wait is written in their files: `assignedAgent` is `consultant`. So a hub that was killed goes on with
them, and a person takes a draft back by clearing that field or by setting another status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_scan import SeenSpec, SpecScan
from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.inert import inert
from aegis_tui.domain.spec.document import Requirement, Spec, SpecTask
from aegis_tui.domain.spec.draft import CONSULTANT, with_draft
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.consultant import Consultant, Consulted
from aegis_tui.sdk.discovery import WorkspacePaths

LOOK_S: Final = 1.0
"""How often the folder is looked at, in seconds."""

RETRY_S: Final = 30.0
"""How long after a failure the consultant is asked, or the folder looked at, again, in seconds."""

_AT_ONCE: Final = 4
_log = logging.getLogger(__name__)

FindModel = Callable[[], tuple[bool, str | None]]
"""Reads the settings: whether specs are worked on at all, and which model is asked; blocks. May raise `UsageError`."""


class _TakenBackError(Exception):
    """The person took the draft back while the consultant worked."""


class ConsultService:
    """A `HubService`: looks for drafts that wait for the consultant, and asks for up to four at the same time.

    Args:
        folder: The specs of the person's checkout.
        consultant: Drafts specifications.
        find_model: Reads the settings.
    """

    def __init__(self, folder: SpecFolder, consultant: Consultant, find_model: FindModel) -> None:
        self._folder, self._scan = folder, SpecScan(folder)
        self._consultant, self._find_model = consultant, find_model
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._logged = ""

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Begin to look at the folder, until `stop`."""
        self._task = asyncio.create_task(self._look_forever(paths), name="hub-consultant")

    async def stop(self) -> None:
        """End all consultations; their drafts still wait, in their files."""
        tasks = [*([self._task] if self._task else []), *self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Return None: the service adds nothing to commands."""

    async def _look_forever(self, paths: WorkspaceFolders) -> None:
        while True:
            try:
                await asyncio.to_thread(self._scan.look)
                await self._begin(paths)
                self._logged = ""
            except (AegisError, OSError) as error:
                if self._logged != str(error):  # once while it lasts, not at each look
                    self._logged = str(error)
                    _log.warning("the drafts could not be read", extra={"aegis_error": str(error)})
            except Exception:
                _log.exception("reading the drafts failed unexpectedly")
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(LOOK_S)

    async def _begin(self, paths: WorkspaceFolders) -> None:
        self._busy = {spec_id: task for spec_id, task in self._busy.items() if not task.done()}
        waiting = [seen for seen in self._scan.known() if self._may_begin(seen)][: _AT_ONCE - len(self._busy)]
        if not waiting:
            return
        is_wanted, model = await asyncio.to_thread(self._find_model)
        for seen in waiting if is_wanted else ():
            if seen.spec is not None:
                task = asyncio.create_task(self._consult(seen.spec_id, seen.spec, paths, model))
                self._busy[seen.spec_id] = task

    def _may_begin(self, seen: SeenSpec) -> bool:
        is_due = time.monotonic() >= self._not_before.get(seen.spec_id, 0.0)
        return seen.spec is not None and waits(seen.spec) and is_due and seen.spec_id not in self._busy

    async def _consult(self, spec_id: str, spec: Spec, paths: WorkspaceFolders, model: str | None) -> None:
        try:
            answer = await self._consultant.consult(spec, self._folder.root, paths, model=model)
            if answer.draft is None and not answer.is_final:
                self._not_before[spec_id] = time.monotonic() + RETRY_S
                extra = {"aegis_spec": spec_id, "aegis_error": inert(answer.problem)}
                _log.warning("the consultant will be asked again", extra=extra)
                return
            await asyncio.to_thread(self._write, spec_id, spec, answer)
        except _TakenBackError:
            _log.info(
                "a draft was not filled in, because it no longer waits for the consultant",
                extra={"aegis_spec": spec_id},
            )
        except (AegisError, OSError) as error:
            self._not_before[spec_id] = time.monotonic() + RETRY_S
            _log.warning("a draft was not filled in", extra={"aegis_spec": spec_id, "aegis_error": str(error)})
        except Exception:
            self._not_before[spec_id] = time.monotonic() + RETRY_S  # else the model is asked at each look
            _log.exception("filling in a draft failed unexpectedly", extra={"aegis_spec": spec_id})

    def _write(self, spec_id: str, before: Spec, answer: Consulted) -> None:
        """Write the answer into the file of the spec, where the person has not changed it meanwhile.

        Raises:
            _TakenBackError: The draft does not wait any more.
            AegisError: The file breaks a rule, is gone, or is written by another program all the time.
            OSError: It cannot be written.
        """

        def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
            if not waits(spec):
                raise _TakenBackError
            if answer.draft is None:
                return [Edit(("assignedAgent",), "")], f"the consultant has no draft: {inert(answer.problem)}"
            return _edits(spec, with_draft(spec, answer.draft, before=before)), "drafted; status draft -> review"

        self._folder.change(spec_id, plan, author=CONSULTANT, now=datetime.now(UTC))


def waits(spec: Spec) -> bool:
    """Return whether a spec is a draft that the consultant has to fill in."""
    return spec.status == "draft" and spec.assignedAgent == CONSULTANT


def _edits(old: Spec, new: Spec) -> list[Edit]:
    """Return what to set so that the file says what `new` says, for the fields that a consultant fills in."""
    edits = [Edit(("status",), new.status), Edit(("assignedAgent",), new.assignedAgent)]
    if new.metadata.description != old.metadata.description:
        edits.append(Edit(("metadata", "description"), new.metadata.description))
    changed = [name for name in ("requirements", "tasks") if getattr(new, name) != getattr(old, name)]
    return [*edits, *(Edit((name,), [_shown(item) for item in getattr(new, name)]) for name in changed)]


def _shown(item: Requirement | SpecTask) -> dict[str, Any]:
    """Return the fields of a requirement or a task that a person should see, also if they are empty."""
    shown = {"id", "description", "acceptanceCriteria", "title", "dependencies", "files"}
    return item.model_dump(mode="json", include=shown)
