"""The speed goals, and which figure of which benchmark shows each; a goal without one is listed as not measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        name: Its id in the requirements.
        what: What is measured.
        words: The goal as it is set.
        bench: The benchmark that shows it, or None as long as there is none.
        figure: Name of the figure in that benchmark's record.
        below: The figure's median has to be below this, in the figure's unit; 0 is no such limit.
        at_least: Or else it has to be this or more.
        at_most: Or else this or less.
        evidence: For what the long tests show: a pattern; its first group is the figure in the files that `page` reads.
        unit: What stands behind that figure.
    """

    name: str
    what: str
    words: str
    bench: str | None = None
    figure: str = ""
    below: float = 0.0
    at_least: float = 0.0
    at_most: float = 0.0
    evidence: str = ""
    unit: str = ""

    def is_met_by(self, median: float) -> bool:
        """Whether a measured median is as good as was wanted."""
        if self.at_most:
            return median <= self.at_most
        return median < self.below if self.below else median >= self.at_least


_KILLS = r"test_kill_loop\.py::\S+ (\d+) kills, .*\nPASSED$"
_PREFIX_HITS = r"^raw \d+ cached, .*; ratio ([\d.]+)$"
_GROWTH = r"memory growth ([+-][\d.]+)%.*\nPASSED$"

