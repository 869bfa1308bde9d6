"""`aegis-tui lock acquire`, `release` and `list` without Typer, because agents run them before each write.

A lock that is held has to be reported in under 200 ms (LOCK-6), and Typer alone takes longer to start. Arguments that
`run_plain` does not recognize exactly are left to Typer, which has the same options and reports what is wrong.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from aegis_tui.cli import output
from aegis_tui.cli.client import speaking_as
from aegis_tui.cli.place import here
from aegis_tui.domain.path.file_name import encodable_text
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.wire.lock import LockFields
    from aegis_tui.domain.wire.output import LockListOutput, LocksOutput, NamedLock, ReleasedOutput
    from aegis_tui.domain.wire.reply import LocksReply, ReleasedReply

FLAG = object()
OPTIONS: dict[str, dict[str, object]] = {
    "acquire": {
        "--file": str,
        "--lines": str,
        "--symbol": str,
        "--mode": str,
        "--ttl": float,
        "--wait": float,
        "--instance": str,
        "--json": FLAG,
    },
    "release": {"--id": str, "--token": int, "--instance": str, "--json": FLAG},
    "list": {"--json": FLAG},
}
"""The options of each command and the type of their values, the same as in `cli/lock.py`."""

_NAMES = {"--json": "as_json", "--id": "lock_id"}
_NUMBERS = {float: re.compile(r"\d+(\.\d+)?\Z", re.ASCII), int: re.compile(r"\d{1,18}\Z", re.ASCII)}


def run_plain(arguments: list[str]) -> int | None:
    """Run `lock acquire`, `lock release` or `lock list` and return the exit code, if every argument is known and valid.

    For any other arguments, do nothing and return None, so that Typer runs the command or reports what is wrong.

    Raises:
        AegisError: The command failed; see `acquire`, `release` and `list_locks`.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP interrupted the wait for a lock.
    """
    if len(arguments) < 2 or arguments[0] != "lock" or arguments[1] not in OPTIONS:
        return None
    parsed = _parse(OPTIONS[arguments[1]], arguments[2:])
    if parsed is None:
        return None
    paths, options = parsed
    options.setdefault("as_json", False)
    match arguments[1], paths:
        case "acquire", [_] if "file" in options:
            return None
        case "acquire", [] | [_]:
            named = options.pop("file", None)
            return acquire(paths[0] if paths else named, **options)
        case "release", [] | [_]:
            return release(paths[0] if paths else None, **options)
        case "list", []:
            return list_locks(**options)
    return None


def _parse(known: dict[str, object], words: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    paths: list[str] = []
    options: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            paths.append(word)
            continue
        kind = known.get(word)
        text = "" if kind is FLAG else next(rest, "-")
        number = _NUMBERS.get(kind) if isinstance(kind, type) else None
        if kind is None or text.startswith("-") or (number and not number.match(text)):
            return None
        options[_NAMES.get(word, word[2:])] = True if kind is FLAG else kind(text) if callable(kind) else text
    return paths, options


def acquire(
    path: str | None,
    *,
    lines: str | None = None,
    symbol: str | None = None,
    mode: str = "EXCLUSIVE",
    ttl: float | None = None,
    wait: float = 0.0,
    instance: str | None = None,
    as_json: bool = False,
) -> int:
    """Acquire a lock and print it; return 0.

    If the wait is interrupted, the request is withdrawn, so that no lock is granted later.

    Args:
        path: The file, from the repository's root.
        lines: A range such as `10-20`, or one line.
        symbol: A function or class in the file.
        mode: EXCLUSIVE, SHARED or REVIEW.
        ttl: Seconds until the lock expires; None for the default.
        wait: Seconds to wait for it; 0 to fail at once if it is held.
        instance: The instance to act as; None for that of this pane, else the person.
        as_json: Print JSON.

    Raises:
        LockHeld: Another instance holds it, still after `wait`; waiting would never end; or the path is outside the
            partition of the instance.
        Refused: The hub refuses it for another reason: the path belongs to git, or there are too many locks.
        UsageError: There is no path, an argument is wrong, or the token of `instance` cannot be read.
        GitUnavailable: The current folder is not in a checkout.
        HubUnavailable: No hub is running, or it does not answer.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP interrupted the wait.
    """
    if path is None:
        raise UsageError("no path is given", "aegis-tui lock acquire PATH")
    fields: dict[str, Any] = {
        "path": encodable_text(path),
        "lock_type": mode.upper(),
        "wait_s": _seconds("--wait", wait),
    }
    if ttl is not None:
        fields["ttl_s"] = _seconds("--ttl", ttl)
    if lines is not None:
        fields["lines"] = _lines(lines)
    if symbol is not None:
        fields["symbol"] = symbol
    hub = speaking_as(here(), instance, timeout_s=30)
    with _interrupted_by_signals():
        reply = cast("LocksReply", hub.command("lock:acquire", **fields))
    rows = [f"{name_of(item)} {item['lock_type']} token {item['token']}" for item in reply["locks"]]
    rows += [
        f"{whole} has no regions that can be tracked: the whole file is locked" for whole in reply.get("whole", ())
    ]
    fields_out: LocksOutput = {"locks": reply["locks"], "whole": reply.get("whole", [])}
    output.result(fields_out, as_json=as_json, lines=rows)
    return 0


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP while the block runs, then restore the earlier handlers.

    Outside the main thread it has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def release(
    path: str | None,
    *,
    lock_id: str | None = None,
    token: int | None = None,
    instance: str | None = None,
    as_json: bool = False,
) -> int:
    """Release locks of the instance that this acts as, and print them; return 0. Give either `path` or `lock_id`.

    Args:
        path: The file, from the repository's root: all locks on it and its regions are released.
        lock_id: The id of the one lock to release.
        token: Release only a lock that has this fencing token; None for any.
        instance: The instance to act as; None for that of this pane, else the person.
        as_json: Print JSON.

    Raises:
        StaleToken: There is no such lock, or it has another token.
        Refused: Another instance holds it.
        UsageError: Not exactly one of `path` and `lock_id` is given, or the token of `instance` cannot be read.
        GitUnavailable: The current folder is not in a checkout.
        HubUnavailable: No hub is running, or it does not answer.
    """
    named = None if path is None else encodable_text(path)
    hub = speaking_as(here(), instance)
    reply = cast("ReleasedReply", hub.command("lock:release", path=named, lock_id=lock_id, token=token))
    fields: ReleasedOutput = {"released": reply["released"]}
    output.result(fields, as_json=as_json, lines=reply["released"])
    return 0


def list_locks(*, as_json: bool = False) -> int:
    """Print all locks and who holds them; return 0, also if there are none.

    Raises:
        GitUnavailable: The current folder is not in a checkout.
        HubUnavailable: No hub is running, or it does not answer.
    """
    locks: list[NamedLock] = [{"name": name, **lock} for name, lock in here().hub().context()["locks"].items()]
    fields: LockListOutput = {"locks": locks}
    rows = [[k["name"], k["lock_type"], k["agent_id"], f"{k['expires_in_s']:.0f} s", k["lock_id"]] for k in locks]
    output.result(fields, as_json=as_json, lines=output.table(rows) or ["no locks are held"])
    return 0


def _seconds(option: str, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise UsageError(f"{option} {value} is not a number of seconds", f"for example {option} 30")
    return value


def name_of(lock: LockFields) -> str:
    """Return the text for a lock, `PATH:REGION (lines A-B)`, without the lines if they are the region itself."""
    spans = ", ".join(f"{first}-{last}" for first, last in lock.get("spans", ()))
    region = f":{lock['region']}" if lock["region"] else ""
    return f"{lock['path']}{region}" + (f" (lines {spans})" if spans and spans != lock["region"] else "")


def _lines(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        span = int(first), int(last if dash else first)
    except ValueError as error:
        raise UsageError(f"--lines {text} is not a range", "for example --lines 10-20") from error
    if not 1 <= span[0] <= span[1]:
        raise UsageError(
            f"--lines {text}: the first line is 1, and the range must not end before it begins",
            "for example --lines 10-20",
        )
    return span
