"""Globs against an independent oracle: a generated syntax tree, rendered for the product and judged by `re`."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob, escape_glob, prepare
from aegis_tui.errors import Refused

# An atom is ("literal", char), ("star",), ("any",), ("class", chars, negated) or ("choice", texts).
Atom = tuple[object, ...]
Tree = tuple[tuple[Atom, ...] | str, ...]

LETTERS = "a한."
CASED = "aA."


def atoms(letters: str) -> st.SearchStrategy[Atom]:
    text = st.text(letters, max_size=2)
    return st.one_of(
        st.sampled_from([("literal", char) for char in letters]),
        st.sampled_from([("star",), ("any",)]),
        st.tuples(st.just("class"), st.text(letters, min_size=1, max_size=2), st.booleans()),
        st.tuples(st.just("choice"), st.lists(text, min_size=2, max_size=3).map(tuple)),
    )


def trees(letters: str) -> st.SearchStrategy[Tree]:
    segment = st.one_of(st.just("**"), st.lists(atoms(letters), min_size=1, max_size=4).map(tuple))
    return st.lists(segment, min_size=1, max_size=4).map(tuple)


def render_atom(atom: Atom) -> str:
    match atom:
        case ("literal", str(char)):
            return char
        case ("star",):
            return "*"
        case ("any",):
            return "?"
        case ("class", str(chars), negated):
            return f"[{'!' if negated else ''}{chars}]"
        case ("choice", tuple(texts)):
            return "{" + ",".join(str(text) for text in texts) + "}"
    raise AssertionError(atom)


def render(tree: Tree) -> str:
    return "/".join(part if isinstance(part, str) else "".join(map(render_atom, part)) for part in tree)


def atom_regex(atom: Atom) -> str:
    match atom:
        case ("class", str(chars), negated):
            return f"(?!/)[{'^' if negated else ''}{re.escape(chars)}]"
        case ("choice", tuple(texts)):
            return "(?:" + "|".join(re.escape(str(text)) for text in texts) + ")"
        case ("literal", str(char)):
            return re.escape(char)
    return "[^/]*" if atom == ("star",) else "[^/]"


def oracle_segments(tree: Tree, flags: int) -> list[re.Pattern[str] | None]:
    """One a segment, None for `**`."""
    return [None if isinstance(part, str) else re.compile("".join(map(atom_regex, part)), flags) for part in tree]


def oracle_matches(parts: list[re.Pattern[str] | None], names: tuple[str, ...]) -> bool:
    if not parts or not names:
        return not parts and not names
    first, rest = parts[0], parts[1:]
    if first is not None:
        return first.fullmatch(names[0]) is not None and oracle_matches(rest, names[1:])
    if all(part is None for part in rest):
        return True
    return any(oracle_matches(rest, names[skipped:]) for skipped in range(len(names)))


def universe(letters: str) -> list[tuple[str, ...]]:
    def names(longest: int) -> list[str]:
        texts = ("".join(chars) for n in range(1, longest + 1) for chars in itertools.product(letters, repeat=n))
        return [text for text in texts if text not in (".", "..")]

    shapes = [(3, 1), (3, 2), (1, 3), (1, 4)]
    return [path for longest, depth in shapes for path in itertools.product(names(longest), repeat=depth)]


PATHS = universe(LETTERS)
CASED_PATHS = universe(CASED)


def is_legal(text: str) -> bool:
    try:
        compile_glob(text)
    except Refused:
        return False
    return True


def has_empty(choice: Atom) -> bool:
    texts = choice[1]
    return isinstance(texts, tuple) and "" in texts


def is_fair(tree: Tree) -> bool:
    """Leave out what a tree cannot say: a segment that braces may turn into `**` or into nothing."""
    for part in tree:
        if isinstance(part, str):
            continue
        can_vanish = all(atom == ("star",) or (atom[0] == "choice" and has_empty(atom)) for atom in part)
        if can_vanish and part.count(("star",)) in (0, 2):
            return False
    return is_legal(render(tree))


LEGAL = trees(LETTERS).filter(is_fair)
LEGAL_CASED = trees(CASED).filter(is_fair)
steady = settings(derandomize=True, deadline=None)


@given(LEGAL)
@pytest.mark.thorough
@settings(steady, max_examples=150)
def test_a_glob_matches_exactly_the_paths_that_the_oracle_says(tree: Tree) -> None:
    glob = compile_glob(render(tree))
    parts = oracle_segments(tree, 0)
    wrong = [path for path in PATHS if glob.matches("/".join(path)) != oracle_matches(parts, path)]
    assert wrong == []


@given(LEGAL, LEGAL)
@pytest.mark.thorough
@settings(steady, max_examples=600)
def test_no_overlap_is_missed_and_every_witness_matches_both(one: Tree, other: Tree) -> None:
    witness = overlap(compile_glob(render(one)), compile_glob(render(other)))
    parts, other_parts = oracle_segments(one, 0), oracle_segments(other, 0)
    if witness is None:
        assert not [path for path in PATHS if oracle_matches(parts, path) and oracle_matches(other_parts, path)]
    else:
        names = tuple(witness.split("/"))
        assert oracle_matches(parts, names) and oracle_matches(other_parts, names)
        assert compile_glob(render(one)).matches(witness) and compile_glob(render(other)).matches(witness)
        assert not {"", ".", ".."} & set(names)


@given(LEGAL_CASED, LEGAL_CASED)
@pytest.mark.thorough
@settings(steady, max_examples=300)
def test_no_overlap_is_missed_where_git_ignores_case(one: Tree, other: Tree) -> None:
    witness = overlap(compile_glob(render(one)), compile_glob(render(other)), ignore_case=True)
    parts, other_parts = oracle_segments(one, re.IGNORECASE), oracle_segments(other, re.IGNORECASE)
    if witness is None:
        shared = [path for path in CASED_PATHS if oracle_matches(parts, path) and oracle_matches(other_parts, path)]
        assert shared == []
    else:
        names = tuple(witness.split("/"))
        assert oracle_matches(parts, names) and oracle_matches(other_parts, names)


@given(LEGAL, LEGAL)
@settings(steady, max_examples=100)
def test_overlap_does_not_depend_on_the_order(one: Tree, other: Tree) -> None:
    assert (overlap(render(one), render(other)) is None) == (overlap(render(other), render(one)) is None)


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=8))
@example("{a,b}[c]*?\\!")
@example("e\u0301")
@settings(steady, max_examples=100)
def test_an_escaped_path_is_a_glob_for_that_path_alone(name: str) -> None:
    if "/" in name or name in (".", ".."):
        return
    glob = compile_glob(escape_glob(f"src/{name}"))
    assert glob.matches(f"src/{name}")
    assert not glob.matches(f"src/{name}x")
    assert overlap(glob, "src/*") == unicodedata.normalize("NFC", f"src/{name}")


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("src/**", "src/a.py", True),
        ("src/**", "src/a/b/c.py", True),
        ("src/**", "src", False),
        ("src/", "src/a.py", True),
        ("src/", "src", False),
        ("README.md", "README.md", True),
        ("README.md", "docs/README.md", False),
        ("*", ".env", True),
        ("**", ".github/x.yml", True),
        ("**/x", "x", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/c/d/b", True),
        ("a**b/c", "axyb/c", True),
        ("a**b/c", "a/b/c", False),
        ("***", "a/b", False),
        ("***", "ab", True),
        ("a?c", "a/c", False),
        ("a[!b]c", "a/c", False),
        ("a[.-0]c", "a/c", False),
        ("a[.-0]c", "a.c", True),
        ("[]a]x", "]x", True),
        ("[a\\]]x", "]x", True),
        ("[a-]", "-", True),
        ("[^a]", "b", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("{src,tests/{unit,e2e}}/*.py", "tests/e2e/a.py", True),
        ("{src,tests/{unit,e2e}}/*.py", "tests/a.py", False),
        ("src/{,deep/}a.py", "src/a.py", True),
        ("{a,b/}", "b/c", True),
        ("{x}.py", "{x}.py", True),
        ("[{,}]", ",", True),
        ("문서/**/*.md", "문서/가/나.md", True),
        ("문서/**", unicodedata.normalize("NFD", "문서/가"), True),
        (unicodedata.normalize("NFD", "한글.py"), "한글.py", True),
        ("[가-힣]*", "프로젝트", True),
        ("e\\\u0301", "é", True),
        ("**", "/etc/passwd", False),
        ("**", "src/../x", False),
        ("**", "./x", False),
        ("**", "a//b", False),
        ("**", "", False),
        ("**", "a\0b", False),
    ],
)
def test_a_glob_follows_the_letter_of_part_1(glob: str, path: str, *, expected: bool) -> None:
    assert compile_glob(glob).matches(path) is expected


@pytest.mark.parametrize(
    ("glob", "problem"),
    [
        ("", "empty"),
        ("{a,}", "empty"),
        ("/etc/*", "absolute"),
        ("{,a}/b", "absolute"),
        ("../x", "segment is .."),
        ("a/../b", "segment is .."),
        ("a/{..,b}", "segment is .."),
        ("./a", "segment is ."),
        ("a/\\.", "segment is ."),
        ("a//b", "empty segment"),
        ("a//", "empty segment"),
        ("!a", "starts with !"),
        ("{!a,b}", "starts with !"),
        ("a\0", "control"),
        ("a\nb", "control"),
        ("a\\", "backslash"),
        ("a\\/b", "backslash"),
        ("[abc", "never closed"),
        ("[!]", "never closed"),
        ("{a,b", "never closed"),
        ("a}", "never opened"),
        ("[z-a]", "backwards"),
        ("[a/b]", "never matches /"),
        ("[[:alpha:]]", "named classes"),
        ("{a,b}" * 9, "more than 256"),
        ("{" * 30 + "a,b" + "}" * 30, "deep"),
        ("a" * 1025, "longer"),
    ],
)
def test_a_glob_that_breaks_a_rule_is_refused_by_name(glob: str, problem: str) -> None:
    with pytest.raises(Refused) as refusal:
        compile_glob(glob)
    assert problem in refusal.value.message
    assert refusal.value.code == "glob"


def test_256_alternatives_are_still_allowed() -> None:
    assert len(compile_glob("{a,b}" * 8).patterns) == 256


@pytest.mark.parametrize(
    ("one", "other", "witness"),
    [
        ("src/**", "**/*.py", "src/a.py"),
        ("src/**", "src/**", "src/a"),
        ("*", "*.py", "a.py"),
        ("한글/**", "**/*.md", "한글/a.md"),
        ("src/{a,b}/*.py", "src/[bc]/x*", "src/b/x.py"),
        ("README.md", "*", "README.md"),
        ("a/", "a/b", "a/b"),
        ("a/**", "a", None),
        ("*.py", "*.ts", None),
        ("src/api/**", "src/ui/**", None),
        ("[!a]*", "a*", None),
        ("?", "[.]", None),
        (".?", "[.][.]", None),
        ("x*", "*/y", None),
        ("a[.-0]c", "a[!.0]c", None),
    ],
)
def test_a_witness_is_short_and_readable(one: str, other: str, witness: str | None) -> None:
    assert overlap(one, other) == witness


@pytest.mark.parametrize(
    ("one", "other"),
    [("?\u0301", "[!z]\u0301"), ("[a-z]\u0301*", "?\u0301"), ("[가-힣]\u11a8", "?*"), ("?\u0301", "?*")],
)
def test_a_witness_stays_what_it_is_in_nfc(one: str, other: str) -> None:
    witness = overlap(one, other)
    assert witness is not None
    assert compile_glob(one).matches(witness) and compile_glob(other).matches(witness)


def test_characters_that_only_exist_combined_are_no_overlap() -> None:
    assert overlap("e?", "?\u0301") is None


def test_case_counts_unless_git_ignores_it() -> None:
    assert overlap("Src/**", "src/*.PY") is None
    assert overlap("Src/**", "src/*.PY", ignore_case=True) == "src/a.py"
    assert compile_glob("[A-C]Ä*", ignore_case=True).matches("bäX")
    assert not compile_glob("[!A-C]*", ignore_case=True).matches("b")
    assert overlap("[!a-z]", "[A-Z]", ignore_case=True) is None


def test_hostile_stars_cost_the_product_of_the_lengths_only() -> None:
    assert overlap("*a" * 100 + "*", "*b" * 100 + "*") is not None
    assert overlap("**/*a/" * 40 + "**", "**/*b/" * 40 + "**") is not None
    assert not compile_glob("*a" * 200 + "b").matches("a" * 500)
    assert not compile_glob("**/a/" * 40 + "b").matches("a/" * 200 + "c")


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("[! -\uf8ff\ufa11-\U0010ffff]", "[A-\U0010ffff]", "\ufa0e"),
        ("[! -\uf8ff\ufa0e-\U0010ffff]", "[A-\U0010ffff]", None),
        ("[\u0300-\u0302]\u0323", "??", None),
        ("[ae][\u0301\u0316]\u0302", "???", None),
        ("[ax][\u0316]\u0301", "x??", "x\u0316\u0301"),
        ("[\u1100-\u1112][\u1161-\u1175]", "??", None),
        ("[\uac00\uac01]\u11a8", "??", "\uac01\u11a8"),
    ],
)
def test_odd_classes_are_decided_exactly(one: str, other: str, shared: str | None) -> None:
    found = overlap(one, other)
    assert (found is None) == (shared is None)
    if shared is not None:
        assert compile_glob(one).matches(shared) and compile_glob(other).matches(shared)
        assert found is not None and compile_glob(one).matches(found) and compile_glob(other).matches(found)


ODD = "aé\u0301\u0316\u0323\u1100\u1161\u11a8가\ufa0e\uf900\u212a."
ODD_NAMES = ["".join(chars) for size in (1, 2, 3) for chars in itertools.product(ODD, repeat=size)]


@given(st.lists(st.text(ODD, min_size=1, max_size=3), min_size=1, max_size=3), st.integers(0, 3), st.booleans())
@settings(steady, max_examples=120)
def test_no_overlap_is_missed_among_characters_that_combine(classes: list[str], size: int, ignore_case: bool) -> None:
    one = compile_glob("".join(f"[{chars}]" for chars in classes), ignore_case=ignore_case)
    other = compile_glob("?" * size + "*" if size else "*", ignore_case=ignore_case)
    witness = overlap(one, other)
    assert (witness is not None) == any(one.matches(name) and other.matches(name) for name in ODD_NAMES)
    assert witness is None or (one.matches(witness) and other.matches(witness))


def test_no_character_above_the_scanned_ones_combines_or_changes() -> None:
    odd = [
        char
        for char in map(chr, range(0x30000, 0x110000))
        if unicodedata.combining(char) or prepare(char, ignore_case=True) != char
    ]
    assert odd == []
