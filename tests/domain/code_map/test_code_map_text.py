"""Short forms of text, scopes, annotations, languages and vectors of the code map."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.code_map.language import is_test, language_of
from aegis_tui.domain.code_map.scopes import Scopes
from aegis_tui.domain.code_map.text import first_paragraph, one_line, words_of
from aegis_tui.domain.code_map.typing import classes_in, parameters_of
from aegis_tui.domain.code_map.vector import DIMENSION, nearest, vector_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("readHTTPReply", ["read", "http", "reply"]),
        ("_parse_config2", ["parse", "config"]),
        ("HTTPServer MAX_LINES", ["http", "server", "max", "lines"]),
        ("größe_x", ["größe", "x"]),
        ("42 + _", []),
    ],
)
def test_words_of_names_and_texts(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_texts_are_shortened_to_one_line() -> None:
    assert one_line(" a\n\t b ") == "a b"
    assert one_line("abcdef", limit=4) == "abc…"
    assert first_paragraph("\n  One\n  two.\n\n  Three.") == "One two."


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 60))
def test_the_innermost_scope_is_the_smallest_around_an_offset(cuts: list[int], offset: int) -> None:
    extents = sorted({(cut, 60 - cut) for cut in cuts if cut < 30})
    around = [at for at, (start, end) in enumerate(extents) if start <= offset < end]
    assert Scopes(extents).innermost(offset) == (max(around) if around else -1)


def test_scopes_side_by_side_have_the_same_outer_one() -> None:
    scopes = Scopes([(0, 10), (1, 3), (4, 9), (5, 6), (20, 30)])
    assert [scopes.outer(at) for at in range(5)] == [-1, 0, 0, 2, -1]
    assert [scopes.innermost(offset) for offset in (3, 5, 8, 9, 15, 20)] == [0, 3, 2, 0, -1, 4]


@pytest.mark.parametrize(
    ("annotation", "classes"),
    [
        ("A", ["A"]),
        ("'shop.Cart | None'", ["shop.Cart"]),
        ("Optional[A]", ["A"]),
        ("Annotated[A, Depends(f)]", ["A"]),
        ("typing.Union[A, 'B']", ["A", "B"]),
        ("list[A]", ["list"]),
        ("dict[str, A] | B", ["dict", "B"]),
        ("AsyncIterator[A]", ["A"]),
        ("Callable[[A], B]", ["Callable"]),
        ("None", []),
        ("", []),
    ],
)
def test_classes_that_an_annotation_speaks_of(annotation: str, classes: list[str]) -> None:
    assert classes_in(annotation) == classes


def test_parameters_are_named_without_their_annotations_and_defaults() -> None:
    signature = "async def f(self, a: dict[str, B] = {1: 2}, *rest: C, d=g(1, (2,)), **more) -> tuple[E, F]"
    assert parameters_of(signature) == ["self", "a", "rest", "d", "more"]
    assert parameters_of("def f()") == []


def test_vectors_of_words_with_one_stem_are_near() -> None:
    vectors = list(enumerate(vector_of(words) for words in (["parser"], ["walk"], ["parse", "tree"], [])))
    assert len(vectors[0][1]) * 8 == DIMENSION
    assert nearest(vector_of(["parsing"]), vectors, count=2) == [0, 2]
    assert nearest(vector_of([]), vectors, count=2) == []


@pytest.mark.parametrize(
    ("path", "language", "tests"),
    [
        ("src/a.py", "python", False),
        ("tests/a.py", "python", True),
        ("src/test_a.py", "python", True),
        ("src/a_test.go", "go", True),
        ("web/a.spec.TSX", "tsx", False),
        ("web/a.test.ts", "typescript", True),
        ("a/ShopTest.java", "java", True),
        ("latest/contest.c", "c", False),
        ("README.md", "markdown", False),
        ("Makefile", "text", False),
    ],
)
def test_language_and_tests_by_path(path: str, language: str, tests: bool) -> None:
    assert (language_of(path), is_test(path)) == (language, tests)
