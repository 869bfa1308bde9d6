"""The flags and arguments of `run`, `wait`, `cancel`, `halt` and `resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Unchecked = Annotated[bool, typer.Option("--unchecked", help="Run no checks on the result; the report says so.")]
AcceptBase = Annotated[
    bool,
    typer.Option(
        "--accept-base-failures",
        help="Accept a check that already fails on the base (the commit that the run starts from) if QA cannot tell "
        "whether the result adds failures.",
    ),
]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial",
        help="If a piece fails, or still breaks QA after the last round, leave it out and commit the others. "
        "The report lists what is left out, and the exit code is 3.",
    ),
]
Checks = Annotated[
    list[str] | None,
    typer.Option(
        "--check",
        metavar="COMMAND",
        help="A command that checks the result, if the design names none; may be repeated. If neither names one, "
        "QA runs the checks that follow from the repository's build files.",
    ),
]
Lenses = Annotated[
    list[str] | None,
    typer.Option(
        "--lens",
        metavar="NAME",
        help="Add a reviewer with this lens: security, compliance, performance, style, or a file in "
        ".agents/lenses; may be repeated.",
    ),
]
AgentMode = Annotated[
    Literal["headless", "terminal", "acp"] | None,
    typer.Option(
        "--agent-mode",
        metavar="MODE",
        help="How agent programs other than the built-in one run: headless, terminal (with their own interface), "
        "or acp (over the Agent Client Protocol; those that do not speak it run headless).",
    ),
]
DesignFile = Annotated[Path | None, typer.Option("--design", metavar="FILE", help="A design file, YAML or JSON.")]
SandboxLevel = Annotated[
    str | None, typer.Option("--sandbox", help="auto, strict or off; by default the setting `sandbox`.")
]
RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")]
OpenRun = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the open one when left out.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=64,
        help="Maximum number of workers at a time; by default the setting `workers`, which is 8 unless changed.",
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=0,
        max=20,
        help="How often a worker gets a rejected piece back; by default the setting `rounds`, 3 unless changed.",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="Model name; when left out, the first served model that can call a tool."),
]
Notes = Annotated[
    list[str] | None,
    typer.Option(
        "--note", metavar="ROLE=TEXT", help="Text to add to the brief of every agent of a role; may be repeated."
    ),
]

AgentKind = Annotated[
    str | None, typer.Option("--kind", help="Agent kind of the features for which the design names none.")
]
Scouts = Annotated[
    bool, typer.Option("--scouts", help="Give each worker a scout, which explores the repository for it.")
]


MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", min=1, help="Tokens that all agents of the run may use together, prompts included."),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        "--max-minutes", min=0.1, help="Minutes for which agents may call the model, counted from the first call."
    ),
]
