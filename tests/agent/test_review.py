"""A reviewer's answer that does not fit is sent back with what is wrong, a bounded number of times (FLOW-11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.testing.canned_llm import Canned, calls

Play = Callable[..., None]
ME = "NATIVE-w01"
CRITERIA = [{"id": "brief", "pass": False, "evidence": "src/routes.py:1"}]


def verdict(**finding: Any) -> Canned:
    """A reply of the model that rejects with one finding."""
    fields = {"decision": "reject", "criteria": CRITERIA, "findings": [{"msg": "wrong", **finding}]}
    return calls(("verdict", fields))


async def review(bench: Any, *replies: Canned) -> None:
    bench.server.will(*replies)
    await bench.hub.prompt(ME, "Review.", review_id="run1-v1", task="review")


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        ({"file": "src/routes.py", "line": "first"}, "findings.0.line"),
        ({"file": "src/routes.py", "line": 5, "end_line": 4}, "findings.0.end_line"),
        ({"file": "src/routes.py", "line": 900}, "src/routes.py has "),
        ({"file": "src/nothing.py", "line": 1}, "there is no file src/nothing.py"),
        ({"file": "../secret", "line": 1}, "relative to the repository"),
    ],
)
def test_a_malformed_finding_comes_back_and_is_corrected(play: Play, finding: dict[str, Any], told: str) -> None:
    async def scenario(bench: Any) -> None:
        await review(bench, verdict(**finding), verdict(file="src/routes.py", line=1, rule="input", confidence=0.8))
        await bench.ends("done")
        assert told in bench.results()[0]
        (sent,) = bench.hub.of_type("review:verdict")
        assert sent.fields["findings"][0]["line"] == 1 and sent.fields["findings"][0]["rule"] == "input"

    play(scenario, role="reviewer")


@pytest.mark.parametrize("finding", [{"confidence": 90}, {"file": "src/routes.py", "line": 900}])
def test_a_reviewer_that_never_corrects_itself_fails(play: Play, finding: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        await review(bench, *[verdict(**finding)] * 20)
        await bench.ends("failed")
        assert not bench.hub.of_type("review:verdict")
        assert 2 < len(bench.server.requests) < 10

    play(scenario, role="reviewer")


def test_a_finding_about_a_deleted_file_needs_no_line(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await review(bench, verdict(file="src/gone.py"))
        await bench.ends("done")

    play(scenario, role="reviewer")


def test_the_hub_is_told_that_the_reviewer_reads_before_the_model_is_asked(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await review(bench, verdict())
        await bench.ends("done")
        assert "reviewing" in [item.fields["state"] for item in bench.hub.of_type("agent:report")]

    play(scenario, role="reviewer")
