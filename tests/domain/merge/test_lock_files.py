"""Lockfiles: `go.sum` is a set; for others, what a package manager begins with when it makes them again (GIT-3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.merge.file import merge_file
from aegis_tui.domain.merge.lock_seed import lock_seed, locked_packages
from aegis_tui.domain.merge.proof import Versions
from aegis_tui.domain.merge.sum_file import merge_sums

A, A_MOD = "example.org/a v1.2.0 h1:AAAA=", "example.org/a v1.2.0/go.mod h1:BBBB="
NEWER = "example.org/a v1.10.0 h1:CCCC="
EARLY = "example.org/a v1.10.0-rc.1 h1:DDDD="
B = "example.org/b v0.1.0 h1:EEEE="


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_checksums_of_both_sides_are_kept_in_the_order_of_go() -> None:
    made = merge_file("go.sum", Versions(text(A, A_MOD), text(A, A_MOD, NEWER), text(A, A_MOD, EARLY, B)), None)
    assert (made.label, made.strategy) == ("proven", "set")
    assert made.text == text(A, A_MOD, EARLY, NEWER, B)
    both_new = merge_file("x/go.work.sum", Versions("", text(B), text(A)), None)
    assert both_new.text == text(A, B), "both sides added the file"


def test_two_hashes_of_one_module_are_never_merged() -> None:
    other = A.replace("AAAA", "ZZZZ")
    for merged in (None, text(A, other)):
        made = merge_file("go.sum", Versions("", text(A), text(other)), merged)
        assert made.label == "refused" and made.reason == "defined twice: example.org/a v1.2.0 has two hashes"
    damaged = merge_file("go.sum", Versions("", text(A), text("<<<<<<< ours")), None)
    assert damaged.label == "refused" and damaged.reason.startswith("syntax: no checksum")


def test_a_line_that_one_side_removed_and_git_dropped_is_not_proven_to_be_unneeded() -> None:
    made = merge_file("go.sum", Versions(text(A, B), text(A, B, NEWER), text(A)), text(A, NEWER))
    assert (made.label, made.strategy, made.reason) == ("unproven", "text", f"lost: {B}")
    kept = merge_file("go.sum", Versions(text(A), text(A, NEWER), text(A, B)), text(A, NEWER, B))
    assert (kept.label, kept.strategy) == ("proven", "text")


_SUMS = st.lists(
    st.builds("example.org/{} v{}.{}.0{} h1:{}=".format, st.sampled_from("ab"), *[st.integers(0, 12)] * 2,
              st.sampled_from(["", "/go.mod", "-rc.2", "-rc.10", "+incompatible"]), st.just("H")),
    unique=True,
)  # fmt: skip


@given(_SUMS, _SUMS)
def test_each_checksum_is_there_once_whichever_side_is_ours(mine: list[str], others: list[str]) -> None:
    merged = merge_sums(Versions("", text(*mine), text(*others)))
    assert sorted(merged.splitlines()) == sorted({*mine, *others})
    assert merge_sums(Versions("", text(*others), text(*mine))) == merged
    assert merge_sums(Versions("", merged, merged)) == merged


def npm(*names: str, version: str = "1.0.3") -> str:
    packages = {"": {"dependencies": dict.fromkeys(names, "^1")}}
    listed = {**packages, **{f"node_modules/{name}": {"version": version} for name in names}}
    return json.dumps({"lockfileVersion": 3, "packages": listed})


def test_npm_begins_with_the_packages_of_both_sides() -> None:
    seed = lock_seed("web/package-lock.json", npm("one", "two"), npm("one", "three", version="1.0.4"))
    packages = json.loads(seed)["packages"]
    assert list(packages) == ["", "node_modules/one", "node_modules/two", "node_modules/three"]
    assert packages["node_modules/one"]["version"] == "1.0.3", "our version of what both have"
    assert locked_packages("package-lock.json", seed) == {("one", "1.0.3"), ("two", "1.0.3"), ("three", "1.0.4")}
    nested = json.dumps({"packages": {"node_modules/a/node_modules/@s/b": {"version": "2"}, "lib": {"name": "l"}}})
    assert locked_packages("package-lock.json", nested) == {("@s/b", "2")}


CARGO = '# generated\nversion = 4\n\n[[package]]\nname = "a"\nversion = "0.1.0"\ndependencies = [\n "b",\n]\n'
UV_TAIL = '\n[package.metadata]\nrequires-dist = [{ name = "b" }]\n'


def package(name: str, version: str = "1.0.0") -> str:
    return f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "registry"\n'


def test_cargo_and_uv_begin_with_the_packages_of_both_sides() -> None:
    seed = lock_seed("Cargo.lock", CARGO + package("b"), CARGO + package("b") + package("c"))
    assert locked_packages("Cargo.lock", seed) == {("a", "0.1.0"), ("b", "1.0.0"), ("c", "1.0.0")}
    assert seed.startswith(CARGO) and seed.count("[[package]]") == 3
    old = lock_seed("Cargo.lock", CARGO + '\n[metadata]\n"checksum b" = "1"\n', CARGO + package("c"))
    assert old.endswith('[metadata]\n"checksum b" = "1"\n') and locked_packages("Cargo.lock", old) >= {("c", "1.0.0")}
    uv = lock_seed("uv.lock", CARGO + UV_TAIL + package("b"), CARGO + package("d"))
    assert UV_TAIL in uv and locked_packages("uv.lock", uv) == {("a", "0.1.0"), ("b", "1.0.0"), ("d", "1.0.0")}


@pytest.mark.parametrize(
    ("path", "broken"),
    [("package-lock.json", "[]"), ("package-lock.json", '{"dependencies": {}}'), ("uv.lock", "<<<<<<< ours\n")],
)
def test_a_lockfile_that_cannot_be_read_is_said_to_be_so(path: str, broken: str) -> None:
    good = npm("one") if path.endswith(".json") else CARGO
    for versions in ((broken, good), (good, broken)):
        with pytest.raises(ValueError):
            lock_seed(path, *versions)
