"""What commands about the machine, the checkout and the settings print with `--json`, as in `output`."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from aegis_tui.domain.wire.environment import WorktreeEnvironment
from aegis_tui.domain.wire.gateway import ModelMetrics, ServerEndpoint
from aegis_tui.domain.wire.output import GlobOverlap, ReportOutput


class ListedWorktree(TypedDict):
    """A worktree of an instance."""

    id: str | None
    """Null for one that belongs to no instance."""
    path: str
    branch: str | None
    state: str
    """The phase of its instance, or `no hub`."""


class WorktreeCondition(ListedWorktree):
    """A worktree of an instance, and what would be lost if it were removed; null means not known."""

    dirty: bool | None
    """Whether it has content that is not committed."""
    merged: bool | None
    """Whether the newest run has merged the head of its branch."""
    size_bytes: int
    """What it takes on disk."""
    environment: WorktreeEnvironment | None
    """What it has besides the tracked files; null if nothing was recorded."""


class WorktreesOutput(TypedDict):
    """`worktree list`."""

    worktrees: list[WorktreeCondition]
    size_bytes: int
    """What all of them take on disk."""
    budget_bytes: int
    """What they may take: `worktrees.budget_mb`."""


class RemovedPart(TypedDict):
    """Something that was removed, or was kept with the reason."""

    kind: str
    path: str
    rescued: str | None
    """The ref that keeps its work."""
    kept: str | None
    """Why it was kept."""


class RemovedOutput(TypedDict):
    """`worktree remove` and `worktree repair`."""

    removed: list[RemovedPart]


class InitOutput(TypedDict):
    """`init`."""

    written: list[str]
    removed: list[str]
    kept: list[str]


class UninstalledWorkspace(TypedDict):
    """What `uninstall` has removed of one repository, or would remove."""

    root: str | None
    """The repository; null if it is not known."""
    state_dir: str
    state_bytes: int
    """What its state takes on disk, with the worktrees."""
    worktrees: int
    refs: int
    """Refs of runs, without the branches of results, which stay."""
    written_by_init: bool
    """Whether `init` has written files there, which are removed too."""
    removed: bool
    bundle: str | None
    """The file with the commits that only these refs had; null if there were none, or nothing was removed."""
    why_kept: str
    """Why it was not removed; empty otherwise."""


class UninstallOutput(TypedDict):
    """`uninstall`."""

    workspaces: list[UninstalledWorkspace]
    left: list[str]
    """Files and folders of the program that are left, for the person to delete."""


class SettingValue(TypedDict):
    """A setting, and where its value comes from."""

    name: str
    value: object
    source: str
    where: str
    variable: str | None
    may_be_set_by_project: bool
    help: str


class SettingsOutput(TypedDict):
    """`config list`."""

    settings: list[SettingValue]
    file: str
    """The person's settings file."""


class OverlapsOutput(TypedDict):
    """`partition check`."""

    overlaps: list[GlobOverlap]


class CheckResultFields(TypedDict):
    """One check of the machine."""

    name: str
    ok: bool
    found: str
    fix: str
    """What the person can do; empty if it passed."""
    essential: bool
    """Whether no run can start if it fails."""


class DoctorOutput(TypedDict):
    """`doctor`."""

    ok: bool
    checks: list[CheckResultFields]
    bundle: NotRequired[str]


class ClaimFields(TypedDict):
    """One claim of the demo."""

    name: str
    ok: bool
    found: str


class DemoFields(TypedDict):
    """What the demo showed beside the report."""

    claims: list[ClaimFields]


class DemoOutput(ReportOutput):
    """`demo`."""

    demo: DemoFields


class CardFields(TypedDict):
    """An accelerator; null for a figure that its driver does not report."""

    name: str
    memory_mib: int
    used_mib: int | None
    busy_percent: int | None


class ServerOutput(TypedDict):
    """`vllm status`."""

    endpoints: list[ServerEndpoint]
    metrics: ModelMetrics
    cards: NotRequired[list[CardFields]]
    """The accelerators of this machine, if the server runs here."""


class PlanOutput(TypedDict):
    """`vllm plan`; sizes are of all cards together."""

    model: str
    parameters: int
    card: str
    cards: int
    usable_bytes: int
    weight_bytes: int
    assumed_bytes: int
    """For activations and CUDA graphs."""
    left_bytes: int
    token_bytes: int
    """What one token of a conversation takes."""
    conversation_bytes: int
    """What a conversation takes besides its tokens."""
    sessions: int
    context_tokens: int
    """How many tokens each conversation may have, if there are `sessions` of them; 0 if they do not fit."""
    longest_tokens: int
    longest_sessions: int
    """How many conversations of `longest_tokens` fit."""
    fits: bool
    command: list[str]
    """What starts the server with these limits; empty if it does not fit."""


class SetupOutput(TypedDict):
    """`vllm setup`."""

    program: str
    commands: list[list[str]]


class StartedServerOutput(ServerOutput):
    """`vllm start`."""

    pid: int


class CommandOutput(TypedDict):
    """`vllm start --print`."""

    command: list[str]


class StoppedServerOutput(TypedDict):
    """`vllm stop`."""

    stopped: bool


class ScreenshotOutput(TypedDict):
    """`screenshot`."""

    path: str
