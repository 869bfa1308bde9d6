from __future__ import annotations

import pytest
from pydantic import ValidationError

from aegis_tui.domain.role_file import Role, split_front_matter
from aegis_tui.errors import UsageError


def test_front_matter_and_prompt_are_told_apart() -> None:
    assert split_front_matter("---\nname: a\n---\n\nYou work.\n---\nmore\n") == ("name: a", "You work.\n---\nmore")


@pytest.mark.parametrize("text", ["", "name: a\n---\n", "---\nname: a\n"])
def test_a_file_without_closed_front_matter_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_front_matter(text)


def test_a_role_with_an_unknown_tool_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="unknown tools: push"):
        Role(name="x", description="x", tools=("read", "push"), prompt="x")


def test_a_role_that_can_change_files_hands_in() -> None:
    assert Role(name="x", description="x", tools=("read", "edit"), prompt="x").writes
    assert not Role(name="x", description="x", tools=("read", "bash"), prompt="x").writes
