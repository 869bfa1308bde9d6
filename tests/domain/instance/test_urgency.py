"""Those for whom others wait come first at the model server (LLM-5)."""

from __future__ import annotations

from typing import Any

from aegis_tui.domain.core import Actor
from aegis_tui.domain.instance.urgency import DEPENDANT, GATE, LOCK, MOST, WAITED_FOR_LOCK, urgencies
from aegis_tui.domain.lock.commands import LockAcquire
from tests.domain.test_core import Hub


def design(**more: Any) -> dict[str, Any]:
    features = [
        {"id": "alpha", "title": "A", "brief": "a", "partition": ["src/a/**"]},
        {"id": "beta", "title": "B", "brief": "b", "partition": ["src/b/**"]},
        {"id": "gamma", "title": "C", "brief": "c", "partition": ["src/c/**"], "depends_on": ["alpha"]},
        {"id": "delta", "title": "D", "brief": "d", "partition": ["src/d/**"], "depends_on": ["alpha", "beta"]},
    ]
    return {"goal": "g", "features": features, "joint": ["src/routes.py", "src/x.py"], **more}


def working(hub: Hub) -> tuple[str, str]:
    hub.start(design())
    alpha, beta = hub.living("worker")
    for name in (alpha, beta):
        hub.bring_up(name)
    return alpha, beta


def test_a_piece_counts_for_each_that_waits_for_it() -> None:
    hub = Hub()
    alpha, beta = working(hub)
    assert urgencies(hub.workspace) == {alpha: 2 * DEPENDANT, beta: DEPENDANT}
    hub.land(alpha, "a1", ("src/a/x.py",))
    gamma = next(name for name in hub.living("worker") if name not in (alpha, beta))
    assert urgencies(hub.workspace).get(alpha, 0) == 0
    assert urgencies(hub.workspace).get(gamma, 0) == 0


def test_a_lock_counts_and_whoever_waits_for_it_counts_more() -> None:
    hub = Hub()
    alpha, beta = working(hub)
    hub.send(LockAcquire(path="src/routes.py"), Actor(beta, "instance"))
    assert urgencies(hub.workspace)[beta] == DEPENDANT + LOCK
    hub.send(LockAcquire(path="src/routes.py", wait_s=30), Actor(alpha, "instance"))
    assert urgencies(hub.workspace) == {alpha: 2 * DEPENDANT, beta: DEPENDANT + LOCK + WAITED_FOR_LOCK}


def test_a_review_that_a_gate_waits_for_and_the_design_count() -> None:
    hub = Hub()
    hub.start()
    (commander,) = hub.living("commander")
    assert urgencies(hub.workspace) == {commander: GATE}
    other = Hub()
    alpha, _ = working(other)
    other.submit(alpha, "a1")
    other.check("alpha", "a1", ("src/a/x.py",))
    (reviewer,) = other.living("reviewer")
    assert urgencies(other.workspace)[reviewer] == GATE


def test_there_is_a_limit_and_nothing_without_anybody_who_waits() -> None:
    assert urgencies(Hub().workspace) == {}
    hub = Hub()
    features = [
        {"id": f"f{number}", "title": "A", "brief": "a", "partition": [f"src/{number}/**"], "depends_on": ["alpha"]}
        for number in range(20)
    ]
    first = {"id": "alpha", "title": "A", "brief": "a", "partition": ["src/a/**"]}
    hub.start({"goal": "g", "features": [first, *features]})
    (alpha,) = hub.living("worker")
    assert urgencies(hub.workspace) == {alpha: MOST}
