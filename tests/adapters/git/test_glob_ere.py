from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.git.glob_ere import glob_to_ere
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.errors import Refused

GLOBS = [
    *("src/**", "**/*.py", "*", "a?c", "[!x]b", "한글/*", "[가-힣]*.md", "dir/", "{a,b}/c", r"a\*b", r"x[]-^]y"),
    *("[^a-c]z", "**/test_*/**", "a.b+c(d)", r"$x|\{y\}", "café/**", "?", "??.txt", "a/**/b", "lit[[]x", "a{b}c"),
    *("[!-~]", "**", "**/한?/**", "[a-z0-9_.-]*", "src/{a,b/{c,d}}/**", r"\[x\]", "a^b", "ſ*", "STRASSE/[A-F]*"),
]
PATHS = [
    *(
        "src",
        "src/a",
        "src/a/b.py",
        "b.py",
        "abc",
        "a/c",
        "ab",
        "axc",
        "a한c",
        "한글/파일.txt",
        "나.md",
        "dir/x",
        "dir",
    ),
    *("b/c", "a*b", "axb", "x]y", "x-y", "x^y", "x\\y", "xzy", "dz", "az", "^z", "t/test_x/y", "test_q/z", "a.b+c(d)"),
    *("axb+c(d)", "café/x", "cafe\u0301/x", "é", "한", "😀", "ab.txt", "한글.txt", "A", "Z", "a/b", "a/x/b", "a/x/y/b"),
    *("lit[x", "a{b}c", "$x|{y}", "B", "SRC/a", "ABC", "x/한글/y/z", "[x]", "a^b", "~", "!", " ", "src/b/d/e", "ſa"),
    *("strasse/f", "S", "ÉCLAIR", "\ue000", "\uffff", "\U0010ffff", "a\x7f"),
]


def awk_answers(ere: bytes, paths: list[str], folder: Path) -> list[bool]:
    rule = folder / "rule"
    rule.write_bytes(ere + b"\n")
    program = 'BEGIN { getline e < ENVIRON["RULE"] } { print ($0 ~ e) ? 1 : 0 }'
    env = {"RULE": str(rule), "LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    stdin = "".join(f"{path}\n" for path in paths).encode()
    output = subprocess.run(["awk", program], input=stdin, env=env, capture_output=True, check=True).stdout
    return [answer == b"1" for answer in output.split()]


@pytest.mark.parametrize("ignore_case", [False, True])
def test_the_expression_matches_what_the_glob_matches(tmp_path: Path, ignore_case: bool) -> None:
    for text in GLOBS:
        glob = compile_glob(text, ignore_case=ignore_case)
        wanted = [glob.matches(path) for path in PATHS]
        found = awk_answers(glob_to_ere(glob), PATHS, tmp_path)
        differing = [path for path, one, other in zip(PATHS, wanted, found, strict=True) if one != other]
        assert not differing, (text, differing)


@pytest.mark.thorough
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(alphabet="ab/*?[]!-^{},.\\$()|+한é", min_size=1, max_size=12),
    paths=st.lists(st.text(alphabet="ab/]-^{},.\\$()|+한é", min_size=1, max_size=8), min_size=20, max_size=40),
)
def test_the_expression_agrees_with_any_legal_glob(tmp_path: Path, text: str, paths: list[str]) -> None:
    try:
        glob = compile_glob(text)
    except Refused:
        return
    legal = [path for path in paths if not {"", ".", ".."} & set(path.split("/"))]
    assert awk_answers(glob_to_ere(glob), legal, tmp_path) == [glob.matches(path) for path in legal]
