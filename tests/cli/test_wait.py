"""`wait` for a run that there is not says so at once: it would wait for ever (CLI-1)."""

from __future__ import annotations

from aegis_tui.testing.scratch import ScratchWorkspace


def test_a_run_that_there_is_not_is_not_waited_for(served: ScratchWorkspace) -> None:
    refused = served.aegis("wait", "nope")
    assert refused.code == 2
    assert refused.err.splitlines()[0] == "aegis-tui: there is no run nope"
    assert "aegis-tui runs" in refused.err
