"""File names as text: the written form of contract 3, and that no name can break an event."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.glob.pattern import compile_glob, escape_glob
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.model import compact_json
from aegis_tui.domain.path.file_name import (
    canonical_name,
    encodable,
    is_below,
    name_of,
    parent_of,
    read_name,
    write_name,
)
from aegis_tui.domain.path.index import PathIndex
from aegis_tui.errors import Refused

LATIN = os.fsdecode(b"src/latin\xe9.txt")
names = st.binary(min_size=1, max_size=30).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("src/app.py", "src/app.py"),
        ("한글/파일.txt", "한글/파일.txt"),
        ("a b\tc\n", "a b\tc\n"),
        ('mid"dle', 'mid"dle'),
        ('"quoted".txt', r'"\"quoted\".txt"'),
        (os.fsdecode(b"latin\xe9.txt"), r'"latin\351.txt"'),
        (os.fsdecode("한".encode() + b'\xff\\"\n'), r'"\355\225\234\377\\\"\n"'),
    ],
)
def test_a_name_is_written_as_git_quotes_it_only_where_it_has_to_be(name: str, written: str) -> None:
    assert write_name(name) == written
    assert read_name(written) == name


@given(names)
def test_every_name_comes_back_and_its_written_form_can_be_encoded(name: str) -> None:
    written = write_name(name)
    written.encode()
    assert read_name(written) == name
    assert canonical_name(written) == written


@given(names, names)
def test_two_names_are_never_written_alike(one: str, other: str) -> None:
    assert (write_name(one) == write_name(other)) == (one == other)


@given(st.text(max_size=20))
def test_text_that_is_in_no_written_form_is_refused_or_taken_as_it_stands(text: str) -> None:
    name_of(text)
    try:
        read_name(text)
    except ValueError:
        assert text.startswith('"')


def test_a_needless_quotation_is_taken_off() -> None:
    assert canonical_name('"src/app.py"') == "src/app.py"
    for text in ('"src/app.py', r'"a\000b"', r'"\400"', r'"\x41"', '"a"b'):
        with pytest.raises(ValueError, match="quoted form"):
            canonical_name(text)
    assert read_name(r'"a\\000"') == "a\\000"


def test_git_writes_the_same(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in (b"latin\xe9.txt", b'\xff"\\\t\x01.txt'):
        (tmp_path / os.fsdecode(name)).touch()
        listed = subprocess.run(["git", "-C", tmp_path, "ls-files", "-o"], capture_output=True, check=True).stdout
        assert write_name(os.fsdecode(name)) in listed.decode().splitlines()


@given(st.lists(st.recursive(st.text(alphabet=st.characters()), lambda inner: st.lists(inner, max_size=3))))
def test_whatever_text_there_is_can_be_sent(value: list[object]) -> None:
    compact_json({"data": value, "path": LATIN}).encode()
    compact_json({"half": "\ud800"}).encode()


def test_what_can_be_encoded_is_left_as_it_is() -> None:
    assert encodable({"a": ["한", 1, None]}) == {"a": ["한", 1, None]}
    assert encodable({LATIN: (LATIN,)}) == {r'"src/latin\351.txt"': [r'"src/latin\351.txt"']}


@pytest.mark.parametrize("glob", ["src/**", "src/*", "src/latin*.txt", "src/latin?.txt", r'"src/latin\351.*"'])
def test_globs_match_the_name_behind_the_written_form(glob: str) -> None:
    assert compile_glob(glob).matches(write_name(LATIN))
    assert not compile_glob(glob).matches(write_name(os.fsdecode(b"lib/latin\xe9.txt")))


@given(names.filter(lambda name: all(part not in ("", ".", "..") for part in name.split("/"))))
def test_the_glob_of_one_path_matches_it_and_nothing_else(name: str) -> None:
    written = write_name(name)
    try:
        glob = compile_glob(escape_glob(written))
    except Refused as error:
        assert "control character" in error.message
        return
    assert glob.matches(written)
    assert not glob.matches(write_name(name + "x"))


def test_a_folder_holds_what_is_below_it_in_either_form() -> None:
    file, folder = write_name(os.fsdecode(b"d\xe9/a/b.txt")), write_name(os.fsdecode(b"d\xe9/a"))
    assert is_below(file, folder)
    assert not is_below(folder, file)
    assert parent_of(file) == folder
    assert is_below(write_name(LATIN), "src")
    assert parent_of(write_name(LATIN)) == "src"
    assert Resource(path=file).overlaps(Resource(path=folder))
    assert Resource(path=folder).covers(Resource(path=file))
    assert Resource(path='"src/app.py"').path == "src/app.py"
    index: PathIndex[str] = PathIndex()
    index.add(folder, "lock", "held")
    assert index.near(file) == ["held"]
    assert index.near(write_name(os.fsdecode(b"d\xe9"))) == ["held"]
