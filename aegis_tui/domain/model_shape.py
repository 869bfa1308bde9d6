"""What a model's own `config.json` says about the memory that it needs (LLM-1).

The fields are those of Hugging Face's transformers. Parameters are counted from the shapes of the usual layers: gated
MLPs and mixtures of experts, grouped-query and latent attention, and gated linear attention as in Qwen3-Next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aegis_tui.errors import UsageError

Config = Mapping[str, Any]

FULL, SLIDING, LINEAR = "full_attention", "sliding_attention", "linear_attention"
_STATE_BYTES = 4
"""Servers keep the state of linear attention in 32 bits."""
_DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}
_SCALE_BITS = {4: 0.25, 8: 0.0}
"""What the scales of a format add to each of its numbers, in bits."""


class ModelShape(NamedTuple):
    """The numbers of a model that decide about memory."""

    model_type: str
    quantized_parameters: int
    """Parameters of the layers that a quantization makes smaller; all linear layers if there is none."""
    other_parameters: int
    """Embeddings, output layer, routers and norms."""
    parameter_bits: float
    """Bits of a parameter of those layers, scales included."""
    dtype_bytes: int
    """Bytes of any other parameter, and of a number in the KV cache unless that is quantized."""
    full_layers: int
    sliding_layers: int
    window_tokens: int
    """How many tokens the sliding layers keep; 0 without such layers."""
    linear_layers: int
    kv_numbers: int
    """Numbers that one token adds to the KV cache of one layer."""
    kv_heads: int
    """Heads among which that is shared out over several cards; 1 for latent attention."""
    state_bytes: int
    """State of one conversation in one linear layer."""
    max_tokens: int
    """The longest conversation; 0 if the file does not say."""

    @property
    def parameters(self) -> int:
        """The number of all parameters."""
        return self.quantized_parameters + self.other_parameters

    @property
    def weight_bytes(self) -> int:
        """The size of all weights in bytes, after quantization."""
        return int(self.quantized_parameters * self.parameter_bits / 8) + self.other_parameters * self.dtype_bytes


def read_shape(config: Config) -> ModelShape:
    """Return the numbers of a model from the fields of its `config.json`; those of a `text_config` in it come first.

    What such a file may leave out has the usual value; an unknown data type counts as 16 bits.

    Args:
        config: The parsed file.

    Raises:
        UsageError: A field that every such file has is missing, or is not a whole number.
    """
    fields = {**config, **config["text_config"]} if isinstance(config.get("text_config"), Mapping) else config
    kinds = _kinds(fields)
    dtype_bytes = _DTYPE_BYTES.get(
        str(fields.get("dtype") or fields.get("torch_dtype") or "").removeprefix("torch."), 2
    )
    small, other = _parameters(fields, kinds)
    latent = _number(fields, "kv_lora_rank", 0)
    heads = _number(fields, "num_key_value_heads", _number(fields, "num_attention_heads"))
    return ModelShape(
        model_type=str(fields.get("model_type") or "unknown"),
        quantized_parameters=small,
        other_parameters=other,
        parameter_bits=_parameter_bits(fields, config) or 8 * dtype_bytes,
        dtype_bytes=dtype_bytes,
        full_layers=kinds.count(FULL),
        sliding_layers=kinds.count(SLIDING),
        window_tokens=_number(fields, "sliding_window", 0) if SLIDING in kinds else 0,
        linear_layers=kinds.count(LINEAR),
        kv_numbers=latent + _number(fields, "qk_rope_head_dim", 0) if latent else 2 * heads * _head_dim(fields),
        kv_heads=1 if latent else heads,
        state_bytes=_state_bytes(fields, dtype_bytes) if LINEAR in kinds else 0,
        max_tokens=_number(fields, "max_position_embeddings", 0),
    )


def _number(fields: Config, name: str, default: int | None = None) -> int:
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"config.json has no number {name}", "name the config.json of a text model with --config")
    return value


def _head_dim(fields: Config) -> int:
    return _number(fields, "head_dim", _number(fields, "hidden_size") // _number(fields, "num_attention_heads"))


def _kinds(fields: Config) -> list[str]:
    """Return for each layer how it attends: `FULL`, `SLIDING` or `LINEAR`; an unknown kind counts as `FULL`.

    `layer_types` counts first, then the intervals of the config.

    Raises:
        UsageError: The number of layers is missing, or a number is not a whole one.
    """
    count = _number(fields, "num_hidden_layers")
    named = fields.get("layer_types")
    if isinstance(named, list) and len(named) == count:
        return [kind if kind in (SLIDING, LINEAR) else FULL for kind in named]
    every = _number(fields, "full_attention_interval", 0)
    if every:
        return [FULL if (number + 1) % every == 0 else LINEAR for number in range(count)]
    if not _number(fields, "sliding_window", 0) or fields.get("use_sliding_window") is False:
        return [FULL] * count
    every = _number(fields, "sliding_window_pattern", 0)
    return [FULL if every and (number + 1) % every == 0 else SLIDING for number in range(count)]


def _parameters(fields: Config, kinds: list[str]) -> tuple[int, int]:
    """Return the number of parameters of the linear layers, and that of all others (embeddings, routers, norms).

    Raises:
        UsageError: A number that this needs is missing from the config, or is not a whole one.
    """
    hidden, vocabulary = _number(fields, "hidden_size"), _number(fields, "vocab_size")
    small = 0
    other = hidden * vocabulary * (1 if fields.get("tie_word_embeddings") else 2) + hidden * (2 * len(kinds) + 1)
    for number, kind in enumerate(kinds):
        small += _linear_attention(fields) if kind == LINEAR else _attention(fields)
        experts = _experts(fields) if _is_sparse(fields, number) else 0
        if experts:
            size = _number(fields, "moe_intermediate_size", _number(fields, "intermediate_size", 0))
            shared = _number(fields, "shared_expert_intermediate_size", _number(fields, "n_shared_experts", 0) * size)
            small += 3 * hidden * (experts * size + shared)
            other += hidden * experts
        else:
            small += 3 * hidden * _number(fields, "intermediate_size")
    return small, other


def _attention(fields: Config) -> int:
    hidden, heads = _number(fields, "hidden_size"), _number(fields, "num_attention_heads")
    latent = _number(fields, "kv_lora_rank", 0)
    if latent:
        rope, plain = _number(fields, "qk_rope_head_dim"), _number(fields, "qk_nope_head_dim")
        value, narrow = _number(fields, "v_head_dim"), _number(fields, "q_lora_rank", 0)
        query = narrow * (hidden + heads * (plain + rope)) if narrow else hidden * heads * (plain + rope)
        return query + hidden * (latent + rope) + latent * heads * (plain + value) + heads * value * hidden
    size = _head_dim(fields)
    kv_heads = _number(fields, "num_key_value_heads", heads)
    has_gate = bool(fields.get("attn_output_gate")) or fields.get("model_type") == "qwen3_next"
    return hidden * size * (heads * (3 if has_gate else 2) + 2 * kv_heads)


def _linear_attention(fields: Config) -> int:
    hidden = _number(fields, "hidden_size")
    keys = _number(fields, "linear_num_key_heads") * _number(fields, "linear_key_head_dim")
    values = _number(fields, "linear_num_value_heads") * _number(fields, "linear_value_head_dim")
    return hidden * (2 * keys + 2 * values + 2 * _number(fields, "linear_num_value_heads")) + values * hidden


def _state_bytes(fields: Config, dtype_bytes: int) -> int:
    keys = _number(fields, "linear_num_key_heads") * _number(fields, "linear_key_head_dim")
    heads, size = _number(fields, "linear_num_value_heads"), _number(fields, "linear_value_head_dim")
    recent = (_number(fields, "linear_conv_kernel_dim", 4) - 1) * (2 * keys + heads * size) * dtype_bytes
    return heads * size * _number(fields, "linear_key_head_dim") * _STATE_BYTES + recent


def _experts(fields: Config) -> int:
    names = ("num_experts", "n_routed_experts", "num_local_experts")
    return next((number for name in names if (number := _number(fields, name, 0))), 0)


def _is_sparse(fields: Config, layer: int) -> bool:
    dense = fields.get("mlp_only_layers")
    if layer < _number(fields, "first_k_dense_replace", 0) or (isinstance(dense, list) and layer in dense):
        return False
    return (layer + 1) % max(1, _number(fields, "decoder_sparse_step", 1)) == 0


def _parameter_bits(fields: Config, config: Config) -> float:
    """Return the bits of a quantized parameter, with the scales; 0 if nothing is quantized or the form is unknown."""
    plan = fields.get("quantization_config") or config.get("quantization_config")
    if not isinstance(plan, Mapping):
        return 0.0
    method, bits = str(plan.get("quant_method") or ""), plan.get("bits")
    groups = plan.get("config_groups")
    if isinstance(groups, Mapping):
        weights = [group.get("weights") for group in groups.values() if isinstance(group, Mapping)]
        bits = next((item.get("num_bits") for item in weights if isinstance(item, Mapping)), bits)
    if bits is None:
        bits = {"fp8": 8, "fbgemm_fp8": 8, "modelopt": 8, "mxfp4": 4, "awq": 4, "gptq": 4}.get(method)
    return bits + _SCALE_BITS.get(bits, 0.25) if isinstance(bits, int) else 0.0
