"""Prompts of random content reach the model byte for byte through the input boxes of real programs (PANE-4, AGENT-4).

Each program runs on a terminal with its own interface; what arrives is read at the scripted endpoint. A prompt is
either delivered exactly once, or refused or unknown: none may be called delivered that was not.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import random
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aegis_tui.adapters.agents.installed import find_kind
from aegis_tui.adapters.agents.search_path import search_path
from aegis_tui.agent.hosted.delivery import Requests, Typist, typed_form
from aegis_tui.agent.hosted.home import write_home
from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.domain.hosting.kind_file import KindFile, fill
from aegis_tui.ports.agent_kind import Launch
from aegis_tui.ports.delivery import Delivery
from aegis_tui.testing.recorded_llm import RecordedLLM
from tests.agent.hosted.test_terminal import running

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(1800)]

PROMPTS = 50
"""For each of the three programs: 150 of the 300; the others go to a raw-mode reader in tests/agent/hosted."""
ALPHABETS = (
    "abc xyz 0123456789",
    "한글 검색 위젯 é e\u0301 ß 🙂 👩\u200d💻 ✅",
    ";|&$`'\"\\(){}[]<>*?~#%!",
    "line\n\n\tindent\n  - item\n",
)


def prompt(rng: random.Random, number: int) -> str:
    size = rng.choice((0, 1, 40, 400, 4_000, 20_000, 100_000))
    text = "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(size))
    if rng.random() < 0.3:
        text += "\x1b[31m\x07\x03\x15\x1b[201~\r" + "end"
    return f"#{number:03d} {text} #{number:03d}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RecordedLLM]:
    folder = tmp_path / "scenario"
    folder.mkdir()
    steps = [{"text": "Noted."}]
    (folder / "any.json").write_text(json.dumps({"steps": steps, "by_turn": True, "side": "Noted."}), "utf-8")
    recorded = RecordedLLM(folder, default_script="any")
    yield recorded
    recorded.close()


def kind_of(name: str) -> KindFile:
    nowhere = Path("/nowhere")
    launch = Launch("w01", "worker", nowhere, nowhere, "", "", nowhere, nowhere, nowhere, nowhere, None)
    return KindFile.model_validate_json(find_kind(name).environment(launch)["AEGIS_KIND_FILE"])


async def type_all(name: str, base_url: str, folder: Path, server: RecordedLLM) -> tuple[list[str], list[Delivery]]:
    """Type all prompts into one program; return them, and what was said of each."""
    kind = kind_of(name)
    assert kind.terminal is not None
    root = base_url.removesuffix("/v1")
    worktree, home = folder / "work", folder / "home"
    worktree.mkdir()
    home.mkdir()
    (worktree / "README.md").write_text("# Shop\n")
    values = {
        "gateway": root, "gateway_v1": base_url, "home": str(home), "instance": "w01", "model": "scripted",
        "permission": kind.permission.boxed, "python": sys.executable, "repository": str(folder),
        "session": str(uuid.uuid4()), "token": "t", "worktree": str(worktree),
        "guard_before": "true", "guard_after": "true", "noted": "true", "hear": "true",
    }  # fmt: skip
    write_home(home, kind.files, values)
    if (codex := home / ".codex" / "config.toml").is_file():  # there is no hub here, so no server for its tools
        codex.write_text(codex.read_text("utf-8").replace("required = true", "required = false"), "utf-8")
    environment = {**os.environ, "HOME": str(home), "TERM": "tmux-256color", "PATH": search_path(os.environ)}
    environment |= {key: fill(value, values) for key, value in kind.environment.items()}
    person, pane = pty.openpty()
    os.set_blocking(person, False)
    requests = Requests()
    argv = [fill(argument, values) for argument in kind.terminal.argv]
    async with PtyHost(
        argv, cwd=worktree, environment=environment, pane=(pane, pane), awaited=kind.terminal.ready
    ) as host:
        helpers = [asyncio.create_task(follow(server, requests)), asyncio.create_task(drain(person))]
        typist, rng = Typist(host, requests, kind.terminal.changes), random.Random(29)
        prompts = [prompt(rng, number) for number in range(PROMPTS)]
        said = []
        for text in prompts:
            said.append(await typist.deliver(text))
            await settled(server)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
    os.close(person)
    os.close(pane)
    return [typed_form(text, kind.terminal.changes) for text in prompts], said


async def follow(server: RecordedLLM, requests: Requests) -> None:
    told = 0
    while True:
        for received in server.received[told:]:
            await requests.add(received.body)
            told += 1
        await asyncio.sleep(0.02)


async def settled(server: RecordedLLM) -> None:
    """Return when the program has asked its model nothing for a second."""
    count = -1
    while count != len(server.received):
        count = len(server.received)
        await asyncio.sleep(1.0)


async def drain(person: int) -> None:
    while True:
        with suppress(BlockingIOError):
            os.read(person, 65536)
        await asyncio.sleep(0.005)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("name", ["claude-code", "codex", "opencode"])
def test_every_prompt_that_is_called_delivered_reached_the_model_once_and_unchanged(
    name: str, server: RecordedLLM, tmp_path: Path
) -> None:
    prompts, said = asyncio.run(type_all(name, server.base_url, tmp_path, server))
    requests = [list(strings(json.loads(item.body))) for item in server.received]
    for text, answer in zip(prompts, said, strict=True):
        # A program may shorten its conversation later, so each request is looked at by itself.
        most = max(sum(found.count(text) for found in request) for request in requests)
        assert most == 1 if answer is Delivery.DELIVERED else most <= 1, (name, text[:60], len(text), most)
    tally = Counter(answer.value for answer in said)
    print(f"{name}: {dict(tally)} of {len(prompts)} prompts, {len(requests)} requests")
    assert tally["delivered"] >= 0.8 * len(prompts)


def test_the_other_half_arrives_in_a_raw_mode_reader(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with running(tmp_path) as box:
            for text in prompts:
                assert await box.typist.deliver(text) is Delivery.DELIVERED
            return box.sent()

    rng = random.Random(41)
    prompts = [prompt(rng, number) for number in range(3 * PROMPTS)]
    assert asyncio.run(scenario()) == [typed_form(text) for text in prompts]
