"""docs/evidence/mutation.md, written from what the runs left behind; no line of it is typed by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from scripts.mutants.seeded import Mutant
from scripts.mutants.tree import ROOT, Verdict

EVIDENCE = ROOT / "docs" / "evidence"
PAGE = EVIDENCE / "mutation.md"
SAMPLE = EVIDENCE / "mutation-sample.jsonl"
SEEDED = EVIDENCE / "mutation-seeded.json"
REASONS = ROOT / "scripts" / "mutants" / "survivors.txt"


def write_seeded(results: list[tuple[Mutant, Verdict]]) -> None:
    """Keep what the tests said of each seeded mutant."""
    rows = [
        {"name": mutant.name, "breaks": mutant.breaks, "killed": verdict.killed, "how": verdict.how}
        for mutant, verdict in results
    ]
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    SEEDED.write_text(json.dumps({"commit": _commit(), "mutants": rows}, indent=1) + "\n", "utf-8")


def write_page() -> None:
    """Write the page anew."""
    PAGE.write_text(render_page(), "utf-8")


def render_page() -> str:
    """The whole page."""
    sample = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    return "\n".join([*_seeded(json.loads(SEEDED.read_text("utf-8"))), *_sampled(sample)]) + "\n"


def _seeded(record: dict[str, Any]) -> Iterator[str]:
    rows = record["mutants"]
    killed = sum(row["killed"] for row in rows)
    yield "# Mutants"
    yield "\n<!-- Written by `python scripts/mutants page`; do not edit. -->"
    yield "\nA test that never fails proves nothing. Here the tests run on copies of the code with mistakes."
    yield "\n## One mistake for each invariant\n"
    yield f"{killed} of {len(rows)} are noticed (`python scripts/mutants seeded`, at commit {record['commit'][:12]}).\n"
    yield "| mutant | breaks | noticed by |"
    yield "| --- | --- | --- |"
    for row in rows:
        yield f"| {row['name']} | {row['breaks']} | {_short(row['how']) if row['killed'] else '**nothing**'} |"


def _sampled(rows: list[dict[str, Any]]) -> Iterator[str]:
    survivors = [row["name"] for row in rows if not row["killed"]]
    late = sum(row["how"] == "no end in time" for row in rows)
    share = 100 * (len(rows) - len(survivors)) / len(rows)
    reasons = dict(_reasons())
    yield "\n## A random sample of small changes of the pure core\n"
    yield f"{len(rows) - len(survivors)} of {len(rows)} are noticed by tests/domain, which is {share:.1f}%"
    yield f"({late} of them because the tests did not end)."
    yield f"`python scripts/mutants sample --count {len(rows)} --seed {rows[0]['seed']}` repeats it.\n"
    yield "| not noticed | why |"
    yield "| --- | --- |"
    for name in survivors:
        yield f"| `{name.replace('|', chr(92) + '|')}` | {reasons.get(name, 'no test of the core covers it')} |"


def _short(how: str) -> str:
    return how.removeprefix("FAILED ").removeprefix("ERROR ").replace("tests/", "", 1)


def _reasons() -> Iterator[tuple[str, str]]:
    """Each line is a survivor's name, ` => `, and the reason."""
    if REASONS.is_file():
        for line in REASONS.read_text("utf-8").splitlines():
            name, separator, reason = line.partition(" => ")
            if separator:
                yield name, reason


def _commit() -> str:
    argv = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
