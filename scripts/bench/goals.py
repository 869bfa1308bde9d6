"""The speed goals, and which figure of which benchmark shows each; a goal without one is listed as not measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        name: Its id in the specification.
        what: What is measured.
        words: The goal as it is set.
        bench: The benchmark that shows it, or None as long as there is none.
        figure: Name of the figure in that benchmark's record.
        below: The figure's median has to be below this, in the figure's unit.
    """

    name: str
    what: str
    words: str
    bench: str | None = None
    figure: str = ""
    below: float = 0.0


GOALS = (
    Goal("PERF-1", "one event to 1,000 subscribers, 5% stalled", "p50 < 30 ms, p99 < 100 ms; to 10, p99 < 5 ms"),
    Goal("PERF-2", "lock acquire, durable, 50 agents", "p50 < 3 ms, p99 < 15 ms; 5,000 commands/s or more"),
    Goal("PERF-3", "hub killed 1,000 times", "nothing acknowledged is lost; recovery < 1 s at 100,000 events"),
    Goal("PERF-4", "dashboard, 50 panes of 20 lines/s", "< 15% of one core; key to frame p99 < 50 ms; idle < 1%"),
    Goal("PERF-5 a", "`aegis-tui --version`", "< 80 ms", "startup", "version", 80.0),
    Goal("PERF-5 b", "first dashboard frame", "< 500 ms on 2 cores"),
    Goal("PERF-6", "worktree in a 50,000-file repository, until it can be edited", "≤ 10% of `git worktree add`"),
    Goal("PERF-7", "10 worktrees of 50,000 files, all pairs checked", "< 600 ms"),
    Goal("PERF-8", "4 workers against 1, four independent features", "≤ 30% of the time"),
    Goal("PERF-9", "prefix cache hits on vLLM, 20 agents of 3 turns", "≥ 95% of prompt tokens"),
    Goal("PERF-10", "gateway overhead, streaming, 32 at once", "first token + < 3 ms p50; ≥ 90% of direct"),
    Goal("PERF-11", "10,000 micro-agents on one machine", "all finish, hand-over p99 < 1 ms, < 20 KB each"),
    Goal("PERF-12", "specs from create to complete", "≥ 50/s on one machine"),
    Goal("PERF-13", "code map of 1,000 Python files", "≤ 2 s cold, ≤ 50 ms for one changed file"),
    Goal("PERF-14", "twin", "≥ 15,000,000 states in under 5 minutes"),
    Goal("PERF-15", "file saved in one worktree, another agent told, 10 agents", "p99 < 100 ms"),
    Goal("PERF-16", "review requested to review started", "p95 < 2 s"),
    Goal("PERF-17", "long soak, 50 agents joining and leaving", "memory growth < 5% after warm-up"),
)
