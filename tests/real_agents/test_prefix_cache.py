"""How much of the prompts of 20 agents a real vLLM has in its prefix cache, against an ideal cache (LLM-3, PERF-9).

The work is real: a run of the product, in which 20 workers read, write and report at the same time and reviewers judge
each piece; only what the model says is scripted. A proxy in front of the server keeps every request, in the order of
arrival. Afterwards the same requests are replayed through a cache with blocks of the same size that forgets nothing.
Needs the vLLM kit, see tests/vllm_kit.py.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from aegis_tui.agent.hosted.message_tap import MessageTap
from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.scripted_meters import PrefixCache
from tests.vllm_kit import need_kit, serving, write_scripts

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(1800)]

WORKERS = 20
NOTE = "keeps the total of a cart in cents, and rounds half up as the tax office asks for it\n"
NAMES = [f"part{number:02}" for number in range(WORKERS)]
REVIEW = [
    {"tool": "read", "args": {"path": "src/app.py"}},
    {
        "tool": "verdict",
        "args": {
            "decision": "approve",
            "criteria": [{"id": "brief", "pass": True, "evidence": "Scripted: no model has judged this piece."}],
            "findings": [],
        },
    },
]


def steps_of(name: str) -> list[dict[str, Any]]:
    """A worker's three turns."""
    return [
        {"tool": "read", "args": {"path": "docs/rules.md"}},
        {"tool": "write", "args": {"path": f"src/{name}.py", "content": f"{name} = 1\n"}},
        {"tool": "report", "args": {"status": "done", "summary": f"feat({name}): add {name}"}},
    ]


def write_design(workspace: ScratchWorkspace) -> str:
    features = [
        {
            "id": name,
            "title": f"Add {name} to the shop",
            "brief": f"Write src/{name}.py with the constant {name}, by docs/rules.md. [[script:{name}]]",
            "partition": [f"src/{name}.py", f"tests/test_{name}.py"],
        }
        for name in NAMES
    ]
    design = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    whole = {"goal": "Add twenty parts to the shop", "features": features, "shared": ["docs/**"], "qa": qa}
    design.write_text(json.dumps(whole), "utf-8")
    return str(design)


class Recorder:
    """A proxy on loopback that passes bytes on and keeps the bodies of all requests, in the order of arrival."""

    def __init__(self, target: str) -> None:
        self.bodies: list[bytes] = []
        self.port = 0
        self._target = urlsplit(target)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upward_reader, upward_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        with suppress(OSError):
            await asyncio.gather(
                self._pump(reader, upward_writer, MessageTap()), self._pump(upward_reader, writer, None)
            )

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: MessageTap | None) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
                self.bodies += [item.body for item in tap.feed(chunk) if item.body] if tap else []
        writer.close()

    @contextmanager
    def running(self) -> Iterator[str]:
        def work() -> None:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

        self._task = self._loop.create_task(self.serve())
        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert self._ready.wait(10)
            yield f"http://127.0.0.1:{self.port}"
        finally:
            self._loop.call_soon_threadsafe(self._stop)
            thread.join(10)

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()


class Meters(NamedTuple):
    """What the server itself has counted."""

    prompt_tokens: float
    cached_tokens: float
    block_tokens: int