GOALS = (
    Goal("PERF-1 a", "one event to 1,000 subscribers, 5% stalled, p50", "< 15 ms", "hub", "fanout_1000_p50", 15.0),
    Goal("PERF-1 b", "one event to 1,000 subscribers, 5% stalled, p99", "< 40 ms", "hub", "fanout_1000_p99", 40.0),
    Goal("PERF-1 c", "one event to 10 subscribers, p99", "< 5 ms", "hub", "fanout_10_p99", 5.0),
    Goal("PERF-2 a", "lock acquire, durable, 50 agents, p50", "< 3 ms", "hub", "locks_p50", 3.0),
    Goal("PERF-2 b", "lock acquire, durable, 50 agents, p99", "< 15 ms", "hub", "locks_p99", 15.0),
    Goal("PERF-2 c", "durable commands, 50 agents", "≥ 5,000 commands/s", "hub", "locks_rate", at_least=5000.0),
    Goal(
        "PERF-2 d",
        "commands/s of the hub, divided by those of Redis with fsync always",
        "≥ 0.5",
        "hub",
        "redis_ratio",
        at_least=0.5,
    ),
    Goal(
        "PERF-2 e",
        "commands/s of the hub, divided by those of NATS KV with sync always",
        "≥ 2",
        "hub",
        "nats_ratio",
        at_least=2.0,
    ),
    Goal(
        "LOCK-2 a", "a request for a held lock is refused, through the SDK, p50", "< 10 ms", "hub", "held_sdk_p50", 10.0
    ),
    Goal(
        "LOCK-2 b",
        "a request for a held lock is refused, by the command line",
        "< 200 ms",
        "hub",
        "held_cli_p50",
        200.0,
    ),
    Goal("PERF-3 a", "kills of the hub with nothing lost", "≥ 1,000", at_least=1000.0, evidence=_KILLS),
    Goal("PERF-3 b", "recovery of the state from 100,000 events", "< 1 s", "hub", "recovery", 1000.0),
    Goal(
        "PERF-3 c",
        "hub start after 100,000 events that 50 short runs of the hub wrote",
        "< 1 s",
        "tui",
        "hub_start",
        1000.0,
    ),
    Goal(
        "PERF-4 a",
        "CPU of the dashboard, 50 panes that print 20 lines/s each",
        "≤ 1.0 × a bare Textual app that writes the same lines into one RichLog",
        "tui",
        "busy_ratio",
        at_most=1.0,
    ),
    Goal(
        "PERF-4 b",
        "from a key press to the next frame, the same panes, p99",
        "≤ 2 × an idle bare Textual app",
        "tui",
        "key_ratio",
        at_most=2.0,
    ),
    Goal("PERF-4 c", "from a key press to the next frame, the same panes, p99", "< 60 ms", "tui", "key_p99", 60.0),
    Goal("PERF-4 d", "CPU of the dashboard, 50 silent panes", "< 1% of one core", "tui", "idle", 1.0),
    Goal("PERF-5 a", "`aegis-tui --version`", "≤ 2 × `python -c pass`", "startup", "version_ratio", at_most=2.0),
    Goal(
        "PERF-5 b",
        "first dashboard frame",
        "≤ 1.4 × a bare Textual app with one label",
        "tui",
        "frame_ratio",
        at_most=1.4,
    ),
    Goal("PERF-5 c", "`aegis-tui` until it shows the newest of 100,000 events", "< 1 s", "tui", "truth", 1000.0),
    Goal(
        "PERF-6 a",
        "new worktree in a 50,000-file repository, until its partition can be edited",
        "≤ 0.1 × `git worktree add`",
        "git",
        "usable_share",
        at_most=0.1,
    ),
    Goal("PERF-6 b", "the same, until all files are there", "≤ 1.25 ×", "git", "whole_share", at_most=1.25),
    Goal(
        "PERF-7 a",
        "conflict check of all pairs of 10 dirty worktrees with 50,000 files each",
        "< 600 ms",
        "git-conflicts",
        "pairs",
        600.0,
    ),
    Goal("PERF-7 b", "the same after one save: 9 pairs", "≤ 60 ms", "git-conflicts", "save", at_most=60.0),
    Goal(
        "PERF-7 c",
        "from the second of two saves that conflict until a client is told, p95",
        "< 500 ms",
        "git-conflicts",
        "mark_p95",
        500.0,
    ),
    Goal(
        "PERF-8",
        "DISPATCH and MONITORING with 4 workers compared with 1, on four independent features",
        "≤ 30% of the time",
        "workers",
        "workers_share",
        at_most=30.0,
    ),
    Goal(
        "PERF-9",
        "prefix cache hits on vLLM, 20 agents with 3 turns each",
        "≥ 0.97 of the hits of an ideal prefix cache",
        at_least=0.97,
        evidence=_PREFIX_HITS,
        unit=" ×",
    ),
    Goal(
        "PERF-10 a",
        "added to the first token by the gateway, one request after the other, p50",
        "≤ 1.0 ms",
        "gateway",
        "gateway_turn_added",
        at_most=1.0,
    ),
    Goal(
        "PERF-10 b",
        "added to the first token of 32 streams of 80 tokens/s that begin 5 ms apart, p50",
        "≤ 2 ms",
        "gateway",
        "gateway_paced_p50_added",
        at_most=2.0,
    ),
    Goal("PERF-10 c", "added to the same, p99", "≤ 8 ms", "gateway", "gateway_paced_p99_added", at_most=8.0),
    Goal(
        "PERF-10 d",
        "tokens/s of these streams, compared with a direct connection",
        "≥ 98%",
        "gateway",
        "gateway_paced_rate_share",
        at_least=98.0,
    ),
    Goal(
        "PERF-10 e",
        "added to the first token of 32 streams that begin at one instant, p99",
        "≤ 20 ms",
        "gateway",
        "gateway_instant_p99_added",
        at_most=20.0,
    ),
    Goal(
        "PERF-10 f",
        "added to the first token after a prompt of 400 KB, p50",
        "≤ 5 ms",
        "gateway",
        "gateway_long_added",
        at_most=5.0,
    ),
    Goal(
        "PERF-10 g",
        "tokens/s of 32 streams as fast as possible, compared with a direct connection",
        "≥ 50%",
        "gateway",
        "gateway_flat_rate_share",
        at_least=50.0,
    ),
    Goal(
        "LLM-10",
        "jitter that the gateway adds between two tokens, 32 streams of 80 tokens/s, p99",
        "≤ 1 ms",
        "gateway",
        "gateway_gap_p99_added",
        at_most=1.0,
    ),
    Goal(
        "PERF-11",
        "planned: 10,000 micro-agents (small tasks in one process; they are not instances)",
        "all finish; a result is passed on in p99 < 1 ms; < 20 KB each",
    ),
    Goal(
        "PERF-12",
        "specs that the hub records from their creation to their completion",
        "≥ 500/s",
        "hub",
        "specs",
        at_least=500.0,
    ),
    Goal(
        "PERF-12 b",
        "specs dropped at once, by workers, review and QA to one commit for all; the model replies at once",
        "≥ 10/s",
        "specs",
        "specs_rate",
        at_least=10.0,
    ),
    Goal("PERF-13 a", "code map of 1,000 Python files, at least 150,000 lines", "≤ 2 s", "map", "cold", at_most=2.0),
    Goal("PERF-13 b", "the map after one file changed", "≤ 50 ms", "map", "changed", at_most=50.0),
    Goal("PERF-13 c", "memory while the map is built", "≤ 100 MB", "map", "peak", at_most=100.0),
    Goal("PERF-13 d", "look-up of a name among 100,000 symbols, p99", "< 1 ms", "map", "named_p99", 1.0),
    Goal("PERF-13 e", "size of the map of ten worktrees, over that of one", "< 1.2", "map", "worktrees", 1.2),
    Goal(
        "MAP-3 a",
        "tokens that signatures save, 20 files each of three trees",
        "≥ 80 %",
        "tokens",
        "signatures",
        at_least=80.0,
    ),
    Goal("MAP-3 b", "tokens that outlines save, of the same files", "≥ 90 %", "tokens", "outline", at_least=90.0),
    Goal(
        "MAP-3 c",
        "prompt tokens that the map saves in a task, compared with searching and reading lines",
        "≥ 60 %",
        "tokens",
        "task",
        at_least=60.0,
    ),
    Goal(
        "PERF-14",
        "planned: simulation of the hub that searches its states for errors",
        "≥ 15,000,000 states in ≤ 30 s",
    ),
    Goal(
        "PERF-15",
        "from a file saved in one of 10 worktrees to another client notified, p99",
        "< 100 ms",
        "hub",
        "saved_p99",
        100.0,
    ),
    Goal(
        "PERF-16",
        "from the request for a review to the reviewer's first model call, 4 workers at once, p95",
        "< 2 s",
        "product",
        "review_called_p95",
        2.0,
    ),
    Goal(
        "core a",
        "grant with 10,000 instances and 100,000 locks, in memory (a hub has at most 256 instances), p99",
        "< 1 ms",
        "core",
        "grant_p99",
        1.0,
    ),
    Goal("core b", "release, in the same state, p99", "< 1 ms", "core", "release_p99", 1.0),
    Goal("core c", "overlap check of two globs, p99", "< 1 ms", "core", "overlap_p99", 1.0),
    Goal(
        "PERF-17",
        "long soak, 50 agents joining and leaving",
        "memory growth < 5% after warm-up",
        below=5.0,
        evidence=_GROWTH,
        unit="%",
    ),
    Goal(
        "PERF-18 a",
        "time that the program adds, from the plan of an instance to its first model call, 4 workers at once, p50",
        "< 0.8 s",
        "product",
        "planned_call",
        0.8,
    ),
    Goal(
        "PERF-18 b",
        "time that the program adds, from a submission to its merge, 4 workers at once, p50",
        "< 1 s",
        "product",
        "submitted_merged",
        1.0,
    ),
    Goal(
        "PERF-19", "one-line change in a 50,000-file repository, from start to commit", "< 10 s", "git", "change", 10.0
    ),
    Goal("PERF-20", "pytest of the whole suite on 2 cores", "< 3 min, no test over 10 s"),
    Goal("PERF-21 a", "512 disjoint branches composed", "≤ 2.0 s", "git-compose", "composed", at_most=2.0),
    Goal(
        "PERF-21 b",
        "the time of sequential `git merge`, divided by that",
        "≥ 15, same run, trees equal",
        "git-compose",
        "composed_gain",
        at_least=15.0,
    ),
    Goal(
        "PERF-22 a",
        "QA runs until the k bad pieces among N = 512 are found, over k·⌈log2 N⌉ + 1; the worst of k = 1, 2, 4, 8",
        "≤ 1",
        "git-compose",
        "culprit_runs",
        at_most=1.0,
    ),
    Goal(
        "PERF-22 b",
        "the same if QA only says that it failed, without the names of tests; the worst of 200",
        "≤ 1",
        "git-compose",
        "culprit_runs_alike",
        at_most=1.0,
    ),
    Goal("PERF-22 c", "trees that QA tested twice in these searches", "0", "git-compose", "culprit_repeats", below=0.5),
)
