"""Which model server gets a call when there are several (LLM-2, PERF-9)."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from aegis_tui.gateway.routing import HOME_S, MOST_GAP, Routing
from aegis_tui.gateway.sketch import Sketch, sketch_of, texts_of
from aegis_tui.testing.scripted_meters import PrefixCache
from tests.gateway.conftest import CHAT_STREAM, Gateway, ModelServer, Seen, open_model_server, streamed, until, whole

ONE, TWO = "http://one/v1", "http://two/v1"
CHAT = "/v1/chat/completions"
ME = "NATIVE-w01"


def sketch(*texts: str) -> Sketch:
    messages = [{"role": "user", "content": text} for text in texts]
    return sketch_of("m", texts_of("chat", {"messages": messages}), ())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_prompt_goes_where_its_beginning_is() -> None:
    routing = Routing()
    first, other = sketch("a" * 5000), sketch("b" * 5000)
    for prompt, url, caller in ((first, ONE, "w01"), (other, TWO, "w02")):
        with routing.running(url, prompt, caller):
            pass
    assert routing.order([ONE, TWO], sketch("a" * 5000, "more"), "w01")[0] == ONE
    assert routing.order([ONE, TWO], sketch("b" * 5000, "more"), "w02")[0] == TWO


def test_new_callers_spread_evenly_whatever_is_cached() -> None:
    clock = Clock()
    routing, prompt = Routing(now=clock), sketch("a" * 50_000)
    homes = []
    for number in range(10):
        homes.append(routing.order([ONE, TWO], prompt, f"w{number}")[0])
        with routing.running(homes[-1], prompt, f"w{number}"):
            pass
    assert homes.count(ONE) == homes.count(TWO) == 5
    assert [routing.order([ONE, TWO], prompt, f"w{number}")[0] for number in (1, 2)] == [ONE, ONE], "both have it now"
    clock.now = HOME_S + 1
    assert routing.order([ONE, TWO], prompt, "w1")[0] == ONE, "nobody is at home any more"


def test_a_load_gap_beats_affinity() -> None:
    routing, mine = Routing(), sketch("a" * 500_000)
    with ExitStack() as stack:
        stack.enter_context(routing.running(ONE, mine, ME))()
        for _ in range(MOST_GAP - 2):
            stack.enter_context(routing.running(ONE, sketch("x"), "other"))()
        assert routing.order([ONE, TWO], mine, ME)[0] == ONE
        stack.enter_context(routing.running(ONE, sketch("x"), "other"))()
        assert routing.order([ONE, TWO], mine, ME)[0] == TWO
    assert routing.order([ONE, TWO], mine, ME)[0] == ONE


def test_what_is_still_to_be_computed_counts_as_load() -> None:
    routing, mine = Routing(), sketch("a" * 5000)
    with routing.running(ONE, mine, ME):
        pass
    with routing.running(ONE, sketch("b" * 50_000), "other") as begun:
        assert routing.order([ONE, TWO], mine, ME)[0] == TWO
        begun()
        assert routing.order([ONE, TWO], mine, ME)[0] == ONE


def test_a_prompt_that_is_only_counted_is_in_no_cache() -> None:
    routing, mine = Routing(), sketch("mine " * 400)
    with routing.running(ONE, sketch("mine"), ME) as begun:
        begun()
    with routing.running(ONE, mine, ME, computes=False) as begun:
        begun()
    assert routing.order([TWO, ONE], mine, ME) == [TWO, ONE]
    with routing.running(ONE, mine, ME) as begun:
        begun()
    assert routing.order([TWO, ONE], mine, ME) == [ONE, TWO]


def test_one_that_does_not_answer_rests_longer_each_time_and_loses_its_cache() -> None:
    clock = Clock()
    routing, mine = Routing(now=clock), sketch("a" * 5000)
    with routing.running(ONE, mine, ME):
        pass
    routing.failed(ONE)
    assert routing.order([ONE, TWO], mine, ME) == [TWO, ONE]
    clock.now = 1.1
    with routing.running(TWO, mine, ME) as begun:
        begun()
        assert routing.order([ONE, TWO], mine, ME)[0] == TWO, "what it had is lost"
    routing.failed(ONE)
    clock.now = 2.2
    assert routing.order([ONE, TWO], sketch("c"), ME)[0] == TWO
    with routing.running(ONE, mine, ME) as begun:
        begun()
    assert routing.order([ONE, TWO], sketch("a" * 5000, "more"), ME)[0] == ONE, "an answer ends its rest"


def play(prompts: Iterator[tuple[float, str, list[str]]], *, affine: bool, urls: tuple[str, ...] = (ONE, TWO)) -> Any:
    """A load on servers that compute 20,000 characters a second, one prompt after the other, then reply for 0.4 s.

    Returns the share of the characters that were cached, and the waiting times until the first token, sorted.
    """
    clock, numbers = Clock(), iter(range(10**9))
    routing = Routing(now=clock)
    caches = {url: PrefixCache(None, block_tokens=64) for url in urls}
    free_at = dict.fromkeys(urls, 0.0)
    waits, total, cached = [], 0, 0
    ends: list[tuple[float, int, Any]] = []
    for number, (arrives, caller, texts) in enumerate(prompts):
        while ends and ends[0][0] <= arrives:
            heapq.heappop(ends)[2]()
        clock.now = arrives
        prompt = sketch(*texts)
        url = routing.order(urls, prompt, caller)[0] if affine else urls[number % len(urls)]
        whole_text = "".join(texts)
        hit = caches[url].add(whole_text)
        begins = max(arrives, free_at[url]) + (len(whole_text) - hit) / 20_000
        free_at[url] = begins
        waits.append(begins - arrives)
        total, cached = total + len(whole_text), cached + hit
        stack = ExitStack()
        begun = stack.enter_context(routing.running(url, prompt, caller))
        heapq.heappush(ends, (begins, next(numbers), begun))
        heapq.heappush(ends, (begins + 0.4, next(numbers), stack.close))
    return cached / total, sorted(waits)


def agents(rng: random.Random, *, shared: str) -> Iterator[tuple[float, str, list[str]]]:
    """Twenty agents, each with a conversation of six turns that grows."""
    due = [(rng.random(), number, [shared + f"task {number} " * 60]) for number in range(20)]
    heapq.heapify(due)
    while due:
        at, number, texts = heapq.heappop(due)
        yield at, f"w{number}", list(texts)
        if len(texts) < 11:
            texts += ["reply " * 20, f"result {rng.random()} " * rng.randrange(10, 150)]
            heapq.heappush(due, (at + 0.5 + rng.random(), number, texts))


def test_two_servers_keep_the_hit_rate_of_one() -> None:
    shared = "what all instances share " * 400
    one, _ = play(agents(random.Random(7), shared=shared), affine=True, urls=(ONE,))
    two, _ = play(agents(random.Random(7), shared=shared), affine=True)
    by_turns, _ = play(agents(random.Random(7), shared=shared), affine=False)
    assert two >= 0.95 * one
    assert two > by_turns


@pytest.mark.parametrize("seed", range(5))
def test_prompts_that_share_nothing_wait_no_longer_than_by_turns(seed: int) -> None:
    def load() -> Iterator[tuple[float, str, list[str]]]:
        rng, at = random.Random(seed), 0.0
        for number in range(400):
            at += rng.expovariate(8.0)
            yield at, f"w{number % 20}", [f"{seed} {number} {rng.random()} " * rng.randrange(10, 400)]

    _, ours = play(load(), affine=True)
    _, by_turns = play(load(), affine=False)
    assert ours[int(0.95 * len(ours))] <= 1.2 * by_turns[int(0.95 * len(by_turns))]


@pytest.mark.parametrize("seed", range(3))
def test_a_small_common_beginning_does_not_crowd_one_server(seed: int) -> None:
    def load() -> Iterator[tuple[float, str, list[str]]]:
        rng, at = random.Random(seed), 0.0
        for number in range(400):
            at += rng.expovariate(8.0)
            own = f"{seed} {number} {rng.random()} " * rng.randrange(10, 300)
            yield at, f"w{number % 20}", ["a common beginning " * 60, own]

    _, ours = play(load(), affine=True)
    _, by_turns = play(load(), affine=False)
    assert ours[int(0.95 * len(ours))] <= 1.2 * by_turns[int(0.95 * len(by_turns))]


@pytest.fixture
def second() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


def test_another_server_takes_over_before_an_answer_has_begun(
    gateway: Gateway, model_server: ModelServer, second: ModelServer
) -> None:
    gateway.write_map(model_server.url, more=[second.url])
    model_server.answers[CHAT] = lambda _: whole(b'{"error": {"message": "busy"}}', status=503)
    for number in range(4):
        answer = gateway.client().post(CHAT, json={"model": "tiny", "stream": True, "messages": [{"n": number}]})
        assert answer.status_code == 200 and answer.content == CHAT_STREAM
        assert answer.headers["x-aegis-upstream"] == f"{second.url}/v1"
    assert 1 <= len(model_server.calls(CHAT)) < 4, "one that fails rests"
    endpoints = {line["endpoint"] for line in gateway.wait_for_lines(4)}
    assert endpoints == {f"{second.url}/v1"}


def test_an_error_of_the_last_server_is_the_answer(gateway: Gateway, model_server: ModelServer) -> None:
    gateway.write_map(model_server.url, more=["http://127.0.0.1:9/v1"])
    model_server.answers[CHAT] = lambda _: whole(b'{"error": {"message": "busy"}}', status=503)
    statuses = {gateway.client().post(CHAT, json={"model": "tiny"}).status_code for _ in range(3)}
    assert statuses <= {502, 503}


def test_a_refusal_is_no_reason_to_ask_another_server(
    gateway: Gateway, model_server: ModelServer, second: ModelServer
) -> None:
    gateway.write_map(model_server.url, more=[second.url])
    for server in (model_server, second):
        server.answers[CHAT] = lambda _: whole(b'{"error": {"message": "bad"}}', status=400)
    assert gateway.client().post(CHAT, json={"model": "tiny"}).status_code == 400
    assert len(model_server.calls(CHAT)) + len(second.calls(CHAT)) == 1


def test_a_call_goes_to_a_server_that_lists_its_model(
    gateway: Gateway, model_server: ModelServer, second: ModelServer
) -> None:
    second.answers["/v1/models"] = lambda _: whole(b'{"data":[{"id":"large"}]}')
    gateway.write_map(model_server.url, more=[second.url])
    until(lambda: second.calls("/v1/models") and second.calls("/version"), "the second server was asked")
    for _ in range(4):
        assert gateway.client().post(CHAT, json={"model": "large", "stream": True}).status_code == 200
    assert not model_server.calls(CHAT)


def vllm(server: ModelServer, *, has_priority: bool) -> None:
    """Let the server be a vLLM that refuses priorities unless it schedules by them."""

    def answer(seen: Seen) -> Any:
        if seen.json.get("priority") and not has_priority:
            return whole(b'{"error": {"message": "fcfs"}}', status=400)
        return streamed(CHAT_STREAM) if seen.json.get("stream") else whole(b'{"choices": []}')

    server.answers[CHAT] = answer
    server.answers["/version"] = lambda _: whole(b'{"version": "0.32.0"}')


@pytest.mark.parametrize("has_priority", [True, False])
def test_calls_get_the_workspaces_salt_and_their_priority_where_a_server_takes_them(
    gateway_folders: Gateway, model_server: ModelServer, has_priority: bool
) -> None:
    vllm(model_server, has_priority=has_priority)
    gateway_folders.write_map(model_server.url, urgencies={"NATIVE-w01": 4})
    gateway_folders.start()
    until(lambda: len(model_server.calls(CHAT)) == 2, "it was tried once with a salt and once with a priority")
    until(lambda: _ask(gateway_folders, model_server).get("cache_salt"), "the abilities are known")
    sent = _ask(gateway_folders, model_server, cache_salt="mine", priority=-5)
    kept = (gateway_folders.state / "gateway.salt").read_text()
    assert sent["cache_salt"] == kept and len(kept) == 32
    assert sent.get("priority") == (6 if has_priority else -5)
    assert _ask(gateway_folders, model_server, path="/v1/messages/count_tokens").get("cache_salt") is None
    tried = [seen.json for seen in model_server.calls(CHAT) if seen.json.get("max_tokens") == 1]
    assert len(tried) == 2, "once"


def _ask(gateway: Gateway, server: ModelServer, *, path: str = CHAT, **fields: Any) -> dict[str, Any]:
    """What the server gets of a call."""
    gateway.client().post(path, json={"model": "tiny", "stream": True, **fields})
    return server.calls(path)[-1].json
