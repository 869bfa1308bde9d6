"""Names of modules and ends of file names, which are worked out for every path of a repository."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.code_map.language import suffix_of
from aegis_tui.domain.code_map.modules import ModuleIndex


@given(
    st.lists(
        st.text("ab.", min_size=1, max_size=6).filter(lambda part: part.strip(".") and part[-1] != "."),
        min_size=1,
        max_size=3,
    )
)
def test_the_suffix_of_a_path_is_that_of_the_standard_library(parts: list[str]) -> None:
    path = "/".join(parts)
    assert suffix_of(path) == PurePosixPath(path).suffix


def test_a_module_is_named_from_the_outermost_package_around_it() -> None:
    paths = ("a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/d/e.py", "f.py", "src/g/__init__.pyi", "src/g/h.py")
    index = ModuleIndex(paths)
    assert [index.python_name(path) for path in paths] == ["a", "a.b", "a.b.c", "e", "f", "g", "g.h"]
    assert index.python("x.py", "a.b.c", 0) == "a/b/c.py"


def test_an_init_file_in_the_top_folder_makes_no_package() -> None:
    index = ModuleIndex(("__init__.py", "a.py", "b/__init__.py"))
    assert [index.python_name(path) for path in ("__init__.py", "a.py", "b/__init__.py")] == ["", "a", "b"]
