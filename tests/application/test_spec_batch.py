"""Which specs are worked on together, and how (SPEC-5)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.application.spec_batch import MOST_SPECS, batch_of
from aegis_tui.application.spec_design import design_of
from aegis_tui.domain.run.design import check_design
from aegis_tui.domain.spec.document import Metadata, Spec, SpecTask


def spec(name: str, *files: str, needs: Sequence[str] = (), tasks: Sequence[SpecTask] = ()) -> Spec:
    own = tuple(tasks) or (SpecTask(id="T1", title="do", files=files),)
    return Spec(id=name, metadata=Metadata(title=f"Add {name}"), tasks=own, dependencies=tuple(needs))


def none(_: str) -> bool:
    return False


def test_specs_that_touch_other_files_go_together_and_the_others_wait() -> None:
    batch = batch_of([spec("a", "src/a/**"), spec("b", "src/a/x.py"), spec("c", "src/c.py"), spec("d")], none)
    assert batch.pieces == {"a": ("a",), "c": ("c",)}
    assert batch.design.goal == "2 specs: Add a; Add c"
    assert [item.partition for item in batch.design.features] == [("src/a/**",), ("src/c.py",)]
    assert check_design(batch.design) == []


def test_one_spec_alone_gets_its_own_design() -> None:
    whole = spec("a")
    batch = batch_of([whole, spec("b", "b.py")], none)
    assert batch.design == design_of(whole) and batch.pieces == {"a": ("a",)}


def test_a_spec_that_asks_for_a_mode_gets_a_run_alone() -> None:
    single = spec("a", "a.py").model_copy(update={"mode": "SINGLE"})
    batch = batch_of([single, spec("b", "b.py")], none)
    assert (list(batch.pieces), batch.mode) == (["a"], "SINGLE")
    assert list(batch_of([spec("c", "c.py"), single, spec("b", "b.py")], none).pieces) == ["c", "b"]


def test_a_spec_starts_after_those_that_it_depends_on_whatever_their_priority() -> None:
    tasks = [
        SpecTask(id="T1", title="one", files=("lib/one.py",)),
        SpecTask(id="T2", title="two", files=("lib/two.py",), dependencies=("T1",)),
    ]
    first, base = spec("first", "f.py"), spec("base", tasks=tasks)
    above, odd = spec("above", "above.py", needs=["base", "old"]), spec("odd", "odd.py", needs=["unknown"])
    batch = batch_of([first, above, odd, base], {"old"}.__contains__)
    assert batch.pieces == {"first": ("first",), "base": ("base-t1", "base-t2"), "above": ("above",)}
    after = {item.id: item.depends_on for item in batch.design.features}
    assert after == {"first": (), "base-t1": (), "base-t2": ("base-t1",), "above": ("base-t1", "base-t2")}
    assert check_design(batch.design) == []


def test_names_that_would_be_the_same_do_not_go_together() -> None:
    batch = batch_of([spec("A", "a.py"), spec("a", "b.py"), spec("x" * 50, "c.py"), spec("x" * 51, "d.py")], none)
    assert list(batch.pieces) == ["A", "x" * 50]


def test_a_run_has_a_bounded_number_of_specs() -> None:
    batch = batch_of([spec(f"s{number}", f"s{number}.py") for number in range(MOST_SPECS + 20)], none)
    assert len(batch.pieces) == MOST_SPECS and len(batch.design.goal) <= 200


@pytest.mark.parametrize("glob", ["**", "src/**"])
@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.lists(st.sampled_from("abcde"), max_size=2)), min_size=1))
def test_every_batch_is_a_design_that_a_run_may_use(glob: str, rows: list[tuple[str, list[str]]]) -> None:
    ids = {name: number for number, (name, _) in enumerate(rows)}
    specs = []
    for name, number in ids.items():
        needs = [other for other in rows[number][1] if other in ids and other < name]
        files = [glob] if number % 5 == 4 else [f"src/{name}.py"]
        specs.append(spec(name, *files, needs=list(dict.fromkeys(needs))))
    specs.sort(key=lambda item: bool(item.dependencies))
    batch = batch_of(specs, none)
    assert check_design(batch.design) == []
    assert sorted(name for names in batch.pieces.values() for name in names) == sorted(
        item.id for item in batch.design.features
    )
