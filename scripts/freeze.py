"""Freezes what old logs, programs and people lean on, in tests/frozen/data.

Run as `python scripts/freeze.py`. It adds what is new and refuses, with exit code 3 and without writing anything, where
something frozen is gone or has become another; after a wanted change name each refused line: `--drop 'LINE'`.
`--add-log NAME` also freezes a log of the scenes in tests/frozen/scenes.py, for types of events that are new; a log
that is frozen already is never written again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.frozen import fixtures, scenes  # noqa: E402
from tests.frozen.logs import DATA, rows_of, write_log  # noqa: E402


def main() -> int:
    """Freeze; 1 for a log that is there already, 3 for a loss that nobody named."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--drop", action="append", default=[], metavar="LINE", help="a loss that is wanted")
    asked.add_argument("--add-log", metavar="NAME", help="freeze the scenes as they are played now")
    given = asked.parse_args()
    if given.add_log and (DATA / "logs" / f"{given.add_log}.sql").exists():
        sys.stderr.write(f"{given.add_log} is frozen already: choose another name\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        if given.add_log:
            add_logs(given.add_log, Path(folder))
        return freeze(Path(folder), frozenset(given.drop))


def add_logs(name: str, folder: Path) -> None:
    """Write the scenes down: whole, compacted with two snapshots, and one that ends in the middle of a run."""
    whole, middle = scenes.everything().log, scenes.in_the_middle().log
    kept = (len(whole) - 80, len(whole) - 40)
    made = {name: (whole, ()), f"{name}-compacted": (whole, kept), f"{name}-middle": (middle, ())}
    (DATA / "logs").mkdir(parents=True, exist_ok=True)
    for stem, (events, snapshots) in made.items():
        path = folder / f"{stem}.written.db"
        write_log(path, events, snapshots=snapshots)
        (DATA / "logs" / f"{stem}.sql").write_text(rows_of(path), "utf-8")


def freeze(folder: Path, dropped: frozenset[str]) -> int:
    """Write every fixture anew, unless something is lost that nobody named."""
    every_fixture = [*fixtures.names(), *fixtures.contracts(), *fixtures.states(folder)]
    losses = [line for item in every_fixture for line in item.losses()]
    if refused := [line for line in losses if line not in dropped]:
        for line in refused:
            sys.stderr.write(f"{line}\n")
        sys.stderr.write("nothing was written; name each line that is wanted: --drop 'LINE'\n")
        return 3
    for item in every_fixture:
        if item.write():
            sys.stdout.write(f"froze {item.path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
