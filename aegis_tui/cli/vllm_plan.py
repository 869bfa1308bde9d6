"""`aegis-tui vllm plan` and `vllm setup`: what fits on a card, and an environment for vLLM (LLM-1, contract 9)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.config import load_settings
from aegis_tui.domain.memory_plan import GIB, Cards, MemoryPlan, plan_memory
from aegis_tui.domain.model_shape import ModelShape, read_shape
from aegis_tui.domain.wire.machine import CardFields, PlanOutput
from aegis_tui.errors import UsageError

OTHER_SESSIONS = 5
"""Conversations besides those of the workers: four reviewers and the Commander."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ModelFolder = Annotated[
    str, typer.Argument(metavar="MODEL", help="A folder, or a name whose files are in the cache of Hugging Face.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The config.json of a model that is not on this machine."),
]
CardGb = Annotated[
    float | None,
    typer.Option("--card-gb", min=0.1, help="Memory of one GPU in GiB; by default that of this machine's GPUs."),
]
CardNumber = Annotated[
    int | None,
    typer.Option("--cards", min=1, help="Number of GPUs; by default those of this machine, or one with --card-gb."),
]
Sessions = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        min=1,
        help="Conversations at the same time; by default the setting `workers` plus 5, for the other agents of a run.",
    ),
]
Context = Annotated[
    int | None,
    typer.Option("--context", min=1024, help="The longest conversation in tokens; by default the model's maximum."),
]
Utilization = Annotated[
    float, typer.Option("--utilization", min=0.1, max=1.0, help="The share of a GPU's memory that vLLM may use.")
]
KvFp8 = Annotated[bool, typer.Option("--kv-fp8", help="Plan for a KV cache in 8 bits (--kv-cache-dtype fp8).")]


def plan(
    model: ModelFolder,
    config: ConfigFile = None,
    card_gb: CardGb = None,
    card_number: CardNumber = None,
    sessions: Sessions = None,
    context: Context = None,
    utilization: Utilization = 0.9,
    kv_fp8: KvFp8 = False,
    as_json: AsJson = False,
) -> int:
    """Compute how many conversations fit on a GPU beside a model's weights, and print the arithmetic.

    The numbers come from the model's own config.json and, if they are here, the sizes of its files.

    Exit code 1 if the model does not fit, 2 if the model is not known, or neither this machine nor --card-gb gives the
    memory of a GPU.
    """
    from aegis_tui.bootstrap.model_server import cards, model_files

    files = model_files(model, config)
    shape = read_shape(files.config)
    on = _cards_of(card_gb, card_number, [] if card_gb is not None else cards())
    plan = plan_memory(
        shape,
        on,
        sessions=sessions or load_settings(os.environ).workers + OTHER_SESSIONS,
        longest_tokens=context,
        weight_bytes=files.weight_bytes,
        utilization=utilization,
        kv_bytes=1 if kv_fp8 else None,
    )
    command = _start_command(model, plan, on.number, utilization, kv_fp8=kv_fp8) if plan.is_enough else []
    head = f"{files.name}: {shape.model_type}, {shape.parameters / 1e9:.1f} billion parameters"
    lines = [head, *plan.lines, *([f"start it: {shlex.join(command)}"] if command else [])]
    output.result(_fields(files.name, shape, on, plan, command), as_json=as_json, lines=lines)
    return 0 if plan.is_enough else 1


def setup(
    package: Annotated[
        str, typer.Option("--package", metavar="NAME", help="What to install: a requirement or a wheel.")
    ] = "vllm>=0.30",
    show: Annotated[bool, typer.Option("--print", help="Print the commands instead of running them.")] = False,
    as_json: AsJson = False,
) -> int:
    """Install vLLM into an environment of its own, where `vllm start` finds it. This downloads gigabytes.

    pip uses the package index that its own configuration names. An existing environment is reused.

    Exit code 5 if a command fails.
    """
    from aegis_tui.bootstrap.model_server import set_up_vllm

    fields = set_up_vllm(package, only_print=show)
    lines = [shlex.join(argv) for argv in fields["commands"]] if show else [f"{fields['program']} is installed"]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


def _cards_of(card_gb: float | None, number: int | None, present: Sequence[CardFields]) -> Cards:
    """Return the cards to plan for: those that were named, or else those of this machine, each like the smallest.

    Args:
        card_gb: The memory of a named card in GiB; None for this machine's.
        number: How many; None for one named card, or all of this machine's.
        present: The cards of this machine.

    Raises:
        UsageError: None were named, and there are none here.
    """
    if card_gb is not None:
        return Cards(f"a GPU of {card_gb:g} GiB", int(card_gb * GIB), number or 1)
    if not present:
        raise UsageError("no GPU was found on this machine", "give the memory of a GPU to plan for: --card-gb 16")
    smallest = min(present, key=lambda card: card["memory_mib"])
    return Cards(smallest["name"], smallest["memory_mib"] << 20, number or len(present))


def _start_command(model: str, plan: MemoryPlan, number: int, utilization: float, *, kv_fp8: bool) -> list[str]:
    options = ["--max-num-seqs", str(plan.sessions), "--max-model-len", str(plan.context_tokens)]
    options += ["--gpu-memory-utilization", f"{utilization:g}"]
    options += ["--tensor-parallel-size", str(number)] if number > 1 else []
    options += ["--kv-cache-dtype", "fp8"] if kv_fp8 else []
    return ["aegis-tui", "vllm", "start", model, "--", *options]


def _fields(model: str, shape: ModelShape, on: Cards, plan: MemoryPlan, command: list[str]) -> PlanOutput:
    return {
        "model": model,
        "parameters": shape.parameters,
        "card": on.name,
        "cards": on.number,
        "usable_bytes": plan.usable_bytes,
        "weight_bytes": plan.weight_bytes,
        "assumed_bytes": plan.assumed_bytes,
        "left_bytes": plan.left_bytes,
        "token_bytes": plan.token_bytes,
        "conversation_bytes": plan.fixed_bytes,
        "sessions": plan.sessions,
        "context_tokens": plan.context_tokens,
        "longest_tokens": plan.longest_tokens,
        "longest_sessions": plan.longest_sessions,
        "fits": plan.is_enough,
        "command": command,
    }
