import random

import pytest

from aegis_tui.testing.history import Kind, Operation, Outcome, find_violation


def op(agent: str, kind: Kind, start: float, end: float, outcome: Outcome, token: int = 0) -> Operation:
    return Operation(agent, kind, "a.py", start, end, outcome, token)


TAKEN = op("one", "acquire", 0, 1, "granted", 5)

GOOD = {
    "a refusal that overlaps the grant": [TAKEN, op("two", "acquire", 0.5, 2, "held")],
    "a grant that was answered late": [
        op("one", "acquire", 0, 9, "granted", 5),
        op("two", "acquire", 2, 3, "held"),
    ],
    "one after the other": [
        TAKEN,
        op("one", "release", 2, 3, "released", 5),
        op("two", "acquire", 2.5, 4, "granted", 8),
    ],
    "the same lock told twice": [TAKEN, op("one", "acquire", 2, 3, "granted", 5)],
    "a release that nobody heard of": [
        TAKEN,
        op("one", "release", 2, 3, "unknown", 5),
        op("two", "acquire", 7, 8, "granted", 9),
    ],
    "a release that was lost": [TAKEN, op("one", "release", 2, 3, "unknown", 5), op("two", "acquire", 7, 8, "held")],
    "a wait in vain": [TAKEN, op("two", "acquire", 2, 3, "withdrawn")],
}
BAD = {
    "two holders": [TAKEN, op("two", "acquire", 2, 3, "granted", 6)],
    "refused although free": [op("one", "acquire", 0, 1, "held")],
    "refused after the release": [
        TAKEN,
        op("one", "release", 2, 3, "released", 5),
        op("two", "acquire", 4, 5, "held"),
    ],
    "a token that goes back": [
        TAKEN,
        op("one", "release", 2, 3, "released", 5),
        op("two", "acquire", 4, 5, "granted", 4),
    ],
    "a stale release that worked": [TAKEN, op("one", "release", 2, 3, "released", 4)],
    "a good release refused": [TAKEN, op("one", "release", 2, 3, "stale", 5)],
    "granted before it was free": [
        TAKEN,
        op("two", "acquire", 2, 3, "granted", 8),
        op("one", "release", 4, 5, "released", 5),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_could_have_happened_is_accepted(name: str) -> None:
    assert find_violation(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_what_could_not_have_happened_is_refused(name: str) -> None:
    assert find_violation(BAD[name]) == "a.py"


def test_only_the_resource_at_fault_is_named() -> None:
    other = Operation("one", "acquire", "b.py", 0, 1, "granted", 3)
    assert find_violation([other, *BAD["two holders"]]) == "a.py"


@pytest.mark.parametrize("seed", range(5))
def test_a_long_history_with_one_mistake_in_it_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    history = []
    for turn in range(200):
        agent = f"agent-{chance.randrange(8)}"
        start, token = turn * 10.0, turn + 1
        history.append(op(agent, "acquire", start, start + 3 + chance.random(), "granted", token))
        rivals = (name for name in range(8) if f"agent-{name}" != agent)
        history += [op(f"agent-{name}", "acquire", start + 2, start + 6, "held") for name in rivals]
        history.append(op(agent, "release", start + 5 + chance.random(), start + 8, "released", token))
    assert find_violation(history) is None
    place = chance.randrange(10, len(history) - 10)
    wrong = history[place]
    swapped: dict[str, Outcome] = {"held": "granted", "granted": "held", "released": "stale"}
    history[place] = op(
        wrong.agent, wrong.kind, wrong.called_at, wrong.returned_at, swapped[wrong.outcome], wrong.token or 10_000
    )
    assert find_violation(history) == "a.py"
