"""Reading a vLLM engine's meters, whatever its version leaves out."""

from __future__ import annotations

import pytest

from aegis_tui.domain.metrics import EngineMeters, EngineRates, parse_metrics, rates, summed

SAMPLE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 8.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 5.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 801.0
vllm:prefix_cache_queries_created{engine="0",model_name="tiny"} 1.795210747425941e+09
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 384.0
vllm:generation_tokens_total{engine="0",model_name="odd } name {"} 1.347e+03 1795210747
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="tiny"} 3.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="tiny"} 2.5
vllm:time_to_first_token_seconds_count{engine="0",model_name="tiny"} 10.0
"""


def test_a_scrape_is_read() -> None:
    assert parse_metrics(SAMPLE) == EngineMeters(
        running=8,
        waiting=5,
        kv_cache=0.25,
        prefix_queries=801,
        prefix_hits=384,
        generation_tokens_total=1347,
        ttft_sum=2.5,
        ttft_count=10,
    )


def test_several_engines_are_added_up_and_their_caches_averaged() -> None:
    second = SAMPLE.replace('engine="0"', 'engine="1"').replace("} 0.25", "} 0.75")
    both = parse_metrics(SAMPLE + second)

    assert (both.running, both.waiting, both.generation_tokens_total) == (16, 10, 2694)
    assert both.kv_cache == pytest.approx(0.5)


def test_older_names_are_known() -> None:
    older = parse_metrics("vllm:gpu_cache_usage_perc 0.5\nvllm:gpu_prefix_cache_hits 3\nvllm:generation_tokens 7\n")

    assert (older.kv_cache, older.prefix_hits, older.generation_tokens_total) == (0.5, 3, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "vllm:num_requests_running",
        "vllm:num_requests_running NaN",
        'vllm:num_requests_running{engine="0"} 1e308\nvllm:num_requests_running{engine="1"} 1e308',
        "}{ 3",
    ],
)
def test_what_is_missing_or_broken_is_none_or_zero(text: str) -> None:
    assert parse_metrics(text) == EngineMeters()


def test_rates_come_from_two_readings() -> None:
    before = EngineMeters(prefix_queries=100, prefix_hits=0, generation_tokens_total=50, ttft_sum=1, ttft_count=1)
    after = EngineMeters(prefix_queries=200, prefix_hits=80, generation_tokens_total=250, ttft_sum=2, ttft_count=5)

    assert rates(before, after, 2.0) == EngineRates(tokens_per_s=100, prefix_hit_rate=0.8, ttft_s=0.25)


def test_a_first_reading_has_no_speed_but_shares_since_the_start() -> None:
    reading = EngineMeters(prefix_queries=200, prefix_hits=80, generation_tokens_total=250, ttft_sum=2, ttft_count=4)

    assert rates(None, reading, 0.0) == EngineRates(tokens_per_s=None, prefix_hit_rate=0.4, ttft_s=0.5)
    assert rates(reading, reading, 2.0) == EngineRates(tokens_per_s=0, prefix_hit_rate=0.4, ttft_s=0.5)
    assert rates(reading, reading, 0.0).tokens_per_s is None
    assert rates(None, EngineMeters(), 1.0) == EngineRates()


def test_a_restarted_engine_counts_from_zero() -> None:
    before = EngineMeters(prefix_queries=900, prefix_hits=900, generation_tokens_total=5000)
    after = EngineMeters(prefix_queries=10, prefix_hits=5, generation_tokens_total=40)

    assert rates(before, after, 2.0) == EngineRates(tokens_per_s=20, prefix_hit_rate=0.5, ttft_s=None)


def test_readings_of_several_servers_are_added_and_the_cache_is_their_mean() -> None:
    one = EngineMeters(running=1, waiting=2, kv_cache=0.5, prefix_queries=10, prefix_hits=5, ttft_sum=1, ttft_count=2)
    two = EngineMeters(running=3, kv_cache=None, generation_tokens_total=7)
    three = EngineMeters(kv_cache=0.1)
    together = summed([one, two, three])
    assert (together.running, together.waiting, together.generation_tokens_total) == (4, 2, 7)
    assert together.kv_cache == pytest.approx(0.3)
    assert summed([two]).kv_cache is None
