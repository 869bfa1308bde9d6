"""What stands in an instance's copy of its refs is the agent's word: it leads nowhere and delays nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.domain.instance.model import Instance
from aegis_tui.errors import GitError
from aegis_tui.orchestrator.private_refs import INTEGRATION, PrivateRefs
from aegis_tui.ports.repository import Repository

OLD, NEW, OTHER = "1" * 40, "2" * 40, "3" * 40


class OneBranch:
    """A repository with one branch; knows `OLD`, and what is brought to it."""

    def __init__(self) -> None:
        self.branch, self.brought, self.is_whole, self.asked = OLD, {OLD}, True, 0

    async def resolve(self, ref: str) -> str | None:
        return self.branch

    async def commit_exists(self, oid: str) -> bool:
        return oid in self.brought

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        self.asked += 1
        if not self.is_whole:
            raise GitError("objects of an instance are not whole")
        self.brought |= set(oids)

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        assert (ref, expect) == ("refs/heads/aegis/run1/w01", self.branch)
        self.branch = oid


class Place:
    """An instance with its copy of the refs, and a file of the person's beside it."""

    def __init__(self, folder: Path) -> None:
        self.canary = folder / "main"
        self.canary.write_text(f"{OTHER}\n")
        self.repository = OneBranch()
        self.refs = PrivateRefs(cast(Repository, self.repository), folder / "instances")
        fields: dict[str, Any] = {"agent_id": "NATIVE-w01", "instance_id": "w01", "branch": "aegis/run1/w01"}
        self.instance = Instance.model_construct(**fields)
        self.folder = folder / "instances" / "w01" / "refs"
        self.folder.parent.mkdir(parents=True)
        places = (folder / "heads", folder / "logs")
        self.shown = asyncio.run(self.refs.lay_out(self.instance, places=places, working_oid=OLD))

    def put(self, name: str, trick: Callable[[Path, Path], object]) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        trick(path, self.canary)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def a_link(path: Path, canary: Path) -> None:
    path.symlink_to(canary)


def a_pipe(path: Path, canary: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path, canary: Path) -> None:
    (path / "deep").mkdir(parents=True)


def a_huge_file(path: Path, canary: Path) -> None:
    path.write_text(f"{NEW}\n")
    os.truncate(path, 1 << 40)


TRICKS = [a_link, a_pipe, a_folder, a_huge_file]


@pytest.mark.boundary(
    layer="hub files",
    tried="a link, pipe, folder or huge file at integration.new and integration in the agent's copy of the refs",
    refused="the link's target is unchanged, the hub does not wait, and the agent gets the working ref in a new file",
)
@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("name", [f"{INTEGRATION}.new", INTEGRATION])
def test_the_working_ref_is_shown_whatever_stands_there(
    place: Place, name: str, trick: Callable[[Path, Path], object]
) -> None:
    place.put(name, trick)
    asyncio.run(place.refs.show_working_ref(place.instance, NEW))
    assert (place.folder / INTEGRATION).read_text() == f"{NEW}\n"
    assert not (place.folder / INTEGRATION).is_symlink()
    assert place.canary.read_text() == f"{OTHER}\n"


@pytest.mark.boundary(
    layer="hub files",
    tried="a link, pipe, folder or huge file as the agent's own branch",
    refused="not read; the real branch does not move",
)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_branch_that_is_no_plain_file_is_not_taken_over(place: Place, trick: Callable[[Path, Path], object]) -> None:
    place.repository.brought |= {NEW, OTHER}
    place.put("w01", trick)
    asyncio.run(place.refs.take_over(place.instance))
    assert place.repository.branch == OLD


def test_a_folder_that_cannot_be_written_costs_the_instance_the_news_and_nothing_else(place: Place) -> None:
    place.folder.rename(place.folder.with_name("gone"))
    place.folder.symlink_to(place.canary.parent)
    asyncio.run(place.refs.show_working_ref(place.instance, NEW))
    assert not (place.canary.parent / INTEGRATION).exists()


def test_a_commit_is_taken_over_when_it_is_whole_and_asked_for_once_when_it_is_not(place: Place) -> None:
    async def twice() -> None:
        for _ in range(2):
            await place.refs.take_over(place.instance)

    (place.folder / "w01").write_text(f"{OTHER}\n")
    place.repository.is_whole = False
    asyncio.run(twice())
    assert (place.repository.branch, place.repository.asked) == (OLD, 1)
    place.repository.is_whole = True
    (place.folder / "w01").write_text(f"{NEW}\n")
    asyncio.run(twice())
    assert (place.repository.branch, place.repository.asked) == (NEW, 2)


def test_what_an_instance_writes_of_git_is_watched_for_its_size(place: Place) -> None:
    """Its worktree is not all that it can fill the disk by (SEC-3)."""
    watched = place.refs.written_by("w01")
    assert {source for source, _ in place.shown} | {place.refs.git_folder(place.instance)} == set(watched)


def test_why_a_commit_is_not_taken_in_is_said_each_time(place: Place) -> None:
    async def main() -> list[str]:
        return [await place.refs.take_in(place.instance, oid) for oid in (OTHER, OTHER, OLD)]

    place.repository.is_whole = False
    said = asyncio.run(main())
    assert said[:2] == ["objects of an instance are not whole"] * 2 and place.repository.asked == 2
