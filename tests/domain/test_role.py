"""What a role is stands in one table, and the role files agree with it (ROLE-1 to ROLE-13)."""

from __future__ import annotations

from typing import get_args

import pytest

from aegis_tui.agent.role import SHIPPED, load_role
from aegis_tui.domain.instance.model import AgentStateName
from aegis_tui.domain.role import COMMON_TOOLS, ROLES, traits_of
from aegis_tui.sdk.tools import Tools


def test_every_role_has_a_file_and_a_letter_of_its_own() -> None:
    assert {path.stem for path in SHIPPED.glob("*.md")} == set(ROLES)
    assert len({traits.prefix for traits in ROLES.values()}) == len(ROLES)


@pytest.mark.parametrize("name", ROLES)
def test_the_traits_of_a_role_fit_each_other_and_its_file(name: str) -> None:
    traits, file = ROLES[name], load_role(name)
    assert file.writes is traits.is_builder
    assert traits.is_writer or not traits.is_builder
    assert traits.has_writable_worktree or not traits.is_writer
    assert traits.start_state in get_args(AgentStateName)
    assert set(COMMON_TOOLS) <= set(traits.mcp_tools) <= set(dir(Tools))


def test_a_role_that_is_not_known_has_what_every_role_has() -> None:
    traits = traits_of("archivist")
    assert (traits.is_builder, traits.is_writer, traits.is_judge) == (False, False, False)
    assert traits.mcp_tools == ("report_done", *COMMON_TOOLS) == traits_of("mentor").mcp_tools
