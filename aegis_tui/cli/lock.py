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
from aegis_tui.errors import LockHeld, Refused, UsageError
from aegis_tui.sdk.quick import HubQuick

if TYPE_CHECKING:
    from aegis_tui.domain.lock.importing import OldLock

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Locks on files and regions.")

_LOCK_ID = re.compile(r"L\d{1,18}")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
PathArgument = Annotated[str | None, typer.Argument(metavar="PATH", help="From the repository's root.")]
Instance = Annotated[str | None, typer.Option("--instance", help="Speak as this instance of yours.")]


@app.command()
def acquire(
    path: PathArgument = None,
    file: Annotated[str | None, typer.Option("--file", help="The same as PATH.")] = None,
    lines: Annotated[
        str | None, typer.Option("--lines", metavar="A-B", help="A line range, from 1, both ends in.")
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="A function or class: NAME or CLASS.NAME.")] = None,
    mode: Annotated[str, typer.Option("--mode", help="EXCLUSIVE, SHARED or REVIEW.")] = "EXCLUSIVE",
    ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds, 600 at most.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait.")] = 0,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Take a lock, or say who holds it (exit 4)."""
    if path and file:
        raise UsageError("PATH and --file name the same thing, and both are given", "give one of the two")
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
    token: Annotated[int | None, typer.Option("--token", help="The grant that is meant.")] = None,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Give a lock back."""
    return lock_verbs.release(path, lock_id=lock_id, token=token, instance=instance, as_json=as_json)


@app.command(name="list")
def list_locks(as_json: AsJson = False) -> int:
    """Who holds what."""
    return lock_verbs.list_locks(as_json=as_json)


@app.command(name="break")
def break_lock(
    lock: Annotated[str, typer.Argument(metavar="LOCK", help="Its id, as lock list shows it, or its path.")],
    reason: Annotated[str, typer.Option("--reason", help="Told to its holder.")] = "broken by the person",
    as_json: AsJson = False,
) -> int:
    """Take another's lock away; everybody is told."""
    hub = here().hub()
    lock_id = _lock_id(hub, lock)
    hub.command("lock:break", lock_id=lock_id, reason=reason)
    output.result({"broken": lock_id}, as_json=as_json, lines=[f"{lock_id} is broken"])
    return 0


def _lock_id(hub: HubQuick, named: str) -> str:
    """The id of the lock that a person means: by its id, its number, or what it is on.

    Raises:
        UsageError: No lock is meant by that, or several.
    """
    if _LOCK_ID.fullmatch(named):
        return named
    meant = {
        lock["lock_id"]
        for name, lock in hub.state()["locks"].items()
        if named in (f"#{lock['token']}", str(lock["token"]), name, lock["path"])
    }
    if len(meant) != 1:
        what = "several locks are" if meant else "no lock is"
        raise UsageError(f"{what} meant by {named}", "aegis-tui lock list shows the id of each")
    return str(meant.pop())


@app.command(name="import")
def import_locks(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A _locks.json of an older tool.")],
    as_json: AsJson = False,
) -> int:
    """Take over what is still held: as the instance of that name where you joined one, else as the person."""
    from aegis_tui.domain.lock.importing import Skipped, parse_old_locks

    old, skipped = parse_old_locks(_load(file), now=datetime.now(UTC))
    place, taken = here(), []
    living = {instance_id(agent["agent_id"]) for agent in place.hub().state()["active_agents"]}
    for lock in old:
        try:
            taken += _take_over(_speaker(place, lock.holder, living), lock)
        except (LockHeld, Refused, UsageError) as error:
            skipped.append(Skipped(str(lock.resource), f"{error.message}"))
    left_out = [{"path": item.path, "reason": item.reason} for item in skipped]
    told = [f"{lock_verbs.name_of(item)} {item['lock_type']} {item['agent_id']}" for item in taken]
    told += [f"left out: {item['path']}: {item['reason']}" for item in left_out]
    output.result({"imported": taken, "skipped": left_out}, as_json=as_json, lines=told or ["no locks in it"])
    return 0


def _take_over(hub: HubQuick, lock: OldLock) -> list[dict[str, Any]]:
    """The locks granted for one entry, each with who holds it now."""
    region = lock.resource.region
    fields: dict[str, Any] = {
        "path": lock.resource.path,
        "lines": region.lines if region else None,
        "symbol": region.symbol if region else None,
        "lock_type": str(lock.mode),
        "ttl_s": lock.ttl_s,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    reply = hub.command("lock:acquire", wait_s=0, **given)
    return list(reply["locks"])


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