def read_meters(url: str) -> Meters:
    text = httpx.get(f"{url}/metrics", timeout=10).text

    def total(name: str) -> float:
        return sum(float(value) for value in re.findall(rf"^vllm:{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    size = re.search(r'block_size="(\d+)"', text)
    assert size is not None
    return Meters(total("prefix_cache_queries_total"), total("prefix_cache_hits_total"), int(size[1]))


def tokens_of(url: str, body: dict[str, Any]) -> list[int]:
    """The prompt of a request, as the server's own tokenizer and chat template make it."""
    fields = {"model": body["model"], "messages": body["messages"], "tools": body.get("tools")}
    answer = httpx.post(f"{url}/tokenize", json=fields, timeout=30)
    assert answer.is_success, answer.text
    tokens: list[int] = answer.json()["tokens"]
    return tokens


def role_of(body: dict[str, Any]) -> str:
    """Whose request it is; `probe` for those with which the gateway tries what the server can do."""
    names = {tool["function"]["name"] for tool in body.get("tools") or ()}
    return "probe" if not names else "reviewer" if "verdict" in names else "worker"


class Rates(NamedTuple):
    """Prompt tokens, and those that an ideal cache has, by role."""

    prompt: Counter[str]
    ideal: Counter[str]


def replay(url: str, bodies: list[dict[str, Any]], block_tokens: int) -> Rates:
    """What a cache that forgets nothing would have had of these requests, one after the other."""
    cache = PrefixCache(None, block_tokens=block_tokens)
    rates = Rates(Counter(), Counter())
    for body in bodies:
        tokens = tokens_of(url, body)
        rates.prompt[role_of(body)] += len(tokens)
        rates.ideal[role_of(body)] += cache.add(tokens)
    return rates


@pytest.fixture
def scripts(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    need_kit(request)
    write_scripts(tmp_path, {**{name: steps_of(name) for name in NAMES}, "reviewer": REVIEW})
    return tmp_path


@contextmanager
def repository() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    test = "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self) -> None:\n        pass\n"
    rules = "".join(f"{number}. The shop {NOTE}" for number in range(1, 25))
    scratch.init({"README.md": "# Shop\n", "src/app.py": "x = 1\n", "docs/rules.md": rules, "tests/test_app.py": test})
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def run(workspace: ScratchWorkspace, url: str, *more: str) -> None:
    """The whole job, with further servers if they are named."""
    settings = workspace.folder / "config.toml"
    settings.write_text(f"base_url = {json.dumps(url)}\nmore_base_urls = {json.dumps(more)}\n")
    workspace.environ["AEGIS_CONFIG"] = str(settings)
    options = ["--design", write_design(workspace), "--workers", str(WORKERS)]
    note = ["--note", "reviewer=[[script:reviewer]]"]
    answer = workspace.aegis("run", "Add twenty parts", *options, *note, "--headless", "--json", timeout_s=1200)
    assert answer.code == 0 and answer.json["ok"], (answer.json.get("error"), answer.err)


def test_a_real_server_has_nearly_all_that_an_ideal_cache_would_have(scripts: Path) -> None:
    with serving(scripts) as url, repository() as workspace:
        recorder = Recorder(url)
        before = read_meters(url)
        with recorder.running() as door:
            run(workspace, door)
        after = read_meters(url)
        bodies = [json.loads(body) for body in recorder.bodies]
        rates = replay(url, bodies, after.block_tokens)
    assert sum(role_of(body) == "worker" for body in bodies) == 3 * WORKERS
    prompt, hits = after.prompt_tokens - before.prompt_tokens, after.cached_tokens - before.cached_tokens
    ideal = sum(rates.ideal.values())
    print(f"\n{len(bodies)} requests, {prompt:.0f} prompt tokens, blocks of {after.block_tokens}")
    print(f"raw {hits:.0f} cached, {hits / prompt:.4f}; ideal {ideal}, {ideal / prompt:.4f}; ratio {hits / ideal:.4f}")
    for role in rates.prompt:
        print(
            f"{role}: ideal {rates.ideal[role]} of {rates.prompt[role]}, {rates.ideal[role] / rates.prompt[role]:.4f}"
        )
    assert sum(rates.prompt.values()) == prompt
    assert hits >= 0.97 * ideal


def test_two_servers_have_nearly_the_hits_of_one(scripts: Path) -> None:
    with serving(scripts) as one, serving(scripts) as two:
        with repository() as workspace:
            before = read_meters(one)
            run(workspace, one)
            alone = hit_rate([before], [read_meters(one)])
        with repository() as workspace:
            before_both = [read_meters(url) for url in (one, two)]
            run(workspace, one, two)
            after_both = [read_meters(url) for url in (one, two)]
    together = hit_rate(before_both, after_both)
    shares = [after.prompt_tokens - begun.prompt_tokens for begun, after in zip(before_both, after_both, strict=True)]
    print(f"\none server {alone:.4f}, two servers {together:.4f}, ratio {together / alone:.4f}; prompt tokens {shares}")
    assert min(shares) > 0.2 * sum(shares)
    assert together >= 0.95 * alone


def hit_rate(before: list[Meters], after: list[Meters]) -> float:
    pairs = list(zip(before, after, strict=True))
    prompt = sum(end.prompt_tokens - begun.prompt_tokens for begun, end in pairs)
    return sum(end.cached_tokens - begun.cached_tokens for begun, end in pairs) / prompt


def test_prompts_that_share_nothing_do_not_wait_longer_than_by_turns(scripts: Path) -> None:
    """The times are printed and not judged: whatever else the machine does changes them more than the choice.

    By turns, the calls go to the servers directly, without the gateway.
    """
    with serving(scripts) as one, serving(scripts) as two, repository() as workspace:
        settings = workspace.folder / "config.toml"
        settings.write_text(f"base_url = {json.dumps(one)}\nmore_base_urls = {json.dumps([two])}\n")
        workspace.environ["AEGIS_CONFIG"] = str(settings)
        assert workspace.aegis("hub", "start").code == 0
        gateway, token = served_gateway(workspace)
        taken: dict[str, list[float]] = {"chosen": [], "by turns": []}
        for seed in range(2 * ROUNDS + 2):
            name = ("chosen", "by turns")[seed % 2]
            found = asyncio.run(waits([gateway] if name == "chosen" else [one, two], token, seed=seed))
            taken[name] += found if seed > 1 else []  # the first of each warms up
    p95 = {name: sorted(found)[int(0.95 * len(found))] for name, found in taken.items()}
    print(f"\np95 until the answer of {ROUNDS * LOAD} calls: {p95}")
    assert {len(found) for found in taken.values()} == {ROUNDS * LOAD}


LOAD, ROUNDS = 60, 5


def served_gateway(workspace: ScratchWorkspace) -> tuple[str, str]:
    """The gateway's address and the person's token, once it knows that both servers answer."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hub = json.loads(next(workspace.folder.rglob("hub.json")).read_text("utf-8"))
        if url := hub.get("gateway_url"):
            with suppress(httpx.HTTPError):
                endpoints = httpx.get(f"{url}/healthz", timeout=10).json()["endpoints"]
                if len(endpoints) == 2 and all(item["healthy"] for item in endpoints):
                    return url, hub["token"]
        time.sleep(0.2)
    raise TimeoutError("the gateway does not know both servers")


async def waits(urls: list[str], token: str, *, seed: int) -> list[float]:
    """How long each of 60 calls with prompts of their own took, sent at random moments, to the urls by turns."""
    rng = random.Random(seed)
    taken: list[float] = []

    async def ask(client: httpx.AsyncClient, url: str, prompt: str) -> None:
        began = time.monotonic()
        body = {"model": "aegis-tiny", "max_tokens": 16, "messages": [{"role": "user", "content": prompt}]}
        answer = await client.post(f"{url}/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        taken.append(time.monotonic() - began)

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=120, headers=headers) as client, asyncio.TaskGroup() as group:
        for number in range(LOAD):
            prompt = " ".join(
                rng.choice(("if", "def", "return", "import", "class")) for _ in range(rng.randrange(50, 3000))
            )
            group.create_task(ask(client, urls[number % len(urls)], f"{seed} {number} {prompt}"))
            await asyncio.sleep(rng.expovariate(8.0))
    return taken
