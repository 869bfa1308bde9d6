"""What an instance tells of its own state."""

from __future__ import annotations

import asyncio
import io
from typing import Any, cast

import pytest

from aegis_tui.agent.pane import Pane
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.instance.commands import AgentReport
from aegis_tui.errors import Refused
from aegis_tui.ports.hub_link import HubLink


class Gone:
    """A hub that has ended the instance."""

    async def command(self, name: str, **fields: Any) -> dict[str, Any]:
        raise Refused("this token is no longer valid", "join again: aegis-tui connect", code="unauthorized")


class Hearing:
    """A hub that takes every report."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []

    async def command(self, name: str, **fields: Any) -> dict[str, Any]:
        self.reports.append(fields)
        return {}


def test_a_refused_name_is_told_with_the_next_heartbeat_and_with_every_report_after_it() -> None:
    hub = Hearing()
    progress = Progress(cast(HubLink, hub), Screen(Pane(io.StringIO())))

    async def work() -> None:
        await progress.enter("implementing", "the form")
        progress.name_blocked("files.example.org")
        await progress.tell_again()
        await progress.tell_again()
        progress.name_blocked("github.com")
        progress.name_blocked("github.com")
        progress.name_blocked("")
        await progress.enter("done", "it works")

    asyncio.run(work())
    told = [(item["state"], item["note"], item.get("blocked_names")) for item in hub.reports]
    assert told == [
        ("implementing", "the form", None),
        ("implementing", "the form", ("files.example.org",)),
        ("done", "it works", ("files.example.org", "github.com")),
    ]


def test_a_refused_name_does_no_harm_where_it_is_shown_and_at_most_64_are_kept() -> None:
    pane, hub = io.StringIO(), Hearing()
    progress = Progress(cast(HubLink, hub), Screen(Pane(pane)))
    progress.name_blocked("\x1b[2j.evil\n" + "x" * 300)
    for number in range(100):
        progress.name_blocked(f"n{number}")
    asyncio.run(progress.report())
    (report,) = hub.reports
    command = AgentReport.model_validate(
        {"type": "agent:report", "state": "idle", "blocked_names": report["blocked_names"]}
    )
    assert command.blocked_names[:2] == (("??2j.evil?" + "x" * 300)[:253], "n0")
    assert len(command.blocked_names) == 64 and pane.getvalue().count("outside the boundary") == 64
    assert "\x1b" not in pane.getvalue()


@pytest.mark.parametrize(("state", "is_told"), [("done", False), ("implementing", True)])
def test_an_instance_that_the_hub_ended_for_what_it_handed_in_shows_no_failure(state: str, is_told: bool) -> None:
    pane = io.StringIO()
    progress = Progress(cast(HubLink, Gone()), Screen(Pane(pane)))
    asyncio.run(progress.enter(state))
    assert ("did not accept a report" in pane.getvalue()) is is_told
