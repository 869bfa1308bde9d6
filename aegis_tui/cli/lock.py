"""`aegis-tui lock`: acquire, release, list and break (LOCK-6, contract 9)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.client import speaking_as
from aegis_tui.cli.place import here
from aegis_tui.errors import UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Locks on files and regions.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
PathArgument = Annotated[str | None, typer.Argument(metavar="PATH", help="From the repository's root.")]
Instance = Annotated[str | None, typer.Option("--instance", help="Speak as this instance of yours.")]


@app.command()
def acquire(
    path: PathArgument = None,
    file: Annotated[str | None, typer.Option("--file", help="The same as PATH.")] = None,
    lines: Annotated[str | None, typer.Option("--lines", metavar="A-B", help="A line range, both ends in.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="A function or class by name.")] = None,
    mode: Annotated[str, typer.Option("--mode", help="EXCLUSIVE, SHARED or REVIEW.")] = "EXCLUSIVE",
    ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds, 600 at most.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait.")] = 0,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Take a lock, or say who holds it (exit 4)."""
    wanted = path or file
    if wanted is None:
        raise UsageError("no path", "aegis-tui lock acquire PATH")
    fields: dict[str, Any] = {"path": wanted, "lock_type": mode.upper(), "wait_s": wait}
    if ttl is not None:
        fields["ttl_s"] = ttl
    if lines is not None:
        fields["lines"] = _lines(lines)
    if symbol is not None:
        fields["symbol"] = symbol
    hub = speaking_as(here(), instance, timeout_s=wait + 30)
    reply = hub.command("lock:acquire", **fields)
    told = [f"{item['path']} {item['lock_type']} token {item['token']}" for item in reply["locks"]]
    output.result({"locks": reply["locks"]}, as_json=as_json, lines=told)
    return 0


def _lines(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError as error:
        raise UsageError(f"--lines {text} is not a range", "for example --lines 10-20") from error


@app.command()
def release(
    path: PathArgument = None,
    lock_id: Annotated[str | None, typer.Option("--id", help="The lock's id.")] = None,
    token: Annotated[int | None, typer.Option("--token", help="The grant that is meant.")] = None,
    instance: Instance = None,
    as_json: AsJson = False,
) -> int:
    """Give a lock back."""
    hub = speaking_as(here(), instance)
    reply = hub.command("lock:release", path=path, lock_id=lock_id, token=token)
    output.result({"released": reply["released"]}, as_json=as_json, lines=reply["released"])
    return 0


@app.command(name="list")
def list_locks(as_json: AsJson = False) -> int:
    """Who holds what."""
    locks = [{"name": name, **lock} for name, lock in here().hub().state()["locks"].items()]
    rows = [[k["name"], k["lock_type"], k["agent_id"], f"{k['expires_in_s']:.0f} s", f"#{k['token']}"] for k in locks]
    output.result({"locks": locks}, as_json=as_json, lines=output.table(rows) or ["no lock is held"])
    return 0


@app.command(name="break")
def break_lock(
    lock_id: Annotated[str, typer.Argument(metavar="LOCK", help="The lock's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Told to its holder.")] = "broken by the person",
    as_json: AsJson = False,
) -> int:
    """Take another's lock away; everybody is told."""
    here().hub().command("lock:break", lock_id=lock_id, reason=reason)
    output.result({"broken": lock_id}, as_json=as_json, lines=[f"{lock_id} is broken"])
    return 0
