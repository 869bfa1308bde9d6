"""Merges of commits that are completed by structure: conflicts solved, and conflicts seen that git does not see."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.errors import MergeConflict
from tests.adapters.git.test_compose import AT, REF, Commit, Shell, commit, use

__all__ = ["commit"]

BASE = "import os\n\n\ndef first():\n    return os\n\n\ndef last():\n    return 9\n"


@pytest.fixture
def base(commit: Commit) -> str:
    return commit({"src/app.py": BASE, "src/other.txt": "one\n"})


def compose(repo: Any, onto: str, piece: str) -> Any:
    async def run(repository: Any) -> Any:
        await repository.update_ref(REF, onto, None)
        return await repository.compose(REF, piece, expect_oid=onto, message="merge b\n", at=AT)

    return use(repo, run)


def test_functions_added_at_one_place_by_two_pieces_are_composed(
    repo: Any, commit: Commit, git: Shell, base: str
) -> None:
    ours = commit({"src/app.py": BASE + "\n\ndef ours():\n    return 1\n"}, base)
    theirs = commit({"src/app.py": BASE + "\n\ndef theirs():\n    return 2\n"}, base)
    assert use(repo, lambda repository: repository.predict(ours, theirs)).clean
    result = compose(repo, ours, theirs)
    merged = str(git(repo, "show", f"{result.oid}:src/app.py"))
    assert merged.split("\n\n\n")[-2:] == ["def ours():\n    return 1", "def theirs():\n    return 2"]
    assert [(file.path, file.label, file.strategy) for file in result.files] == [("src/app.py", "proven", "structure")]
    assert "Merged-file: src/app.py (by structure, proven)" in str(git(repo, "show", "-s", "--format=%B", result.oid))


def test_two_helpers_far_apart_are_a_conflict_that_names_it(repo: Any, commit: Commit, base: str) -> None:
    ours = commit({"src/app.py": BASE.replace("def first", "def helper():\n    return 1\n\n\ndef first")}, base)
    theirs = commit({"src/app.py": BASE + "\n\ndef helper():\n    return 2\n"}, base)
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    [conflict] = preview.conflicts
    assert (conflict.path, conflict.text) == ("src/app.py", "defined twice: helper")
    assert conflict.base and conflict.ours and conflict.theirs
    with pytest.raises(MergeConflict, match="defined twice: helper"):
        compose(repo, ours, theirs)


def test_lines_that_both_change_stay_a_conflict_with_its_hunks(repo: Any, commit: Commit, base: str) -> None:
    ours = commit({"src/app.py": BASE.replace("return 9", "return 10")}, base)
    theirs = commit({"src/app.py": BASE.replace("return 9", "return 11")}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert conflict.hunks == 1
    assert "<<<<<<<" in conflict.text


def test_a_conflict_in_another_file_stays_beside_one_that_is_solved(repo: Any, commit: Commit, base: str) -> None:
    ours = commit({"src/app.py": BASE + "\n\ndef ours(): ...\n", "src/other.txt": "two\n"}, base)
    theirs = commit({"src/app.py": BASE + "\n\ndef theirs(): ...\n", "src/other.txt": "three\n"}, base)
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert [conflict.path for conflict in preview.conflicts] == ["src/other.txt"]


def test_a_lock_file_that_both_change_is_a_conflict(repo: Any, commit: Commit) -> None:
    lines = "".join(f"line {at}\n" for at in range(30))
    base = commit({"poetry.lock": lines})
    ours = commit({"poetry.lock": "first\n" + lines}, base)
    theirs = commit({"poetry.lock": lines + "last\n"}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert conflict.text.endswith("regenerate it with `poetry lock`") and conflict.reason == conflict.text


def test_migrations_with_one_number_are_a_conflict(repo: Any, commit: Commit, base: str) -> None:
    text = "class Migration:\n    dependencies = []\n"
    ours = commit({"shop/migrations/0002_a.py": text}, base)
    theirs = commit({"shop/migrations/0002_b.py": text}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert conflict.path == "shop/migrations/0002_b.py"
    assert conflict.text == "it conflicts with the migration shop/migrations/0002_a.py: both have the number 0002"


def test_a_file_that_one_deletes_and_the_other_edits_stays_a_conflict(repo: Any, commit: Commit, base: str) -> None:
    ours = commit({"src/app.py": None}, base)
    theirs = commit({"src/app.py": BASE.replace("9", "11")}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert (conflict.path, conflict.ours) == ("src/app.py", None)


def test_what_cannot_be_parsed_is_left_as_git_merged_it(repo: Any, commit: Commit) -> None:
    text = "print 'one'\n" + "".join(f"x{at} = {at}\n" for at in range(20))
    base = commit({"src/old.py": text})
    ours = commit({"src/old.py": text.replace("x1 = 1", "x1 = 2")}, base)
    theirs = commit({"src/old.py": text.replace("x19 = 19", "x19 = 20")}, base)
    assert use(repo, lambda repository: repository.predict(ours, theirs)).clean


def test_deep_nesting_does_not_end_the_program(repo: Any, commit: Commit, base: str) -> None:
    deep = "x = " + "(" * 100_000 + ")" * 100_000 + "\n"
    ours = commit({"src/app.py": deep + BASE}, base)
    theirs = commit({"src/app.py": BASE + "\n\ndef theirs(): ...\n"}, base)
    assert use(repo, lambda repository: repository.predict(ours, theirs)).clean


def test_every_file_that_both_change_has_a_label(repo: Any, commit: Commit) -> None:
    lines = "".join(f"line {at}\n" for at in range(30))
    base = commit({"a.txt": lines, "b.txt": lines, "gone.txt": lines, "same.txt": "one\n", "c.py": BASE})
    ours = {"a.txt": "first\n" + lines, "b.txt": lines + "x\n", "gone.txt": None, "same.txt": "two\n"}
    theirs = {"a.txt": lines + "last\n", "b.txt": lines + "y\n", "gone.txt": lines + "z\n", "same.txt": "two\n"}
    ours["c.py"], theirs["c.py"] = BASE.replace("9", "10"), BASE.replace("9", "11")
    preview = use(repo, lambda repository: repository.predict(commit(ours, base), commit(theirs, base)))
    assert [(file.path, file.label, file.strategy, file.reason) for file in preview.files] == [
        ("a.txt", "proven", "text", ""),
        ("b.txt", "refused", None, "both sides change the same lines"),
        ("c.py", "refused", None, "both sides change function last"),
        ("gone.txt", "refused", None, "one side removes or renames what the other changes"),
    ]
    assert {item.path: item.reason for item in preview.conflicts}["c.py"] == "both sides change function last"


def test_files_in_other_languages_are_merged_and_have_labels_too(repo: Any, commit: Commit) -> None:
    lines = "".join(f"int x{at};\n" for at in range(30))
    base = commit({"a.js": "function f() {}\n", "b.c": lines})
    ours = commit({"a.js": "function f() {}\n\nfunction ours() {}\n", "b.c": "int first;\n" + lines}, base)
    theirs = commit({"a.js": "function f() {}\n\nfunction theirs() {}\n", "b.c": lines + "int last;\n"}, base)
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    assert [(file.path, file.label, file.strategy) for file in preview.files] == [
        ("a.js", "proven", "structure"),
        ("b.c", "proven", "text"),
    ]


def test_a_function_that_two_define_far_apart_in_javascript_is_a_conflict(repo: Any, commit: Commit) -> None:
    text = "".join(f"function f{at}() {{\n  return {at};\n}}\n\n" for at in range(6))
    helper = "function helper() {\n  return 0;\n}\n\n"
    base = commit({"a.js": text})
    ours, theirs = commit({"a.js": helper + text}, base), commit({"a.js": text + helper}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert (conflict.path, conflict.reason) == ("a.js", "defined twice: helper")


def test_a_generated_file_is_said_to_be_generated_and_not_merged(repo: Any, commit: Commit) -> None:
    head = "// Code generated by protoc-gen-go v1.2; DO NOT EDIT.\n"
    lines = "".join(f"line {at}\n" for at in range(30))
    files = dict.fromkeys(("near.txt", "far.go"), head + lines)
    base = commit(files)
    ours = commit({"near.txt": head + lines.replace("4\n", "four\n"), "far.go": head + lines + "ours\n"}, base)
    theirs = commit({"near.txt": head + lines.replace("4\n", "IV\n"), "far.go": head + "theirs\n" + lines}, base)
    preview = use(repo, lambda repository: repository.predict(ours, theirs))
    reason = "generated: make it again with protoc-gen-go v1.2, from the merged sources"
    assert {conflict.path: conflict.reason for conflict in preview.conflicts} == dict.fromkeys(files, reason)
    assert {(file.path, file.label) for file in preview.files} == {(name, "refused") for name in files}
    with pytest.raises(MergeConflict, match="generated: make it again with protoc-gen-go"):
        compose(repo, ours, theirs)


def test_attributes_say_which_files_are_generated(repo: Any, commit: Commit) -> None:
    attributes = "api/** linguist-generated\nown.js linguist-generated=false\n"
    mark = "// @generated by somebody\n"
    lines = "".join(f"let line{at} = {at};\n" for at in range(30))
    base = commit({".gitattributes": attributes, "api/a.js": lines, "own.js": mark + lines, "b.js": lines})
    ours = commit({name: f"{text}let ours = 1;\n" for name, text in
                   (("api/a.js", lines), ("own.js", mark + lines), ("b.js", lines))}, base)  # fmt: skip
    theirs = commit({"api/a.js": "let theirs = 1;\n" + lines, "own.js": mark + "let theirs = 1;\n" + lines,
                     "b.js": "let theirs = 1;\n" + lines}, base)  # fmt: skip
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert conflict.path == "api/a.js"
    assert conflict.reason == "generated: make it again with the program that generates it, from the merged sources"


@pytest.mark.parametrize(
    "path", ["web/yarn.lock", "pnpm-lock.yaml", "poetry.lock", "Gemfile.lock", "composer.lock", "uv.lock"]
)
def test_a_lockfile_too_large_to_be_read_is_a_conflict_though_its_lines_merge(
    repo: Any, commit: Commit, path: str
) -> None:
    lines = "".join(f"a line of a large file, {number:06}\n" for number in range(40_000))
    base = commit({path: lines})
    ours, theirs = commit({path: "ours\n" + lines}, base), commit({path: lines + "theirs\n"}, base)
    [conflict] = use(repo, lambda repository: repository.predict(ours, theirs)).conflicts
    assert conflict.path == path and "regenerate it with" in conflict.reason
