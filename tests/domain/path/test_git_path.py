"""Paths of `.git` are nobody's, however they are spelled: not to lock, not to own, not to ask for (PART-3, SEC-2)."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain import command as commands
from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, execute
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.lock.commands import LockAcquire, WantedResource
from aegis_tui.domain.path.git_path import is_git_name, is_git_path
from aegis_tui.domain.run.design import Design, check_design
from aegis_tui.domain.scope.closed import check_new_globs
from aegis_tui.domain.scope.commands import PartitionSet, ScopeRequest
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import AegisError, Refused

GIT_NAMES = [
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~1",
    ".git ",
    ".git.",
    ".git . .",
    "git~1.",
    ".git::$INDEX_ALLOCATION",
    ".git:x",
    ".g\u200cit",
    ".\u200dgit",
    "\u200e.git",
    ".git\u200f",
    ".g\u202ait",
    ".gi\u206at",
    "\ufeff.git",
    ".\uff47\uff49\uff54",
]
PLAIN_NAMES = [
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".github",
    "git",
    "git~2",
    "_git",
    ".gi",
    "x.git",
    ".git-x",
]
INSIDE = ["{}", "{}/config", "sub/{}/config", "vendor/lib/{}", "a/{}/b/c", "a\\{}\\b"]
GIT_GLOBS = [
    ".git/**",
    ".GIT/config",
    "sub/.git/**",
    "**/.git/hooks/*",
    "{src,.git}/**",
    ".gi[t]/**",
    "[.]git/**",
    ".g*/config",
    "a/.gi?/x",
    "git~1/**",
    ".git./x",
    "\\.git/x",
]
OPEN_GLOBS = ["**", "*", "src/**", ".github/**", ".gitignore", "git/**", "g*/x", "*.git"]


@pytest.mark.parametrize("name", GIT_NAMES)
@pytest.mark.parametrize("inside", INSIDE)
def test_every_spelling_that_a_file_system_takes_for_git_is_gits_own(name: str, inside: str) -> None:
    path = inside.format(name)
    assert is_git_path(path)
    assert is_git_path(unicodedata.normalize("NFD", path))
    assert not PartitionTable().verdict("a", path).allowed
    assert PartitionTable().is_closed(path)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_that_only_look_alike_are_plain(name: str) -> None:
    assert not is_git_name(name)
    assert not is_git_path(f"src/{name}/x")


@pytest.mark.parametrize("path", ['"\\056git/lat\\351n"', '"sub/.GIT/\\377"'])
def test_a_quoted_name_is_what_it_stands_for(path: str) -> None:
    assert is_git_path(path)
    assert not is_git_path('"src/lat\\351n.git"')


@given(
    st.lists(st.sampled_from("\u200c\u200d\u200e\u200f\u202a\u202e\u206a\u206f\ufeff"), max_size=3),
    st.sampled_from([".git", ".GIT", ".giT", "git~1"]),
    st.integers(0, 5),
    st.text(". ", max_size=3),
)
def test_what_git_itself_would_refuse_is_found(ignored: list[str], name: str, at: int, tail: str) -> None:
    assert is_git_name(name[:at] + "".join(ignored) + name[at:] + tail)


@pytest.mark.boundary(
    layer="hub rights",
    tried="locks, partitions, scope requests and designs on .git in any spelling, of submodules and worktrees too",
    refused="refused: these paths belong to git",
)
@pytest.mark.parametrize("path", [".git/config", ".GIT/hooks/x", "sub/.git", "git~1/config", ".git ./x", "a/.git:s"])
@pytest.mark.parametrize("mode", ["EXCLUSIVE", "SHARED", "REVIEW"])
def test_nobody_locks_it(path: str, mode: str) -> None:
    workspace = joined()
    for actor in (THE_PERSON, Actor("CLAUDE-one", "instance")):
        for command in (
            LockAcquire(path=path, lock_type=mode),
            LockAcquire(resources=(WantedResource(path="a"), WantedResource(path=path))),
        ):
            with pytest.raises(Refused, match=r"git's own folder|may not send"):
                say(workspace, command, actor)
    assert not list(workspace.locks.locks())


@pytest.mark.parametrize("path", [".git/config", "sub/.GIT/x", "git~1"])
def test_nobody_is_granted_it(path: str) -> None:
    with pytest.raises(Refused, match="git's own folder"):
        say(joined(), ScopeRequest(path=path, reason="r"), Actor("CLAUDE-one", "instance"))


@pytest.mark.parametrize("glob", GIT_GLOBS)
def test_no_partition_and_no_design_names_it(glob: str) -> None:
    workspace = joined()
    join = AgentRegister(agent_type="CLAUDE", instance_id="two", partition=(glob,))
    with pytest.raises(AegisError, match=r"touches \.git"):
        say(workspace, join, THE_PERSON)
    with pytest.raises(AegisError, match=r"touches \.git"):
        say(workspace, PartitionSet(agent_id="one", globs=("a/**", glob)), THE_PERSON)
    feature = {"id": "a", "title": "t", "brief": "b", "partition": ["src/**"]}
    for fields in ({"shared": [glob]}, {"joint": [glob]}, {"features": [{**feature, "partition": [glob]}]}):
        issues = check_design(Design.model_validate({"goal": "g", "features": [feature], **fields}))
        assert any("touches .git" in issue.message for issue in issues), fields


@pytest.mark.parametrize("glob", OPEN_GLOBS)
def test_a_wildcard_is_no_name(glob: str) -> None:
    check_new_globs([glob])


@pytest.mark.parametrize("glob", ["src/\u202e**", "a\u200b", "\ufeffsrc/**"])
def test_a_glob_can_be_seen_whole(glob: str) -> None:
    with pytest.raises(Refused, match="invisible character"):
        check_new_globs([glob])


def joined() -> Workspace:
    workspace = Workspace()
    say(workspace, AgentRegister(agent_type="CLAUDE", instance_id="one"), THE_PERSON)
    return workspace


def say(workspace: Workspace, command: commands.AnyCommand, actor: Actor) -> None:
    execute(workspace, command, actor=actor, request_id="r", now=0.0, timestamp="2026-01-01T00:00:00Z")
