"""`broadcast` refuses data that is no JSON object before it looks for a hub (CLI-4)."""

from __future__ import annotations

import pytest

from aegis_tui.cli import main


@pytest.mark.parametrize(
    ("data", "words"),
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[1]", "is not a JSON object"), ("", "is not JSON")],
    ids=["open", "deep", "list", "empty"],
)
def test_data_that_is_no_object_is_refused(data: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["broadcast", "note:x", "--data", data]) == 2
    assert words in capsys.readouterr().err
