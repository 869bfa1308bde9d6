"""The folder of an instance that a person started by hand goes when it ends; those of others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.record import load_or_create_key
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.hub.opened import opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def join(ingress: Ingress, name: str) -> Path:
    frame = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": name}
    reply, error = await ingress.answer(frame, THE_PERSON)
    assert error is None
    return Path(reply["token_file"])


async def test_a_token_goes_with_the_instance_that_leaves_and_comes_with_the_next(paths: WorkspacePaths) -> None:
    engine, ingress = await opened(paths)
    try:
        one, two = await join(ingress, "one"), await join(ingress, "two")
        await ingress.answer({"type": "agent:leave"}, Actor("CLAUDE-one", "instance"))
        assert not one.parent.exists() and two.exists()
        assert (await join(ingress, "one")).exists()
    finally:
        await engine.close()


async def test_what_ended_without_a_hub_is_removed_at_its_start_and_records_stay(paths: WorkspacePaths) -> None:
    engine, ingress = await opened(paths)
    alive = await join(ingress, "one")
    await engine.close()
    for name, files in (("gone", ("token",)), ("w01", ("token", "transcript.jsonl"))):
        paths.instance_dir(name).mkdir()
        for file in files:
            (paths.instance_dir(name) / file).touch()
    engine, _ = await opened(paths)
    await engine.close()
    assert sorted(item.name for item in paths.instances_dir.iterdir()) == ["one", "w01"]
    assert alive.exists()


@pytest.mark.parametrize("content", [b"", b"not hexadecimal", b"\xff\xfe", b"ab" * 31])
def test_a_damaged_key_is_replaced_and_the_hub_starts(paths: WorkspacePaths, content: bytes) -> None:
    paths.create()
    file = paths.state_dir / "joining.key"
    file.write_bytes(content)
    key = load_or_create_key(file)
    assert len(key) == 32 and load_or_create_key(file) == key
