"""The prompts of a run's instances are equal, byte for byte, as long as they say the same (LLM-3, PERF-9)."""

from __future__ import annotations

import itertools
import json
from typing import Any, NamedTuple

import pytest

from aegis_tui.agent.role import load_role
from aegis_tui.domain.core import Actor
from aegis_tui.domain.instance.commands import InstanceMarkExited
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.prompt import opening_text, scope_text, system_text
from aegis_tui.domain.review.commands import ReviewVerdict
from aegis_tui.domain.review.lens import ReviewLens
from aegis_tui.domain.scope.text import scope_of, shared_text
from aegis_tui.domain.tool.model import tool_schemas
from tests.domain.test_core import Hub

LENSES = (ReviewLens(name="general"), ReviewLens(name="security", brief="- injection: nothing unescaped"))
TASK, SCOPE = "# Your task", "# Your scope"


def design(features: int) -> dict[str, Any]:
    return {
        "goal": "Build the shop",
        "foundation": {"brief": "Types for all.", "partition": ["src/base/**"]},
        "features": [
            {
                "id": f"f{number:02}",
                "title": f"Part {number:02}",
                "brief": "Build it.",
                "partition": [f"src/{number:02}/**"],
            }
            for number in range(features)
        ],
        "joint": ["src/routes.py"],
        "shared": ["src/lib/**"],
    }


def shared_start(one: str, two: str) -> str:
    return "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


class Prompt(NamedTuple):
    """The first prompt of one instance."""

    instance: Instance
    lens: str | None
    system: str
    opening: str

    @property
    def own(self) -> str:
        """What is the instance's alone."""
        return self.opening[self.opening.index(TASK) :]

    @property
    def rendered(self) -> str:
        """As a chat template puts it together."""
        return self.system + json.dumps(tool_schemas(load_role(self.instance.role).tools)) + self.opening


class Bench:
    """A run of which every instance is taken down as soon as it has got its prompt."""

    def __init__(self, features: int) -> None:
        self.hub = Hub()
        self.hub.start(design(features), workers=features, scouts=True, found={"lenses": LENSES})
        self.prompts: list[Prompt] = []

    def look(self) -> None:
        """Read the prompts of all instances that were planned meanwhile."""
        hub = self.hub
        for item in list(hub.workspace.instances.alive()):
            if item.phase is Phase.PLANNED:
                hub.bring_up(item.agent_id)
                (brief,) = hub.workspace.messages.for_agent(item.agent_id)
                scope, guidance = scope_of(hub.workspace, hub.run, item), str(brief.context.get("guidance", ""))
                own = scope_text(item.agent_id, partition=scope["partition"], moved=scope["moved"])
                opening = opening_text((load_role(item.role).prompt, guidance), brief.text, own)
                review = hub.run.reviews.get(item.review_id or "")
                lens = review.lens if review else None
                self.prompts.append(Prompt(item, lens, system_text(shared_text(hub.run)), opening))

    def approve(self) -> None:
        """Give the verdict of every reviewer, the later ones included."""
        hub = self.hub
        while reviewers := list(hub.living("reviewer")):
            self.look()
            for name in reviewers:
                review = hub.workspace.instances.by_id[name].review_id or ""
                hub.send(ReviewVerdict(review_id=review, decision="approve"), Actor(name, "instance"))
            hub.bring_down()


@pytest.fixture(scope="module")
def bench() -> Bench:
    made = Bench(8)
    made.look()
    (commander,) = made.hub.living("commander")
    made.hub.land(commander, "b0", ("src/base/x.py",))
    made.look()
    for number, worker in enumerate(list(made.hub.living("worker"))):
        piece = made.hub.workspace.instances.by_id[worker].piece or ""
        made.hub.submit(worker, f"a{number}")
        made.hub.check(piece, f"a{number}", (f"src/{number:02}/x.py",))
        made.approve()
    return made


@pytest.mark.thorough
def test_the_prompts_of_a_run_part_where_they_say_something_different(bench: Bench) -> None:
    assert len(bench.prompts) > 20
    assert {item.instance.role for item in bench.prompts} == {"commander", "worker", "scout", "reviewer"}
    for one, two in itertools.combinations(bench.prompts, 2):
        same, names = shared_start(one.rendered, two.rendered), (one.instance.agent_id, two.instance.agent_id)
        assert same.startswith(one.system), (names, same[-80:])
        if (one.instance.task, one.lens) == (two.instance.task, two.lens):
            assert same.startswith(one.rendered[: one.rendered.index(TASK)]), (names, same[-80:])


def test_nothing_before_an_instances_own_part_names_it(bench: Bench) -> None:
    for item in bench.prompts:
        before = item.system + item.opening[: item.opening.index(TASK)]
        assert item.instance.instance_id not in before and item.instance.agent_id not in before


def test_the_own_part_does_not_grow_with_the_number_of_instances(bench: Bench) -> None:
    twice = Bench(16)
    twice.look()
    (commander,) = twice.hub.living("commander")
    twice.hub.land(commander, "b0", ("src/base/x.py",))
    twice.look()
    few, many = (
        next(item.own for item in each.prompts if item.instance.piece == "f03" and item.instance.role == "worker")
        for each in (bench, twice)
    )
    assert few == many


def test_a_replacement_shares_the_task_with_its_predecessor() -> None:
    hub = Bench(2)
    hub.look()
    (commander,) = hub.hub.living("commander")
    hub.hub.land(commander, "b0", ("src/base/x.py",))
    hub.look()
    (lost, *_) = hub.hub.living("worker")
    hub.hub.send(InstanceMarkExited(agent_id=lost, status=1))
    hub.hub.bring_down()
    hub.look()
    first, second = (item for item in hub.prompts if item.instance.piece == "f00" and item.instance.role == "worker")
    same = shared_start(first.opening, second.opening)
    assert same.endswith(f"{TASK}\n\nPart 00\n\nBuild it.\n\n")
    assert "An earlier instance was lost" in second.opening
