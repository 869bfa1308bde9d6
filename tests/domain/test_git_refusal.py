"""What git's refusals mean, and whether the next one to try meets the same (FLOW-10)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.git_refusal import read_refusal

OID = "a" * 40


@pytest.mark.parametrize(
    ("line", "code", "is_certain"),
    [
        ("fatal: write error: No space left on device", "disk.full", True),
        ("error: external filter 'lfs' failed", "git.filter", True),
        ("error: insufficient permission for adding an object to repository database", "git.store", True),
        ("fatal: could not open '.git/x' for writing: Permission denied", "git.store", True),
        (f"fatal: unable to read {OID}", "git.objects", True),
        ("error: object file .git/objects/aa/bb is empty", "git.objects", True),
        ("fatal: detected dubious ownership in repository at '/r'", "git.ownership", True),
        ("fatal: Unable to create '/r/.git/index.lock': File exists.", "git.locked", False),
    ],
)
def test_a_line_of_git_is_known(line: str, code: str, is_certain: bool) -> None:
    found = read_refusal(f"hint: look here\n{line}\n")
    assert found is not None
    assert (found.code, found.is_certain) == (code, is_certain)


@pytest.mark.parametrize("output", ["", "fatal: bad revision 'x'", "my hook: No space left on device"])
def test_other_words_mean_nothing(output: str) -> None:
    assert read_refusal(output) is None
