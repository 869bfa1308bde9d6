"""`aegis-tui events`: prints the log, one event per line, and follows it (HUB-5, contract 9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.client import address_of
from aegis_tui.cli.place import Place, here
from aegis_tui.errors import UsageError
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.sdk.wire import WIRE_VERSION, type_fits

if TYPE_CHECKING:
    from aegis_tui.domain.wire.answer import Envelope

PAGE = 1000


def _events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new events and print them.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Only events after the one with this number.")] = 0,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="GLOB",
            help="Only events of this type, or of types that match: lock:*, specs.*; may be repeated.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No effect: the output is always JSON, one object per line.")
    ] = True,
) -> int:
    """Print the log, one event per line.

    Each event has a number, its seq, which is 1 more than that of the event before. With --follow, new events are
    printed too until you interrupt the command, even if the hub is restarted.

    No hub is started. If none is running, the log file is read: exit code 2 if there is none, 1 if it is damaged.
    --follow needs a hub: exit code 5 if none is running, 130 when you interrupt it. Exit code 5 also if a hub is
    running and does not answer.
    """
    import asyncio

    if types and not all(types):
        raise UsageError("--type is empty", "give a type, for example --type 'lock:*', or leave it out for all events")
    place = here()
    if follow:
        address_of(place)
        asyncio.run(_follow(place, types or [], after))
        return 0
    for event in _logged(place, after):
        if _is_wanted(event, types or []):
            output.data(output.json_text(event))
    return 0


def _logged(place: Place, after: int) -> Iterator[Envelope]:
    """Yield the logged events with a number greater than `after`, up to the newest, in order.

    They come from the hub or, if none is running, from the log file; both give the same JSON objects. The errors are
    raised when the first events are asked for, or later.

    Raises:
        HubUnavailable: A hub is running and does not answer, or stops answering.
        UsageError: There is neither a hub nor a log.
        StoreError: The log is damaged, or cannot be read.
    """
    address = place.find()
    if address is None:
        from aegis_tui.bootstrap.log import log_reader
        from aegis_tui.hub.interest import public_wire

        yield from map(public_wire, log_reader(place.paths).events(after=after))
        return
    hub = HubQuick(address)
    while page := hub.envelopes(after=after, limit=PAGE):
        yield from page
        after = page[-1]["seq"]


def _is_wanted(event: Envelope, types: list[str]) -> bool:
    names = [event["type"], *([event["data"]["event"]] if event["type"] == "broadcast" else [])]
    return not types or any(type_fits(pattern, name) for pattern in types for name in names)


async def _follow(place: Place, types: list[str], after: int) -> None:
    from aegis_tui.sdk.client import EnsembleClient

    client = EnsembleClient.for_workspace(place.paths)
    try:
        async with aclosing(client.events(types=types, after=after)) as events:
            async for event in events:
                wire: Envelope = {
                    "v": WIRE_VERSION,
                    "seq": event.seq,
                    "type": event.type,
                    "agent_id": event.agent_id,
                    "timestamp": event.timestamp,
                    "data": dict(event.data),
                }
                output.data(output.json_text(wire))
    finally:
        await client.close()


events_app = typer.Typer(add_completion=False)
events_app.command()(_events)
