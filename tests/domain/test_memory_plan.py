"""How many conversations fit beside a model, from its own config.json, with the arithmetic (LLM-1)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.memory_plan import GIB, Cards, plan_memory
from aegis_tui.domain.model_shape import read_shape
from aegis_tui.errors import UsageError

QWEN3_NEXT = {
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "num_experts": 512,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "vocab_size": 151936,
    "tie_word_embeddings": False,
    "max_position_embeddings": 262144,
    "dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8"},
}
"""A mixture of 80 billion parameters in FP8, three quarters of whose layers have linear attention."""
QWEN3_8B = {
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
}
DEEPSEEK_V3 = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 3,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8"},
}
MISTRAL_SLIDING = {**QWEN3_8B, "model_type": "mistral", "sliding_window": 4096}
TINY = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 4224,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_position_embeddings": 131072,
    "dtype": "bfloat16",
}
H200 = Cards("H200", 141 * GIB)


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        (QWEN3_NEXT, 79.67),
        (QWEN3_8B, 8.19),
        (DEEPSEEK_V3, 671.0),
        ({"text_config": QWEN3_8B, "model_type": "vl"}, 8.19),
    ],
)
def test_the_parameters_are_those_that_the_makers_count(config: dict[str, Any], billions: float) -> None:
    assert read_shape(config).parameters / 1e9 == pytest.approx(billions, rel=0.002)


def test_seventeen_sessions_of_an_80b_mixture_in_fp8_fit_on_141_gib() -> None:
    plan = plan_memory(read_shape(QWEN3_NEXT), H200, sessions=17)
    assert plan.token_bytes == 12 * 2 * 2 * 256 * 2
    assert plan.weight_bytes / GIB == pytest.approx(74.8, abs=0.1)
    assert plan.is_enough and plan.context_tokens == 122_880
    room = plan.usable_bytes - plan.weight_bytes - plan.assumed_bytes
    assert 17 * (plan.context_tokens * plan.token_bytes + plan.fixed_bytes) <= room == plan.left_bytes
    assert plan.longest_sessions == 8
    assert plan.lines == (
        "H200, usable                126.9 GiB  141.0 GiB x 0.9",
        "weights                      74.8 GiB  79.00 billion x 8 bits + 0.67 billion x 16 bits",
        "activations, CUDA graphs      2.8 GiB  assumed: 2% of a GPU, at least 1 GiB",
        "left for conversations       49.3 GiB",
        "one token                   24.00 KiB  12 layers x 1,024 numbers x 2 B",
        "one conversation             73.7 MiB  36 layers x 2.05 MiB of state",
        "17 conversations of 122,880 tokens fit, or 8 of 262,144 tokens.",
    )


def test_a_small_card_takes_a_small_model_in_four_bits_and_not_the_large_one() -> None:
    card = Cards("a card of 16 GiB", 16 * GIB)
    large = plan_memory(read_shape(QWEN3_NEXT), card, sessions=1)
    assert not large.is_enough and (large.context_tokens, large.longest_sessions) == (0, 0)
    assert large.lines[-1].startswith("The weights do not fit")
    whole = plan_memory(read_shape(QWEN3_8B), card, sessions=1)
    assert not whole.is_enough and whole.left_bytes < 0
    small = plan_memory(
        read_shape({**QWEN3_8B, "quantization_config": {"quant_method": "awq", "bits": 4}}), card, sessions=9
    )
    assert small.is_enough and small.context_tokens == 6144
    assert small.token_bytes == 36 * 2 * 8 * 128 * 2


def test_a_token_takes_what_vllm_says() -> None:
    """vLLM 0.32 reports 4,194,304 tokens in 1 GiB for the model of the vLLM kit."""
    assert GIB // plan_memory(read_shape(TINY), H200, sessions=1).token_bytes == 4_194_304


def test_latent_attention_keeps_one_vector_for_each_token_on_every_card() -> None:
    one = plan_memory(read_shape(DEEPSEEK_V3), Cards("x", 1400 * GIB), sessions=1)
    assert one.token_bytes == 61 * (512 + 64) * 2
    eight = plan_memory(read_shape(DEEPSEEK_V3), Cards("x", 175 * GIB, 8), sessions=1)
    assert eight.token_bytes == 8 * one.token_bytes
    assert "8 x 175.0 GiB x 0.9" in eight.lines[0] and "x 8 copies" in eight.lines[4]


def test_sliding_layers_keep_a_window_only_and_eight_bits_halve_the_cache() -> None:
    plan = plan_memory(read_shape(MISTRAL_SLIDING), H200, sessions=4)
    layer = 2 * 8 * 128 * 2
    assert (plan.token_bytes, plan.fixed_bytes) == (0, 36 * layer * 4096)
    assert plan.context_tokens == plan.longest_tokens == 40960
    every = read_shape({**MISTRAL_SLIDING, "sliding_window_pattern": 6})
    assert (every.full_layers, every.sliding_layers) == (6, 30)
    half = plan_memory(read_shape(QWEN3_8B), H200, sessions=4, kv_bytes=1)
    assert 2 * half.token_bytes == plan_memory(read_shape(QWEN3_8B), H200, sessions=4).token_bytes


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        (None, 16),
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "gptq", "bits": 4}, 4.25),
        ({"quant_method": "mxfp4"}, 4.25),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}, 8),
        ({"quant_method": "of another time"}, 16),
        ("odd", 16),
    ],
)
def test_the_bits_of_a_parameter_are_those_of_its_quantization(quantization: Any, bits: float) -> None:
    assert read_shape({**QWEN3_8B, "quantization_config": quantization}).parameter_bits == bits


def test_layer_types_count_and_the_size_of_the_files_goes_before_the_computed_one() -> None:
    shape = read_shape(
        {**QWEN3_8B, "layer_types": ["full_attention", "sliding_attention"] * 18, "sliding_window": 1024}
    )
    assert (shape.full_layers, shape.sliding_layers, shape.window_tokens) == (18, 18, 1024)
    plan = plan_memory(shape, H200, sessions=1, weight_bytes=5 * GIB)
    assert plan.weight_bytes == 5 * GIB and "the size of its files" in plan.lines[1]


def test_what_is_no_text_model_is_told() -> None:
    for config in ({}, {**QWEN3_8B, "hidden_size": "large"}, {**QWEN3_8B, "vocab_size": None}):
        with pytest.raises(UsageError, match=r"config\.json has no number"):
            read_shape(config)
