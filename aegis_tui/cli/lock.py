"""`aegis-tui lock`: acquire, release, list, break and import (LOCK-5, LOCK-6, contract 9)."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import lock_verbs, output
from aegis_tui.cli.client import speaking_as
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.wire.reply import LocksReply
from aegis_tui.errors import LockHeld, Refused, UsageError
from aegis_tui.sdk.quick import HubQuick

if TYPE_CHECKING:
    from aegis_tui.domain.lock.importing import OldLock
    from aegis_tui.domain.wire.lock import LockFields
    from aegis_tui.domain.wire.output import BrokenOutput, ImportedOutput, SkippedLock

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Locks on files and regions.")

_LOCK_ID = re.compile(r"L\d{1,18}")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
PathArgument = Annotated[
    str | None, typer.Argument(metavar="PATH", help="The path, relative to the root of the repository.")
]
Instance = Annotated[str | None, typer.Option("--instance", help="Act as this instance, one that you connected.")]


@app.command()
def acquire(
    path: PathArgument = None,
    file: Annotated[str | None, typer.Option("--file", help="The same as PATH.")] = None,
    lines: Annotated[
        str | None,
        typer.Option("--lines", metavar="A-B", help="A range of lines; the first line is 1, and B is included."),
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="A function or class: NAME or CLASS.NAME.")] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="EXCLUSIVE to write, SHARED to read, REVIEW to read a file under review.")
    ] = "EXCLUSIVE",
    ttl: Annotated[
        float | None, typer.Option("--ttl", help="Seconds until the lock expires; 300 by default, at most 600.")
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the lock.")] = 0,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Acquire a lock, or say who holds it (exit code 4).

    Exit code 4 also if the path is outside the partition of the instance, though nobody holds a lock on it; 3 if it is
    in git's own folder, 2 if the path or an option is wrong, 5 if no hub is running: none is started. Ctrl-C during
    --wait withdraws the request: exit code 130.
    """
    if path and file:
        raise UsageError("PATH and --file cannot be combined", "give one of them")
    return lock_verbs.acquire(
        path or file,
        lines=lines,
        symbol=symbol,
        mode=mode,
        ttl=ttl,
        wait=wait,
        instance=instance,
        as_json=as_json,
    )


@app.command()
def release(
    path: PathArgument = None,
    lock_id: Annotated[str | None, typer.Option("--id", help="The lock's id.")] = None,
    token: Annotated[int | None, typer.Option("--token", help="The lock's fencing token.")] = None,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Release your locks on a path, or the lock with a given id.

    Exit code 4 if you hold no such lock or it has another token, 3 if it belongs to another
    instance, which alone may release it, 2 if not exactly one of PATH and --id is given, 5 if no hub is running.
    """
    return lock_verbs.release(path, lock_id=lock_id, token=token, instance=instance, as_json=as_json)


@app.command(name="list")
def list_locks(as_json: AsJson = False) -> int:
    """List the locks and who holds them.

    Exit code 5 if no hub is running.
    """
    return lock_verbs.list_locks(as_json=as_json)


@app.command(name="break")
def break_lock(
    lock: Annotated[str, typer.Argument(metavar="LOCK", help="The lock's id, as `lock list` shows it, or its path.")],
    reason: Annotated[
        str, typer.Option("--reason", help="The reason, which is sent to the holder.")
    ] = "broken by the person",
    as_json: AsJson = False,
) -> int:
    """Take a lock away from its holder; every agent is notified.

    Exit code 2 if there is no lock on the path or more than one, 4 if no lock with the id is held, 5 if no hub is
    running.
    """
    hub = here().hub()
    lock_id = _lock_id(hub, lock)
    hub.command("lock:break", lock_id=lock_id, reason=reason)
    fields: BrokenOutput = {"broken": lock_id}
    output.result(fields, as_json=as_json, lines=[f"the lock {lock_id} was broken"])
    return 0


def _lock_id(hub: HubQuick, named: str) -> str:
    """Return the id of the lock that `named` means: an id, a fencing token, a name as `lock list` shows it, or a path.

    Text in the form of an id, `L7`, is returned without a check whether there is such a lock.

    Raises:
        UsageError: No lock has that name, or several have.
        HubUnavailable: The hub does not answer.
    """
    if _LOCK_ID.fullmatch(named):
        return named
    meant = {
        lock["lock_id"]
        for name, lock in hub.context()["locks"].items()
        if named in (f"#{lock['token']}", str(lock["token"]), name, lock["path"])
    }
    if len(meant) != 1:
        what = "several locks match" if meant else "no lock matches"
        raise UsageError(f"{what} {named}", "aegis-tui lock list shows the id of each")
    return str(meant.pop())


@app.command(name="import")
def import_locks(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A _locks.json file, in which another tool has listed its locks.")
    ],
    as_json: AsJson = False,
) -> int:
    """Acquire the unexpired locks that are listed in a file.

    Each lock is acquired for the instance that the file names, if you connected one of that name, or else for you.
    Locks that cannot be acquired are listed with the reason, and the exit code is still 0. It is 2 if the file cannot
    be read, 5 if no hub is running.
    """
    from aegis_tui.domain.lock.importing import Skipped, parse_old_locks

    old, skipped = parse_old_locks(_load(file), now=datetime.now(UTC))
    place = here()
    taken: list[LockFields] = []
    living = {instance_id(agent["agent_id"]) for agent in place.hub().context()["active_agents"]}
    for lock in old:
        try:
            taken += _take_over(_speaker(place, lock.holder, living), lock)
        except (LockHeld, Refused, UsageError) as error:
            skipped.append(Skipped(str(lock.resource), f"{error.message}"))
    left_out: list[SkippedLock] = [{"path": item.path, "reason": item.reason} for item in skipped]
    lines = [f"{lock_verbs.name_of(item)} {item['lock_type']} {item['agent_id']}" for item in taken]
    lines += [f"left out: {item['path']}: {item['reason']}" for item in left_out]
    fields: ImportedOutput = {"imported": taken, "skipped": left_out}
    output.result(fields, as_json=as_json, lines=lines or [f"{file} has no locks"])
    return 0


def _take_over(hub: HubQuick, lock: OldLock) -> list[LockFields]:
    """Acquire the lock of one entry of an older tool's file, as `hub` acts, without waiting; return it in a list.

    Raises:
        LockHeld: Another instance holds it, or the path is outside the partition of the instance.
        Refused: The hub refuses it for another reason.
        UsageError: The path, the region or the time is not valid.
        HubUnavailable: The hub does not answer.
    """
    region = lock.resource.region
    fields: dict[str, Any] = {
        "path": lock.resource.path,
        "lines": region.lines if region else None,
        "symbol": region.symbol if region else None,
        "lock_type": str(lock.mode),
        "ttl_s": lock.ttl_s,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return hub.reply(LocksReply, "lock:acquire", wait_s=0, **given)["locks"]


def _speaker(place: Place, holder: str, living: set[str]) -> HubQuick:
    if instance_id(holder) in living:
        with suppress(UsageError):
            return speaking_as(place, holder)
    return place.hub()


def _load(file: Path) -> object:
    from aegis_tui.domain.lock.importing import read_old_file

    try:
        return read_old_file(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "name the _locks.json file") from error
