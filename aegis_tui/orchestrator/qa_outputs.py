"""Saves what QA checks printed, and the results on the base, below the state folder (FLOW-7).

Layout: `qa/runs/RUN/ROUND/N.merged.txt`, `N.base.txt` and `index.json`; `qa/base/KEY.json` and `KEY.txt`. None of
these files is visible in a sandbox.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aegis_tui.domain.count import counted
from aegis_tui.domain.qa.check import CheckResult, QaCheck
from aegis_tui.errors import UsageError

HEAD_BYTES = 3 * 1024 * 1024
TAIL_BYTES = 5 * 1024 * 1024
"""How much of the output of one check is kept: its first HEAD_BYTES and its last TAIL_BYTES."""

RUNS_KEPT = 50
BASES_KEPT = 200
BASE_AGE_S = 7 * 24 * 3600
"""Older results of a base are not used, because its environment changes with time."""

MERGED, BASE = "merged", "base"


@dataclass(frozen=True, slots=True)
class Kept:
    """The result and the output of one command on one tree."""

    result: CheckResult
    output: str


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """The saved output of one check, with the run, round and tree that it belongs to."""

    run: str
    round: int
    check: str
    command: str
    tree: str
    status: str
    output: str


class QaOutputs:
    """Saves, finds and prunes the outputs of checks.

    Args:
        folder: The folder `qa` in the workspace's state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._runs, self._bases = folder / "runs", folder / "base"
        self._choice = folder / "choice.json"

    def remember_choice(self, commands: Sequence[str]) -> None:
        """Save the QA commands that the person named, in place of earlier ones, for runs where none can be detected.

        Raises:
            OSError: The file cannot be written.
        """
        self._choice.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self._choice, json.dumps({"commands": list(commands)}))

    def find_choice(self) -> tuple[str, ...]:
        """Return the QA commands that the person named last; empty if there are none or the file cannot be read."""
        try:
            commands = json.loads(self._choice.read_text("utf-8"))["commands"]
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        return tuple(item for item in commands if isinstance(item, str)) if isinstance(commands, list) else ()

    def keep(
        self,
        run: str,
        round_number: int,
        checks: Sequence[QaCheck],
        *,
        merged: Mapping[str, Kept],
        base: Mapping[str, Kept],
    ) -> None:
        """Save the outputs of one round, replacing those that were saved for it before; keep only the newest 50 runs.

        Args:
            run: The run's id.
            round_number: The round, from 0.
            checks: The checks of the round; their outputs are numbered in this order, from 1.
            merged: Command -> its result and output on the merged tree; empty if only the base was checked.
            base: Command -> its result and output on the base.

        Raises:
            OSError: A file cannot be written.
        """
        folder = self._runs / run / str(round_number)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        index = []
        for number, check in enumerate(checks, 1):
            for tree, kept in ((MERGED, merged.get(check.command)), (BASE, base.get(check.command))):
                if kept is not None:
                    _write(folder / f"{number}.{tree}.txt", kept.output)
            base_status = check.base.status if check.base else None
            merged_status = check.status if check.command in merged else None
            fields = {"number": number, "check": check.check, "command": check.command}
            index.append({**fields, "status": {MERGED: merged_status, BASE: base_status}})
        _write(folder / "index.json", json.dumps(index))
        self._prune()

    def find(self, run: str | None, check: str, *, tree: str = MERGED, round_number: int | None = None) -> KeptOutput:
        """Return the saved output of a check.

        Args:
            run: The run; None: the newest one that has outputs.
            check: The check's number (from 1), its name, the part of its name after the first space, or its command.
            tree: `merged` or `base`.
            round_number: The round, from 0; None: the last one.

        Raises:
            UsageError: There is no such run, round or check, or no output of it was saved.
            OSError: The saved output cannot be read.
        """
        name = run or self._newest()
        if name and Path(name).name != name:
            raise UsageError(f"{name} is not the name of a run", "list the runs: aegis-tui runs")
        rounds = sorted((int(path.name) for path in (self._runs / (name or "-")).glob("[0-9]*")), reverse=True)
        if name is None or not rounds:
            raise UsageError(f"no output of QA is kept for {name or 'any run'}", "QA runs at the end of a run")
        chosen = rounds[0] if round_number is None else round_number
        folder = self._runs / name / str(chosen)
        index = _index(folder)
        entry = next((item for item in index if _is_named(item, check)), None)
        if entry is None:
            known = "; ".join(f"{item['number']}: {item['command']}" for item in index)
            raise UsageError(f"{name} has no check {check} in round {chosen + 1}", f"it has {known or 'none'}")
        path = folder / f"{entry['number']}.{tree}.txt"
        if not path.is_file():
            other = f"aegis-tui qa --output {entry['number']}" + (" --base" if tree == MERGED else "")
            raise UsageError(f"no output of {entry['command']} on the {tree} tree is kept", f"see {other}")
        text = path.read_text("utf-8", "replace")
        status = str(entry["status"].get(tree) or "")
        return KeptOutput(name, chosen, str(entry["check"]), str(entry["command"]), tree, status, text)

    def lines_of(self, run: str, *, most: int = 2_000) -> list[str]:
        """Return what the checks of a run's last round printed on the merged tree, each below its command.

        Only the last `most` lines of each output are included, after a line on how many are left out. The checks after
        the first without a saved output are left out. Empty if nothing was saved. `OSError` if a saved output cannot be
        read.
        """
        lines: list[str] = []
        with contextlib.suppress(UsageError):
            for number in range(1, 1_000):
                kept = self.find(run, str(number))
                text = kept.output.splitlines()
                cut = [f"[{counted(len(text) - most, 'line')} left out: aegis-tui qa --output {number} {run}]"]
                lines += [f"$ {kept.command}", *(cut if len(text) > most else []), *text[-most:], ""]
        return lines

    def _newest(self) -> str | None:
        with contextlib.suppress(OSError):
            folders = [path for path in self._runs.iterdir() if path.is_dir()]
            return max(folders, key=lambda path: path.stat().st_mtime_ns).name if folders else None
        return None

    def load_base(self, key: str) -> Kept | None:
        """Return the saved result of a QA command on a base tree.

        None without a readable one that is at most 7 days old.

        Args:
            key: The result of `base_key`.
        """
        path = self._bases / f"{key}.json"
        with contextlib.suppress(OSError, ValueError, ValidationError):
            if time.time() - path.stat().st_mtime > BASE_AGE_S:
                return None
            result = CheckResult.model_validate_json(path.read_text("utf-8"))
            return Kept(result, path.with_suffix(".txt").read_text("utf-8", "replace"))
        return None

    def save_base(self, key: str, kept: Kept) -> None:
        """Save the result of a command on a tree, in place of an earlier one; keep only the newest 200 results.

        Only `passed` and `failed` are saved: a command that could not run may do so later, when a person has helped.

        Args:
            key: The result of `base_key`.
            kept: The result and the output.

        Raises:
            OSError: A file cannot be written.
        """
        if kept.result.status not in ("passed", "failed"):
            return
        self._bases.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self._bases / f"{key}.txt", kept.output)
        _write(self._bases / f"{key}.json", kept.result.model_dump_json())
        _drop_oldest(self._bases.glob("*.json"), BASES_KEPT)

    def _prune(self) -> None:
        _drop_oldest((path for path in self._runs.iterdir() if path.is_dir()), RUNS_KEPT)


def base_key(tree: str, command: str, surroundings: str) -> str:
    """Return the key, 32 hexadecimal digits, under which the result of a command on a tree in an environment is saved.

    Args:
        tree: The id of the tree.
        command: The command line.
        surroundings: The fingerprint of the environment.
    """
    return hashlib.sha256("\0".join((tree, command, surroundings)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_named(entry: Mapping[str, Any], check: str) -> bool:
    return check in (str(entry["number"]), entry["check"], entry["command"], str(entry["check"]).partition(" ")[2])


def _index(folder: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError):
        index = json.loads((folder / "index.json").read_text("utf-8"))
        return [item for item in index if isinstance(item, dict)]
    return []


def _write(path: Path, text: str) -> None:
    """Replace a file in one step by one of mode 0600, in UTF-8; what cannot be encoded becomes `?`.

    Raises:
        OSError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, "utf-8", "replace")
    draft.chmod(0o600)
    draft.replace(path)


def _drop_oldest(paths: Iterable[Path], most: int) -> None:
    with contextlib.suppress(OSError):
        newest_first = sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in newest_first[most:]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
                path.with_suffix(".txt").unlink(missing_ok=True)
