import ast
from collections import Counter
from pathlib import Path

import pytest

from scripts.mutants.operators import changed, changes_of
from scripts.mutants.page import PAGE, render_page
from scripts.mutants.seeded import MUTANTS, Mutant, broken_text

SOURCE = """
def take(n: int = 0) -> bool:
    '''Say 1 or 2.'''
    if not n and n < 3:
        raise ValueError(n)
    n += 1
    return n in (4,)
"""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_seeded_mistake_still_finds_its_place_and_its_tests(root: Path, mutant: Mutant) -> None:
    text = broken_text(mutant, (root / mutant.file).read_text("utf-8"))
    ast.parse(text)
    assert all((root / test).exists() for test in mutant.tests)


def test_names_of_mistakes_are_told_apart() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_small_change_is_one_and_leaves_code_that_parses() -> None:
    plain = ast.unparse(ast.parse(SOURCE))
    changes = changes_of("f.py", SOURCE)
    made = [changed(SOURCE, change.index) for change in changes]
    kinds = [change.name.split(" ", 1)[1].split(":")[0] for change in changes]
    assert Counter(kinds) == {
        "plus one": 3,
        "comparison": 2,
        "dropped": 2,
        "negated test": 1,
        "and/or": 1,
        "not dropped": 1,
        "return None": 1,
    }
    assert len(set(made)) == len(made) and plain not in made
    for text in made:
        ast.parse(text)
        assert "Say 1 or 2" in text


def test_the_page_says_what_the_runs_left_behind() -> None:
    assert PAGE.read_text("utf-8") == render_page(), "write it anew: python scripts/mutants page"
