"""Values by path, and the spellings that they are filed under (LOCK-1)."""

from __future__ import annotations

from aegis_tui.domain.path.index import PathIndex


def test_a_path_is_found_as_it_is_spelt_by_whoever_is_still_there() -> None:
    index: PathIndex[int] = PathIndex()
    index.add("src/App.py", "one", 1)
    index.add("src/app.py", "two", 2)
    assert index.spelling("SRC/APP.PY") == "src/App.py"
    index.remove("src/App.py", "one")
    assert index.spelling("SRC/APP.PY") == "src/app.py"
    assert index.spelling("SRC/new/B.py") == "src/new/B.py"
    index.remove("src/app.py", "two")
    assert index.spelling("SRC/APP.PY") is None


def test_a_directory_above_is_found_until_the_last_value_below_is_gone() -> None:
    index: PathIndex[int] = PathIndex()
    index.add("a/b/c.py", "one", 1)
    index.add("a/b", "two", 2)
    assert index.near("a/b/c.py") == [1, 2]
    assert index.near("a") == [1, 2]
    index.remove("a/b/c.py", "one")
    assert index.near("a/b/c.py") == index.near("a") == [2]
    index.remove("a/b", "two")
    index.remove("a/b", "two")
    assert index.near("a") == []
