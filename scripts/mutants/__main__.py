"""Breaks a copy of the code on purpose, and asks the tests whether they notice.

    python scripts/mutants seeded [NAME...]           one mutant for each invariant; the named tests must kill it
    python scripts/mutants sample [--count N] [--seed S]    small changes of the pure core, drawn by chance
    python scripts/mutants page                       docs/evidence/mutation.md from what the two left behind

Exit codes: 0 every mutant was noticed (for `sample`: the wanted share), 1 not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from scripts.mutants.page import SAMPLE, write_page, write_seeded
from scripts.mutants.sample import run_sample
from scripts.mutants.seeded import MUTANTS, run_seeded

WANTED_SHARE = 0.9


def main(arguments: list[str]) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__.splitlines()[0] if __doc__ else "")
    kinds = parser.add_subparsers(dest="kind", required=True)
    seeded = kinds.add_parser("seeded", help="one mutant for each invariant")
    seeded.add_argument("names", nargs="*", choices=[*(mutant.name for mutant in MUTANTS), []], help="only these")
    sample = kinds.add_parser("sample", help="small changes drawn by chance")
    sample.add_argument("--count", type=int, default=300)
    sample.add_argument("--seed", type=int, default=1)
    kinds.add_parser("page", help="write docs/evidence/mutation.md")
    chosen = parser.parse_args(arguments)
    if chosen.kind == "seeded":
        results = run_seeded([mutant for mutant in MUTANTS if not chosen.names or mutant.name in chosen.names])
        if not chosen.names:
            write_seeded(results)
        return 0 if all(verdict.killed for _, verdict in results) else 1
    if chosen.kind == "sample":
        killed, count = run_sample(chosen.count, chosen.seed, SAMPLE)
        sys.stdout.write(f"{killed} of {count} were noticed, seed {chosen.seed}\n")
        return 0 if killed >= WANTED_SHARE * count else 1
    write_page()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
