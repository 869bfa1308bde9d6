"""A worker of a run is told what its partition imports and what imports it, before its first step (MAP-3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_regions import call
from tests.workspace import clean_workspace

pytestmark = pytest.mark.timeout(300)

FILES = {
    "money.py": 'def rounded(sum: float) -> float:\n    """Round to cents."""\n    return round(sum, 2)\n',
    "cart.py": "from money import rounded\n\n\ndef total(prices):\n    return rounded(sum(prices))\n",
    "page.py": "from cart import total\n\n\ndef render(prices):\n    return str(total(prices))\n",
    "tests/test_page.py": (
        "import unittest\n\n\nclass Page(unittest.TestCase):\n    def test_nothing(self):\n        pass\n"
    ),
}
DESIGN: dict[str, Any] = {
    "goal": "Give discounts",
    "features": [
        {"id": "cart", "title": "Discounts", "brief": "Give them. [[script:worker]]", "partition": ["cart.py"]}
    ],
    "qa": {"commands": ["python3 -m unittest discover -s tests"]},
}
AROUND = (
    r"Your partition imports[^$]*money\.py\n  rounded\(sum: float\) -> float  # Round to cents\."
    r"[^$]*page\.py \(uses total\)"
)
SCRIPTS = {
    "worker": [
        {
            "on": AROUND,
            "on_role": "user",
            "steps": [
                call("write", path="cart.py", content=FILES["cart.py"] + "\n# discounts\n"),
                call("report", status="done", summary="Give discounts"),
            ],
        },
        {"on": "Give them", "on_role": "user", "steps": [call("report", status="failed", summary="nothing is around")]},
    ],
    "reviewer": [
        {"steps": [call("verdict", decision="approve", criteria=[{"id": "done", "pass": True, "evidence": "read it"}])]}
    ],
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def test_the_brief_of_a_worker_has_the_signatures_around_its_partition(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name, sections in SCRIPTS.items():
        (scripts / f"{name}.json").write_text(json.dumps({"scripts": sections}))
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN))
    model = RecordedLLM(scripts)
    words = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    try:
        report = workspace.aegis("run", "Give discounts", *words, "--note", "reviewer=[[script:reviewer]]").json
    finally:
        model.close()
    assert report.get("error") is None
    assert [item["piece"] for item in report["pieces"]] == ["cart"]
